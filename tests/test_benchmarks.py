"""benchmarks/: the scripts through the command line, with this engine alone; no claim on time."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

SOLVERS = ("auto", "cholesky", "cg")


def script(name, *options):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / name, *map(str, options)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )


def test_solvers_agree_and_the_table_has_them_beside_the_floor(tmp_path):
    out = tmp_path / "figures.json"
    options = ["--shrink", 60, "--repeats", 1, "--no-growth", "--float", "float64", "--out", out]
    done = script("engine.py", "--jobs", "B", "--engines", *SOLVERS, "gemm", *options)
    assert done.returncode == 0, done.stderr
    for row in ("this engine, Cholesky", "this engine, CG", "floor: GEMM"):
        assert sum(row in line for line in done.stdout.splitlines()) == 1
    records = json.loads(out.read_text())["jobs"]["B"]["contestants"]
    for solver in SOLVERS:
        assert records[solver]["error"] < 1e-8
        assert records[solver]["same_top"] == 10
        assert records[solver]["seconds"] > 0
    assert records["cg"]["error"] > 0  # it did not take the other way


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--limit", "0"], "whole number of 1 or more"), (["--jobs", "D"], "invalid choice: 'D'")],
)
def test_wrong_options_end_with_exit_code_2(options, message):
    done = script("engine.py", *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_library_that_is_not_there_is_named_with_the_way_to_it(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import engine

    monkeypatch.setattr(engine, "find_spec", lambda module: None)
    record = engine.contest("pydvl-cg", None, None)
    assert record["status"] == "not installed (pip install --no-deps -r requirements-bench.txt)"
    assert record["status"] in engine.contest_table({"pydvl-cg": record}, ["pydvl-cg"])


def test_a_contestant_that_takes_too_long_is_stopped_and_said_so(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import time

    from measure import alone

    assert alone(time.sleep, 1, 60) == {"status": "not finished in 1 s"}
    failed = alone(int, 30, "one")
    assert failed["status"].startswith("failed: ValueError: invalid literal")
