"""The study of the share of the pool, against the main script and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from tests.helpers import split_of


def test_share_is_what_curves_and_picks_of_the_main_script_say(explored, compared):
    """2.5 % of the pool are the main script's three picks in each of two rounds."""
    curves, picks = compared
    table = pd.read_csv(explored / "share.csv").set_index(["share", "method"])
    assert table["picks"].groupby("share").first().to_dict() == {1: 2, 2.5: 6}
    rounds = curves.set_index(["method", "seed", "round"])[["test_accuracy", "gap", "wrong_share"]]
    for method in ("salutary", "salutary_plus", "random"):
        first, last = (rounds.xs(n, level="round").loc[method].mean() for n in (0, 2))
        row = table.loc[(2.5, method)]
        gain = 100 * (last["test_accuracy"] - first["test_accuracy"])
        assert row["gain"] == pytest.approx(gain, abs=1e-5)
        assert row["gap_growth"] == pytest.approx(100 * (last["gap"] - first["gap"]), abs=1e-5)
        if method == "random":
            continue
        assert row["not_true"] == pytest.approx(100 * last["wrong_share"], abs=1e-5)
        true_label_gains = []
        for seed in (0, 1):
            split = split_of("breast_cancer", seed=seed)
            mine = picks[(picks["method"] == method) & (picks["seed"] == seed)]
            model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
            rows = np.append(split.labeled, mine["row"])  # this file's rows are all used, in order
            model.fit(split.X[rows], split.y[rows])
            accuracy = model.score(split.X[split.test], split.y[split.test])
            true_label_gains.append(
                100 * (accuracy - rounds.loc[(method, seed, 0), "test_accuracy"])
            )
        assert row["true_label_gain"] == pytest.approx(np.mean(true_label_gains), abs=1e-5)
