"""The salutary strategies, by brute force and by real refits."""

from dataclasses import replace

import numpy as np
import pytest

from common.kinds import HessianRows
from influence import benefit
from models import LogisticRegression
from strategies.base import Memory
from tests.helpers import pick, query_of


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
def test_salutary_takes_the_highest_benefit_with_its_label(hessian):
    query = query_of(hessian=hessian)
    picks = pick("salutary", query)
    X_hessian = {"pool": query.X_pool, "labeled": query.X_labeled}[hessian]
    validation = query.X_validation, query.y_validation
    scores = benefit(query.model, X_hessian, *validation, query.X_pool).numpy()
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


def one_at_a_time(query, step, weighted):
    """The greedy rule by brute force: a cold fit and every row scored, for each single pick."""
    X, y, X_pool = query.X_labeled.numpy(), query.y_labeled, query.X_pool.numpy()
    left = list(range(len(X_pool)))
    picks = []
    for _ in range(query.budget):
        model = LogisticRegression(query.model.l2, query.model.fit_intercept).fit(X, y)
        X_hessian = X_pool if query.settings.hessian == HessianRows.POOL else X
        pool = X_pool[left]
        scores = benefit(model, X_hessian, query.X_validation, query.y_validation, pool, step=step)
        if weighted:
            scores = scores * model.predict_proba(pool)
        i, c = np.unravel_index(scores.argmax(), scores.shape)
        row, label = left.pop(i), model.classes_[c]
        picks.append((row, label))
        X, y = np.vstack([X, X_pool[row]]), np.append(y, label)
    return picks


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
@pytest.mark.parametrize(
    ("method", "step", "weighted"),
    [("salutary_greedy", "first", False), ("salutary_plus", "finite", True)],
)
@pytest.mark.parametrize("name", ["bank", "waveform"])
def test_greedy_rules_equal_a_full_refit_after_every_pick(name, method, step, weighted, hessian):
    """The short list, the bound and the warm start change no pick."""
    picks = pick(method, query_of(name, hessian, budget=5, l2=1.0))
    expected = one_at_a_time(query_of(name, hessian, budget=5, l2=1.0), step, weighted)
    assert list(zip(picks.rows, picks.labels, strict=True)) == expected


def test_for_two_classes_the_bound_makes_any_short_list_exact(monkeypatch):
    monkeypatch.setattr("strategies.salutary.SHORT_LIST", 1)
    picks = pick("salutary_plus", query_of("bank", budget=5, l2=1.0))
    expected = one_at_a_time(query_of("bank", budget=5, l2=1.0), "finite", True)
    assert list(zip(picks.rows, picks.labels, strict=True)) == expected


def test_expected_benefit_is_weighted_by_the_models_probability():
    query = query_of("wine")
    picks = pick("salutary_expected", query)
    scores = query.benefit().numpy() * query.model.predict_proba(query.X_pool)
    rows = np.argsort(-scores.max(1), kind="stable")[:10]
    assert picks.rows.tolist() == rows.tolist()
    assert picks.labels.tolist() == query.model.classes_[scores[rows].argmax(1)].tolist()


def test_the_first_greedy_pick_is_the_papers_first():
    paper, greedy = (pick(m, query_of("bank")) for m in ("salutary", "salutary_greedy"))
    assert (paper.rows[0], paper.labels[0]) == (greedy.rows[0], greedy.labels[0])
    assert set(paper.rows) != set(greedy.rows)  # the rows after it are chosen in its light


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
@pytest.mark.parametrize("method", ["isal", "salutary", "salutary_expected", "salutary_greedy"])
@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_both_solvers_pick_the_same_rows(name, method, hessian):
    picks = {}
    for solver in ("cholesky", "cg"):
        query = query_of(name, hessian)
        settings = replace(query.settings, solver=solver)
        picks[solver] = pick(method, replace(query, settings=settings, memory=Memory()))
    assert picks["cg"].rows.tolist() == picks["cholesky"].rows.tolist()
    if picks["cg"].labels is not None:
        assert picks["cg"].labels.tolist() == picks["cholesky"].labels.tolist()


def test_the_next_round_starts_from_the_last_solution():
    query = query_of("wine")
    first = query.influence()
    assert query.memory.solution is first.solution
    assert query.influence().start is first.solution
    assert query.memory.condition > 1
