"""Files are written whole or not at all, and CSV keeps every digit."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

from common import files
from common.errors import UserError
from tests.helpers import ROOT


def test_csv_keeps_every_digit():
    frame = pd.DataFrame({"x": [1 / 3, np.pi, 6098 / 7919]})
    assert (pd.read_csv(BytesIO(files.csv_bytes(frame)))["x"] == frame["x"]).all()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_write_replaces_adds_and_removes(tmp_path):
    files.write_files(tmp_path, {"a.csv": b"old", "b.png": b"old"})
    files.write_files(tmp_path, {"a.csv": b"new", "b.png": None, "c.json": b"new"})
    assert contents(tmp_path) == {"a.csv": b"new", "c.json": b"new"}


def test_a_disk_that_takes_no_more_changes_nothing(tmp_path):
    """A real limit: the process may write no file of more than 10,000 bytes."""
    files.write_files(tmp_path, {"a.csv": b"old", "b.csv": b"old"})
    script = f"""
import resource
from pathlib import Path
from common.errors import UserError
from common.files import write_files
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    write_files(Path({str(tmp_path)!r}), {{"a.csv": b"new", "b.csv": b"n" * 20_000}})
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "cannot write to" in done.stdout
    assert "File too large" in done.stdout
    assert contents(tmp_path) == {"a.csv": b"old", "b.csv": b"old"}


def test_ctrl_c_while_writing_leaves_the_old_files(tmp_path, monkeypatch):
    files.write_files(tmp_path, {"a.csv": b"old", "b.csv": b"old"})
    synced = []

    def interrupt(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_files(tmp_path, {"a.csv": b"new", "b.csv": b"new"})
    assert contents(tmp_path) == {"a.csv": b"old", "b.csv": b"old"}


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        files.prepare_folder(tmp_path / "file" / "results")
