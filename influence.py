"""Influence: by how much the validation loss falls if one more row is added with a given label.

The paper is arXiv 2405.17627, section 3. With the conventions at the head of models.py (sum of
losses, units U, theta with the intercept last):

- g is the gradient of the SUM of the validation losses at the fitted weights, without the penalty.
- H is the Hessian of the sum of the losses over ``X_hessian``, plus l2·I. The paper's text sums
  over the labeled set, its published curves over the pool: the caller passes the rows.
- benefit(x, c) = ∇l(x, c)ᵀ H⁻¹ g. If it is positive, the validation loss falls.

The gradient of the cross-entropy is (p − e_c) ⊗ x. So with V = H⁻¹ g, (U, D), and S = X Vᵀ, (n, U),

    benefit[i, c] = Σ_k p_ik S_ik − S_ic                       (softmax)
    benefit[i, 0] = p_i S_i,  benefit[i, 1] = (p_i − 1) S_i    (one sigmoid unit)

One product of X with 2U columns gives Z and S, and so the benefits of all rows and classes. Nothing
of size n × K·D is built. Σ_c p_ic (p_i − e_c) = 0 implies Σ_c p_ic benefit[i, c] = 0.
"""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.linalg import LinAlgError

from models import LogisticRegression
from numerics import validation
from numerics.finite_step import residual_after_step
from numerics.hessian import Hessian
from numerics.linear import (
    Array,
    as_tensor,
    class_probabilities,
    cross_entropy,
    probabilities,
    project,
    pull_back,
    targets,
)

FINITE_ENTRIES = 4_000_000  # numbers in a chunk of the finite step: 32 MB
CHUNK_ENTRIES = 4_000_000  # most features in a chunk of the first-order benefit
# Most logits in a chunk of the first-order benefit: they stay in the processor's cache.
CHUNK_LOGITS = 250_000
Score = Callable[[torch.Tensor], torch.Tensor]

# --- loss, gradient and Hessian of a fitted model -------------------------------------------------


def memberships(
    model: LogisticRegression, y: Any, name: str = "y", rows: int | None = None, of: str = "X"
) -> torch.Tensor:
    """Whether each label of y (n,) is each of ``model.classes_``: bool (n, K).

    name, rows, of : as in ``validation.labels``.

    Raises ValueError for a label that is no class of the model, or another number of labels.
    """
    y = validation.labels(y, name, rows, of=of)
    member = validation.is_each(y, model.classes_, name)
    if np.count_nonzero(member) < len(y):  # a label is at most one of the classes
        raise ValueError(f"label {y[~member.any(0)][0]} is no class of the model: {model.classes_}")
    return torch.from_numpy(member).to(model.theta_.device).T


def class_numbers(model: LogisticRegression, y: Array) -> torch.Tensor:
    """The position of each label of y (n,) in ``model.classes_``, (n,).

    Raises ValueError as ``memberships`` does.
    """
    return memberships(model, y).long().argmax(1)


def class_targets(
    model: LogisticRegression, y: Any, name: str = "y", rows: int | None = None, of: str = "X"
) -> torch.Tensor:
    """The units' targets (n, U) for the labels y (n,). Arguments and errors as ``memberships``."""
    return memberships(model, y, name, rows, of)[:, -len(model.theta_) :].to(model.theta_.dtype)


def features(
    model: LogisticRegression, X: Any, name: str = "X", *, finite: bool = True
) -> torch.Tensor:
    """X (n, D) as a tensor of the type of the model's weights, on their device, checked.

    finite : whether to check that the numbers are finite, which is a pass over X.

    Raises ValueError unless X is finite and has the columns of the model; NotFittedError, a
    ValueError, for an unfitted model; TypeError for another kind of model (see
    ``numerics.validation``). All functions of this module raise the same.
    """
    validation.check_model(model, LogisticRegression, "theta_")
    width, names = columns(model)
    theta = model.theta_
    return validation.features(
        X, name, width, names, device=theta.device, dtype=theta.dtype, finite=finite
    )


def columns(model: LogisticRegression) -> tuple[int, list[str] | None]:
    """How many columns the model knows, and their names if it was fitted to a data frame."""
    width = model.theta_.shape[1] - bool(model.fit_intercept)
    return width, getattr(model, "feature_names_in_", None)


def loss(model: LogisticRegression, X: Any, y: Any) -> float:
    """Sum of the cross-entropies over X (n, D) and y (n,), without the penalty.

    Raises ValueError for a label that is no class of the model.
    """
    Z = project(features(model, X), model.theta_)
    return float(cross_entropy(Z, class_targets(model, y, rows=len(Z))))


def gradient(
    model: LogisticRegression,
    X: Any,
    y: Any,
    names: tuple[str, str] = ("X", "y"),
    *,
    finite: bool = True,
) -> torch.Tensor:
    """Gradient of ``loss`` in theta over X (n, D) and y (n,), of the shape of ``model.theta_``.

    names : how messages call X and y. finite : as in ``features``.

    Raises ValueError for a label that is no class of the model, and as ``features`` does.
    """
    X = features(model, X, names[0], finite=False)
    validation.check_rows(X, names[0])
    T = class_targets(model, y, names[1], len(X), names[0])
    P = probabilities(project(X, model.theta_))  # (n, U)
    G = pull_back(P - T, X, model.fit_intercept)
    if finite and not isfinite(G.sum()):  # P − T hides none: it is 0, ±1 or NaN then
        validation.check_finite(X, names[0])
    return G


def hessian(
    model: LogisticRegression,
    X: Any,
    l2: float | None = None,
    *,
    damping: float = 0.0,
    weights: torch.Tensor | None = None,
    name: str = "X",
    finite: bool = True,
) -> Hessian:
    """The Hessian of the penalised loss over the rows X (n, D).

    l2 : the penalty; None means the model's. damping, weights : see ``Hessian``.
    name : how messages call X. finite : as in ``features``.
    """
    X = features(model, X, name, finite=finite)
    P = probabilities(project(X, model.theta_))
    l2 = model.l2 if l2 is None else l2
    return Hessian(X, P, l2, model.fit_intercept, damping=damping, weights=weights)


def falls_by_row(
    model: LogisticRegression,
    X_hessian: Any,
    X_validation: Any,
    y_validation: Any,
    x: Any,
    label: object,
    *,
    solver: str = "auto",
    damping: float = 0.0,
) -> torch.Tensor:
    """The predicted fall of the loss of each validation row if (x, label) joins, first order: (v,).

    fall_v = ∇l_v(θ)ᵀ H⁻¹ ∇l(x, c). The falls add up to the benefit, because g = Σ_v ∇l_v(θ).

    x (D,) : the row that joins. All else, and the errors raised, as in ``benefit``; ValueError also
    for a ``label`` that is no class of the model.
    """
    step = gradient(model, validation.one_row(x, "x"), [label], ("x", "label"))
    H = hessian(model, X_hessian, damping=damping, name="X_hessian")
    V = H.solve(step, solver=solver)
    X = features(model, X_validation, "X_validation")
    T = class_targets(model, y_validation, "y_validation", len(X), "X_validation")
    residuals = probabilities(project(X, model.theta_)) - T
    return (residuals * project(X, V)).sum(1)


# --- benefits -------------------------------------------------------------------------------------


class Influence:
    """The benefits at one fitted model. All that depends on no row to score is computed once.

    Parameters
    ----------
    model, X_validation, y_validation, solver, damping : as in ``benefit``.
    X_hessian : as in ``benefit``, or a ``Hessian``.
    start : a V near the solution, such as the last round's, where CG begins.

    ``first`` and ``finite`` take X (n, D), in any form that ``benefit`` takes, and give a tensor
    (n, K). They convert and score a chunk of rows at a time, so that memory grows with n × K only.

    Raises ValueError and TypeError as ``benefit`` does.
    """

    def __init__(
        self,
        model: LogisticRegression,
        X_hessian: Any,
        X_validation: Any,
        y_validation: Any,
        *,
        solver: str = "auto",
        damping: float = 0.0,
        start: torch.Tensor | None = None,
    ):
        self.model, self.solver, self.start = model, solver, start
        if isinstance(X_hessian, Hessian):
            self.hessian = X_hessian
        else:
            self.hessian = hessian(
                model, X_hessian, damping=damping, name="X_hessian", finite=False
            )
        names = "X_validation", "y_validation"
        self.gradient = gradient(model, X_validation, y_validation, names, finite=False)
        validation.check_start(start, self.gradient)
        self.X_validation = X_validation

    @cached_property
    def solution(self) -> torch.Tensor:
        """V = H⁻¹ g, (U, width). Raises as ``Hessian.solve`` does."""
        try:
            V = self.hessian.solve(self.gradient, solver=self.solver, start=self.start)
        except ValueError:
            self._check_known_rows()
            raise
        if not isfinite(V.sum()):  # V is small: to look at it first saves a pass over the rows
            self._check_known_rows()
        return V

    def _check_known_rows(self) -> None:
        """Raise ValueError if a row of H or a validation row is not finite: that spoils V."""
        validation.check_finite(self.hessian.X, "X_hessian")
        features(self.model, self.X_validation, "X_validation")

    @property
    def condition(self) -> float:
        """An estimate of the condition number of H; NaN if the solver, as CG, gives none."""
        return self.hessian.known_condition

    def first(self, X: Any) -> torch.Tensor:
        """The paper's benefit, a first-order estimate, of X (n, D): (n, K)."""
        (width, _), units = columns(self.model), len(self.gradient)
        rows = min(CHUNK_ENTRIES // width, CHUNK_LOGITS // units)
        # One unit has the benefits p S and p S − S: both are finite if the second is.
        return self._by_chunk(self._first, X, rows, looked_at=slice(-units, None))

    def finite(self, X: Any) -> torch.Tensor:
        """The benefit of X (n, D) after a finite step, which includes the row's curvature: (n, K).

        Adding (x, c) moves theta by −H⁻¹(a ⊗ x). The vector a (U,) is the residual of the row after
        the step: it solves a = p(z − B a) − e_c with B_jk = xᵀ[H⁻¹]_jk x. To second order in the
        validation loss, whose Hessian is H_v, the step lowers this loss by a·S − ½ aᵀQ a with
        Q_jk = xᵀ[H⁻¹H_vH⁻¹]_jk x. docs/method.md derives it; it is not in the paper.

        It costs two products of n × (U·width)², the (U·width)³ of an inverse, and systems of U × U.

        Raises ValueError if there are more than ``hessian.DENSE_PARAMETERS`` parameters.
        """
        rows = FINITE_ENTRIES // (self.gradient.numel() * len(self.gradient))
        return self._by_chunk(self._finite, X, rows)

    def class_probabilities(self, X: Any) -> torch.Tensor:
        """The model's p(c|x) for X (n, D): (n, K)."""
        return class_probabilities(project(features(self.model, X), self.model.theta_))

    def without_rows(self) -> "Influence":
        """A solved copy, small enough to be sent to other processes.

        It has neither the validation rows nor those of the Hessian, so that only ``first`` and
        ``class_probabilities`` work.
        """
        self.solution  # noqa: B018, computed here, once
        small = copy(self)
        for name in ("hessian", "X_validation", "_blocks"):
            vars(small).pop(name, None)
        return small

    def _by_chunk(
        self, score: Score, X: Any, rows: int, looked_at: slice = slice(None)
    ) -> torch.Tensor:
        """``score`` of X, ``rows`` rows at a time: (n, K). All is finite if ``looked_at`` is.

        Raises ValueError for a number that is not finite, and its subclass LinAlgError if a benefit
        overflows. Both make a score NaN or infinite, and there are fewer scores than features.
        """
        X = validation.table_for(X, "the pool", *columns(self.model))
        if not len(X):
            self.solution  # noqa: B018, for what it raises
            return self.gradient.new_empty(0, len(self.model.classes_))
        rows = max(rows, 1)
        place = self.gradient.device, self.gradient.dtype
        if len(X) <= rows:
            scores = score(as_tensor(X, *place))
        else:
            scores = self.gradient.new_empty(len(self.model.classes_), len(X)).T
            for i in range(0, len(X), rows):
                scores[i : i + rows] = score(as_tensor(X[i : i + rows], *place))
        if not isfinite(scores.T[looked_at].sum()) and not torch.isfinite(scores).all():
            for i in range(0, len(X), rows):
                validation.check_finite(as_tensor(X[i : i + rows], *place), "the pool", i)
            row = int((~torch.isfinite(scores)).any(1).nonzero()[0])
            raise LinAlgError(
                f"the benefit of row {row} of the pool is too large for {scores.dtype}: scale the "
                "features"
            )
        return scores

    def _first(self, X: torch.Tensor) -> torch.Tensor:
        both = self._project(X)
        Z, S = both.tensor_split(2, dim=1)
        if Z.shape[1] > 1:
            return probabilities(Z).mul_(S).sum(1, keepdim=True) - S
        Z.sigmoid_().mul_(S)  # in place, where both benefits lie side by side
        torch.sub(Z, S, out=S)
        return both

    def _project(self, X: torch.Tensor) -> torch.Tensor:
        """Logits Z = X thetaᵀ and S = X Vᵀ, in one pass over X: (n, 2U)."""
        return project(X, torch.cat([self.model.theta_, self.solution]))

    @cached_property
    def _blocks(self) -> tuple[torch.Tensor, torch.Tensor]:
        """H⁻¹ and H⁻¹H_vH⁻¹, each as (U, width, U, width)."""
        inverse = self.hessian.inverse()
        curvature = hessian(self.model, self.X_validation, l2=0.0).dense()
        shape = 2 * tuple(self.gradient.shape)
        return inverse.reshape(shape), (inverse @ curvature @ inverse).reshape(shape)

    def _finite(self, X: torch.Tensor) -> torch.Tensor:
        Z, S = self._project(X).tensor_split(2, dim=1)
        if self.model.fit_intercept:
            X = torch.cat([X, X.new_ones(len(X), 1)], 1)
        B, Q = (
            torch.einsum("njkw,nw->njk", torch.tensordot(X, blocks, dims=([1], [1])), X)
            for blocks in self._blocks
        )  # (n, U, U) each
        classes = torch.arange(len(self.model.classes_), device=X.device)
        a = residual_after_step(Z, B, targets(classes, Z.shape[1], Z.dtype))  # (n, K, U)
        return (a * S[:, None]).sum(2) - torch.einsum("ncj,njk,nck->nc", a, Q, a) / 2


def benefit(
    model: LogisticRegression,
    X_hessian: Any,
    X_validation: Any,
    y_validation: Any,
    X_pool: Any,
    *,
    solver: str = "auto",
    damping: float = 0.0,
    step: str = "first",
) -> Any:
    """Predicted fall of the summed validation loss for every pool row under every label: (n, K).

    Parameters
    ----------
    model : a fitted LogisticRegression.
    X_hessian (m, D) : the rows that H sums over, the pool's or the labeled set's.
    X_validation (v, D), y_validation (v,) : the validation set.
    X_pool (n, D) : the rows to score. The result is a tensor on its device if it is a tensor, else
        an array.
    solver : "auto", "cholesky" or "cg", see ``Hessian.solve``.
    damping : added to the diagonal of H.
    step : "first", the paper's first-order estimate; or "finite", which is accurate for outliers
        too and costs two products of n × (U·D)² more (see ``Influence.finite``).

    Rows may be arrays, lists, data frames, sparse matrices, or tensors, whose gradients are not
    used; ``y_validation`` may be a column (v, 1). The columns of the result are in the order of
    ``model.classes_``.

    Raises ValueError for rows that are not two-dimensional and finite or have other columns than
    the model, another number of labels than rows, a validation label that is no class of the model,
    an unfitted model, an unknown step or solver, or too many parameters for a finite step; its
    subclass LinAlgError for a singular H; TypeError for another kind of model.
    """
    if step not in ("first", "finite"):
        raise ValueError(f"unknown step {step!r}: choose first or finite")
    known = X_hessian, X_validation, y_validation
    with torch.inference_mode():  # which makes each of torch's calls cheaper
        influence = Influence(model, *known, solver=solver, damping=damping)
        scores = getattr(influence, step)(X_pool)
    if isinstance(X_pool, torch.Tensor):
        return scores.to(X_pool.device, copy=True)  # a usual tensor, that takes a gradient
    return scores.cpu().numpy()
