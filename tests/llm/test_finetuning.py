"""Fine-tuning on what a run picked: its records, and a run that was killed."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from common.seal import sealed, unsealed
from experiments.loop import run
from llm.finetuning import TuningTask, tuning_tasks
from llm.stand_in import StandInRun, training_set
from main_llm import main
from tests.helpers import ROOT, split_of, strict


def test_every_named_round_is_tuned_and_beside_the_stand_ins_own_record(done):
    _, folder = done
    tuned, curves = (pd.read_csv(folder / f"{name}.csv") for name in ("tuned", "curves"))
    assert len(tuned) == 1 + 4 * 2
    for row in tuned[tuned["method"] != "none"].itertuples():
        same = curves[(curves["method"] == row.method) & (curves["round"] == row.round)].iloc[0]
        assert row.stand_in == pytest.approx(same["test_accuracy"])  # refitted: the same model
        reference = row.method == "labeled_plus_validation"
        assert row.texts == (80 if reference else 40 + 8 * row.round)
    twice = tuned[tuned["method"] == "labeled_plus_validation"].drop(columns="round")
    assert len(twice.drop_duplicates()) == 1  # trained once: even the seconds are the same
    assert (tuned["labels_validation"] == 40).all()  # they chose the l2 of every stand-in
    start = tuned[tuned["method"] == "none"].iloc[0]
    assert start["stand_in"] == pytest.approx(curves["test_accuracy"][0])
    assert (tuned["tuned"] > 0.55).all()
    # two models differ no more than their errors: |a - b| <= 1 - agreement
    assert ((tuned["tuned"] - tuned["stand_in"]).abs() <= 1 - tuned["agreement"] + 1e-9).all()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_the_unbroken_one(done, tmp_path, whole_run, result_files):
    """SIGKILL during the fine-tuning: the trainings that were done are not done again."""
    _, unbroken = done
    process = subprocess.Popen(
        [sys.executable, *whole_run, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    folder, deadline = tmp_path / "tweets-tuned", time.monotonic() + 120
    while len(list(folder.glob("runs/*/tuned-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("runs/*/tuned-*.json")}
    assert 3 <= len(kept) < 8
    assert not (folder / "tuned.csv").exists()
    marked, *_ = kept
    text = json.loads(unsealed(marked.read_bytes(), marked.name)) | {"seconds": 12345.0}
    marked.write_bytes(sealed(json.dumps(text).encode(), marked.name))
    assert main([*whole_run[1:], str(tmp_path)]) == 0
    once, twice = (pd.read_csv(f / "tuned.csv") for f in (unbroken, folder))
    assert 12345.0 in twice["seconds"].to_numpy()
    pd.testing.assert_frame_equal(once.drop(columns="seconds"), twice.drop(columns="seconds"))
    for name in ("picks.csv", "gallery.csv"):
        assert (unbroken / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in folder.iterdir()} == result_files


@pytest.mark.parametrize("method", ["full_pool", "self_training_pool"])
def test_a_reference_trains_on_the_rows_and_labels_of_its_run(method):
    split, loop = split_of("wine"), strict(rounds=1)
    none = pd.DataFrame({"method": [], "seed": [], "round": [], "row": [], "label": []})
    result = SimpleNamespace(picks=none, settings=SimpleNamespace(loop=loop))
    stand_in = StandInRun(result, lambda seed: split)
    start, later = (stand_in.training_set(split, method, 0, number) for number in (0, 1))
    np.testing.assert_array_equal(start.rows, split.labeled)
    np.testing.assert_array_equal(later.rows, [*split.labeled, *split.pool])
    true = split.y[later.rows]
    assert (later.labels != true).any() == (method == "self_training_pool")
    model = loop.classifier(0, loop.l2).fit(split.X[later.rows], later.labels)
    accuracy = model.score(split.X[split.test], split.y[split.test])
    assert accuracy == run(split, method, loop, 0).curve[1].test_accuracy


def test_a_strategy_trains_on_its_picks_up_to_the_round_as_they_were_labeled():
    split = split_of("wine")
    first, second = split.pool[[7, 3]]
    label = np.setdiff1d(split.y, split.y[first])[0]  # not the true one
    picks = pd.DataFrame(
        {
            "round": [1, 2],
            "row": split.rows[[first, second]],
            "label": [label, split.y[second]],
        }
    )
    found = training_set(split, split.labeled, picks, 1)
    np.testing.assert_array_equal(found.rows, [*split.labeled, first])
    np.testing.assert_array_equal(found.labels, [*split.y[split.labeled], label])
    assert training_set(split, split.labeled, picks, 2).rows[-1] == second


def test_no_added_labels_and_a_reference_are_trained_once_for_each_seed():
    tasks = tuning_tasks(("margin", "full_pool"), (3, 4), (10, 30))
    assert tasks == [
        TuningTask(seed, method, number)
        for seed in (3, 4)
        for method, number in [("none", 0), ("margin", 10), ("margin", 30), ("full_pool", 10)]
    ]
