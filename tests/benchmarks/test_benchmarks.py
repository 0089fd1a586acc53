"""benchmarks/: the scripts through the command line, with this engine only; no claim on time."""

import importlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from tests.helpers import ROOT

ENGINE = ROOT / "benchmarks" / "engine.py"


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.syspath_prepend(str(ENGINE.parent))
    return importlib.import_module("engine")


@pytest.mark.slow
def test_cg_agrees_with_the_dense_reference_and_the_table_says_so(tmp_path):
    out = tmp_path / "figures.json"
    options = "--jobs B --engines cg --shrink 60 --repeats 1 --no-growth --dtype float64 --out"
    done = subprocess.run(
        [sys.executable, ENGINE, *options.split(), out],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if "| this engine, CG" in line]
    record = json.loads(out.read_text())["jobs"]["B"]["contestants"]["cg"]
    assert 0 < record["error"] < 1e-8  # 0: it took the dense way too
    assert record["same_top"] == 10
    assert f"{record['error']:.0e}" in row


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--limit", "0"], "whole number of 1 or more"), (["--jobs", "D"], "invalid choice: 'D'")],
)
def test_wrong_options_end_with_exit_code_2(engine, capsys, options, message):
    with pytest.raises(SystemExit) as end:
        engine.main(options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_a_library_that_is_not_there_is_named_with_the_way_to_it(engine, monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda module: None)
    record = engine.contest("pydvl-cg", None, None)
    assert record["status"] == "not installed (pip install --no-deps -r requirements-bench.txt)"
    assert record["status"] in engine.contest_table({"pydvl-cg": record}, ["pydvl-cg"])


def test_a_contestant_that_takes_too_long_or_fails_is_said_so(engine):
    assert engine.run_isolated(time.sleep, 0.5, 60) == {"status": "not finished in 0.5 s"}
    failed = engine.run_isolated(int, 60, "one")
    assert failed["status"].startswith("failed: ValueError: invalid literal")


def test_exponents_are_those_of_the_times(engine):
    growth = engine.growth
    sizes = [(n, growth.D, growth.K, "n") for n in growth.ROWS]
    sizes += [(growth.MIDDLE, *pair, name) for name, of in growth.COLUMNS.items() for pair in of]
    power = {"n": 1.0, "narrow": 0.7, "wide": 0.9}
    points = [
        {"n": n, "D": D, "K": K, "series": series, "pool": 1e-9 * n * (D * K) ** power[series]}
        for n, D, K, series in sizes
    ]
    assert growth.exponents(points) == pytest.approx(power)


@pytest.fixture
def cluster_scale(monkeypatch):
    monkeypatch.syspath_prepend(str(ENGINE.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the script sets both, and they are put back
    monkeypatch.setenv("PYTHONPATH", "")
    return importlib.import_module("cluster_scale")


def test_a_simulated_pass_ends_when_workers_or_the_caller_are_done(cluster_scale):
    rng = np.random.default_rng(0)
    seconds = np.array([0.5])
    simulate = cluster_scale.simulate
    # One worker: its tasks one after another, and the first is handed out before.
    assert simulate(seconds, 0.01, 100, 1, rng) == pytest.approx(0.01 + 100 * 0.5)
    # More workers than tasks that the caller can hand out in time: the caller, then the last task.
    assert simulate(seconds, 0.01, 1_000, 200, rng) == pytest.approx(1_000 * 0.01 + 0.5)
    # In between, no worker waits: 100 tasks for each of ten, which start 0.01 s apart.
    assert simulate(seconds, 0.01, 1_000, 10, rng) == pytest.approx(100 * 0.5 + 10 * 0.01)


def test_no_room_for_the_file_ends_in_one_line(cluster_scale, capsys, monkeypatch, tmp_path):
    for options, told in (
        (["--folder", tmp_path / "none"], "is not a folder"),
        (["--folder", tmp_path, "--rows", 10**12], "GB are free and"),
    ):
        monkeypatch.setattr(sys, "argv", ["cluster_scale.py", *map(str, options)])
        assert cluster_scale.main() == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reference", "where"),
    [
        ("loop.py --kinds bank --seeds 1", "label-loop.csv",
         "kind == 'bank' and seed == 1"),
        ("label_width.py --columns 100", "label-width.csv", "columns == 100"),
        ("error_bound.py --sets electric --draws 2", "error-bound.csv",
         "set == 'electric' and seed < 2"),
    ],
    ids=lambda words: words.split()[0],
)  # fmt: skip
def test_a_draw_is_the_committed_one(words, reference, where, tmp_path):
    out = tmp_path / "draws.csv"
    script, *options = words.split()
    command = [sys.executable, ROOT / "benchmarks" / script, *options, "--out", out]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    committed = pd.read_csv(ROOT / "results/reference" / reference).query(where)
    made, known = (
        f.drop(columns="seconds", errors="ignore") for f in (pd.read_csv(out), committed)
    )
    pd.testing.assert_frame_equal(made, known.reset_index(drop=True), rtol=1e-3)
