"""Influence: by how much the validation loss falls if one more row, with one label, is added.

Paper (arXiv 2405.17627), section 3. With the conventions at the head of models.py (sum of losses,
units U, theta with the intercept last):

- g, the gradient of the SUM of validation losses at the fitted weights, without the penalty;
- H, the Hessian of the sum of losses over ``X_hessian`` plus l2·I. The paper's text sums over the
  labeled set, its published curves over the pool: the caller passes the rows;
- benefit(x, c) = ∇l(x, c)ᵀ H⁻¹ g. Positive: the validation loss falls.

The gradient of the cross-entropy is (p − e_c) ⊗ x. So with V = H⁻¹ g, (U, D), and S = X Vᵀ, (n, U),

    benefit[i, c] = Σ_k p_ik S_ik − S_ic            (softmax)
    benefit[i, 0] = p_i S_i,  benefit[i, 1] = (p_i − 1) S_i    (one sigmoid unit)

and all classes of all rows cost one product of X with 2U columns; nothing of size n × K·D exists.
From Σ_c p_ic (p_i − e_c) = 0 follows Σ_c p_ic benefit[i, c] = 0.
"""

from functools import cached_property

import numpy as np
import torch

from models import (
    Hessian,
    LogisticRegression,
    as_tensor,
    cross_entropy,
    probabilities,
    project,
    pull_back,
    targets,
)

FINITE_ENTRIES = 4_000_000  # numbers held at once for the finite step: 32 MB


def class_numbers(model: LogisticRegression, y) -> torch.Tensor:
    """Position of each label of y (n,) in ``model.classes_``; ValueError for a label not there."""
    y = y.cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    codes = np.searchsorted(model.classes_, y).clip(max=len(model.classes_) - 1)
    unknown = model.classes_[codes] != y
    if unknown.any():
        raise ValueError(f"label {y[unknown][0]} is no class of the model: {model.classes_}")
    return torch.as_tensor(codes, device=model.theta_.device)


def loss(model: LogisticRegression, X, y) -> float:
    """Sum of the cross-entropies over X (n, D) and y (n,), without the penalty."""
    Z = project(as_tensor(X, model.theta_.device), model.theta_)
    return float(cross_entropy(Z, targets(class_numbers(model, y), len(model.theta_))))


def gradient(model: LogisticRegression, X, y) -> torch.Tensor:
    """Gradient of ``loss`` in theta: the shape of ``model.theta_``."""
    X = as_tensor(X, model.theta_.device)
    residual = probabilities(project(X, model.theta_))  # (n, U)
    residual = residual - targets(class_numbers(model, y), residual.shape[1])
    return pull_back(residual, X, model.fit_intercept)


def hessian(model: LogisticRegression, X, l2: float | None = None) -> Hessian:
    """Hessian over the rows X (n, D), with the model's penalty unless ``l2`` names another."""
    X = as_tensor(X, model.theta_.device)
    P = probabilities(project(X, model.theta_))
    return Hessian(X, P, model.l2 if l2 is None else l2, model.fit_intercept)


def inverse_hvp(model: LogisticRegression, X, G: torch.Tensor, *, solver="auto") -> torch.Tensor:
    """H⁻¹ G with H over the rows X (n, D): the shape of ``model.theta_``. See ``Hessian.solve``."""
    return hessian(model, X).solve(G, solver=solver)


class Influence:
    """Benefits at one fitted model: what does not depend on the rows to score is computed once.

    Parameters are those of ``benefit``. The methods take a tensor X (n, D) and give (n, K).
    """

    def __init__(self, model, X_hessian, X_validation, y_validation, *, solver: str = "auto"):
        self.model, self.solver = model, solver
        ready = isinstance(X_hessian, Hessian)  # such as stream.pool_hessian makes
        self.hessian = X_hessian if ready else hessian(model, X_hessian)
        self.gradient = gradient(model, X_validation, y_validation)
        self.X_validation = X_validation

    @cached_property
    def solution(self) -> torch.Tensor:
        """V = H⁻¹ g, (U, width)."""
        return self.hessian.solve(self.gradient, solver=self.solver)

    def first(self, X: torch.Tensor) -> torch.Tensor:
        """The first-order benefit, the paper's: one product of X with 2U columns."""
        Z, S = self._project(X)
        P = probabilities(Z)
        if P.shape[1] == 1:
            return torch.cat([P * S, (P - 1) * S], 1)
        return (P * S).sum(1, keepdim=True) - S

    def finite(self, X: torch.Tensor) -> torch.Tensor:
        """The benefit after the whole step that a row makes, its own curvature included.

        Adding (x, c) moves theta by −H⁻¹(a ⊗ x), where a (U,) solves a = p(z − B a) − e_c with
        B_jk = xᵀ[H⁻¹]_jk x: the residual at which the row's pull comes to rest. To second order in
        the validation loss, whose Hessian is H_v, that is worth a·S − ½ aᵀQ a with
        Q_jk = xᵀ[H⁻¹H_vH⁻¹]_jk x.

        Cost: two products of n × (U·width)², the (U·width)³ of an inverse, and U × U systems.
        Raises ValueError where there are more than ``models.DENSE_PARAMETERS`` parameters.
        """
        rows = max(1, FINITE_ENTRIES // (self.gradient.numel() * len(self.gradient)))
        return torch.cat([self._finite(chunk) for chunk in X.split(rows)])

    def class_probabilities(self, X: torch.Tensor) -> torch.Tensor:
        """The model's p(c|x)."""
        P = probabilities(project(X, self.model.theta_))
        return torch.cat([1 - P, P], 1) if P.shape[1] == 1 else P

    def _project(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = project(X, torch.cat([self.model.theta_, self.solution]))  # one pass over X
        return both.split(len(self.solution), dim=1)  # logits Z and S, (n, U) each

    @cached_property
    def _blocks(self) -> tuple[torch.Tensor, torch.Tensor]:
        """H⁻¹ and H⁻¹H_vH⁻¹, each as (U, width, U, width)."""
        inverse = self.hessian.inverse()
        curvature = hessian(self.model, self.X_validation, l2=0.0).dense()
        shape = 2 * tuple(self.gradient.shape)
        return inverse.reshape(shape), (inverse @ curvature @ inverse).reshape(shape)

    def _finite(self, X: torch.Tensor) -> torch.Tensor:
        Z, S = self._project(X)
        if self.model.fit_intercept:
            X = torch.cat([X, X.new_ones(len(X), 1)], 1)
        B, Q = (
            torch.einsum("njkw,nw->njk", torch.tensordot(X, blocks, dims=([1], [1])), X)
            for blocks in self._blocks
        )  # (n, U, U) each
        classes = torch.arange(len(self.model.classes_), device=X.device)
        a = resting_residual(Z, B, targets(classes, Z.shape[1]))  # (n, K, U)
        return (a * S[:, None]).sum(2) - torch.einsum("ncj,njk,nck->nc", a, Q, a) / 2


def resting_residual(Z: torch.Tensor, B: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """Solve a = p(z − B a) − t for every row and target: Newton, halved where it overshoots.

    Z (n, U) logits; B (n, U, U), positive semidefinite; T (K, U) the targets: a (n, K, U).
    """
    units = Z.shape[1]

    def residual(a):
        moved = a * B if units == 1 else a @ B  # one unit: no matrices of one number
        P = probabilities((Z[:, None] - moved).reshape(-1, units)).reshape(a.shape)
        return P, a - P + T

    a = probabilities(Z)[:, None] - T
    P, F = residual(a)
    for _ in range(50):
        if F.abs().max() < 1e-12:
            break
        if units == 1:
            step = F / (1 + P * (1 - P) * B)
        else:
            J = torch.diag_embed(P) - P[..., None] * P[..., None, :]
            step = torch.linalg.solve(torch.eye(units).to(J) + J @ B[:, None], F)
        length = torch.ones_like(a[..., :1])
        before = F.norm(dim=2, keepdim=True).clamp(min=1e-12)  # below it, all is rounding
        for _ in range(10):
            tried = a - length * step
            P, F_new = residual(tried)
            worse = F_new.norm(dim=2, keepdim=True) > before
            if not worse.any():
                break
            length = torch.where(worse, length / 2, length)
        a, F = tried, F_new
    return a


def benefit(
    model: LogisticRegression,
    X_hessian,
    X_validation,
    y_validation,
    X_pool,
    *,
    solver: str = "auto",
    step: str = "first",
):
    """Predicted fall of the summed validation loss for every pool row under every label.

    Parameters
    ----------
    model : fitted LogisticRegression.
    X_hessian (m, D) : rows over which H sums: the pool or the labeled set.
    X_validation (v, D), y_validation (v,) : the validation set.
    X_pool (n, D) : the rows to score. NumPy array or tensor; the answer is of the same kind.
    solver : "auto", "cholesky" or "cg".
    step : "first", the paper's first-order estimate, or "finite", which is right for outliers too
        and costs two products of n × (U·D)² more (see ``Influence.finite``).

    Returns
    -------
    (n, K), columns in the order of ``model.classes_``.

    Raises ValueError for a validation label that the model does not know, an unknown step, or too
    many parameters for a finite one; its subclass LinAlgError for a singular H.
    """
    if step not in ("first", "finite"):
        raise ValueError(f"unknown step {step!r}: choose first or finite")
    influence = Influence(model, X_hessian, X_validation, y_validation, solver=solver)
    scores = getattr(influence, step)(as_tensor(X_pool, model.theta_.device))
    return scores.to(X_pool.device) if isinstance(X_pool, torch.Tensor) else scores.cpu().numpy()
