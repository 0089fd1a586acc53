"""Conjugate gradients (CG) for H V = G, with a preconditioner for the Hessians of hessian.py.

CG needs only products H V. This solver differs from scipy's in four ways: its preconditioner uses
the structure of these Hessians; it takes its steps in float32 as long as these reduce the residual
enough; it computes the true residual G − H V in float64 before it accepts a solution; and it raises
an error if the residual stays above the tolerance.

V and G are (U, width), a row for each unit (see the head of models.py). A softmax does not change
if the same row is added to all rows of theta. So the mean over the rows of V meets no curvature but
the penalty, and is solved by one division. CG solves for the deviations from that mean. If it
solved for the mean too, rounding errors would grow along it, and in float32 it would take half as
many steps again.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}  # relative residual, by type of H
MOST_STEPS = 2_000  # of CG between two computations of the true residual
MOST_FLOAT32_STEPS = 300  # the same if the steps are in float32 but H is in float64
MOST_ROUNDS = 5  # of steps in the type of H; each round begins at the true residual

Preconditioner = Callable[[torch.Tensor], torch.Tensor]


class System(Protocol):
    """What CG and its preconditioner need of a Hessian H; hessian.Hessian documents it."""

    X: torch.Tensor
    P: torch.Tensor
    wP: torch.Tensor
    ridge: torch.Tensor
    units: int
    width: int

    @property
    def in_float32(self) -> "System | None": ...

    def product(self, V: torch.Tensor) -> torch.Tensor: ...

    def product_in_float64(self, V: torch.Tensor) -> torch.Tensor: ...

    def preconditioner(self, tol: float) -> Preconditioner: ...

    def row_blocks(self, entries: int) -> Iterator[tuple[torch.Tensor, ...]]: ...


class NotConverged(ArithmeticError):
    """The relative residual, ``residual``, stayed above the tolerance."""

    def __init__(self, residual: float):
        super().__init__(f"conjugate gradients stopped at a relative residual of {residual:.0e}")
        self.residual = residual


def conjugate_gradients(
    H: System, G: torch.Tensor, tol: float, start: torch.Tensor | None = None
) -> torch.Tensor:
    """V with H V = G for G (U, width), in float64: (U, width).

    tol : largest residual of V, divided by that of zero, both without their mean over the units.
    start : a V near the solution, to begin there instead of at zero.

    Raises NotConverged if the residual stays larger; ValueError at once for NaN or inf.
    """
    if not (G.isfinite().all() and H.P.isfinite().all()):
        raise ValueError(
            "the gradient or the predicted probabilities hold NaN or inf: look for them in the "
            "features of the labeled and validation rows and in the fitted model"
        )
    G = G.double()
    shared = G.mean(0) if H.units > 1 else torch.zeros_like(G[0])
    shared = torch.where(H.ridge > 0, shared / H.ridge.double(), 0.0)
    G = without_mean(G)
    V = torch.zeros_like(G) if start is None else without_mean(start.to(G))
    target, last = tol * torch.linalg.vector_norm(G), float("inf")
    # CG updates its residual by a recurrence, which drifts away from the true residual, in float32
    # within few steps. So every round begins at the true residual, computed in float64. A round may
    # itself use float32, which is faster, as long as the true residual falls a hundredfold.
    system, rounds = H.in_float32 or H, 0
    while rounds < MOST_ROUNDS:
        R = without_mean(G - H.product_in_float64(V)) if V.any() else G
        residual = torch.linalg.vector_norm(R)
        if residual <= target:
            return V + shared
        if not residual <= 0.01 * last:
            system = H
        near = max(float(target / residual), TOLERANCE[system.X.dtype])
        most = MOST_STEPS if system is H else MOST_FLOAT32_STEPS
        rounds += system is H
        step = cg_steps(system, (R / residual).to(system.X.dtype), near / 2, most)
        V, last = V + residual * without_mean(step.double()), residual
    raise NotConverged(float(residual / target) * tol)


def without_mean(R: torch.Tensor) -> torch.Tensor:
    """R (U, width) less its mean over the units; R itself if there is one unit."""
    return R - R.mean(0) if len(R) > 1 else R


def cg_steps(H: System, R: torch.Tensor, tol: float, most: int) -> torch.Tensor:
    """At most ``most`` steps of CG for H V = R from V = 0, in the type of H: (U, width).

    R (U, width) has norm 1. The steps end once the residual of the recurrence is at most ``tol``.
    """
    precondition = H.preconditioner(tol)
    V, direction = torch.zeros_like(R), precondition(R)
    square = (R * direction).sum()
    for _step in range(most):
        image = H.product(direction)
        length = square / (direction * image).sum()
        if not torch.isfinite(length):  # the residual is below what this type can represent
            break
        V = V + length * direction
        R = R - length * image
        if torch.linalg.vector_norm(R) <= tol:
            break
        Z = precondition(R)
        previous, square = square, (R * Z).sum()
        direction = Z + (square / previous) * direction
    return V


def kronecker_preconditioner(H: System, tol: float) -> Preconditioner:
    """R ↦ M⁻¹R, with M near H and easily inverted, for an R (U, width) without its mean.

    C_i = diag(p_i) − p_i p_iᵀ, the curvature of row i in its logits, differs between rows mostly in
    size: C_i ≈ w_i C, with w_i the trace of C_i. Then H ≈ C ⊗ Σ w_i x_i x_iᵀ + penalty, which
    splits into a block of width × width for each eigenvector of C but the constant one.

    The blocks take about n·D² multiplications to build and K·D³/3 to factor. If that costs more
    than the steps of CG that they save (about 2·log10(1/tol), measured), the diagonal of
    Σ w_i x_i x_iᵀ takes the place of the matrix. It still compensates for columns of unequal scale.
    """
    (n, D), units = H.X.shape, H.units
    eigenvalues, U = logit_curvature(H)
    use_blocks = units > 1 and D * (1 + units * D / (3 * n)) < 8 * units * -np.log10(tol)
    gram = H.X.new_zeros(H.width, H.width if use_blocks else 1)
    for X, P, wP in H.row_blocks(H.width):
        w = (wP * (1 - P)).sum(1)
        gram += X.T @ (w[:, None] * X) if use_blocks else (w @ X.square())[:, None]
    if use_blocks:
        blocks = eigenvalues[..., None] * gram + torch.diag(H.ridge)
        factors, failed = torch.linalg.cholesky_ex(blocks)
        if not failed.any():
            return lambda R: U @ torch.cholesky_solve((U.T @ R)[..., None], factors)[..., 0]
        gram = gram.diagonal()[:, None]
    diagonal = eigenvalues.clamp(min=0) * gram[:, 0] + H.ridge
    diagonal = diagonal.clamp(min=torch.finfo(diagonal.dtype).tiny)
    return lambda R: U @ ((U.T @ R) / diagonal)


def logit_curvature(H: System) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (U − 1, 1) and eigenvectors (U, U − 1) of C, its trace scaled to 1.

    The constant eigenvector, of eigenvalue 0, is left out. For one unit C is the number 1.
    """
    if H.units == 1:
        return H.ridge.new_ones(1, 1), H.ridge.new_ones(1, 1)
    C = (torch.diag(H.wP.sum(0)) - H.wP.T @ H.P).double()
    eigenvalues, U = torch.linalg.eigh(C / C.trace().clamp(min=1e-30))
    return eigenvalues.to(H.X)[1:, None], U.to(H.X)[:, 1:]
