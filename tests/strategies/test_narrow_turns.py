"""Greedy rules on one unit without scores: the picks of full refits, from cheaper ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.loop import run
from models import LogisticRegression
from numerics.finite_step import residual_of_unit
from strategies import narrow_turns, salutary
from strategies.base import InfluenceSettings, Memory
from tests.helpers import pick, query_of, split_of, strict


def narrow_query(name="bank", hessian="labeled", l2=1.0, intercept=True, damping=0.0, copies=1):
    """Without scores; 20 rows were picked before. The pool ends with these."""
    query = query_of(name, hessian, budget=8)
    model = LogisticRegression(l2, intercept).fit(query.X_labeled, query.y_labeled)
    pool = torch.cat([*[query.pool[:-20]] * copies, query.pool[-20:]])
    return replace(
        query,
        model=model,
        pool=pool,
        left=np.arange(len(pool) - 20),
        picked=np.arange(len(pool) - 20, len(pool)),
        settings=InfluenceSettings(query.settings.hessian, damping=damping),
        memory=Memory(),
        scores=False,
    )


def in_full(query):
    """The same query with scores: every fit and every score to all digits."""
    return replace(query, scores=True, memory=Memory())


@pytest.mark.parametrize("method", ["salutary_greedy", "salutary_plus"])
@pytest.mark.parametrize(
    "case",
    [
        {},
        {"l2": 0.05},  # the finite step is so large that Newton's method alone goes too far
        {"hessian": "pool", "intercept": False, "l2": 50.0},
        {"hessian": "pool", "damping": 10.0},
        {"damping": 100.0, "name": "breast_cancer"},
        {"name": "breast_cancer", "l2": 0.01},
    ],
)
def test_the_picks_are_those_of_full_refits(method, case, monkeypatch):
    query = narrow_query(**case)
    expected = pick(method, in_full(query))
    monkeypatch.setattr(salutary, "_highest_of", None)  # two scores are nowhere too close
    picks = pick(method, query)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(picks.scores, expected.scores, rtol=1e-7)


def test_the_residual_in_numpy_is_that_of_torch():
    """Also where Newton's method for the residual itself would go in circles."""
    z, b = (x.ravel() for x in np.meshgrid(np.linspace(-50, 50, 101), np.logspace(-3, 6, 19)))
    t = np.array([[0.0], [1.0]])
    expected = residual_of_unit(*(torch.as_tensor(x) for x in (z, b, t)))
    np.testing.assert_allclose(narrow_turns._residual(z, b, t), expected, rtol=0, atol=1e-9)


def test_the_short_list_grows_until_no_other_row_can_be_the_best(monkeypatch):
    query = narrow_query(l2=0.05)
    expected = pick("salutary_plus", in_full(query))
    monkeypatch.setattr(salutary, "SHORT_LIST", 1)
    assert pick("salutary_plus", query).rows.tolist() == expected.rows.tolist()


def test_of_equal_rows_the_first_is_picked_by_full_refits(monkeypatch):
    asked, choose = [], narrow_turns.NarrowTurns.choose
    monkeypatch.setattr(
        narrow_turns.NarrowTurns, "choose", lambda *of: asked.append(choose(*of)) or asked[-1]
    )
    query = narrow_query("breast_cancer", copies=2)
    picks, expected = pick("salutary_plus", query), pick("salutary_plus", in_full(query))
    assert None in asked
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()


def test_a_hessian_near_singular_and_several_units_are_left_to_full_refits():
    query = narrow_query("breast_cancer", intercept=False)
    assert narrow_turns.takes_narrow_turns(query)
    assert not narrow_turns.takes_narrow_turns(in_full(query))
    assert not narrow_turns.takes_narrow_turns(replace(query_of("wine"), scores=False))
    assert salutary._quick_turns(query, finite=True, weighted=True) is not None
    names = ("X_labeled", "pool", "X_validation")
    query = replace(query, **{name: torch.cat([getattr(query, name)] * 2, 1) for name in names})
    query.model.set_params(l2=1e-9)  # now every column is there twice, and the penalty is nothing
    query.model.theta_ = torch.cat([query.model.theta_] * 2, 1)
    assert salutary._quick_turns(query, finite=True, weighted=True) is None


@pytest.mark.parametrize("method", ["salutary_plus", "salutary", "margin"])
def test_a_run_without_scores_has_the_same_picks_and_curve(method):
    split = split_of("bank")
    curve, picks = run(split, method, strict(2, 4), 0)
    quick_curve, quick_picks = run(split, method, strict(2, 4), 0, scores=False)
    assert [(p.row, p.label) for p in picks] == [(p.row, p.label) for p in quick_picks]
    for full, quick in zip(curve, quick_curve, strict=True):
        same = {"seconds": 0.0, "condition": 0.0}
        assert repr(replace(full, **same)) == repr(replace(quick, **same))
    assert all(p.benefits == {} and np.isnan(p.runner_up) for p in quick_picks)
    assert all(p.benefits for p in picks)
