"""The Dask commands of docs/scale.md, and what may answer in the place of a cluster."""

import os
import socket
import threading
import time

import psutil
import pytest

import main_binary
from common.errors import UserError
from common.parallel import Workers, spread
from tests.helpers import error_of
from tests.helpers.cluster import cluster, documented, documented_environment

RUN = "--dataset bank --methods random --rounds 1 --quiet --out".split()


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A cluster of one worker."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=1) as made:
        yield made


def test_f16_nothing_listens_beyond_the_address_given(one):
    """F16: neither the dashboard of the scheduler nor that of a worker."""
    for process in one.started:
        ports = [
            connection.laddr.ip
            for connection in psutil.Process(process.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert ports
        assert set(ports) == {"127.0.0.1"}


def test_f4_the_documents_commands_need_nothing_beside_them(one):
    """F4: the cluster of all tests is started by them, with what the page exports alone."""
    assert documented("scheduler")[0] == "scheduler"
    assert "--dashboard-address" in documented("worker")
    assert list(documented_environment()) == ["PYTHONPATH"]
    assert list(spread(divmod, 100, [7], Workers(dask=one.address))) == [(14, 2)]


@pytest.mark.slow
def test_f4_a_scheduler_without_the_program_is_told_in_one_line(tmp_path, capsys):
    """F4: what the page's commands of 0.5.1 did."""
    with cluster(tmp_path, workers=0, PYTHONPATH="") as mine:
        mine.worker()
        assert main_binary.main([*RUN, str(tmp_path), "--dask", mine.address]) == 2
    assert "the scheduler cannot run this program (No module named" in error_of(capsys)


def slow(shared, task):
    time.sleep(0.3)
    return os.getpid()


@pytest.mark.slow
def test_p20_a_late_worker_is_held_to_the_same_check(tmp_path):
    """P20: its threads and its packages. One without the program cannot even get the data."""
    root = documented_environment()["PYTHONPATH"]
    old = tmp_path / "old"
    old.mkdir()
    (old / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nreal = m.version\n"
        "m.version = lambda name: '0.1' if name == 'scipy' else real(name)\n"
    )
    late = (
        (["--nthreads", "2"], {}, "runs 2 tasks at once in one process"),
        ([], {"PYTHONPATH": f"{old}:{root}"}, "has another scipy than the caller"),
    )
    with cluster(tmp_path, workers=1) as mine:
        for extra, environment, message in late:
            results = spread(slow, None, range(200), Workers(dask=mine.address))
            next(results)
            worker = mine.worker(*extra, **environment)
            with pytest.raises(UserError, match=message):
                list(results)
            worker.kill()
            worker.wait()


# --- what else may answer ------------------------------------------------------------------------


@pytest.fixture
def answering(request):
    """A server that says one thing to everybody, at an address for --dask."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve():
            while True:
                try:
                    caller, _ = server.accept()
                except OSError:
                    return
                with caller:
                    caller.sendall(request.param)
                    time.sleep(0.2)

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "answering",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\xff" * 64,
        b"\x00" * 64,
        (1).to_bytes(8, "little") + (5).to_bytes(8, "little") + b"hello",
        b"",
    ],
    indirect=True,
)
def test_f14_something_else_that_answers_ends_in_one_line(answering, tmp_path, capsys):
    """F14."""
    start = time.monotonic()
    assert main_binary.main([*RUN, str(tmp_path), "--dask", answering]) == 2
    assert time.monotonic() - start < 10
    error = error_of(capsys)
    assert f"--dask {answering}: no Dask scheduler answers there" in error
    assert "allocate" not in error
