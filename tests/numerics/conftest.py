"""Fixtures for the tests of this folder."""

import pytest

from models import MLP
from tests.numerics.cases import setting


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="package")
def wine():
    """A small network on wine, its loss, and the arguments of module_benefit."""
    return setting(MLP((3,), l2=2.0, l2_body=2.0, max_iter=500), "wine", pool=8)
