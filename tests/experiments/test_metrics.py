"""The metrics of every round are those of scikit-learn, or empty."""

import warnings
from dataclasses import fields, replace
from itertools import count

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from experiments import loop
from experiments.loop import RoundRecord, run
from experiments.metrics import METRICS, Scores, scores
from models import LogisticRegression
from tests.helpers import split_of, strict


def by_sklearn(P, predicted, y, classes):
    """y and predicted as labels; the AUC only if every class is in y."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "test_accuracy": sklearn_metrics.accuracy_score(y, predicted),
            "test_log_loss": sklearn_metrics.log_loss(y, P, labels=classes),
            "test_balanced_accuracy": sklearn_metrics.balanced_accuracy_score(y, predicted),
            "test_macro_f1": sklearn_metrics.f1_score(y, predicted, average="macro"),
            "test_auc": sklearn_metrics.roc_auc_score(
                y, P[:, 1] if len(classes) == 2 else P, multi_class="ovr", labels=classes
            )
            if len(np.unique(y)) == len(classes)
            else np.nan,
        }


@pytest.mark.parametrize("without", [None, 1])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_a_round_is_measured_as_scikit_learn_measures_it(name, without):
    """With texts as labels. Without one of its classes the test set has no AUC."""
    split = split_of(name)
    y = np.array([f"class {label}" for label in split.y])
    kept = split.test[split.y[split.test] != np.unique(split.y)[without]] if without else split.test
    split = replace(split, y=y, test=kept)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (record, *_), _ = run(split, "random", strict(rounds=1), 0)
    model = LogisticRegression(1.0, True).fit(split.X[split.labeled], y[split.labeled])
    X, truth = split.X[split.test], y[split.test]
    expected = by_sklearn(model.predict_proba(X), model.predict(X), truth, model.classes_)
    assert np.isnan(expected["test_auc"]) == bool(without)
    for column, value in expected.items():
        assert getattr(record, column) == pytest.approx(value, rel=1e-9, nan_ok=True), column


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("kind", ["continuous", "tied", "certain"])
def test_scores_are_those_of_scikit_learn(classes, kind):
    """With equal and with certain probabilities, and with a class that no row has or none gets."""
    rng = np.random.default_rng(classes)
    for case in range(8):
        P = rng.dirichlet(np.full(classes, 0.3), 40 * (case + 1))
        if kind == "tied":
            P = np.round(8 * P) + 1e-9
            P /= P.sum(1, keepdims=True)
        if kind == "certain":
            P = np.eye(classes)[P.argmax(1)]
        y = np.where(rng.random(len(P)) < 0.5, P.argmax(1), rng.integers(classes, size=len(P)))
        y[y == classes - 1] = 0 if case % 4 == 3 else classes - 1
        predicted = np.where(P.argmax(1) == 1, 0, P.argmax(1)) if case % 2 else P.argmax(1)
        found, expected = scores(P, predicted, y), by_sklearn(P, predicted, y, np.arange(classes))
        for column, value in expected.items():
            message = f"{column}, case {case}"
            assert getattr(found, column) == pytest.approx(value, rel=1e-12, nan_ok=True), message


def test_every_metric_is_a_column_of_the_curves():
    names = [item.name for item in fields(RoundRecord)]
    assert [metric.column for metric in METRICS.values()] == list(Scores._fields)
    assert set(Scores._fields) <= set(names)


def test_seconds_count_neither_the_measuring_nor_the_benefits_of_the_picks(monkeypatch):
    """A second passes at each look at the clock, while measuring, and while finding benefits."""
    measure, benefits, clock = loop.measure, loop.pick_benefits, count()
    monkeypatch.setattr(loop, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(loop, "measure", lambda *of: next(clock) and measure(*of))
    monkeypatch.setattr(loop, "pick_benefits", lambda *of: next(clock) and benefits(*of))
    curve, _ = run(split_of("bank"), "random", strict(rounds=2), 0)
    assert [record.seconds for record in curve] == [1, 2, 2]  # before and after the benefits
