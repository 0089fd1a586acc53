"""The curvature of the loss and the solvers that invert it, on the algebra of the units.

Conventions (sum of losses, units, layout of theta, who is penalised) are at the head of models.py.
Two ways to H⁻¹G, each for its sizes (benchmarks/solvers.py measures where they cross):

- ``cholesky`` builds all (U·width)² entries of H and factors them, in float64;
- ``cg``, conjugate gradients, needs only products H V, two passes over the rows each. Unlike
  scipy's it starts anywhere, preconditions by the structure of this Hessian, takes its steps in
  float32 as long as these help, checks the TRUE residual in float64, and fails loudly above it.
"""

from collections.abc import Callable, Iterator
from copy import copy
from functools import cached_property

import numpy as np
import torch
from scipy.linalg.lapack import dpocon
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from units import as_tensor, project, pull_back, ridge

DENSE_PARAMETERS = 1_500  # up to here H is built and inverted where its inverse is asked for
# Above so many parameters of a softmax conjugate gradients are faster than a factor; with one unit
# they are not, up to the limit above (benchmarks/solvers.py).
SOFTMAX_DENSE_PARAMETERS = 250
DENSE_ENTRIES = 500_000  # numbers of a block of rows at once while H is built: 4 MB stay in cache
COPIED_ENTRIES = 16_000_000  # numbers in X up to which a float32 copy is worth its memory: 64 MB
MOST_STEPS = 2_000  # of conjugate gradients between two looks at the true residual
MOST_SINGLE_STEPS = 300  # of those in float32 in place of float64
MOST_RESTARTS = 5  # of them, at most, in the numbers of H
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}


class Hessian:
    """Second derivative of the loss over rows X (n, D), at probabilities P (n, U).

    ``weights`` (n,) counts each row so many times: 0 leaves it out without a copy of the others.
    ``damping`` is added to every entry of the diagonal, that of the intercept too: H + damping·I
    stays invertible where H is not (Koh & Liang 2017, section 4.2).
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
    ):
        self.X, self.P, self.fit_intercept = X, P, fit_intercept
        self.wP = P if weights is None else weights[:, None] * P
        self.units, self.width = P.shape[1], X.shape[1] + fit_intercept
        self.ridge = ridge(X, l2, fit_intercept) + damping
        self._factored: tuple[torch.Tensor, float] | None = None

    @property
    def size(self) -> int:
        """How many parameters H is square in."""
        return self.units * self.width

    def product(self, V: torch.Tensor) -> torch.Tensor:
        """H V for V (U, width), in two passes over X: (U, width)."""
        R = project(self.X, V).mul_(self.wP)  # (n, U)
        R.addcmul_(self.P, R.sum(1, keepdim=True), value=-1)  # diag(p) − p pᵀ of every row
        return pull_back(R, self.X, self.fit_intercept).addcmul_(self.ridge, V)

    def dense(self) -> torch.Tensor:
        """H itself, (size, size): Σ_i (diag(p_i) − p_i p_iᵀ) ⊗ x_i x_iᵀ and the penalty.

        With Y = P ⊗ X, row by row, the second part is YᵀY and the blocks of the first are those of
        YᵀX: two products for each block of rows, which go through the cache once.
        """
        units, width = self.units, self.width
        H = self.X.new_zeros(units * width, units * width)
        for X, P, wP in self._row_blocks(self.size):
            if units == 1:
                H.addmm_((wP * (1 - P) * X).T, X)
                continue
            blocks = H.view(units, width, units, width)
            classes = torch.arange(units, device=H.device)
            wY = (wP[:, :, None] * X[:, None]).flatten(1)  # (rows, size)
            blocks[classes, :, classes] += (wY.T @ X).view(units, width, width)
            H -= wY.T @ (P[:, :, None] * X[:, None]).flatten(1)
        H.diagonal().view(units, width).add_(self.ridge)
        return H

    def solve(
        self,
        G: torch.Tensor,
        *,
        solver: str = "auto",
        tol: float | None = None,
        start: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """H⁻¹ G for G (U, width).

        ``cholesky`` factors the dense H; ``cg`` runs conjugate gradients from ``start``, or zero,
        until the residual is below ``tol`` times that of zero (1e-10, in float32 1e-5); ``auto``
        takes the first up to ``DENSE_PARAMETERS`` parameters of one unit, or
        ``SOFTMAX_DENSE_PARAMETERS`` of more, or where the second fails and H is not large.

        Raises ValueError where the solver is unknown, its subclass LinAlgError, with an estimate of
        the condition number, where H is singular to the precision of its numbers or the true
        residual of CG stays above ``tol``.
        """
        if solver not in ("auto", "cholesky", "cg"):
            raise ValueError(f"unknown solver {solver!r}: choose auto, cholesky or cg")
        few = DENSE_PARAMETERS if self.units == 1 else SOFTMAX_DENSE_PARAMETERS
        if solver == "cg" or (solver == "auto" and self.size > few):
            try:
                return self._conjugate_gradients(G, tol or TOLERANCE[G.dtype], start)
            except SingularHessian:
                if solver == "cg" or self.size > DENSE_PARAMETERS:
                    raise
        factor, _ = self._factor()
        solution = torch.cholesky_solve(G.reshape(-1, 1).to(factor.dtype), factor)
        return solution.reshape(G.shape).to(G.dtype)

    def inverse(self) -> torch.Tensor:
        """H⁻¹ itself, (size, size).

        Raises ValueError above ``DENSE_PARAMETERS`` parameters, its subclass LinAlgError where H is
        singular.
        """
        if self.size > DENSE_PARAMETERS:
            raise ValueError(
                f"the inverse of a Hessian of {self.size:,} parameters is too large, at most "
                f"{DENSE_PARAMETERS:,}: use fewer features"
            )
        return torch.cholesky_inverse(self._factor()[0]).to(self.X.dtype)

    @property
    def known_condition(self) -> float:
        """The condition number where the factor of an earlier solve tells it, else NaN."""
        return self._factored[1] if self._factored else float("nan")

    def condition(self) -> float:
        """An estimate of the condition number, λmax / λmin.

        Up to ``DENSE_PARAMETERS`` parameters LAPACK's in the 1-norm, from the factor; above, both
        ends of the spectrum by Lanczos, to a few percent. Infinite where H is singular.
        """
        if self.size <= DENSE_PARAMETERS:
            try:
                return self._factor()[1]
            except SingularHessian as error:
                return error.condition

        def product(flat: np.ndarray) -> np.ndarray:
            V = as_tensor(flat, self.X.device, self.X.dtype).reshape(self.units, self.width)
            return self._fixed_product(V).cpu().numpy().ravel().astype(np.float64)

        H = LinearOperator((self.size, self.size), matvec=product, dtype=np.float64)
        start = np.ones(self.size) + np.arange(self.size) / self.size
        ends = []
        for which in ("LA", "SA"):
            try:
                ends += [*eigsh(H, 1, which=which, tol=0.02, v0=start, maxiter=300)[0]]
            except ArpackNoConvergence:  # the low end hides in rounding: as good as singular
                return float("inf")
        return float(ends[0] / ends[1]) if ends[1] > 0 else float("inf")

    def _row_blocks(self, entries: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Rows with their intercept column, P and weighted P, a cacheful at a time."""
        rows = max(64, DENSE_ENTRIES // entries)
        for start in range(0, len(self.X), rows):
            X, P, wP = (M[start : start + rows] for M in (self.X, self.P, self.wP))
            yield torch.cat([X, X.new_ones(len(X), 1)], 1) if self.fit_intercept else X, P, wP

    def _factor(self) -> tuple[torch.Tensor, float]:
        """The Cholesky factor, in float64 whatever H is made of, and H's condition number."""
        if self._factored is None:
            H = self.dense().double()
            if self._gauge_free:
                intercepts = torch.arange(self.units) * self.width + self.width - 1
                H[intercepts[:, None], intercepts] += 1.0
            factor, failed = torch.linalg.cholesky_ex(H)
            condition = float("inf")
            if not failed:
                norm = float(H.abs().sum(0).max())
                reciprocal, _ = dpocon(factor.cpu().numpy(), norm, uplo="L")
                condition = 1 / reciprocal if reciprocal > 0 else float("inf")
            # Beyond this, rounding in the entries of H alone changes every digit of the solution.
            if not condition < 0.1 / torch.finfo(self.X.dtype).eps:
                raise SingularHessian(condition, self.X.dtype)
            self._factored = factor, condition
        return self._factored

    def _conjugate_gradients(
        self, G: torch.Tensor, tol: float, start: torch.Tensor | None
    ) -> torch.Tensor:
        G = G.double()
        shared = G.mean(0) if self.units > 1 else torch.zeros_like(G[0])
        # What all units of a softmax share feels the penalty alone, and is solved at once. In CG
        # rounding would move along it, and in float32 cost half as many steps more.
        apart = (lambda R: R - R.mean(0)) if self.units > 1 else (lambda R: R)
        shared = torch.where(self.ridge > 0, shared / self.ridge.double(), 0.0)
        G = apart(G)
        V = torch.zeros_like(G) if start is None else apart(start.to(G))
        target, last = tol * torch.linalg.vector_norm(G), float("inf")
        # CG updates its residual by recurrence, which drifts from the true one, soon in float32:
        # begin again at the true residual, taken in float64, until that is small. So each round may
        # go in float32, which is faster, as long as the true residual falls a hundredfold.
        H, rounds = self._single or self, 0
        while rounds < MOST_RESTARTS:
            R = apart(G - self._true_product(V)) if V.any() else G
            residual = torch.linalg.vector_norm(R)
            if residual <= target:
                return (V + shared).to(self.X.dtype)
            if not residual <= 0.01 * last:
                H = self
            near = max(float(target / residual), TOLERANCE[H.X.dtype])
            most = MOST_STEPS if H is self else MOST_SINGLE_STEPS
            rounds += H is self
            step = H._cg_steps((R / residual).to(H.X.dtype), near / 2, most)
            V, last = V + residual * apart(step.double()), residual
        relative = float(residual / target) * tol
        raise SingularHessian(self.condition(), self.X.dtype, relative)

    @cached_property
    def _single(self) -> "Hessian | None":
        """H in float32, where it is not and its copy is small."""
        if self.X.dtype == torch.float32 or self.X.numel() > COPIED_ENTRIES:
            return None
        H = copy(self)
        H.X, H.P, H.wP, H.ridge = (M.float() for M in (self.X, self.P, self.wP, self.ridge))
        return H

    def _cg_steps(self, R: torch.Tensor, tol: float, most: int) -> torch.Tensor:
        """Conjugate gradients from zero to a residual, by recurrence, of ``tol``; R has norm 1.

        At most ``most`` steps.
        """
        precondition = self._preconditioner(tol)
        V, direction = torch.zeros_like(R), precondition(R)
        square = (R * direction).sum()
        for _step in range(most):
            image = self.product(direction)
            length = square / (direction * image).sum()
            if not torch.isfinite(length):  # the end of what these numbers can hold
                break
            V = V + length * direction
            R = R - length * image
            if torch.linalg.vector_norm(R) <= tol:
                break
            Z = precondition(R)
            previous, square = square, (R * Z).sum()
            direction = Z + (square / previous) * direction
        return V

    def _true_product(self, V: torch.Tensor) -> torch.Tensor:
        """``product`` in float64, whatever the rows are, a cacheful of them at a time."""
        if self.X.dtype == torch.float64:
            return self.product(V)
        total = self.ridge.double() * V
        rows = max(64, DENSE_ENTRIES // 2 // self.width)
        wide = V.new_empty(min(rows, len(self.X)), self.X.shape[1])  # new memory only once
        for X, P, wP in zip(*(M.split(rows) for M in (self.X, self.P, self.wP)), strict=True):
            block = Hessian(wide[: len(X)].copy_(X), P.double(), 0.0, self.fit_intercept)
            block.wP = wP.double()
            total += block.product(V)
        return total

    def _preconditioner(self, tol: float) -> Callable[[torch.Tensor], torch.Tensor]:
        """An easily inverted M near H: R ↦ M⁻¹R, for what the units do not share.

        The curvature in the logits, C_i = diag(p_i) − p_i p_iᵀ, differs between rows mostly in
        size: C_i ≈ w_i C with w_i its trace. Then H ≈ C ⊗ Σ w_i x_i x_iᵀ + penalty, which falls
        apart into one block of width × width for each eigenvector of C. Where n·D² and K·D³/3 for
        these blocks cost more than the steps they save (about 2·log10(1/tol), measured), the
        diagonal of Σ w_i x_i x_iᵀ has to do, which still evens out columns of unequal scale.
        """
        (n, D), units = self.X.shape, self.units
        if units == 1:
            eigenvalues, U = self.ridge.new_ones(1, 1), self.ridge.new_ones(1, 1)
        else:
            C = (torch.diag(self.wP.sum(0)) - self.wP.T @ self.P).double()
            eigenvalues, U = torch.linalg.eigh(C / C.trace().clamp(min=1e-30))
            eigenvalues, U = eigenvalues.to(self.X)[1:, None], U.to(self.X)[:, 1:]  # 0: all alike
        whole = units > 1 and D * (1 + units * D / (3 * n)) < 8 * units * -np.log10(tol)
        gram = self.X.new_zeros(self.width, self.width if whole else 1)
        for X, P, wP in self._row_blocks(self.width):
            w = (wP * (1 - P)).sum(1)
            gram += X.T @ (w[:, None] * X) if whole else (w @ X.square())[:, None]
        if whole:
            blocks = eigenvalues[..., None] * gram + torch.diag(self.ridge)
            factors, failed = torch.linalg.cholesky_ex(blocks)
            if not failed.any():
                return lambda R: U @ torch.cholesky_solve((U.T @ R)[..., None], factors)[..., 0]
            gram = gram.diagonal()[:, None]
        diagonal = eigenvalues.clamp(min=0) * gram[:, 0] + self.ridge
        diagonal = diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny)
        return lambda R: U @ ((U.T @ R) / diagonal)

    def _fixed_product(self, V: torch.Tensor) -> torch.Tensor:
        HV = self.product(V)
        if self._gauge_free:
            HV[:, -1] += V[:, -1].sum()
        return HV

    @property
    def _gauge_free(self) -> bool:
        return self.fit_intercept and self.units > 1


class SingularHessian(np.linalg.LinAlgError):
    """H cannot be inverted in the precision of its numbers; says how badly, and what helps."""

    def __init__(self, condition: float, dtype: torch.dtype, residual: float | None = None):
        self.condition = condition
        problem = f"too large for {str(dtype)[6:]}, about {condition:.0e}"
        if not np.isfinite(condition):
            problem = f"beyond {str(dtype)[6:]}: it is singular"
        stopped = (
            f"conjugate gradients stopped at a residual of {residual:.0e}: " if residual else ""
        )
        wider = ", float64" if dtype == torch.float32 else ""
        super().__init__(
            f"{stopped}the condition number of the Hessian is {problem}; features of one scale, "
            f"a larger l2{wider} or damping mend that"
        )
