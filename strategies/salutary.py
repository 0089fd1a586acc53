"""The salutary strategies: each row with the label that lowers the validation loss most.

``salutary`` is the paper's rule (arXiv 2405.17627, section 3); docs/method.md says what the other
three add.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from common.kinds import LabelSource
from strategies.base import Picks, Query, Turn, highest, strategy

if TYPE_CHECKING:  # what --list need not wait for
    import torch

    from influence import Influence
    from strategies.narrow_turns import NarrowTurns
    from strategies.wide_turns import WideTurns

# So many of the best candidates by first order get the finite step. With more than two classes the
# pick lay within the first 55 of 2,000 on wine, digits and waveform.
SHORT_LIST = 100


@strategy(
    "Salutary",
    "largest benefit under the best label, and that label",
    labels=LabelSource.OWN,
    reads_validation=True,
)
def salutary(query: Query) -> Picks:
    return _best_at_once(query, weighted=False)


@strategy(
    "Salutary expected",
    "the same, each benefit weighted by the model's p(c|x)",
    labels=LabelSource.OWN,
    reads_validation=True,
    weighted=True,
)
def salutary_expected(query: Query) -> Picks:
    return _best_at_once(query, weighted=True)


@strategy(
    "Salutary greedy",
    "one row at a time, the model refitted and the pool scored again after each",
    labels=LabelSource.OWN,
    reads_validation=True,
    one_by_one=True,
)
def salutary_greedy(query: Query) -> Picks:
    return _best_in_turn(query, finite=False, weighted=False)


@strategy(
    "Salutary plus",
    "one row at a time, by finite-step benefit weighted by the model's p(c|x)",
    labels=LabelSource.OWN,
    reads_validation=True,
    one_by_one=True,
    weighted=True,
)
def salutary_plus(query: Query) -> Picks:
    return _best_in_turn(query, finite=True, weighted=True)


def score(
    influence: Influence, X: torch.Tensor, *, finite: bool, weighted: bool, taken: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The one scoring function of the salutary strategies: candidate rows (m,), scores (m, K).

    finite : score by the finite step, of a model that is small enough for it. Then the candidates
    are the rows that can be the best: the SHORT_LIST first by first order and, for one unit, where
    the finite step only takes away from a benefit, all whose first-order score is above the best of
    these. Otherwise all rows of X (n, D)
    are candidates. weighted : each benefit times p(c|x). taken (n,) : rows that cannot be picked.
    """
    import torch

    weights = influence.class_probabilities(X) if weighted else X.new_ones(1, 1).expand(len(X), 1)
    scores = (influence.first(X) * weights).masked_fill(taken[:, None], -torch.inf)
    rows = torch.arange(len(X), device=X.device)
    if not finite:
        return rows, scores
    bound = scores.max(1).values
    near = torch.zeros_like(taken)
    near[bound.topk(min(SHORT_LIST, int((~taken).sum()))).indices] = True
    by_finite = influence.finite(X[near]) * weights[near]
    if len(influence.gradient) == 1:
        near_or_above = near | (bound > by_finite.max())
        if not torch.equal(near_or_above, near):
            near = near_or_above
            by_finite = influence.finite(X[near]) * weights[near]
    return rows[near], by_finite


def _best_at_once(query: Query, *, weighted: bool) -> Picks:
    """The ``budget`` rows that score highest, as if each came alone (the paper's rule)."""
    influence = query.influence()
    _, scores = score(influence, query.pool, finite=False, weighted=weighted, taken=_taken(query))
    best = scores.max(1)
    rows = highest(best.values, query.budget)
    labels = query.model.classes_[best.indices[rows].cpu().numpy()]
    benefits = influence.first(query.pool[rows])
    return Picks(_positions(query, rows.cpu().numpy()), labels, best.values[rows], benefits)


def _best_in_turn(query: Query, *, finite: bool, weighted: bool) -> Picks:
    """``budget`` times the row that scores highest, each after a refit on all before it."""
    import torch

    taken = _taken(query)
    finite = finite and query.model.theta_.numel() <= query.settings.finite_parameters
    turns = _quick_turns(query, finite=finite, weighted=weighted)
    model = deepcopy(query.model).set_params(solver="newton", warm_start=True)
    X_labeled, y_labeled, made = query.X_labeled, query.y_labeled, []
    for turn in range(query.budget):
        chosen = turns.choose(taken) if turns else None
        if chosen is None:
            if turn > 0:
                if turns:
                    turns.hand_over(model)
                model.fit_tensors(X_labeled, y_labeled)
            influence = query.influence(model, X_labeled)
            chosen = _highest_of(influence, query, finite, weighted, taken)
        made.append(chosen)
        if len(made) == query.budget:
            break  # nobody would use one more fit
        taken[chosen.row] = True
        X_labeled = torch.cat([X_labeled, query.pool[chosen.row : chosen.row + 1]])
        y_labeled = np.append(y_labeled, model.classes_[chosen.code])
        if turns and not turns.add(chosen.row, chosen.code):
            turns = None
    if turns:
        query.memory.theta = turns.fitted_with(made[-1].row, made[-1].code)
    rows, codes, scores, benefits = zip(*made, strict=True)
    labels = model.classes_[list(codes)]
    return Picks(_positions(query, rows), labels, np.array(scores), torch.cat(benefits))


def _quick_turns(query: Query, *, finite: bool, weighted: bool) -> NarrowTurns | WideTurns | None:
    """What finds the same picks by cheaper arithmetic; None if the query allows no such thing."""
    from strategies.narrow_turns import NarrowTurns, takes_narrow_turns
    from strategies.wide_turns import WideTurns, takes_turns

    if takes_narrow_turns(query):
        turns = NarrowTurns(query, finite=finite, weighted=weighted, short_list=SHORT_LIST)
        return turns if turns.well else None
    return WideTurns(query, weighted) if takes_turns(query) else None


def _highest_of(
    influence: Influence, query: Query, finite: bool, weighted: bool, taken: torch.Tensor
) -> Turn:
    """The row of the pool that scores highest."""
    candidates, scores = score(influence, query.pool, finite=finite, weighted=weighted, taken=taken)
    (best,) = highest(scores.max(1).values, 1)
    row, code = int(candidates[best]), int(scores[best].argmax())
    return Turn(row, code, float(scores[best, code]), influence.first(query.pool[row : row + 1]))


def _taken(query: Query) -> torch.Tensor:
    """Which rows of the first pool cannot be picked any more: bool (N,)."""
    import torch

    taken = torch.ones(len(query.pool), dtype=torch.bool, device=query.pool.device)
    taken[query.left] = False
    return taken


def _positions(query: Query, rows) -> np.ndarray:
    """Positions in ``X_pool`` of rows of the first pool."""
    return np.searchsorted(query.left, rows)
