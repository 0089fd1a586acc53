"""The study of true labels, against the main script and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from tests.helpers import split_of


def test_truth_is_what_curves_and_picks_of_the_main_script_say(explored, compared):
    curves, picks = compared
    table = pd.read_csv(explored / "truth.csv").set_index(["rule", "round"])
    differ = 100 * (picks["label"] != picks["true_label"])
    shares = differ.groupby([picks["method"], picks["round"], picks["seed"]]).mean()
    accuracy = 100 * curves.groupby(["method", "round"])["test_accuracy"].mean()
    for rule in ("salutary", "salutary_plus"):
        for r in (0, 1, 2):
            row = table.loc[(rule, r)]
            assert row["given_accuracy"] == pytest.approx(accuracy[rule, r], abs=1e-5)
            if r:
                assert row["not_true"] == pytest.approx(shares[rule, r].mean(), abs=1e-5)
                assert row["not_true_sd"] == pytest.approx(shares[rule, r].std(), abs=1e-5)
    assert table["not_true"].max() > 0  # else the next test says nothing


def test_truth_refits_the_same_rows_with_true_labels_as_scikit_learn_does(explored, compared):
    _, picks = compared
    table = pd.read_csv(explored / "truth.csv").set_index(["rule", "round"])
    for rule in ("salutary", "salutary_plus"):
        accuracies = []
        for seed in (0, 1):
            split = split_of("breast_cancer", seed=seed)
            mine = picks[(picks["method"] == rule) & (picks["seed"] == seed)]
            rows = np.append(split.labeled, mine["row"])  # this file's rows are all used, in order
            model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)
            model.fit(split.X[rows], split.y[rows])
            predicted = model.predict(split.X[split.test])
            accuracies.append(100 * accuracy_score(split.y[split.test], predicted))
        assert table.loc[(rule, 2), "true_accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-5)
