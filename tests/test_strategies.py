"""strategies.py: who is picked, with which label, by brute force and by modAL's own scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import split_of
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty

from influence import benefit
from models import LogisticRegression
from strategies import PAPER, STRATEGIES, Query, highest


def query_of(name="wine", hessian="pool", budget=10, seed=0, l2=5.0):
    split = split_of(name)
    labeled = np.append(split.labeled, split.pool[-20:])  # twenty rows came after the first
    X, y = split.X[labeled], split.y[labeled]
    return Query(
        model=LogisticRegression(l2).fit(X, y),
        X_labeled=X,
        y_labeled=y,
        initial=len(split.labeled),
        pool=torch.as_tensor(split.X[split.pool]),
        left=np.arange(len(split.pool) - 20),
        X_validation=split.X[split.validation],
        y_validation=split.y[split.validation],
        budget=budget,
        hessian=hessian,
        rng=np.random.default_rng(seed),
    )


def test_the_registry_holds_the_papers_seven_and_only_salutary_labels_itself():
    assert " ".join(PAPER) == "random entropy margin uncertainty pred_infl isal salutary"
    assert tuple(STRATEGIES)[:7] == PAPER
    assert [name for name in PAPER if STRATEGIES[name].labels == "own"] == ["salutary"]


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", PAPER)
def test_every_strategy_picks_distinct_rows_the_same_ones_again(method, name):
    first, again = (STRATEGIES[method].pick(query_of(name)) for _ in range(2))
    assert len(set(first.rows)) == len(first.scores) == 10
    assert set(first.rows) <= set(range(len(query_of(name).X_pool)))
    np.testing.assert_array_equal(first.rows, again.rows)
    assert (first.labels is None) == (STRATEGIES[method].labels == "true")


@pytest.mark.parametrize("method", ["random", "pred_infl"])
def test_random_draws_follow_the_generator(method):
    picks = [set(STRATEGIES[method].pick(query_of(seed=seed)).rows) for seed in (0, 0, 1)]
    assert picks[0] == picks[1]
    assert picks[0] != picks[2]


@pytest.mark.parametrize(
    ("method", "score", "sign"),
    [
        ("entropy", classifier_entropy, -1),
        ("margin", classifier_margin, 1),
        ("uncertainty", classifier_uncertainty, -1),
    ],
)
def test_modal_baselines_pick_the_extremes_of_modals_scores(method, score, sign):
    query = query_of()
    picks = STRATEGIES[method].pick(query)
    scores = score(query.model, query.X_pool)
    assert set(picks.rows) == set(np.argsort(sign * scores)[:10])
    np.testing.assert_allclose(picks.scores, scores[picks.rows])


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
def test_salutary_takes_the_highest_benefit_with_its_label(hessian):
    query = query_of(hessian=hessian)
    picks = STRATEGIES["salutary"].pick(query)
    X_hessian = {"pool": query.X_pool, "labeled": query.X_labeled}[hessian]
    scores = benefit(query.model, X_hessian, query.X_validation, query.y_validation, query.X_pool)
    every = [(s, i, query.model.classes_[c]) for (i, c), s in np.ndenumerate(scores)]
    best = sorted(every, key=lambda entry: (-entry[0], entry[1]))  # the wines have twins: ties
    wanted = []
    for score, row, label in best:
        if row not in [w[1] for w in wanted]:
            wanted.append((score, row, label))
        if len(wanted) == 10:
            break
    assert picks.rows.tolist() == [row for _, row, _ in wanted]
    assert picks.labels.tolist() == [label for _, _, label in wanted]
    np.testing.assert_allclose(picks.scores, [score for score, _, _ in wanted])


def test_the_two_hessians_give_different_scores():
    by = {hessian: query_of("bank", hessian).benefit() for hessian in ("pool", "labeled")}
    assert abs(by["pool"] - by["labeled"]).max() > 0.1 * abs(by["labeled"]).max()


def test_isal_scores_the_models_own_label():
    query = query_of()
    picks = STRATEGIES["isal"].pick(query)
    predicted = query.model.predict(query.X_pool)
    columns = np.searchsorted(query.model.classes_, predicted)
    own = query.benefit()[np.arange(len(predicted)), columns]
    assert picks.rows.tolist() == np.argsort(-own)[:10].tolist()
    np.testing.assert_allclose(picks.scores, own[picks.rows])


def test_pred_infl_uses_the_first_labeled_rows_alone_and_the_tree_of_the_paper():
    query = query_of()
    picks = STRATEGIES["pred_infl"].pick(query)
    X, y = query.X_labeled[: query.initial], query.y_labeled[: query.initial]
    model = LogisticRegression(0.01).fit(X, y)
    scores = benefit(model, X, query.X_validation, query.y_validation, X)
    own = {scores[i, list(model.classes_).index(label)] for i, label in enumerate(y)}
    # a full-grown tree answers with the influence of some labeled row
    near = 1e-8 * max(map(abs, own))  # it is fitted to so many digits
    assert all(min(abs(value - s) for s in own) < near for value in picks.scores)
    assert (np.diff(picks.scores) >= 0).all()


# --- beyond the paper ----------------------------------------------------------------------------


def one_at_a_time(query, step, weighted):
    """The greedy rule by brute force: a cold fit and every row scored, for each single pick."""
    X, y = query.X_labeled, query.y_labeled
    left = list(range(len(query.X_pool)))
    picks = []
    for _ in range(query.budget):
        model = LogisticRegression(query.model.l2, query.model.fit_intercept).fit(X, y)
        X_hessian = query.X_pool if query.hessian == "pool" else X
        pool = query.X_pool[left]
        scores = benefit(model, X_hessian, query.X_validation, query.y_validation, pool, step=step)
        if weighted:
            scores = scores * model.predict_proba(pool)
        i, c = np.unravel_index(scores.argmax(), scores.shape)
        row, label = left.pop(i), model.classes_[c]
        picks.append((row, label))
        X, y = np.vstack([X, query.X_pool[row]]), np.append(y, label)
    return picks


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
@pytest.mark.parametrize(
    ("method", "step", "weighted"),
    [("salutary_greedy", "first", False), ("salutary_plus", "finite", True)],
)
@pytest.mark.parametrize("name", ["bank", "waveform"])
def test_greedy_rules_equal_a_full_refit_after_every_pick(name, method, step, weighted, hessian):
    """The short list, the bound and the warm start change no pick."""
    picks = STRATEGIES[method].pick(query_of(name, hessian, budget=5, l2=1.0))
    expected = one_at_a_time(query_of(name, hessian, budget=5, l2=1.0), step, weighted)
    assert list(zip(picks.rows, picks.labels, strict=True)) == expected


def test_for_two_classes_the_bound_makes_any_short_list_exact(monkeypatch):
    monkeypatch.setattr("strategies.SHORT_LIST", 1)
    picks = STRATEGIES["salutary_plus"].pick(query_of("bank", budget=5, l2=1.0))
    expected = one_at_a_time(query_of("bank", budget=5, l2=1.0), "finite", True)
    assert list(zip(picks.rows, picks.labels, strict=True)) == expected


def test_expected_benefit_is_weighted_by_the_models_probability():
    query = query_of("wine")
    picks = STRATEGIES["salutary_expected"].pick(query)
    scores = query.benefit() * query.model.predict_proba(query.X_pool)
    rows = np.argsort(-scores.max(1), kind="stable")[:10]
    assert picks.rows.tolist() == rows.tolist()
    assert picks.labels.tolist() == query.model.classes_[scores[rows].argmax(1)].tolist()


def test_the_first_greedy_pick_is_the_papers_first():
    paper, greedy = (STRATEGIES[m].pick(query_of("bank")) for m in ("salutary", "salutary_greedy"))
    assert (paper.rows[0], paper.labels[0]) == (greedy.rows[0], greedy.labels[0])
    assert set(paper.rows) != set(greedy.rows)  # the rows after it are chosen in its light


def test_a_strategy_leaves_the_models_and_arrays_it_is_shown_alone():
    query = query_of("bank")
    theta, labels = query.model.theta_.clone(), query.y_labeled.copy()
    STRATEGIES["salutary_plus"].pick(query)
    assert (query.model.theta_ == theta).all()
    assert (query.y_labeled == labels).all()


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
@pytest.mark.parametrize("method", ["isal", "salutary", "salutary_expected", "salutary_greedy"])
@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_both_solvers_pick_the_same_rows(name, method, hessian):
    picks = {
        solver: STRATEGIES[method].pick(replace(query_of(name, hessian), solver=solver, memory={}))
        for solver in ("cholesky", "cg")
    }
    assert picks["cg"].rows.tolist() == picks["cholesky"].rows.tolist()
    if picks["cg"].labels is not None:
        assert picks["cg"].labels.tolist() == picks["cholesky"].labels.tolist()


def test_twins_go_in_pool_order_however_their_scores_were_rounded():
    scores = np.array([1.0, 3.0 - 1e-12, 3.0, -np.inf, 3.0 - 1e-6, 2.0])
    assert highest(scores, 4).tolist() == [1, 2, 4, 5]


def test_the_next_round_starts_from_the_last_solution():
    query = query_of("wine")
    first = query.influence()
    assert query.memory["solution"] is first.solution
    assert query.influence().start is first.solution
    assert query.memory["condition"] > 1
