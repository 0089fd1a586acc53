"""benchmarks/soak.py: what it calls a difference, and what it does not."""

import gzip
import importlib
import json

import pytest

from common.seal import sealed
from tests.helpers import ROOT


@pytest.fixture
def soak(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return importlib.import_module("soak")


def write(folder, seconds=1.0, score=0.5, **more):
    """The files of a run."""
    kept = sealed(json.dumps({"curve": [{"seconds": seconds, "score": score}]}).encode(), "key")
    files = {
        "curves.csv": f"seed,seconds,score\n0,{seconds},{score}\n".encode(),
        "run.json": json.dumps({"date": str(seconds), "options": {"seeds": [0]}}).encode(),
        "random-0.json.gz": gzip.compress(kept, mtime=0),
        "log.txt": str(seconds).encode(),
    }
    folder.mkdir()
    for name, content in {**files, **more}.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("other", "differences", "leftovers"),
    [
        ({"seconds": 2.0}, [], []),
        ({"score": 0.25}, ["curves.csv differs", "random-0.json.gz differs"], []),
        ({"run.json": b'{"options": {"seeds": [1]}}'}, ["run.json differs"], []),
        ({".x.part": b""}, [], [".x.part"]),
    ],
)
def test_only_timings_may_differ(soak, tmp_path, other, differences, leftovers):
    write(tmp_path / "a")
    write(tmp_path / "b", **other)
    tally = soak.Tally(1.0)
    soak.note_differences(tmp_path / "a", tmp_path / "b", tally)
    assert (sorted(tally.differences), tally.leftovers) == (differences, leftovers)
    (tmp_path / "b/curves.csv").unlink()
    soak.note_differences(tmp_path / "a", tmp_path / "b", tally)
    assert "curves.csv is missing" in tally.differences
