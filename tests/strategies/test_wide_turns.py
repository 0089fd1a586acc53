"""Greedy rules on a wide softmax: the picks of exact solves and full fits, from cheaper ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from experiments.loop import run
from models import LogisticRegression
from numerics.leading import Solution
from numerics.linear import probabilities, project, pull_back
from strategies import salutary, wide_turns
from strategies.base import Memory, Query
from tests.helpers import pick, query_of, split_of, strict


def wide_query(hessian="pool", intercept=False, copies=1, l2=20.0, **options):
    """mnist in pixels, 7,840 weights, with a pool of 300 rows; 20 were picked before."""
    query = query_of("mnist", hessian, budget=3, l2=l2)
    model = LogisticRegression(l2, intercept, warm_start=True)
    model.fit(query.X_labeled, query.y_labeled)
    few = torch.cat([*[query.pool[:300]] * copies, query.pool[-20:]])
    return replace(
        query,
        model=model,
        pool=few,
        left=np.arange(300 * copies),
        picked=np.arange(300 * copies, len(few)),
        X_validation=query.X_validation[:200],
        y_validation=query.y_validation[:200],
        memory=Memory(),
        **options,
    )


def by_full_solves(query):
    """The same query with a solver of its own, which takes no short cut."""
    return replace(query, settings=replace(query.settings, solver="cg"), memory=Memory())


@pytest.mark.parametrize(
    ("method", "hessian", "intercept", "l2"),
    [
        ("salutary_greedy", "pool", False, 20.0),
        ("salutary_plus", "pool", True, 20.0),
        ("salutary_plus", "labeled", False, 20.0),
        ("salutary_greedy", "labeled", True, 1.0),  # its labels fit so badly that steps overshoot
    ],
)
def test_the_picks_are_those_of_full_solves(method, hessian, intercept, l2, monkeypatch):
    query = wide_query(hessian, intercept, l2=l2)
    expected = pick(method, by_full_solves(query))
    monkeypatch.setattr(salutary, "_highest_of", None)  # two scores are nowhere too close
    picks = pick(method, query)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(picks.scores, expected.scores, rtol=1e-3)


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
def test_a_solve_goes_on_until_the_best_score_is_clearly_ahead(hessian, monkeypatch):
    query = wide_query(hessian)
    expected = pick("salutary_greedy", by_full_solves(query))
    monkeypatch.setattr(wide_turns, "FIRST_LOOK", 1.0)  # of a residual as large as the gradient
    monkeypatch.setattr(salutary, "_highest_of", None)
    picks = pick("salutary_greedy", query)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize("hessian", ["pool", "labeled"])
def test_a_refit_is_made_finer_until_the_best_score_is_clearly_ahead(hessian, monkeypatch):
    query = wide_query(hessian)
    expected = pick("salutary_plus", by_full_solves(query))
    monkeypatch.setattr(wide_turns, "FITTED", 1.0)  # no step at all unless asked
    monkeypatch.setattr(salutary, "_highest_of", None)
    picks = pick("salutary_plus", query)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()


@pytest.mark.parametrize("intercept", [False, True])
def test_a_full_solve_begins_where_the_turns_are(intercept, monkeypatch):
    query = wide_query("labeled", intercept)
    choose, full = wide_turns.WideTurns.choose, Query.influence
    asked, starts = [], []

    def only_once(turns, taken):
        asked.append(turns)
        return choose(turns, taken) if len(asked) == 1 else None

    def watched(query, model, X_labeled):
        starts.append((query.memory.solution, full(query, model, X_labeled).solution, model))
        return full(query, model, X_labeled)

    monkeypatch.setattr(wide_turns.WideTurns, "choose", only_once)
    monkeypatch.setattr(Query, "influence", watched)
    pick("salutary_greedy", replace(query, budget=2))
    ((start, solution, model),) = starts
    assert float((start - solution).norm()) < 0.5 * float(solution.norm())
    assert model.n_iter_ <= 2


def test_of_equal_rows_the_first_is_picked_by_full_solves(monkeypatch):
    """No cheap solve can tell two equal rows apart, so none decides between them."""
    asked = []
    choose = wide_turns.WideTurns.choose
    monkeypatch.setattr(
        wide_turns.WideTurns, "choose", lambda *of: asked.append(choose(*of)) or asked[-1]
    )
    query = replace(wide_query(copies=2), budget=1)
    picks = pick("salutary_greedy", query)
    assert asked == [None]
    assert picks.rows.tolist() == pick("salutary_greedy", by_full_solves(query)).rows.tolist()
    assert picks.rows[0] < 300


def test_a_narrow_softmax_or_one_unit_takes_no_short_cut():
    query = wide_query()
    assert wide_turns.takes_turns(query)
    assert not wide_turns.takes_turns(by_full_solves(query))
    assert not any(wide_turns.takes_turns(query_of(name)) for name in ("wine", "musk"))


def test_a_step_is_cut_where_the_loss_is_lowest_and_only_then():
    """Three gradients long it goes too far; the other way, or a hair's breadth, it is not cut."""
    turns = salutary._quick_turns(wide_query(), finite=False, weighted=False)
    Z = project(turns.X, turns.theta.float())
    # Towards the gradient of the loss if the first row had another class.
    turns.T[0] = turns.T[0].roll(1)
    G = pull_back(probabilities(Z) - turns.T, turns.X, False) + turns.ridge * turns.theta.float()

    def loss(length):
        theta = turns.theta - length * G
        logits = project(turns.X.double(), theta)[: turns.count]
        targets = turns.T[: turns.count].double()
        penalty = (turns.ridge * theta.square()).sum() / 2
        return float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum") + penalty)

    def cut(step):
        return turns._length(turns.theta, Z.double(), Solution(step, project(turns.X, step)))

    length = cut(3 * G)
    assert 0 < length < 1
    lowest = minimize_scalar(lambda share: loss(3 * share), bounds=(0, 1), method="bounded")
    assert length == pytest.approx(lowest.x, rel=0.05)
    assert cut(-G) == cut(1e-4 * G) == 1.0


@pytest.mark.parametrize("intercept", [False, True])
def test_the_next_fit_begins_at_the_weights_of_the_last_pick(intercept):
    """They are its weights in float32, so that it takes a step or two, and ends at the same."""
    query = wide_query("labeled", intercept)
    picks = pick("salutary_greedy", query)
    X = torch.cat([query.X_labeled, query.X_pool[picks.rows]])
    y = np.append(query.y_labeled, picks.labels)
    start, handed = query.model.theta_, query.memory.theta
    near = query.model.fit_tensors(X, y)
    steps, expected = near.n_iter_, near.theta_
    assert float((handed - expected).norm()) < 1e-3 * float((start - expected).norm())
    query.model.theta_ = handed
    assert query.model.fit_tensors(X, y).n_iter_ < steps
    torch.testing.assert_close(query.model.theta_, expected, rtol=0, atol=1e-8)


def test_nothing_is_handed_to_a_fit_that_begins_elsewhere():
    for changed in ({"warm_start": False}, {"solver": "lbfgs"}):
        query = wide_query()
        query.model.set_params(**changed)
        pick("salutary_greedy", query)
        assert query.memory.theta is None


def test_a_run_goes_on_from_the_weights_of_its_last_pick(monkeypatch):
    """As from those of the round before: the same picks, and the same curve to ten digits."""
    split = split_of("mnist")
    split = replace(split, pool=split.pool[:200], validation=split.validation[:100])
    settings = strict(2, 2)
    curve, picks = run(split, "salutary_plus", settings, 0)
    asked = []
    monkeypatch.setattr(
        wide_turns.WideTurns, "fitted_with", lambda *of: asked.append(of)
    )  # gives None
    before, picks_before = run(split, "salutary_plus", settings, 0)
    assert len(asked) == 2
    assert [(p.row, p.label) for p in picks] == [(p.row, p.label) for p in picks_before]
    for new, old in zip(curve, before, strict=True):
        assert new.test_accuracy == old.test_accuracy
        assert new.test_log_loss == pytest.approx(old.test_log_loss, rel=1e-9)
