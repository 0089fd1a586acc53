"""A linear layer: its logits, probabilities and losses, and the transpose of its product.

The head of models.py states the conventions: units, the layout of theta, the intercept.
"""

import warnings
from typing import Any, TypeVar

import numpy as np
import torch

Array = np.ndarray | torch.Tensor
SameKind = TypeVar("SameKind", np.ndarray, torch.Tensor)  # the kind of an argument and the result

FEW_TERMS = 300_000  # multiplications up to which a call of oneDNN costs more than it saves
# oneDNN's product of two matrices. torch itself calls it in its compiled graphs only.
ONEDNN: Any = None
if torch.backends.mkldnn.is_available():
    ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def as_tensor(
    X: Any, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """``X``, an array or a tensor, as a tensor on ``device``; copied only if it must be."""
    if isinstance(X, torch.Tensor):
        return X.to(device, dtype)
    with warnings.catch_warnings():  # nothing writes into the tensors made here
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(X, dtype=dtype, device=device)


def torch_dtype(name: str) -> torch.dtype:
    """The torch type of this name. Raises ValueError for any name but float64 and float32."""
    if name not in ("float64", "float32"):
        raise ValueError(f"unknown dtype {name!r}: choose float64 or float32")
    return getattr(torch, name)


def matmul(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """The product A B of A (a, c) and B (c, b): (a, b). No gradient flows through it.

    On a CPU, oneDNN computes the product in float32 if torch offers it. If A has few rows, as theta
    has, oneDNN is 1.4 (Intel) to 2.3 times (AMD) as fast as the BLAS behind ``@``, and fastest if
    the rows of B are contiguous (benchmarks/engine.py prints both as floors of job C). oneDNN takes
    a transposed B as well. But if B is cut out of a larger matrix, oneDNN's kernel is a thousand
    times slower, so ``@`` computes that product.
    """
    terms = A.shape[0] * A.shape[1] * B.shape[1]
    contiguous = B.is_contiguous() or B.T.is_contiguous()
    if ONEDNN and contiguous and A.dtype == torch.float32 and A.is_cpu and terms > FEW_TERMS:
        return ONEDNN(A.contiguous(), B.T, None, "none", [], "")
    return A @ B


def gram(X: torch.Tensor) -> torch.Tensor:
    """XᵀX in float64 for X (n, D): (D, D).

    NumPy sees that the product is symmetric and computes half of it. torch computes all.
    """
    if not X.is_cpu:
        return (X.T @ X).double()
    A = X.numpy()
    return torch.from_numpy(A.T @ A).double()


def project(X: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """X Wᵀ + b for X (n, D) and theta = (W, b), (U, D) or (U, D + 1): the logits (n, U).

    The result lies unit by unit in memory, because the operations after it run along the rows:
    torch's softmax along a short last axis takes four times as long as this whole product.
    """
    D = X.shape[1]
    Z = matmul(theta[:, :D], X.T)  # (U, n)
    if theta.shape[1] > D:
        Z += theta[:, D:]
    return Z.T


def pull_back(R: torch.Tensor, X: torch.Tensor, fit_intercept: bool) -> torch.Tensor:
    """The transpose of ``project``: Σ_i r_i ⊗ (x_i, 1) for R (n, U), (U, D) or (U, D + 1)."""
    G = matmul(R.T, X)
    return torch.cat([G, R.sum(0)[:, None]], dim=1) if fit_intercept else G


def probabilities(Z: torch.Tensor) -> torch.Tensor:
    """Probability of each unit, (n, U), from logits Z (n, U): sigmoid if U = 1, else softmax."""
    return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z.T, dim=0).T


def class_probabilities(Z: torch.Tensor) -> torch.Tensor:
    """Probability of each class, (n, K), from logits Z (n, U)."""
    P = probabilities(Z)
    return torch.cat([1 - P, P], dim=1) if P.shape[1] == 1 else P


def targets(codes: torch.Tensor, units: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The units' targets (n, U) for class numbers (n,): 0 or 1 for one unit, else one-hot."""
    if units == 1:
        return codes[:, None].to(dtype)
    return torch.nn.functional.one_hot(codes, units).to(dtype)


def cross_entropy(Z: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """Sum over rows of the cross-entropy of logits Z (n, U) and targets T (n, U): a scalar."""
    if Z.shape[1] == 1:
        return (torch.nn.functional.softplus(Z) - T * Z).sum()
    return (torch.logsumexp(Z.T, dim=0) - (T * Z).sum(1)).sum()


def ridge(X: torch.Tensor, l2: float, fit_intercept: bool) -> torch.Tensor:
    """The penalty on each column of theta, (D,) or (D + 1,): l2 on weights, 0 on the intercept."""
    values = X.new_full((X.shape[1] + fit_intercept,), l2)
    if fit_intercept:
        values[-1] = 0.0
    return values
