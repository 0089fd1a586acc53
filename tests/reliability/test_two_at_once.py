"""The same command twice at once ends well twice (row F5), and nobody waits for ever (P17 too)."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

import compare
import label
from common import files
from common.errors import UserError
from experiments import runner
from labeling import command
from tests.helpers import ROOT, main
from tests.helpers.own_table import label_words
from tests.helpers.processes import exit_code, fork

QUICK = "--rounds 1 --budget 3 --methods random,entropy --seeds 0,1"


def write_often(folder, letter):
    for _ in range(20):
        files.write_files(folder, {f"{i}.csv": letter * 2000 for i in range(4)})


def hold(folder, writer):
    with files.alone_in(folder):
        os.write(writer, b"held")
        time.sleep(600)


@pytest.mark.slow
def test_the_same_command_twice_at_once_ends_well_twice(tmp_path):
    """F5: both have code 0, and the files are those of one run alone."""
    words = [*f"--datasets breast_cancer {QUICK} --quiet --out".split()]
    two, one = tmp_path / "two", tmp_path / "one"
    both = [
        subprocess.Popen(
            [sys.executable, "compare.py", *words, two], cwd=ROOT, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=200)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert compare.main([*words, str(one)]) == 0
    for name in ("table.csv", "table.tex", "breast_cancer-tuned/picks.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert not list(two.rglob(".salutary*"))


def test_the_same_command_between_two_runs_of_this_one(tmp_path, monkeypatch):
    """F5: it ends first, and removes nothing that this one needs."""
    words = f"--dataset breast_cancer {QUICK} --no-plot --quiet --out {tmp_path}".split()
    run, calls = runner.run, []

    def another_first(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            assert main("binary", words) == 0
        return run(*arguments, **options)

    monkeypatch.setattr(runner, "run", another_first)
    assert main("binary", words) == 0
    assert (tmp_path / "breast_cancer-paper/picks.csv").is_file()
    assert len(calls) > 4


def test_files_of_two_writers_are_never_mixed(tmp_path):
    """F5: whoever is the last, the four files are of one writer, after each call of ours too."""
    both = [fork(partial(write_often, tmp_path, letter)) for letter in (b"a", b"b")]
    seen = set()
    deadline = time.monotonic() + 30
    while any(psutil.Process(pid).status() != "zombie" for pid in both):
        assert time.monotonic() < deadline
        with files.alone_in(tmp_path):
            names = sorted(tmp_path.glob("*.csv"))
            assert len(names) in (0, 4)
            assert len({path.read_bytes() for path in names}) <= 1
            seen |= {path.read_bytes()[:1] for path in names[:1]}
        time.sleep(0.002)
    assert [exit_code(pid) for pid in both] == [0, 0]
    assert seen


def test_nobody_waits_for_ever_and_the_lock_of_a_killed_run_is_free(tmp_path, monkeypatch):
    """F5."""
    monkeypatch.setattr(files, "PATIENCE", 0.3)
    reader, writer = os.pipe()
    holder = fork(partial(hold, tmp_path, writer))
    assert os.read(reader, 4) == b"held"
    with pytest.raises(UserError, match="another run has been writing to"):
        files.write_files(tmp_path, {"a.csv": b"x"})
    assert not list(tmp_path.iterdir())
    os.kill(holder, signal.SIGKILL)
    assert exit_code(holder) == -signal.SIGKILL
    files.write_files(tmp_path, {"a.csv": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_without_locks_of_folders_a_file_is_locked(tmp_path, monkeypatch):
    """F5: NFS locks only what is open for writing."""
    real, locked = files._locked, []

    def as_on_nfs(handle):
        if not locked:
            locked.append(handle)
            raise OSError(9, "Bad file descriptor")
        return real(handle)

    monkeypatch.setattr(files, "_locked", as_on_nfs)
    files.write_files(tmp_path, {"a.csv": b"x", "b.csv": b"y"})
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", files.LOCK}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("other", [b"someone else's\n", None])
def test_label_keeps_a_file_that_appears_meanwhile(force, other, tmp_path, capsys, monkeypatch):
    """P17; F5: the same files, of the same command beside it, are no obstacle (None)."""
    write, out = command.write_outputs, tmp_path / "out"
    words = [*label_words(tmp_path), "--anyway", "--quiet", f"--out={out}/plus.csv"]
    out.mkdir()

    def meanwhile(*arguments, **options):
        if other is None:
            write(*arguments, **options)
        else:
            (out / "plus.csv").write_bytes(other)
        return write(*arguments, **options)

    monkeypatch.setattr(command, "write_outputs", meanwhile)
    fine = force or other is None
    assert label.main([*words, *["--force"] * force]) == (0 if fine else 2)
    if not fine:
        assert "plus.csv was written by someone else while" in capsys.readouterr().err
        assert [path.name for path in out.iterdir()] == ["plus.csv"]
        assert (out / "plus.csv").read_bytes() == other
    else:
        assert (out / "plus.csv").read_bytes() != b"someone else's\n"
