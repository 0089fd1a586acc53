"""Fixtures for the tests of this folder."""

import pytest
import torch

from models import MLP
from tests.numerics.cases import setting


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads gain nothing on small products, and wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def wine():
    """A small network on wine, its loss, and the arguments of module_benefit."""
    return setting(MLP((3,), l2=2.0, l2_body=2.0, max_iter=500), "wine", pool=8)
