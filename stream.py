"""Streaming: pick from a pool of any length, or sum its Hessian, a chunk of rows at a time.

Memory holds a chunk, the best rows so far and the Hessian, however long the pool is. Chunks of .npy
and Parquet files are read by whoever scores them: a path travels to a worker, not the rows (see
pools.py for what a pool can be, workers.py for who works).

A matrix product rounds differently for another number of rows, so that equal rows may get scores
apart in the last bit. Chunks therefore only nominate: rows that may be among the best, with a
margin far above rounding. Nominees are scored again each alone, as a matrix of one row, and those
scores decide; ties go to the lower position. So the answer does not depend on the chunks.
"""

from collections.abc import Callable, Iterable
from copy import copy
from functools import cached_property

import numpy as np
import pandas as pd
import torch

from hessian import DENSE_PARAMETERS, Hessian
from influence import Influence, hessian
from models import LogisticRegression
from pools import Chunks, Part, checked, chunks, read
from sources import UserError
from workers import spread

__all__ = ["best", "chunks", "pool_hessian"]


def best(
    influence: Influence,
    parts: Iterable[Part],
    budget: int,
    *,
    weighted: bool = False,
    jobs: int = 1,
    dask: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ``budget`` rows with the largest benefit under their best label, as the paper picks them.

    parts : what ``chunks`` gives, or any iterable of (start, X (m, D)). weighted : each benefit
    times the model's p(c|x). jobs, dask : who scores, see ``workers.spread``.

    Returns positions in the pool, class labels and scores, each (budget,), best first, ties by
    position: the same for any chunks and any number of workers, bit for bit.

    Raises UserError for a pool of fewer rows or of another width than the model's.
    """
    travelling = travelling_copy(influence)
    if isinstance(parts, Chunks):
        tasks = parts.tasks()
    else:
        tasks = ((start, checked(X, "the pool", start)) for start, X in parts)
    top = Top(travelling, weighted, budget)
    rows = 0
    for found in spread(_nominate, (travelling, weighted, budget), tasks, jobs=jobs, dask=dask):
        for count, nominees in found:
            rows += count
            top.add(*nominees)
    if rows < budget:
        raise UserError(f"the pool has {rows:,} rows: give a budget of at most that, not {budget}")
    classes = influence.model.classes_
    positions, codes, scores = zip(*((p, c, -s) for s, p, c in top.best), strict=True)
    return np.array(positions), classes[list(codes)], np.array(scores)


def travelling_copy(influence: Influence) -> Influence:
    """What scoring needs of an Influence, solved: without the rows that it was made from."""
    influence.solution  # noqa: B018, computed once, here
    light = copy(influence)
    light.hessian = light.X_validation = None
    vars(light).pop("_blocks", None)
    return light


def scores_of(influence: Influence, X, weighted: bool) -> tuple[torch.Tensor, float]:
    """Benefits (m, K) of X (m, D), weighted or not; a difference that rounding cannot make."""
    scores = influence.first(X)
    margin = float(scores.abs().max()) * max(1e-9, 1e3 * torch.finfo(scores.dtype).eps)
    return scores * influence.class_probabilities(X) if weighted else scores, margin


def _nominate(shared: tuple, task) -> list[tuple[int, tuple]]:
    """For each part of a task its number of rows, and those rows that may be among the best.

    Nominees are (upper bounds of scores, positions, rows of features). A row is left out if
    ``budget`` others are better by more than rounding can do, or the same and before it.
    """
    influence, weighted, budget = shared
    found = []
    width = influence.model.n_features_in_
    for start, X in read(task):
        if X.ndim != 2 or X.shape[1] != width:
            raise UserError(
                f"the pool's rows from {start} on have shape {X.shape}: the model knows {width} "
                "columns"
            )
        scores, margin = scores_of(influence, X, weighted)
        best = scores.amax(1)
        if len(X) > budget:
            near = best >= best.topk(budget).values[-1] - margin
        else:
            near = torch.ones_like(best, dtype=torch.bool)
        places = near.nonzero()[:, 0].cpu().numpy()
        places = places[first_of_each(X[places], budget)]
        nominees = best[places].cpu().numpy() + margin, start + places, X[places]
        found.append((len(X), nominees))
    return found


def first_of_each(X: np.ndarray, budget: int) -> np.ndarray:
    """Of rows of X that are the same, the first ``budget``: their positions, ascending."""
    if len(X) <= budget:
        return np.arange(len(X))
    _, group = np.unique(X, axis=0, return_inverse=True)
    rank = pd.Series(group.ravel()).groupby(group.ravel()).cumcount().to_numpy()
    return np.flatnonzero(rank < budget)


class Top:
    """The best nominees so far, by the scores that decide: (−score, position, class), sorted."""

    def __init__(self, influence: Influence, weighted: bool, budget: int):
        self.influence, self.weighted, self.budget = influence, weighted, budget
        self.best: list[tuple[float, int, int]] = []

    def add(self, bounds: np.ndarray, positions: np.ndarray, X: np.ndarray) -> None:
        """``bounds`` (m,) : above what each row of X (m, D) can score."""
        bar = -self.best[-1][0] if len(self.best) == self.budget else -np.inf
        near = bounds >= bar
        known: dict[bytes, tuple[float, int]] = {}  # equal rows, equal scores
        for position, row in zip(positions[near], X[near], strict=True):
            key = row.tobytes()
            if key not in known:
                alone = torch.tensor(row[None])  # new memory, always aligned the same
                scores, _ = scores_of(self.influence, alone, self.weighted)
                code = int(scores.argmax())
                known[key] = -float(scores[0, code]), code
            score, code = known[key]
            self.best.append((score, int(position), code))
        self.best = sorted(self.best)[: self.budget]


# --- the Hessian over a pool ---------------------------------------------------------------------


def pool_hessian(
    model: LogisticRegression,
    parts: Chunks,
    *,
    damping: float = 0.0,
    jobs: int = 1,
    dask: str | None = None,
) -> Hessian:
    """The Hessian over a pool, for ``Influence`` in place of the pool's rows.

    Up to DENSE_PARAMETERS parameters it is summed here, in one pass; with more, every product
    with it is a pass.
    """
    if model.theta_.numel() <= DENSE_PARAMETERS:
        return SummedHessian(model, parts, damping, jobs, dask)
    return StreamedHessian(model, parts, damping, jobs, dask)


class StreamedHessian(Hessian):
    """Products one pass over the parts each; conjugate gradients need nothing else."""

    def __init__(
        self, model, parts: Chunks, damping: float = 0.0, jobs: int = 1, dask: str | None = None
    ):
        theta, D = model.theta_, model.n_features_in_
        # Of no rows at all the Hessian is the penalty; the parts add what theirs is without it.
        no_rows = theta.new_empty(0, D), theta.new_empty(0, len(theta))
        super().__init__(*no_rows, model.l2, model.fit_intercept, damping=damping)
        self.model, self.parts, self.how = model, parts, {"jobs": jobs, "dask": dask}

    def product(self, V: torch.Tensor) -> torch.Tensor:
        return super().product(V) + self._sum("product", V)

    def dense(self) -> torch.Tensor:
        return super().dense() + self._sum("dense")

    def _true_product(self, V: torch.Tensor) -> torch.Tensor:
        return self.product(V.to(self.X.dtype)).double()

    _single = None  # the rows are not here to be copied

    def _preconditioner(self, tol: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """None: it would need the rows. Only what the units share is taken out, see Hessian."""
        return lambda R: R - R.mean(0) if self.units > 1 else R

    def _sum(self, what: str, *arguments) -> torch.Tensor:
        shared = self.model, what, arguments
        return sum(spread(_curvature, shared, self.parts.tasks(), **self.how))


class SummedHessian(StreamedHessian):
    """The sum itself, held as (U·width)² numbers: products need no further pass."""

    def product(self, V: torch.Tensor) -> torch.Tensor:
        return (self._matrix @ V.reshape(-1)).reshape(V.shape)

    def dense(self) -> torch.Tensor:
        return self._matrix.clone()  # whoever factors it may write into it

    @cached_property
    def _matrix(self) -> torch.Tensor:
        return super().dense()


def _curvature(shared: tuple[LogisticRegression, str, tuple], task) -> torch.Tensor:
    """What one task's rows add to the Hessian, or to its product with a V, without the penalty."""
    model, what, arguments = shared
    return sum(getattr(hessian(model, X, l2=0.0), what)(*arguments) for _, X in read(task))
