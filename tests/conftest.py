"""Shared by the tests: real data, shipped or in ../shared/data, and a quick look at its parts."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from cluster import cluster

from data_utils import load
from splits import Split, make_split

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@cache
def split_of(name: str, protocol: str = "strict", seed: int = 0) -> Split:
    """A split of a shipped data set."""
    table = load(name)
    return make_split(table, protocol, table.dataset.init, seed)


def shell(*arguments, **environment):
    """Run a script; a variable of the environment that is None is left out."""
    environment = {k: v for k, v in {**os.environ, **environment}.items() if v is not None}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, env=environment,
    )  # fmt: skip


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
