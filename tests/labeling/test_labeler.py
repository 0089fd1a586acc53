"""SalutaryLabeler: scikit-learn's own checks, the picks of the registry, and the examples."""

import runpy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from common.kinds import HessianRows
from data_prep.places import SHIPPED
from influence import loss
from labeling.labeler import METHODS, SalutaryLabeler, salutary_query
from labeling.records import LabelPlan, split_off
from models import LogisticRegression
from strategies.base import InfluenceSettings, Query
from strategies.registry import STRATEGIES
from tests.helpers import ROOT, split_of


@pytest.fixture(scope="module")
def parts():
    """Labeled, validation and pool parts of the shipped bank, scaled."""
    split = split_of("bank")
    return (
        *((split.X[rows], split.y[rows]) for rows in (split.labeled, split.validation)),
        split.X[split.pool],
    )


def test_scikit_learns_own_checks_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(SalutaryLabeler(l2=1.0), on_fail=None)  # a choice of l2 is slow
    assert {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"} == {}
    assert len(results) > 40


@pytest.mark.parametrize("method", METHODS)
def test_picks_and_labels_are_those_of_the_registry(method, parts):
    (X, y), (X_val, y_val), pool = parts
    labeler = SalutaryLabeler(method, standardise=False).fit(X, y, X_val, y_val)
    given = labeler.label(pool, 8, rounds=1)
    model = LogisticRegression(labeler.l2_, True).fit(X, y)
    query = Query(
        model=model,
        X_labeled=torch.as_tensor(X),
        y_labeled=y,
        initial=len(y),
        picked=np.arange(0),
        pool=torch.as_tensor(pool),
        left=np.arange(len(pool)),
        X_validation=torch.as_tensor(X_val),
        y_validation=y_val,
        budget=8,
        rng=np.random.default_rng(0),
        settings=InfluenceSettings(HessianRows.LABELED),
    )
    expected = STRATEGIES[method](query)
    useful = np.asarray(expected.scores) > 0
    np.testing.assert_array_equal(given.rows, np.asarray(expected.rows)[useful])
    np.testing.assert_array_equal(given.labels, expected.labels[useful])
    assert (given.round == 1).all()


def test_benefit_is_the_fall_of_the_validation_loss_when_the_row_is_added(parts):
    (X, y), (X_val, y_val), pool = parts
    labeler = SalutaryLabeler("salutary", l2=50.0, standardise=False).fit(X, y, X_val, y_val)
    given = labeler.label(pool, 30, rounds=1)
    before = loss(LogisticRegression(50.0, True).fit(X, y), X_val, y_val)
    falls = []
    for row, label in zip(given.rows, given.labels, strict=True):
        model = LogisticRegression(50.0, True).fit(np.vstack([X, pool[row]]), np.append(y, label))
        falls.append(before - loss(model, X_val, y_val))
    assert np.corrcoef(falls, given.benefit)[0, 1] > 0.95
    assert np.median(np.array(falls) / given.benefit) == pytest.approx(1, abs=0.1)
    assert (given.runner_up < given.benefit).all()


def test_rows_left_for_a_person_are_close_and_not_learned_from(parts):
    (X, y), (X_val, y_val), pool = parts
    labeler = SalutaryLabeler(standardise=False).fit(X, y, X_val, y_val)
    free = labeler.label(pool, 20)
    margin = float(np.median(free.benefit - free.runner_up))
    given = labeler.label(pool, 20, abstain=margin)
    assert 0 < given.left.sum() < len(given)
    assert (given.for_a_person.benefit - given.for_a_person.runner_up < margin).all()
    assert (given.given.benefit - given.given.runner_up >= margin).all()
    assert (np.diff(given.for_a_person.benefit) <= 0).all()
    # All are left: none changes the model, so the picks are the ranking of the first model.
    every = labeler.label(pool, 5, abstain=1e9)
    assert every.left.all()
    alone = labeler.label(np.delete(pool, every.rows[0], axis=0), 1)
    assert alone.benefit[0] == pytest.approx(every.benefit[1])


def test_probability_is_the_models_own_and_the_input_stays_as_it_was(parts):
    (X, y), (X_val, y_val), pool = parts
    labeler = SalutaryLabeler(standardise=False).fit(X, y, X_val, y_val)
    before = pool.copy()
    given = labeler.label(pool, 3)
    P = LogisticRegression(labeler.l2_, True).fit(X, y).predict_proba(pool[given.rows[:1]])
    assert given.probability[0] == pytest.approx(P[0, given.labels[0]])
    np.testing.assert_array_equal(pool, before)
    again = clone(labeler).fit(X, y, X_val, y_val).label(pool, 3)
    np.testing.assert_array_equal(again.rows, given.rows)


@pytest.mark.parametrize("method", METHODS)
def test_a_plan_without_details_gives_the_same_labels(method, parts):
    (X, y), (X_val, y_val), pool = parts
    labeler = SalutaryLabeler(method, standardise=False).fit(X, y, X_val, y_val)
    full = labeler.label(pool, 9, rounds=3)
    bare = labeler.label_by_plan(pool, LabelPlan(9, rounds=3, details=False))
    for name in ("rows", "labels", "round", "left"):
        np.testing.assert_array_equal(getattr(bare, name), getattr(full, name))
    assert np.isnan([bare.benefit, bare.runner_up, bare.probability]).all()


def test_a_frame_with_text_is_labeled_as_the_matrix_of_its_indicators():
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz")
    X, y = bank.drop(columns="y"), bank["y"]
    matrix = pd.get_dummies(X).astype(float)  # pandas' own indicators, all of them
    twos = [name for name in X if X[name].dtype != int and X[name].nunique() == 2]
    matrix = matrix.drop(columns=[f"{name}_no" for name in twos])
    rows = np.r_[0:600, 2000:2900]  # the labeled rows hold every value
    assert (matrix.iloc[:600].std() > 0).all()
    frames = SalutaryLabeler().fit(X[:600], y[:600], X[600:1500], y[600:1500])
    arrays = SalutaryLabeler().fit(
        matrix[:600].to_numpy(), y[:600], matrix[600:1500].to_numpy(), y[600:1500]
    )
    given = frames.label(X.iloc[rows], 5)
    expected = arrays.label(matrix.to_numpy()[rows], 5)
    np.testing.assert_array_equal(given.rows, expected.rows)
    np.testing.assert_array_equal(given.labels, expected.labels)
    np.testing.assert_allclose(given.benefit, expected.benefit)


def test_validation_is_split_off_in_proportion_and_every_class_keeps_a_row():
    y = np.repeat([0, 1, 2], [80, 19, 1])
    held = split_off(y, 0.25, np.random.default_rng(0))
    assert [int(held[y == c].sum()) for c in range(3)] == [20, 5, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "margin"}, "unknown method"),
        ({"hessian": "all"}, "unknown hessian"),
        ({"validation_fraction": 1.5}, "not within"),
        ({"l2": "validation"}, "unknown l2"),
    ],
)
def test_options_that_cannot_be_are_refused(arguments, message, parts):
    with pytest.raises(ValueError, match=message):
        SalutaryLabeler(**arguments).fit(*parts[0])


def test_bad_calls_are_refused(parts):
    (X, y), (X_val, y_val), pool = parts
    with pytest.raises(ValueError, match="class 7 is in the validation set but not in y"):
        SalutaryLabeler().fit(X, y, X_val, np.where(np.arange(len(y_val)) == 3, 7, y_val))
    with pytest.raises(ValueError, match="give both, or neither"):
        SalutaryLabeler().fit(X, y, X_val)
    labeler = SalutaryLabeler().fit(X, y, X_val, y_val)
    for budget, rounds in ((0, 1), (5, 0), (len(pool) + 1, 1)):
        with pytest.raises(ValueError, match="the pool has"):
            labeler.label(pool, budget, rounds=rounds)
    with pytest.raises(TypeError, match="needs a fitted SalutaryLabeler, not LogisticRegression"):
        salutary_query(LogisticRegression(), pool)


@pytest.mark.parametrize(
    "script",
    [
        "arrays",
        *(pytest.param(f"with_{name}", marks=pytest.mark.slow) for name in ("modal", "skactiveml")),
    ],
)
def test_the_examples_run_and_do_not_lose_accuracy(script, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(ROOT / f"examples/{script}.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    if script == "arrays":
        without, plus = (float(word) for word in lines[0].split() if word[0] == "0")
        assert plus > without
        assert "left for a person" in lines[1]
    else:
        scores = [float(line.split(": ")[1]) for line in lines]
        assert len(scores) == 5
        assert scores[-1] > scores[0] - (0.0 if script == "with_modal" else 0.02)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_a_label_that_is_none_or_nan_is_named(nothing):
    X, y = np.random.default_rng(0).normal(size=(12, 2)), np.array(["a", "b"] * 6, object)
    spoilt = y.copy()
    spoilt[[3, 7]] = nothing
    with pytest.raises(ValueError, match="^y has no class .* in 2 rows, first in row 3: leave"):
        SalutaryLabeler(l2=1.0).fit(X, spoilt)
    with pytest.raises(ValueError, match="^y_val has no class .* in 2 rows, first in row 3: leave"):
        SalutaryLabeler(l2=1.0).fit(X, y, X, spoilt)
