"""The best rows of a pool of any length, scored in chunks of rows.

Memory holds a chunk and the best rows so far, however long the pool is. Whoever scores a chunk of a
.npy or Parquet file also reads it: a worker is sent a path, not the rows. pools.py says what a pool
can be, common/parallel.py who the workers can be.

A matrix product rounds differently for another number of rows, so that the scores of equal rows in
different chunks may differ in the last bit. Therefore scoring has two steps. Each chunk first
nominates the rows that may be among the best, with a margin far above rounding errors. Then every
nominee is scored alone, as a matrix of one row. This score decides, and of equal scores the lower
position. So the result does not depend on the chunks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from common.errors import UserError
from common.parallel import Workers, spread
from influence import Influence
from numerics.linear import Array
from numerics.validation import check_count
from streaming.pool_files import finite_rows
from streaming.pools import Chunks, ChunkTask, pool_array, pool_for, read


def best(
    influence: Influence,
    parts: Any,
    budget: int,
    *,
    weighted: bool = False,
    jobs: int = 1,
    dask: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ``budget`` rows with the largest benefit under their best label, as the paper picks them.

    parts : the pool, as ``chunks`` gives it; what ``chunks`` takes, except lists; or any iterable
        of (start, X (m, D)) whose first start is 0.
    weighted : multiply each benefit by the model's p(c|x).
    jobs, dask : who scores, see ``common.parallel.Workers``.

    Returns positions in the pool, labels and scores, (budget,) each, the best first. They are the
    same, bit for bit, for any chunks and any number of workers.

    Raises UserError if the pool has fewer rows, a row of another width or columns of other names
    than the model's, or a value that is not a finite number; or if the workers cannot be used;
    ValueError if the budget is below 1; TypeError for another kind of influence or pool.
    """
    if not isinstance(influence, Influence):
        raise TypeError(f"best needs an influence.Influence, not {type(influence).__name__}")
    check_count(budget, "budget")
    parts = pool_for(influence.model, parts)
    scorer = Scorer(influence.without_rows(), weighted, budget)
    top, rows = BestRows(scorer), 0
    for nominations in spread(nominate, scorer, _tasks(parts), Workers(jobs, dask or "")):
        for nominees in nominations:
            rows += nominees.rows_seen
            top.add(nominees)
    if rows < budget:
        raise UserError(f"the pool has {rows:,} rows: give a budget of at most that, not {budget}")
    classes = influence.model.classes_
    positions, codes, scores = zip(*((p, c, -s) for s, p, c in top.best), strict=True)
    return np.array(positions), classes[list(codes)], np.array(scores)


def _tasks(parts: Any) -> Iterator[ChunkTask]:
    if isinstance(parts, Chunks):
        yield from parts.tasks()
        return
    if not isinstance(parts, Iterable):
        raise TypeError(f"the pool is of type {type(parts).__name__}: give what chunks() takes")
    for part in parts:
        if not (isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], int)):
            raise TypeError("the pool gave no parts (start, X): call chunks() on it")
        start, X = part[0], pool_array(part[1])
        yield start, finite_rows(X, "the pool", start)


@dataclass(frozen=True)
class Scorer:
    """How rows are scored: what each worker is sent once. The fields are as in ``best``."""

    influence: Influence
    weighted: bool
    budget: int

    def scores(self, X: Array) -> tuple[torch.Tensor, float]:
        """The scores (m, K) of X (m, D), and a margin larger than their rounding errors."""
        scores = self.influence.first(X)
        margin = float(scores.abs().max()) * max(1e-9, 1e3 * torch.finfo(scores.dtype).eps)
        if self.weighted:
            scores = scores * self.influence.class_probabilities(X)
        return scores, margin


@dataclass(frozen=True)
class Nominees:
    """The rows of a part that may be among the best.

    rows_seen : how many rows the part has. bounds (m,) : what each nominee's score is certainly
    below. positions (m,) : in the pool. X (m, D) : their features.
    """

    rows_seen: int
    bounds: np.ndarray
    positions: np.ndarray
    X: np.ndarray


def nominate(scorer: Scorer, task: ChunkTask) -> list[Nominees]:
    """The nominees of every part of a task.

    A row is left out if ``budget`` other rows of its part have higher scores by more than the
    margin, or have the same features and lower positions.

    Raises UserError for a row of another width than the model's.
    """
    budget, found = scorer.budget, []
    width = scorer.influence.model.n_features_in_
    for start, X in read(task):
        if X.ndim != 2 or X.shape[1] != width:
            raise UserError(
                f"the pool's rows from {start} on have shape {X.shape}: the model knows {width} "
                "columns"
            )
        scores, margin = scorer.scores(X)
        highest = scores.amax(1)
        if len(X) > budget:
            near = highest >= highest.topk(budget).values[-1] - margin
        else:
            near = torch.ones_like(highest, dtype=torch.bool)
        places = near.nonzero()[:, 0].cpu().numpy()
        places = places[first_of_each(X[places], budget)]
        bounds = highest[places].cpu().numpy() + margin
        found.append(Nominees(len(X), bounds, start + places, X[places]))
    return found


def first_of_each(X: np.ndarray, budget: int) -> np.ndarray:
    """The positions in X (m, D) of the first ``budget`` of all rows that are equal, ascending."""
    if len(X) <= budget:
        return np.arange(len(X))
    _, group = np.unique(X, axis=0, return_inverse=True)
    rank = pd.Series(group.ravel()).groupby(group.ravel()).cumcount().to_numpy()
    return np.flatnonzero(rank < budget)


class BestRows:
    """The best nominees so far, each scored alone.

    best : a sorted list of (−score, position in the pool, position of the label in ``classes_``).
    """

    def __init__(self, scorer: Scorer):
        self.scorer = scorer
        self.best: list[tuple[float, int, int]] = []

    def add(self, nominees: Nominees) -> None:
        """Score the nominees that may be among the best, and keep the best."""
        budget = self.scorer.budget
        lowest = -self.best[-1][0] if len(self.best) == budget else -np.inf
        near = nominees.bounds >= lowest
        known: dict[bytes, tuple[float, int]] = {}  # (−score, label) by the bytes of a row
        for position, row in zip(nominees.positions[near], nominees.X[near], strict=True):
            key = row.tobytes()
            if key not in known:
                alone = torch.tensor(row[None])  # a copy, so that its alignment is always the same
                scores, _ = self.scorer.scores(alone)
                code = int(scores.argmax())
                known[key] = -float(scores[0, code]), code
            score, code = known[key]
            self.best.append((score, int(position), code))
        self.best = sorted(self.best)[:budget]
