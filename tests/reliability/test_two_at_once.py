"""The same command twice at once ends well twice (row F5), and nobody waits for ever (P17 too)."""

import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import compare
import label
from common import files
from common.errors import UserError
from data_prep.places import SHIPPED
from labeling import command
from tests.helpers import ROOT

QUICK = "--rounds 1 --budget 3 --methods random,entropy --seeds 0,1"
WRITER = """
import sys
from pathlib import Path
from common.files import write_files
letter = sys.argv[2].encode()
for number in range(60):
    write_files(Path(sys.argv[1]), {f"{i}.csv": letter * 2000 for i in range(4)})
"""
HOLDER = """
import sys, time
from pathlib import Path
from common.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


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


def test_files_of_two_writers_are_never_mixed(tmp_path):
    """F5: whoever is the last, the four files are of one writer, after each call of ours too."""
    both = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), letter], cwd=ROOT)
        for letter in "ab"
    ]
    seen = set()
    while any(process.poll() is None for process in both):
        with files.alone_in(tmp_path):
            names = sorted(tmp_path.glob("*.csv"))
            assert len(names) in (0, 4)
            assert len({path.read_bytes() for path in names}) <= 1
            seen |= {path.read_bytes()[:1] for path in names[:1]}
        time.sleep(0.002)
    assert [process.returncode for process in both] == [0, 0]
    assert seen


def test_nobody_waits_for_ever_and_the_lock_of_a_killed_run_is_free(tmp_path, monkeypatch):
    """F5."""
    monkeypatch.setattr(files, "PATIENCE", 0.3)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline()
    with pytest.raises(UserError, match="another run has been writing to"):
        files.write_files(tmp_path, {"a.csv": b"x"})
    assert not list(tmp_path.iterdir())
    holder.send_signal(signal.SIGKILL)
    holder.wait()
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


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(frac=1, random_state=0)
    bank[:60].to_csv(folder / "labeled.csv", index=False)
    bank[60:160].to_csv(folder / "validation.csv", index=False)
    bank[160:260].drop(columns="y").to_csv(folder / "pool.csv", index=False)
    return folder


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("other", [b"someone else's\n", None])
def test_label_keeps_a_file_that_appears_meanwhile(
    tables, force, other, tmp_path, capsys, monkeypatch
):
    """P17; F5: the same bytes, of the same command beside it, are no obstacle (None)."""
    named = {"labeled": "labeled", "validation": "validation", "unlabeled": "pool"}
    words = [f"--{option}={tables / name}.csv" for option, name in named.items()]
    words += f"--target y --budget 4 --l2 1 --anyway --quiet --out {tmp_path}/plus.csv".split()
    if other is None:
        assert label.main(words) == 0
        other_bytes = (tmp_path / "plus.csv").read_bytes()
        for path in tmp_path.iterdir():
            path.unlink()
    else:
        other_bytes = other
    write = command.write_outputs

    def meanwhile(*arguments, **options):
        (tmp_path / "plus.csv").write_bytes(other_bytes)
        return write(*arguments, **options)

    monkeypatch.setattr(command, "write_outputs", meanwhile)
    capsys.readouterr()
    fine = force or other is None
    assert label.main([*words, *["--force"] * force]) == (0 if fine else 2)
    if not fine:
        assert "plus.csv was written by someone else while" in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["plus.csv"]
        assert (tmp_path / "plus.csv").read_bytes() == other
    else:
        assert (tmp_path / "plus.csv").read_bytes() != b"someone else's\n"
