"""Fixtures that several tests share."""

from pathlib import Path

import pytest

from tests.helpers import SHARED
from tests.helpers.cluster import cluster


@pytest.fixture(scope="session")
def no_network(tmp_path_factory) -> str:
    """The PYTHONPATH of a process for which every connection is refused."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(
        "import socket\ndef no(*a): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = no\n"
    )
    return str(site)


@pytest.fixture
def shared_data() -> Path:
    """The folder with bank-additional-full.csv.gz, messidor_features.arff, waveform-v2.data.gz."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the full bank, diabetes and UCI waveform files are not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A Dask cluster of two workers, which no test may end."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made
