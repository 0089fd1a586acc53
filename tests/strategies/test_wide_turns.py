"""Greedy rules on a wide softmax: the picks of exact solves and full fits, from cheaper ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import LogisticRegression
from strategies import salutary, wide_turns
from strategies.base import Memory
from tests.helpers import pick, query_of


def wide_query(hessian="pool", intercept=False, copies=1, **options):
    """mnist in pixels, 7,840 weights, with a pool of 300 rows; 20 were picked before."""
    query = query_of("mnist", hessian, budget=3, l2=20.0)
    model = LogisticRegression(20.0, intercept).fit(query.X_labeled, query.y_labeled)
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
    ("method", "hessian", "intercept"),
    [
        ("salutary_greedy", "pool", False),
        ("salutary_plus", "pool", True),
        ("salutary_plus", "labeled", False),
    ],
)
def test_the_picks_are_those_of_full_solves(method, hessian, intercept, monkeypatch):
    query = wide_query(hessian, intercept)
    expected = pick(method, by_full_solves(query))
    monkeypatch.setattr(salutary, "_highest_of", None)  # two scores are nowhere too close
    picks = pick(method, query)
    assert picks.rows.tolist() == expected.rows.tolist()
    assert picks.labels.tolist() == expected.labels.tolist()
    np.testing.assert_allclose(picks.scores, expected.scores, rtol=1e-3)


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
