"""The study of single picks: against the loop, against files, and against real retraining."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from data_utils import load
from experiments.loop import run
from studies.bench import ExplainedPicks
from studies.explanation import explain
from studies.why import why


def losses(X, y, split, C) -> np.ndarray:
    """The loss of each validation row, of scikit-learn's model fitted to X and y: (v,)."""
    model = LogisticRegression(C=C, tol=1e-10, solver="newton-cholesky").fit(X, y)
    P = model.predict_proba(split.X[split.validation])
    codes = np.searchsorted(model.classes_, split.y[split.validation])
    return -np.log(P[np.arange(len(P)), codes])


@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_the_rows_said_to_gain_are_those_that_gain_if_the_model_is_really_refitted(name, bench_of):
    """Also, the falls add up to the benefit, and the features to the logit."""
    bench = bench_of(name, explained=ExplainedPicks("random", count=2))
    split = bench.split(0)
    X, y = split.X[split.labeled], split.y[split.labeled]
    before = losses(X, y, split, C=1.0)
    fitted = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky").fit(X, y)
    for of in explain(bench, split, 0):
        x, label = split.X[of.row], of.pick.label
        real = before - losses(np.vstack([X, x]), np.append(y, label), split, C=1.0)
        assert spearmanr(of.falls, real).statistic > 0.9
        assert of.falls.sum() == pytest.approx(of.pick.benefits[str(label)], rel=1e-6)
        logs = np.log(of.probabilities)
        (given,) = np.flatnonzero(of.classes == label)
        other = np.argsort(-logs)[int(np.argmax(logs) == given)]
        b = fitted.intercept_ if len(of.classes) > 2 else np.array([0.0, *fitted.intercept_])
        parts = of.contributions.sum() + b[given] - b[other]
        assert parts == pytest.approx(logs[given] - logs[other], abs=1e-3)
        apart = np.linalg.norm(X - x, axis=1)
        assert of.distances[0] == pytest.approx(apart.min())
        assert of.labels[0] == y[apart.argmin()]


@pytest.mark.parametrize(
    ("method", "protocol"), [("salutary_greedy", "paper"), ("margin+validation", "strict")]
)
def test_each_pick_is_explained_by_the_model_that_picked_it(method, protocol, bench_of):
    """Its benefits are those of picks.csv, in a later round too, and for picks one by one."""
    bench = bench_of("breast_cancer", protocol=protocol, explained=ExplainedPicks(method, round=2))
    split = bench.split(0)
    _, picks = run(split, method, bench.settings(), 0)
    explanations = explain(bench, split, 0)
    assert [of.pick.row for of in explanations] == [p.row for p in picks if p.round == 2]
    for of in explanations:
        assert of.benefits == pytest.approx(list(of.pick.benefits.values()), rel=1e-5, abs=1e-8)
        assert of.benefits[of.runner_up] == pytest.approx(of.pick.runner_up, rel=1e-5)


def test_the_table_has_names_values_and_rows_of_the_file(explored):
    """The study on the shipped breast cancer data, as `explore.py all` made it."""
    table = pd.read_csv(explored / "why.csv")
    data = load("breast_cancer").data
    assert set(table["about"]) == {
        "benefit of label", "loss falls most", "loss rises most", "nearest labeled",
        "part of logit",
    }  # fmt: skip
    assert table["pick"].nunique() == 3
    features = table[table["about"] == "part of logit"]
    for of in features.itertuples():
        value = data.X[of.pick, data.names.index(of.name)]
        assert of.value == pytest.approx(value, rel=1e-3)
    for of in table[table["about"] != "part of logit"].itertuples():
        row = int(of.name.removeprefix("row "))
        if of.about != "benefit of label":
            assert of.label == data.y[row]
        elif "true" in of.note:
            assert of.label == data.y[of.pick]
    amounts = table.set_index("about")["amount"]
    assert amounts["loss falls most"].min() > 0 > amounts["loss rises most"].max()


def test_of_images_the_pictures_are_shown(bench_of):
    """The pick first, then its nearest labeled rows, then the validation rows that gain most."""
    bench = bench_of("digits", explained=ExplainedPicks(count=2))
    split = bench.split(0)
    finding = why(bench)
    shown = [axes.images[0].get_array() for axes in finding.figure.axes]
    assert len(shown) == 14
    images = load("digits").data.X.reshape(-1, 8, 8)
    for at, of in zip((0, 7), explain(bench, split, 0), strict=True):
        best = split.validation[np.argsort(-of.falls)[:3]]
        expected = images[[of.row, *of.labeled[:3], *best]]
        np.testing.assert_array_equal(shown[at : at + 7], expected)
