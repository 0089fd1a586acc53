"""What killed runs leave is removed by the next run that owns it, and only that (row P8)."""

import os
import signal
import tempfile
from pathlib import Path
from threading import Event, Thread

import numpy as np

from common import cache, files
from common.cache import cached_array
from experiments.results import load_results
from tests.helpers import main
from tests.helpers.processes import forked


def kill_this_process(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def killed(action) -> None:
    """Do ``action`` in another process, which kills itself."""
    assert forked(action) == -signal.SIGKILL


def stage_and_die(folder):
    files._put_in_place = kill_this_process
    files.write_files(folder, {"curves.csv": b"x", "run.json": b"{}"})


def cut_an_array():
    cache.sealed = lambda content, name: b"cut"
    os.fsync = kill_this_process
    cache.cached_array("probe", 5, lambda: np.eye(5))


def leave_a_temporary_file():
    with files.temporary_file("salutary-test-"):
        kill_this_process()


def test_a_killed_run_leaves_nothing_after_the_next(tmp_path):
    """P8: the next run of the command removes the stage, and no file of the user's."""
    folder = tmp_path / "breast_cancer-paper"
    folder.mkdir()
    mine = {".curves.csv.1.part", ".probe.9.txt", "mine.part", ".mine.csv.9999999.part"}
    for name in mine:  # the process 1 lives
        (folder / name).write_text("a file of the user's")
    killed(lambda: stage_and_die(folder))
    assert (folder / files.STAGE).is_dir()
    quick = "--dataset breast_cancer --rounds 1 --budget 3 --methods random --no-plot --quiet"
    assert main("binary", [*quick.split(), "--out", str(tmp_path)]) == 0
    named = {path.name for path in folder.iterdir()}
    assert named == mine | {"curves.csv", "picks.csv", "run.json", "runs"}
    assert not list(folder.rglob(files.STAGE))
    killed(lambda: stage_and_die(folder))
    assert len(load_results(tmp_path)) == 2  # what is staged is no result


def test_results_are_read_while_a_command_writes_beside_them(tmp_path):
    """Its unfinished files come and go, in a folder that a search must not enter."""
    quick = "--dataset breast_cancer --rounds 1 --budget 3 --methods random --no-plot --quiet"
    assert main("binary", [*quick.split(), "--out", str(tmp_path)]) == 0
    done = Event()

    def write():
        while not done.is_set():
            files.write_files(tmp_path, {"a.txt": b"a", "b.txt": b"b"})

    writer = Thread(target=write, daemon=True)
    writer.start()
    try:
        for _ in range(300):
            assert len(load_results(tmp_path)) == 2
    finally:
        done.set()
        writer.join()


def test_what_killed_runs_of_0_5_1_left_goes_too(tmp_path, monkeypatch):
    """P8: their parts, their probes and their unfinished runs, but no folder with other files."""
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "breast_cancer-paper"
    left = (
        ".curves.csv.9999999.part", ".curves.png.9999999.part", ".probe.9999999",
        "unfinished-8018c8ad0c9afdc2/random-0.json",
        "unfinished-8018c8ad0c9afdc2/.entropy-0.json.9999999.part",
        "unfinished-c295ef69f457cafe/tuned-0123456789abcdef01234567.json",
    )  # fmt: skip
    mine = ("unfinished-0123456789abcdef/notes.txt", "unfinished-thesis/random-0.json")
    cut = tmp_path / "cache/features/a.npy.9999999.part"
    for path in (*(folder / name for name in (*left, *mine)), cut):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("cut")
    quick = "--dataset breast_cancer --rounds 1 --budget 3 --methods random --quiet --out"
    assert main("binary", [*quick.split(), str(tmp_path)]) == 0
    cached_array("a", 5, lambda: np.eye(5))
    assert [path.name for path in cut.parent.iterdir()] == ["a.npy"]
    assert all((folder / name).read_text() == "cut" for name in mine)
    assert not [name for name in left if (folder / name).exists()]
    assert not (folder / "unfinished-8018c8ad0c9afdc2").exists()


def test_a_cut_array_of_a_killed_run_is_written_over(tmp_path, monkeypatch):
    """P8: the cache of features."""
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    killed(cut_an_array)
    assert len(list(tmp_path.rglob("*"))) == 2  # the folder and what is left
    assert cached_array("probe", 5, lambda: np.eye(5)).tolist() == np.eye(5).tolist()
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["probe.npy"]


def test_temporary_files_of_killed_runs_go_and_those_of_others_stay(tmp_path, monkeypatch):
    """P8: the file to which worker processes write their steps."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed(leave_a_temporary_file)
    (left,) = tmp_path.iterdir()
    with files.temporary_file("salutary-test-") as first:
        assert not left.exists()
        with files.temporary_file("salutary-test-") as second:
            assert {first, second} == set(tmp_path.iterdir())
    assert not list(Path(tmp_path).iterdir())
