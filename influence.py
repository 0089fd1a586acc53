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


def hessian(model: LogisticRegression, X) -> Hessian:
    """Hessian over the rows X (n, D), with the model's penalty: ``.dense()``, ``.product(V)``."""
    X = as_tensor(X, model.theta_.device)
    return Hessian(X, probabilities(project(X, model.theta_)), model.l2, model.fit_intercept)


def inverse_hvp(model: LogisticRegression, X, G: torch.Tensor, *, solver="auto") -> torch.Tensor:
    """H⁻¹ G with H over the rows X (n, D): the shape of ``model.theta_``. See ``Hessian.solve``."""
    return hessian(model, X).solve(G, solver=solver)


def benefit(
    model: LogisticRegression,
    X_hessian,
    X_validation,
    y_validation,
    X_pool,
    *,
    solver: str = "auto",
):
    """Predicted fall of the summed validation loss for every pool row under every label.

    Parameters
    ----------
    model : fitted LogisticRegression.
    X_hessian (m, D) : rows over which H sums: the pool or the labeled set.
    X_validation (v, D), y_validation (v,) : the validation set.
    X_pool (n, D) : the rows to score. NumPy array or tensor; the answer is of the same kind.
    solver : "auto", "cholesky" or "cg".

    Returns
    -------
    (n, K), columns in the order of ``model.classes_``.

    Raises ValueError for a validation label that the model does not know, or a singular H.
    """
    V = inverse_hvp(model, X_hessian, gradient(model, X_validation, y_validation), solver=solver)
    X = as_tensor(X_pool, model.theta_.device)
    U = len(V)
    both = project(X, torch.cat([model.theta_, V]))  # (n, 2U): one pass over the pool
    P, S = probabilities(both[:, :U]), both[:, U:]
    scores = torch.cat([P * S, (P - 1) * S], 1) if U == 1 else (P * S).sum(1, keepdim=True) - S
    return scores.to(X_pool.device) if isinstance(X_pool, torch.Tensor) else scores.cpu().numpy()
