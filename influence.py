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

from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch

from hessian import Hessian
from models import LogisticRegression
from units import as_tensor, cross_entropy, probabilities, project, pull_back, targets

FINITE_ENTRIES = 4_000_000  # numbers held at once for the finite step: 32 MB
CHUNK_ENTRIES = 4_000_000  # features scored at once
CHUNK_LOGITS = 250_000  # logits made at once by the first-order benefit: they stay in the cache


def memberships(model: LogisticRegression, y) -> torch.Tensor:
    """Whether each label of y (n,) is each of ``model.classes_``: bool (n, K), class by class.

    Raises ValueError for a label that is none of them.
    """
    y = y.cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    member = y == model.classes_[:, None]
    known = member.any(0)
    if not known.all():
        raise ValueError(f"label {y[~known][0]} is no class of the model: {model.classes_}")
    return torch.from_numpy(member).to(model.theta_.device).T


def class_numbers(model: LogisticRegression, y) -> torch.Tensor:
    """Position of each label of y (n,) in ``model.classes_``; ValueError for a label not there."""
    return memberships(model, y).long().argmax(1)


def class_targets(model: LogisticRegression, y) -> torch.Tensor:
    """The units' targets (n, U) for the labels y (n,); ValueError for one that is no class."""
    return memberships(model, y)[:, -len(model.theta_) :].to(model.theta_.dtype)


def features(model: LogisticRegression, X) -> torch.Tensor:
    """X (n, D) as a tensor where and of what the model's weights are."""
    return as_tensor(X, model.theta_.device, model.theta_.dtype)


def loss(model: LogisticRegression, X, y) -> float:
    """Sum of the cross-entropies over X (n, D) and y (n,), without the penalty."""
    Z = project(features(model, X), model.theta_)
    return float(cross_entropy(Z, class_targets(model, y)))


def gradient(model: LogisticRegression, X, y) -> torch.Tensor:
    """Gradient of ``loss`` in theta: the shape of ``model.theta_``."""
    X = features(model, X)
    P = probabilities(project(X, model.theta_))  # (n, U)
    return pull_back(P - class_targets(model, y), X, model.fit_intercept)


def hessian(
    model: LogisticRegression,
    X,
    l2: float | None = None,
    *,
    damping: float = 0.0,
    weights: torch.Tensor | None = None,
) -> Hessian:
    """Hessian over the rows X (n, D), with the model's penalty unless ``l2`` names another.

    damping, weights : see ``Hessian``.
    """
    X = features(model, X)
    P = probabilities(project(X, model.theta_))
    l2 = model.l2 if l2 is None else l2
    return Hessian(X, P, l2, model.fit_intercept, damping=damping, weights=weights)


def inverse_hvp(
    model: LogisticRegression, X, G: torch.Tensor, *, solver="auto", damping: float = 0.0
) -> torch.Tensor:
    """H⁻¹ G with H over the rows X (n, D): the shape of ``model.theta_``. See ``Hessian.solve``."""
    return hessian(model, X, damping=damping).solve(G, solver=solver)


class Influence:
    """Benefits at one fitted model: what does not depend on the rows to score is computed once.

    Parameters are those of ``benefit``; ``X_hessian`` may be a ``Hessian`` made before, and
    ``start`` a V near the solution, such as the last round's, from which CG begins.
    ``first`` and ``finite`` take X (n, D), array or tensor, and give a tensor (n, K); they convert
    and score ``CHUNK_ENTRIES`` numbers at a time, so that memory grows with n × K only.
    """

    def __init__(
        self,
        model,
        X_hessian,
        X_validation,
        y_validation,
        *,
        solver: str = "auto",
        damping: float = 0.0,
        start: torch.Tensor | None = None,
    ):
        self.model, self.solver, self.start = model, solver, start
        ready = isinstance(X_hessian, Hessian)
        self.hessian = X_hessian if ready else hessian(model, X_hessian, damping=damping)
        self.gradient = gradient(model, X_validation, y_validation)
        self.X_validation = X_validation

    @cached_property
    def solution(self) -> torch.Tensor:
        """V = H⁻¹ g, (U, width)."""
        return self.hessian.solve(self.gradient, solver=self.solver, start=self.start)

    @property
    def condition(self) -> float:
        """An estimate of H's condition number where the solver has it: NaN for CG."""
        return self.hessian.known_condition

    def first(self, X) -> torch.Tensor:
        """The first-order benefit, the paper's: one product of X with 2U columns."""
        rows = min(CHUNK_ENTRIES // X.shape[1], CHUNK_LOGITS // len(self.gradient))
        return self._by_chunk(self._first, X, rows)

    def finite(self, X) -> torch.Tensor:
        """The benefit after the whole step that a row makes, its own curvature included.

        Adding (x, c) moves theta by −H⁻¹(a ⊗ x), where a (U,) solves a = p(z − B a) − e_c with
        B_jk = xᵀ[H⁻¹]_jk x: the residual at which the row's pull comes to rest. To second order in
        the validation loss, whose Hessian is H_v, that is worth a·S − ½ aᵀQ a with
        Q_jk = xᵀ[H⁻¹H_vH⁻¹]_jk x.

        Cost: two products of n × (U·width)², the (U·width)³ of an inverse, and U × U systems.
        Raises ValueError where there are more than ``hessian.DENSE_PARAMETERS`` parameters.
        """
        rows = FINITE_ENTRIES // (self.gradient.numel() * len(self.gradient))
        return self._by_chunk(self._finite, X, rows)

    def class_probabilities(self, X) -> torch.Tensor:
        """The model's p(c|x)."""
        P = probabilities(project(features(self.model, X), self.model.theta_))
        return torch.cat([1 - P, P], 1) if P.shape[1] == 1 else P

    def _by_chunk(self, score: Callable, X, rows: int) -> torch.Tensor:
        rows = max(rows, 1)
        if len(X) <= rows:
            return score(features(self.model, X))
        scores = self.gradient.new_empty(len(self.model.classes_), len(X))
        for i in range(0, len(X), rows):
            scores[:, i : i + rows] = score(features(self.model, X[i : i + rows])).T
        return scores.T

    def _first(self, X: torch.Tensor) -> torch.Tensor:
        Z, S = self._project(X)
        if Z.shape[1] > 1:
            return probabilities(Z).mul_(S).sum(1, keepdim=True) - S
        scores = Z.new_empty(2, len(X))
        torch.mul(probabilities(Z)[:, 0], S[:, 0], out=scores[0])
        torch.sub(scores[0], S[:, 0], out=scores[1])
        return scores.T

    def _project(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = project(X, torch.cat([self.model.theta_, self.solution]))  # one pass over X
        units = len(self.solution)
        return both[:, :units], both[:, units:]  # logits Z and S, (n, U) each

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
        a = resting_residual(Z, B, targets(classes, Z.shape[1], Z.dtype))  # (n, K, U)
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

    rest = 1e-12 if Z.dtype == torch.float64 else 1e-6
    a = probabilities(Z)[:, None] - T
    P, F = residual(a)
    for _ in range(50):
        if F.abs().max() < rest:
            break
        if units == 1:
            step = F / (1 + P * (1 - P) * B)
        else:
            J = torch.diag_embed(P) - P[..., None] * P[..., None, :]
            step = torch.linalg.solve(torch.eye(units).to(J) + J @ B[:, None], F)
        length = torch.ones_like(a[..., :1])
        before = F.norm(dim=2, keepdim=True).clamp(min=rest)  # below it, all is rounding
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
    damping: float = 0.0,
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
    damping : added to the diagonal of H.
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
    influence = Influence(
        model, X_hessian, X_validation, y_validation, solver=solver, damping=damping
    )
    scores = getattr(influence, step)(X_pool)
    return scores.to(X_pool.device) if isinstance(X_pool, torch.Tensor) else scores.cpu().numpy()
