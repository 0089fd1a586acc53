"""Logistic regression of one unit in as many dimensions as there are rows: for wide tables.

The penalised weights are a sum of rows, W = Xᵀα: at the optimum, λ·α is the target less the
probability of every row. So fits and solves need only the products of the rows, K = XXᵀ, and a
Cholesky factor of S = I + √D K √D / λ, with D the curvature p(1 − p) of every row and λ the l2.
All eigenvalues of S are 1 or more, also if rows are equal. Nothing is approximated. A step costs
about n³/3 multiplications, with the features n·width² + width³/3.

The head of models.py states the conventions.
"""

from typing import NamedTuple

import numpy as np
import torch

from numerics.linear import cross_entropy


class Dual(NamedTuple):
    """A fit: W = Xᵀalpha for alpha (n,), and the intercept, a tensor without dimensions."""

    alpha: torch.Tensor
    intercept: torch.Tensor


def is_cheaper(rows: int, width: int) -> bool:
    """Whether a Newton step on the rows' products takes fewer multiplications than on features."""
    return rows**3 / 3 < rows * width**2 + width**3 / 3


class Curvature:
    """The factor of S for rows with products K (n, n) and curvature d (n,), at a penalty l2.

    damping : the penalty on the intercept; None if there is no intercept.
    """

    def __init__(self, K: torch.Tensor, d: torch.Tensor, l2: float, damping: float | None):
        self.root, self.l2, self.damping = d.sqrt(), l2, damping
        S = (K * self.root).mul_(self.root[:, None] / l2)
        S.diagonal().add_(1.0)
        self.lower = torch.linalg.cholesky(S)

    def solve(
        self, products: torch.Tensor, intercept: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """H⁻¹(g, intercept) for a g (D,) with products Xg (n,): its c (n,) and its intercept.

        The weights of the solution are (g − Xᵀc)/l2.
        """
        right = torch.stack([self.root * products / self.l2, self.root], 1)
        a, h = torch.cholesky_solve(right, self.lower).unbind(1)
        if self.damping is None:
            return self.root * a, torch.zeros_like(intercept)
        b = (intercept - self.root @ a) / (self.damping + self.root @ h)
        return self.root * (a + b * h), b


def solve(
    X: torch.Tensor, K: torch.Tensor, d: torch.Tensor, ridge: torch.Tensor, G: torch.Tensor
) -> torch.Tensor:
    """H⁻¹ G for G (1, width), with H over rows X (n, D) of products K and curvature d (n,).

    ridge (width,) : as in ``hessian.Hessian``, the same for all weights. Raises LinAlgError if it
    is 0 on the weights, or H overflows.
    """
    D = X.shape[1]
    l2, has_intercept = float(ridge[0]), len(ridge) > D
    if not l2 > 0:
        raise np.linalg.LinAlgError("the Hessian of fewer rows than columns needs an l2 above 0")
    g, g_intercept = G[0, :D], G[0, -1]
    curvature = Curvature(K, d, l2, float(ridge[-1]) if has_intercept else None)
    c, b = curvature.solve(X @ g, g_intercept)
    V = (g - X.T @ c) / l2
    return (torch.cat([V, b[None]]) if has_intercept else V)[None]


def newton(
    K: torch.Tensor,
    t: torch.Tensor,
    l2: float,
    *,
    fit_intercept: bool,
    start: Dual | None = None,
    tol: float = 1e-10,
    max_iter: int = 2_000,
) -> tuple[Dual, int]:
    """The fit to rows of products K (n, n) with targets t (n,), 0 or 1, and its number of steps.

    start : where to begin, instead of at zero. tol, max_iter : as in ``models.LogisticRegression``,
    and the same line search. Raises LinAlgError if the steps do not converge.
    """
    eps, T = torch.finfo(K.dtype).eps, t[:, None]
    alpha, b = start or Dual(torch.zeros_like(t), t.new_zeros(()))
    z = K @ alpha
    loss = cross_entropy((z + b)[:, None], T) + l2 / 2 * (alpha @ z)
    for step in range(max_iter):
        p = torch.sigmoid(z + b)
        e, e_intercept = p - t + l2 * alpha, (p - t).sum() if fit_intercept else b
        Ke = K @ e
        norm = float((e @ Ke).clamp(min=0) + e_intercept**2) ** 0.5
        if norm <= tol * len(t):
            return Dual(alpha, b), step
        curvature = Curvature(K, p * (1 - p), l2, 0.0 if fit_intercept else None)
        c, d_b = curvature.solve(Ke, e_intercept)
        d = (e - c) / l2
        dz = K @ d
        slope = e @ dz + e_intercept * d_b
        length = 1.0
        while length > 1e-10:
            tried = Dual(alpha - length * d, b - length * d_b)
            z_new = z - length * dz
            loss_new = cross_entropy((z_new + tried.intercept)[:, None], T)
            loss_new = loss_new + l2 / 2 * (tried.alpha @ z_new)
            if loss_new <= loss - 1e-4 * length * slope + 50 * eps * abs(loss):
                break
            length /= 2
        (alpha, b), z, loss = tried, z_new, loss_new
    raise np.linalg.LinAlgError(
        f"Newton's method did not converge in {max_iter} steps (gradient {norm:.1e}): scale the "
        "features or raise l2"
    )
