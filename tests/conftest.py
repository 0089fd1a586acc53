"""Fixtures that several tests share."""

from pathlib import Path

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from common.plugins import use
from tests.helpers import SHARED
from tests.helpers.cluster import cluster

# Folders whose files share a costly run, and files that share a cluster: one process does all.
CLUSTER = ("test_parallel.py", "streaming/test_scoring.py", "test_dask.py")
TOGETHER = ("tests/llm", "tests/studies")
# Long ones start first, so that no process waits for another at the end.
LONG = (*TOGETHER, *CLUSTER, "test_download", "test_comparison", "test_main_scripts")


class FilesAndFolders(LoadScopeScheduling):
    """What one process of pytest-xdist does: a file, a folder of TOGETHER, or CLUSTER."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::")[0]
        if path.endswith(CLUSTER):
            return "the cluster"
        return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def pytest_addoption(parser):
    parser.addoption(
        "--data-dir",
        type=Path,
        help="a folder with bank-additional-full.csv, the paper's Bank file, which does not ship",
    )


def pytest_configure(config):
    folder = config.getoption("--data-dir")
    if folder and not folder.is_dir():
        raise pytest.UsageError(f"--data-dir {folder} is not a folder")


def pytest_xdist_make_scheduler(config, log):
    return FilesAndFolders(config, log)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONG))


@pytest.fixture(autouse=True)
def no_plugins():
    """Every test begins with the project's own lists."""
    yield
    use(())


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


@pytest.fixture
def one_thread():
    """Two threads gain nothing on small products, and wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A Dask cluster of two workers, which no test may end."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made
