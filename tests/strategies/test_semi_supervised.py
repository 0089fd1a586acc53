"""scikit-learn's semi-supervised learners as strategies, against their definitions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn import neighbors
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

import models as ours
from common.kinds import PenaltyRule
from experiments.loop import run
from tests.helpers import pick, query_of, query_on, split_of, strict


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_self_training_takes_the_surest_rows_with_the_predicted_label(name):
    query = query_of(name)
    picks = pick("self_training", query)
    P = query.model.predict_proba(query.X_pool)
    surest = sorted(range(len(P)), key=lambda i: (-max(P[i]), i))[:10]
    assert picks.rows.tolist() == surest
    assert picks.labels.tolist() == query.model.predict(query.X_pool)[surest].tolist()
    np.testing.assert_allclose(picks.scores, [max(P[i]) for i in surest], rtol=1e-12)


def spread_shares(query):
    """Zhou et al. (2004) in closed form, F = (I - αS)⁻¹ Y: shares of the classes, (m + n, K)."""
    X = np.concatenate([query.X_labeled, query.X_pool])
    distances = cdist(X, X)
    np.fill_diagonal(distances, np.inf)
    W = np.zeros_like(distances)
    np.put_along_axis(W, np.argsort(distances)[:, :7], 1.0, axis=1)
    W = np.maximum(W, W.T)
    scale = 1 / np.sqrt(W.sum(1))
    Y = np.zeros((len(X), len(query.model.classes_)))
    Y[np.arange(len(query.y_labeled)), np.searchsorted(query.model.classes_, query.y_labeled)] = 1
    F = np.linalg.solve(np.eye(len(X)) - 0.9 * scale[:, None] * W * scale, Y)
    return F / F.sum(1, keepdims=True)


def test_label_spreading_is_that_of_zhou_et_al_from_all_labels_so_far():
    query = query_of("breast_cancer")
    picks = pick("label_spreading", query)
    shares = spread_shares(query)[len(query.y_labeled) :]
    surest = np.sort(shares.max(1))[: -len(picks.rows) - 1 : -1]
    np.testing.assert_allclose(picks.scores, surest, atol=2e-4)  # it stops its steps early
    np.testing.assert_allclose(picks.scores, shares.max(1)[picks.rows], atol=2e-4)
    assert picks.labels.tolist() == query.model.classes_[shares.argmax(1)[picks.rows]].tolist()


def test_the_graph_of_neighbours_is_made_once_in_a_run(monkeypatch):
    made = []
    watched = neighbors.kneighbors_graph
    monkeypatch.setattr(
        neighbors, "kneighbors_graph", lambda *given: made.append(1) or watched(*given)
    )
    run(split_of("breast_cancer"), "label_spreading", strict(rounds=3, budget=5), 0)
    assert made == [1]


def test_rows_that_no_label_reaches_come_last_with_the_predicted_label():
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(20, 2)), rng.normal(size=(10, 2)) + [1e3, 0]
    X, y = near[:10], np.where(near[:10, 0] > 0, "right", "left")
    query = query_on(X, y, np.concatenate([far, near[10:]]), budget=20)
    picks = pick("label_spreading", query)
    assert set(picks.rows[10:]) == set(range(10))
    assert picks.scores[10:].tolist() == [0.0] * 10
    assert set(picks.labels[10:]) == {"right"}


def self_trained(query):
    """The pool's labels by scikit-learn's self-training of scikit-learn's own regression."""
    regression = LogisticRegression(C=1 / query.model.l2, fit_intercept=False, tol=1e-8)
    X = np.concatenate([query.X_labeled, query.X_pool])
    y = np.append(query.y_labeled, np.full(len(query.left), -1))
    trained = SelfTrainingClassifier(regression).fit(X, y)
    given = trained.transduction_[len(query.y_labeled) :]
    assert 0 < (given == -1).sum() < len(given)
    return np.where(given == -1, trained.predict(query.X_pool), given)


def spread(query):
    return query.model.classes_[spread_shares(query)[len(query.y_labeled) :].argmax(1)]


@pytest.mark.parametrize(
    ("method", "oracle"), [("self_training_pool", self_trained), ("label_spreading_pool", spread)]
)
def test_references_train_on_the_whole_pool_with_labels_of_their_own(method, oracle):
    split, settings = split_of("breast_cancer"), replace(strict(rounds=2), intercept=False)
    curve, picks = run(split, method, settings, 0)
    X, y = split.X[split.labeled], split.y[split.labeled]
    model = ours.LogisticRegression(1.0).fit(X, y)
    given = oracle(replace(query_on(X, y, split.X[split.pool], budget=5), model=model))
    model.fit(np.concatenate([X, split.X[split.pool]]), np.append(y, given))
    assert curve[1].test_accuracy == model.score(split.X[split.test], split.y[split.test])
    assert curve[2].wrong_share == (given != split.y[split.pool]).mean() > 0
    assert np.isnan(curve[0].wrong_share)
    assert picks == []


@pytest.mark.parametrize("method", ["self_training_pool", "label_spreading_pool"])
def test_no_validation_label_has_a_say_in_the_labels_of_the_pool_even_if_l2_is_tuned(method):
    split, settings = split_of("breast_cancer"), replace(strict(), l2=PenaltyRule.VALIDATION)
    y = split.y.copy()
    y[split.validation] = np.random.default_rng(0).permutation(y[split.validation])
    curve, other = (run(s, method, settings, 0).curve for s in (split, replace(split, y=y)))
    assert curve[0].l2 != other[0].l2
    assert [(r.l2, r.wrong_share, r.test_accuracy) for r in curve[1:]] == [
        (r.l2, r.wrong_share, r.test_accuracy) for r in other[1:]
    ]
    used = len(split.validation)
    assert [r.labels_validation for r in curve] == [used, 0, 0, 0]
