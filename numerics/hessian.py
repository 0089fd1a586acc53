"""The Hessian H of the loss of models.py, its inverse, and two ways to solve H V = G.

The head of models.py states the conventions: the sum of losses, units, the layout of theta, and
which parameters the penalty leaves out. benchmarks/solvers.py measures which way is faster at which
size:

- ``cholesky`` builds all (U·width)² entries of H and factors them, in float64;
- ``cg``, conjugate gradients, needs only products H V, of two passes over the rows each (see
  conjugate_gradients.py).
"""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg.lapack import dlange, dpocon
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from numerics import span
from numerics.conjugate_gradients import (
    TOLERANCE,
    NotConverged,
    Preconditioner,
    conjugate_gradients,
    kronecker_preconditioner,
)
from numerics.limits import DENSE_PARAMETERS, SOFTMAX_DENSE_PARAMETERS
from numerics.linear import as_tensor, project, pull_back, ridge

BLOCK_ENTRIES = 500_000  # numbers in a block of rows: 4 MB, which stay in the processor's cache
COPIED_ENTRIES = 16_000_000  # most numbers in X for which a float32 copy is made: 64 MB


class Factor(NamedTuple):
    """The Cholesky factor L of H in float64, (size, size), and the condition number of H."""

    lower: torch.Tensor
    condition: float


class Hessian:
    """Second derivative of the penalised loss over rows X (n, D), at probabilities P (n, U).

    Parameters
    ----------
    l2 : the penalty on the weights.
    fit_intercept : theta has an unpenalised intercept in its last column.
    damping : added to every entry of the diagonal, that of the intercept too, so that
        H + damping·I can be inverted if H cannot (Koh & Liang 2017, arXiv 1703.04730, section 4.2).
    weights (n,) : how many times each row counts. A weight of 0 leaves the row out, without a copy
        of the other rows.
    gram (n, n) : the products of the rows, if they are known. Then "auto" solves one unit in as
        many dimensions as there are rows (see span.py).

    Attributes
    ----------
    units U, width D or D + 1, size U·width : the shape of theta, and the number of its entries.
    wP (n, U) : P times the weights. ridge (width,) : penalty and damping of each column of theta.
    """

    def __init__(
        self,
        X: torch.Tensor,
        P: torch.Tensor,
        l2: float,
        fit_intercept: bool,
        *,
        damping: float = 0.0,
        weights: torch.Tensor | None = None,
        gram: torch.Tensor | None = None,
    ):
        self.X, self.P, self.fit_intercept, self.gram = X, P, fit_intercept, gram
        self.wP = P if weights is None else weights[:, None] * P
        self.units, self.width = P.shape[1], X.shape[1] + fit_intercept
        self.ridge = ridge(X, l2, fit_intercept) + damping
        self._factored: Factor | None = None

    @property
    def size(self) -> int:
        """The number of parameters: H is (size, size)."""
        return self.units * self.width

    # --- the matrix -------------------------------------------------------------------------------

    def product(self, V: torch.Tensor) -> torch.Tensor:
        """H V for V (U, width), in two passes over X: (U, width)."""
        R = project(self.X, V).mul_(self.wP)  # (n, U)
        R.addcmul_(self.P, R.sum(1, keepdim=True), value=-1)  # diag(p) − p pᵀ of every row
        return pull_back(R, self.X, self.fit_intercept).addcmul_(self.ridge, V)

    def dense(self) -> torch.Tensor:
        """H itself, (size, size): Σ_i (diag(p_i) − p_i p_iᵀ) ⊗ x_i x_iᵀ and the penalty.

        With y_i = p_i ⊗ x_i in the rows of Y, the second part of the sum is YᵀY, and YᵀX holds the
        blocks of the first part. So every block of rows takes two products.
        """
        units, width = self.units, self.width
        H = self.X.new_zeros(units * width, units * width)
        for X, P, wP in self.row_blocks(self.size):
            if units == 1:
                H.addmm_((wP * (1 - P) * X).T, X)
                continue
            Y = (P[:, :, None] * X[:, None]).flatten(1)  # (rows, size)
            wY = Y if self.wP is self.P else (wP[:, :, None] * X[:, None]).flatten(1)
            blocks = H.view(units, width, units, width).diagonal(dim1=0, dim2=2)
            blocks += (wY.T @ X).view(units, width, width).permute(1, 2, 0)
            H -= wY.T @ Y
        H.diagonal().view(units, width).add_(self.ridge)
        return H

    def row_blocks(self, entries: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """X with its intercept column, P and wP, in blocks of rows that fit into the cache.

        entries : how many numbers the caller makes of each row.
        """
        rows = max(64, BLOCK_ENTRIES // entries)
        blocks: Iterable[tuple[torch.Tensor, ...]] = [(self.X, self.P, self.wP)]
        if len(self.X) > rows:  # to split takes as long as a small product
            blocks = zip(*(M.split(rows) for M in (self.X, self.P, self.wP)), strict=True)
        for X, P, wP in blocks:
            yield torch.cat([X, X.new_ones(len(X), 1)], 1) if self.fit_intercept else X, P, wP

    # --- its inverse ------------------------------------------------------------------------------

    def solve(
        self,
        G: torch.Tensor,
        *,
        solver: str = "auto",
        tol: float | None = None,
        start: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """V = H⁻¹ G for G (U, width): (U, width).

        solver : "cholesky", "cg" or "auto". "auto" takes Cholesky for up to ``DENSE_PARAMETERS``
            parameters of one unit or ``SOFTMAX_DENSE_PARAMETERS`` of a softmax, and also if CG
            fails and there are at most ``DENSE_PARAMETERS`` parameters.
        tol, start : of CG (see ``conjugate_gradients``). The default of tol is 1e-10, in float32
            1e-5.

        Raises ValueError if the solver is unknown; its subclass LinAlgError, with an estimate of
        the condition number, if H is singular to the precision of its type or CG does not reach
        ``tol``.
        """
        if solver not in ("auto", "cholesky", "cg"):
            raise ValueError(f"unknown solver {solver!r}: choose auto, cholesky or cg")
        if solver == "auto" and self.gram is not None and self.units == 1:
            curvature = (self.wP * (1 - self.P))[:, 0]
            return span.solve(self.X, self.gram, curvature, self.ridge, G)
        few = DENSE_PARAMETERS if self.units == 1 else SOFTMAX_DENSE_PARAMETERS
        if solver == "cg" or (solver == "auto" and self.size > few):
            try:
                V = conjugate_gradients(self, G, tol or TOLERANCE[G.dtype], start)
                return V.to(self.X.dtype)
            except NotConverged as error:
                if solver == "cg" or self.size > DENSE_PARAMETERS:
                    raise SingularHessian(self.condition(), self.X.dtype, error.residual) from error
        columns = torch.cholesky_solve(G.reshape(-1, 1).double(), self._factor().lower)
        return columns.reshape(G.shape).to(G.dtype)

    def solve_each(self, G: torch.Tensor) -> torch.Tensor:
        """H⁻¹ G_i for each of n right-hand sides G (n, U, width), by one factor: (n, U, width).

        Raises SingularHessian, a LinAlgError, if H is singular to the precision of its type.
        """
        lower = self._factor().lower
        columns = G.reshape(len(G), -1).T.to(lower.dtype)
        return torch.cholesky_solve(columns, lower).T.reshape(G.shape).to(G.dtype)

    def inverse(self) -> torch.Tensor:
        """H⁻¹ itself, (size, size).

        Raises ValueError above ``DENSE_PARAMETERS`` parameters; its subclass LinAlgError if H is
        singular to the precision of its type.
        """
        if self.size > DENSE_PARAMETERS:
            raise ValueError(
                f"the inverse of a Hessian of {self.size:,} parameters is too large, at most "
                f"{DENSE_PARAMETERS:,}: use fewer features"
            )
        return torch.cholesky_inverse(self._factor().lower).to(self.X.dtype)

    @property
    def known_condition(self) -> float:
        """The condition number if an earlier solve factored H, else NaN."""
        return self._factored.condition if self._factored else float("nan")

    def condition(self) -> float:
        """An estimate of the condition number; infinite if H is singular.

        Up to ``DENSE_PARAMETERS`` parameters it is LAPACK's estimate in the 1-norm, from the
        factor. Above that it is λmax / λmin, each found by Lanczos iterations to a few percent.
        """
        if self.size > DENSE_PARAMETERS:
            return self._condition_by_lanczos()
        try:
            return self._factor().condition
        except SingularHessian as error:
            return error.condition

    def _factor(self) -> Factor:
        """The factor of H, kept for later calls. Raises SingularHessian."""
        if self._factored is None:
            H = self.dense().double()
            if self._intercepts_are_free:
                intercepts = torch.arange(self.units) * self.width + self.width - 1
                H[intercepts[:, None], intercepts] += 1.0
            lower, failed = torch.linalg.cholesky_ex(H)
            condition = float("inf")
            if not failed:
                norm = dlange("1", H.cpu().numpy().T)  # the transpose is laid out as LAPACK's
                reciprocal, _ = dpocon(lower.cpu().numpy(), norm, uplo="L")
                condition = 1 / reciprocal if reciprocal > 0 else float("inf")
            # Beyond this, rounding in the entries of H alone changes every digit of the solution.
            if not condition < 0.1 / torch.finfo(self.X.dtype).eps:
                raise SingularHessian(condition, self.X.dtype)
            self._factored = Factor(lower, condition)
        return self._factored

    def _condition_by_lanczos(self) -> float:
        def product(flat: np.ndarray) -> np.ndarray:
            V = as_tensor(flat, self.X.device, self.X.dtype).reshape(self.units, self.width)
            HV = self.product(V)
            if self._intercepts_are_free:
                HV[:, -1] += V[:, -1].sum()
            return HV.cpu().numpy().ravel().astype(np.float64)

        H = LinearOperator((self.size, self.size), matvec=product, dtype=np.float64)
        start = np.ones(self.size) + np.arange(self.size) / self.size
        ends: list[float] = []
        for which in ("LA", "SA"):  # the largest eigenvalue, then the smallest
            try:
                ends += [*eigsh(H, 1, which=which, tol=0.02, v0=start, maxiter=300)[0]]
            except ArpackNoConvergence:  # rounding hides the smallest: H is as good as singular
                return float("inf")
        return float(ends[0] / ends[1]) if ends[1] > 0 else float("inf")

    @property
    def _intercepts_are_free(self) -> bool:
        """Whether H is singular along a constant added to all intercepts (see models.py).

        Then the outer product of ones is added to the block of the intercepts.
        """
        return self.fit_intercept and self.units > 1

    # --- for conjugate gradients ------------------------------------------------------------------

    @cached_property
    def in_float32(self) -> "Hessian | None":
        """H in float32; None if H is in float32 already, or too large to be copied."""
        if self.X.dtype == torch.float32 or self.X.numel() > COPIED_ENTRIES:
            return None
        H = copy(self)
        H.X, H.P, H.wP, H.ridge = (M.float() for M in (self.X, self.P, self.wP, self.ridge))
        return H

    def product_in_float64(self, V: torch.Tensor) -> torch.Tensor:
        """H V for V (U, width) in float64, whatever the type of H is: (U, width).

        Rows in float32 are converted a block at a time.
        """
        if self.X.dtype == torch.float64:
            return self.product(V)
        total = self.ridge.double() * V
        rows = max(64, BLOCK_ENTRIES // 2 // self.width)
        wide = V.new_empty(min(rows, len(self.X)), self.X.shape[1])  # reused by every block
        for X, P, wP in zip(*(M.split(rows) for M in (self.X, self.P, self.wP)), strict=True):
            block = Hessian(wide[: len(X)].copy_(X), P.double(), 0.0, self.fit_intercept)
            block.wP = wP.double()
            total += block.product(V)
        return total

    def preconditioner(self, tol: float) -> Preconditioner:
        """R ↦ M⁻¹R with M near H, for CG to a relative residual of ``tol``."""
        return kronecker_preconditioner(self, tol)


class SingularHessian(np.linalg.LinAlgError):
    """H cannot be inverted in the precision of its type. The message says what helps.

    condition : an estimate of the condition number of H. residual : the relative residual at which
    CG stopped, or None if CG was not used.
    """

    def __init__(self, condition: float, dtype: torch.dtype, residual: float | None = None):
        self.condition = condition
        name = str(dtype).removeprefix("torch.")
        problem = f"too large for {name}, about {condition:.0e}"
        if not np.isfinite(condition):
            problem = f"beyond {name}: this Hessian is singular"
        stopped = (
            f"conjugate gradients stopped at a residual of {residual:.0e}: " if residual else ""
        )
        wider = ", float64" if dtype == torch.float32 else ""
        super().__init__(
            f"{stopped}the condition number of the Hessian is {problem}; features of one scale, "
            f"a larger l2{wider} or damping help"
        )
