"""Shares and counts of hand-made picks, counted by hand; and of a real run."""

import numpy as np
import pandas as pd
import pytest

from experiments import results
from experiments.audit import confusion, drift
from experiments.loop import run
from tests.helpers import split_of, strict

# method, seed, round, label, true_label
PICKS = pd.DataFrame(
    [
        ("salutary", 0, 1, "a", "a"),
        ("salutary", 0, 1, "a", "b"),
        ("salutary", 0, 2, "b", "b"),
        ("salutary", 1, 1, "a", "b"),
        ("salutary", 1, 2, "a", "c"),
        ("random", 0, 1, "c", "c"),
        ("random", 0, 2, "a", "a"),
        ("pseudo", 0, 1, "b", "a"),
    ],
    columns="method,seed,round,label,true_label".split(","),
)


def test_confusion_is_square_and_of_methods_that_give_labels():
    counts = confusion(PICKS)
    assert list(counts.index.unique("method")) == ["salutary", "pseudo"]
    assert counts.loc["salutary"].to_numpy().tolist() == [[1, 2, 1], [0, 1, 0], [0, 0, 0]]
    assert counts.loc["pseudo"].to_numpy().tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert list(counts.columns) == list(counts.loc["salutary"].index) == ["a", "b", "c"]


def test_drift_starts_from_the_initial_shares():
    shares = drift(PICKS, {"a": 0.5, "b": 0.25, "d": 0.25})
    assert list(shares.columns) == ["a", "b", "c", "d"]
    salutary = [[0.5, 0.25, 0, 0.25], [1, 0, 0, 0], [0.5, 0.5, 0, 0]]
    assert shares.loc["salutary"].to_numpy().tolist() == salutary
    assert shares.loc["random"].to_numpy().tolist() == [salutary[0], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert list(shares.loc["pseudo"].index) == [0, 1]


def test_no_picks_are_empty_frames():
    nothing = results.picks_frame([])
    assert confusion(nothing).empty
    assert drift(nothing, {0: 0.5, 1: 0.5}).empty


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_frames_of_a_real_run_agree_with_its_curve(name):
    split = split_of(name)
    settings = strict(rounds=2, budget=5)
    curve, picks = run(split, "salutary", settings, 0)
    picks = results.picks_frame(picks)
    counts = confusion(picks)
    assert counts.to_numpy().sum() == 10
    assert 1 - np.trace(counts.to_numpy()) / 10 == pytest.approx(curve[-1].wrong_share)
    shares = drift(picks, pd.Series(split.y[split.labeled]).value_counts(normalize=True))
    assert len(shares) == 3
    np.testing.assert_allclose(shares.sum(axis=1), 1)
