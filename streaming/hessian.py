"""The Hessian over a pool that does not fit into memory, summed chunk by chunk."""

from functools import cached_property
from typing import Any

import torch

from common.parallel import Workers, spread
from influence import hessian
from models import LogisticRegression
from numerics.conjugate_gradients import Preconditioner, without_mean
from numerics.hessian import Hessian
from numerics.limits import DENSE_PARAMETERS
from numerics.validation import check_model
from streaming.pools import Chunks, ChunkTask, chunks, pool_for, read


def pool_hessian(
    model: LogisticRegression,
    parts: Any,
    *,
    damping: float = 0.0,
    jobs: int = 1,
    dask: str | None = None,
) -> Hessian:
    """The Hessian over a pool, which ``Influence`` takes in place of the pool's rows.

    parts : the pool, as ``chunks`` gives it, or what it takes. damping : see ``Hessian``.
    jobs, dask : who sums, see ``common.parallel.Workers``.

    Up to ``DENSE_PARAMETERS`` parameters it is summed once, in one pass over the pool. Above that,
    every product with it is a pass.

    Raises UserError, now or later, if the pool cannot be read, its columns have other names than
    the model's, or the workers cannot be used; ValueError if it has another width; NotFittedError
    or TypeError for an unfitted or another kind of model.
    """
    check_model(model, LogisticRegression, "theta_")
    parts = pool_for(model, parts)
    if not isinstance(parts, Chunks):
        parts = chunks(parts)
    workers = Workers(jobs, dask or "")
    if model.theta_.numel() <= DENSE_PARAMETERS:
        return SummedHessian(model, parts, damping, workers)
    return StreamedHessian(model, parts, damping, workers)


class StreamedHessian(Hessian):
    """A Hessian whose products are one pass over the pool each, as conjugate gradients need them.

    Parameters are those of ``pool_hessian``.
    """

    def __init__(
        self,
        model: LogisticRegression,
        parts: Chunks,
        damping: float = 0.0,
        workers: Workers = Workers(),  # noqa: B008, it is frozen
    ):
        theta, D = model.theta_, model.n_features_in_
        # The Hessian over no rows is the penalty. The parts add theirs, without the penalty.
        no_rows = theta.new_empty(0, D), theta.new_empty(0, len(theta))
        super().__init__(*no_rows, model.l2, model.fit_intercept, damping=damping)
        self.model, self.parts, self.workers = model, parts, workers

    def product(self, V: torch.Tensor) -> torch.Tensor:
        return super().product(V) + self._sum("product", V)

    def dense(self) -> torch.Tensor:
        return super().dense() + self._sum("dense")

    def product_in_float64(self, V: torch.Tensor) -> torch.Tensor:
        """H V, computed in the type of the model and converted to float64."""
        return self.product(V.to(self.X.dtype)).double()

    in_float32 = None  # this process does not hold the rows, and cannot copy them

    def preconditioner(self, tol: float) -> Preconditioner:
        """No preconditioner, which would need the rows; only the mean over the units goes."""
        return without_mean

    def _sum(self, method: str, *arguments: torch.Tensor) -> torch.Tensor:
        """The sum over all parts of what ``method`` of their Hessians gives."""
        shared = self.model, method, arguments
        sums = spread(_sum_of_task, shared, self.parts.tasks(), self.workers)
        return sum(sums)


class SummedHessian(StreamedHessian):
    """The sum itself, kept as (U·width)² numbers: a product needs no pass over the pool."""

    def product(self, V: torch.Tensor) -> torch.Tensor:
        return (self._matrix @ V.reshape(-1)).reshape(V.shape)

    def dense(self) -> torch.Tensor:
        return self._matrix.clone()  # because the caller may write into it

    @cached_property
    def _matrix(self) -> torch.Tensor:
        return super().dense()


def _sum_of_task(
    shared: tuple[LogisticRegression, str, tuple[torch.Tensor, ...]], task: ChunkTask
) -> torch.Tensor:
    """What ``method`` of the Hessian over one task's rows gives, without the penalty."""
    model, method, arguments = shared
    return sum(getattr(hessian(model, X, l2=0.0), method)(*arguments) for _, X in read(task))
