"""A real Dask cluster: the same bytes as one process, whoever dies; mistakes in a line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from hashlib import sha256

import pandas as pd
import pytest
from distributed import Client
from sklearn import __version__ as version

import main_binary
import main_multi
from common.errors import UserError
from common.parallel import Workers, spread
from common.plugins import use_files
from common.program import source_files
from data_utils import load, make_split
from experiments.runner import Plan, run_methods
from experiments.settings import LoopSettings
from experiments.store import Store
from tests.helpers import ROOT, strict
from tests.helpers.cluster import cluster
from tests.helpers.documents import example_plugin

RUN = (
    "compare.py --datasets wine electric --seeds 0-3 --methods random,salutary,salutary_plus "
    "--rounds 3 --budget 5 --quiet --out"
).split()
METHODS = ["random", "salutary"]
SETTINGS = strict(rounds=2, budget=3)


def split_for():
    return partial(make_split, load("wine"), "strict", 300)


def compare(out, *arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *RUN, str(out), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def contents(folder) -> dict:
    """All that was written, but for times and the options, which name the cluster."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "runs" not in p.parts):
        if path.name == "curves.csv":
            found[path.relative_to(folder)] = (
                pd.read_csv(path, dtype=str).drop(columns="seconds").to_csv()
            )
        elif path.name != "run.json":
            found[path.relative_to(folder)] = path.read_bytes()
    return found


@pytest.mark.slow
def test_killing_a_worker_in_the_middle_changes_no_byte(tmp_path):
    """SIGKILL for a worker that is at work, once some runs are done and others are not."""
    with cluster(tmp_path) as mine:
        process = compare(tmp_path / "two", "--dask", mine.address)
        victim = mine.workers[0]
        try:
            with Client(mine.address, set_as_default=False) as client:
                pids = client.run(os.getpid)
                (address,) = (a for a, pid in pids.items() if pid == victim.pid)
                deadline = time.monotonic() + 40
                while time.monotonic() < deadline and process.poll() is None:
                    done = len(list(tmp_path.glob("two/*/runs/*/*.json.gz")))
                    if done >= 3 and client.processing().get(address):
                        break
                    time.sleep(0.01)
                else:
                    pytest.fail(f"never seen at work: {process.communicate(timeout=5)}")
                os.kill(victim.pid, signal.SIGKILL)
                victim.wait()
            assert process.poll() is None
            one = compare(tmp_path / "one")
            assert one.wait(60) == 0
            assert process.wait(60) == 0, process.stderr.read()
            assert process.stderr.read() == ""
        finally:
            process.kill()
        assert mine.workers[1].poll() is None
    written = contents(tmp_path / "two")
    assert len(written) == 7 + 2 * 4
    assert written == contents(tmp_path / "one")


@pytest.mark.slow
def test_the_caller_keeps_what_is_done_and_does_not_do_it_again(two, tmp_path):
    local, far = (Store(tmp_path / name) for name in ("local", "far"))
    local.folder.mkdir()
    far.folder.mkdir()
    expected = run_methods(Plan(split_for(), SETTINGS, METHODS, local), [0, 1])
    kept = local.recall(1, "salutary")
    far.keep(1, "salutary", kept._replace(picks=[replace(kept.picks[0], row=-1), *kept.picks[1:]]))
    told = []
    plan = Plan(split_for(), SETTINGS, METHODS, far)
    curves, picked = run_methods(plan, [0, 1], Workers(dask=two.address), told.append)
    assert len(curves) == 2 * 2 * 3
    assert sum(told) == 3 * 3  # of the three runs that were made
    assert [pick.row for pick in picked].count(-1) == 1
    assert [(r.seed, r.method) for r in curves] == [(r.seed, r.method) for r in expected[0]]
    runs = list(local.runs())
    assert list(far.runs()) == runs
    for run in runs:  # the same, but for the times and the mark
        there, here = (store.recall(*run).picks for store in (far, local))
        assert str(there[run == (1, "salutary") :]) == str(here[run == (1, "salutary") :])


def test_without_a_store_too_and_a_worker_splits_a_seed_once(two, tmp_path):
    split, log = split_for(), tmp_path / "splits"

    def counted(seed):
        with log.open("a") as file:
            file.write("split\n")
        return split(seed)

    methods = ["random", "entropy", "margin", "isal", "salutary"]
    expected = run_methods(Plan(split, SETTINGS, methods), [0])
    found = run_methods(Plan(counted, SETTINGS, methods), [0], Workers(dask=two.address))
    assert str(found[1]) == str(expected[1])
    assert 1 <= len(log.read_text().split()) <= len(two.workers)


def test_a_mistake_on_a_worker_is_told_as_one_here(two):
    plan = Plan(split_for(), LoopSettings(rounds=100, budget=100), METHODS)
    with pytest.raises(UserError, match="the pool has 3,596"):
        run_methods(plan, [0], Workers(dask=two.address))


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(jobs):
    assert list(spread(divmod, 100, [7, 3, 9], Workers(jobs))) == [(14, 2), (33, 1), (11, 1)]


def in_steps(shared, task, step):
    """A task that reports as many steps as its number says."""
    for _ in range(task):
        step()
    return shared + task


@pytest.mark.parametrize("workers", ["1", "2", "cluster"])
def test_steps_are_told_with_the_number_of_their_task(workers, request):
    if workers == "cluster":
        who = Workers(dask=request.getfixturevalue("two").address)
    else:
        who = Workers(int(workers))
    told = []
    assert list(spread(in_steps, 100, [3, 0, 2], who, told.append)) == [103, 100, 102]
    deadline = time.monotonic() + 10  # the last ones of a cluster may come after the results
    while len(told) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(told) == [0, 0, 0, 2, 2]


def test_shared_data_and_results_come_in_order_on_the_cluster(two):
    tasks = range(1, 60)
    assert list(spread(divmod, 100, tasks, Workers(dask=two.address))) == [
        divmod(100, n) for n in tasks
    ]


@pytest.mark.slow
def test_what_all_share_reaches_a_cluster_that_lost_it(tmp_path):
    """All workers that hold the shared object die; one that comes later does the rest."""
    with cluster(tmp_path, workers=1) as mine:
        results = spread(divmod, 100, range(1, 40), Workers(dask=mine.address))
        found = [next(results)]
        mine.workers[0].kill()
        mine.worker()
        assert [*found, *results] == [divmod(100, n) for n in range(1, 40)]


def test_a_plugin_outside_the_project_gives_the_same_bytes_everywhere(two, tmp_path, monkeypatch):
    """The one of docs/extend.md: its strategy, data set and classifier, by a relative path."""
    example_plugin(tmp_path)
    monkeypatch.chdir(tmp_path)
    arguments = (
        "--plugin mine.py --dataset iris --methods unsure,random --model mine.forest --seeds 0-1 "
        "--rounds 2 --budget 3 --no-plot --quiet --out"
    ).split()
    written = []
    for workers in ("--jobs 1", "--jobs 2", f"--dask {two.address}"):
        folder = tmp_path / workers.split()[1].replace("/", "_")
        assert main_multi.main([*arguments, str(folder), *workers.split()]) == 0
        written.append(contents(folder))
    assert len(written[0]) == 2
    assert written[0] == written[1] == written[2]
    run = json.loads((folder / "iris-paper,model=mine.forest/run.json").read_text())["options"]
    assert run["plugins"] == {"mine.py": sha256((tmp_path / "mine.py").read_bytes()).hexdigest()}
    assert (run["model"], run["judge"]["versions"]["scikit-learn"]) == ("mine.forest", version)


def test_a_worker_that_cannot_load_a_plugin_is_told(two, tmp_path):
    plugin = tmp_path / "only_here.py"
    plugin.write_text(f"import os\nassert os.getpid() == {os.getpid()}\nSTRATEGIES = []\n")
    use_files([plugin], "only_here.model")
    with pytest.raises(UserError, match="worker tcp.*only_here.py, line 2: AssertionError"):
        list(spread(divmod, 100, [7], Workers(dask=two.address)))


# --- what the user can mend ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler answers there"),
        ("nonsense", "no Dask scheduler answers there"),
        ("http://127.0.0.1:1", "no Dask scheduler answers there"),
    ],
)
def test_no_scheduler_is_said_in_one_line_and_soon(address, message, tmp_path, capsys):
    start = time.monotonic()
    arguments = ["--dataset", "bank", "--dask", address, "--out", str(tmp_path), "--quiet"]
    assert main_binary.main(arguments) == 2
    assert time.monotonic() - start < 10
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert f"--dask {address}: {message}" in error


def test_jobs_and_dask_exclude_each_other(capsys):
    assert main_binary.main(["--jobs", "2", "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "--dask and --jobs exclude each other" in capsys.readouterr().err


def test_workers_that_would_not_give_the_same_are_refused(tmp_path):
    other = tmp_path / "other"
    for path in source_files(ROOT):
        copy = other / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    with (other / "numerics" / "hessian.py").open("a") as file:
        file.write("# another version\n")
    with cluster(tmp_path, workers=0) as mine:
        refused(mine, "has no workers")
        mine.worker("--nthreads", "2")
        refused(mine, "start workers with --nthreads 1, and --nworkers 2 for 2 of them")
        mine.worker(PYTHONPATH="")
        refused(mine, "cannot run this program .*No module named 'common'.* PYTHONPATH")
        mine.worker(PYTHONPATH=str(other))
        refused(mine, "has another program than the caller")


def test_the_address_of_a_worker_is_refused(two):
    with Client(two.address, set_as_default=False) as client:
        address = next(iter(client.nthreads()))
    with pytest.raises(UserError, match="is a Worker: give the scheduler's address"):
        list(spread(divmod, 1, [1], Workers(dask=address)))


def refused(mine, message: str) -> None:
    """The cluster as it is is refused for this; then its last worker is ended."""
    with pytest.raises(UserError, match=message):
        list(spread(divmod, 100, [7], Workers(dask=mine.address)))
    if mine.workers:
        mine.workers[-1].kill()
        with Client(mine.address, set_as_default=False) as client:
            while client.nthreads():
                time.sleep(0.05)


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_in_one_line(tmp_path):
    with cluster(tmp_path, workers=1) as mine:
        results = spread(divmod, 100, range(1, 1000), Workers(dask=mine.address))
        next(results)
        mine.started[0].kill()
        with pytest.raises(UserError, match="lost: start them again"):
            list(results)
