"""The algebra of the units: logits, probabilities and losses of a linear layer, and its transpose.

Conventions (units, layout of theta, the intercept) are at the head of models.py.
"""

import warnings

import torch

FEW_TERMS = 300_000  # multiplications up to which a call of oneDNN costs more than it saves
# oneDNN's product of two matrices, which torch itself uses in its compiled graphs only.
ONEDNN = None
if torch.backends.mkldnn.is_available():
    ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


def as_tensor(X, device="cpu", dtype=torch.float64) -> torch.Tensor:
    """``X`` as a tensor on ``device``, without a copy where none is needed."""
    if isinstance(X, torch.Tensor):
        return X.to(device, dtype)
    with warnings.catch_warnings():  # tensors made here are only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(X, dtype=dtype, device=device)


def torch_dtype(name: str) -> torch.dtype:
    """The torch type of this name; ValueError for any but float64 and float32."""
    if name not in ("float64", "float32"):
        raise ValueError(f"unknown dtype {name!r}: choose float64 or float32")
    return getattr(torch, name)


def matmul(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    """A B, for A (a, c) and B (c, b).

    In float32 on a CPU by oneDNN where torch has it: for the few rows of units it is two to four
    times as fast as the BLAS behind ``@`` (benchmarks/engine.py, the floors of job C), most so
    where the rows of B are contiguous. It takes B transposed too, but rows cut out of longer ones
    only by a kernel a thousand times slower. No gradient flows through the result.
    """
    terms = A.shape[0] * A.shape[1] * B.shape[1]
    whole = B.is_contiguous() or B.T.is_contiguous()
    if ONEDNN and whole and A.dtype == torch.float32 and A.is_cpu and terms > FEW_TERMS:
        return ONEDNN(A.contiguous(), B.T, None, "none", [], "")
    return A @ B


def project(X: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Every row against every unit, X theta.T with its intercept: (n, U).

    Laid out unit by unit in memory: what follows goes along the rows, and torch's softmax along a
    short last axis takes four times as long as the whole product.
    """
    D = X.shape[1]
    Z = matmul(theta[:, :D], X.T)
    if theta.shape[1] > D:
        Z += theta[:, D:]
    return Z.T


def pull_back(R: torch.Tensor, X: torch.Tensor, fit_intercept: bool) -> torch.Tensor:
    """Sum over rows of r_i ⊗ (x_i, 1), the transpose of ``project``: (U, D) or (U, D + 1)."""
    G = matmul(R.T, X)
    return torch.cat([G, R.sum(0)[:, None]], dim=1) if fit_intercept else G


def probabilities(Z: torch.Tensor) -> torch.Tensor:
    """Probability of each unit, (n, U): a sigmoid where there is one unit, else a softmax."""
    return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z.T, dim=0).T


def targets(codes: torch.Tensor, units: int, dtype=torch.float64) -> torch.Tensor:
    """Class numbers (n,) as the units' targets (n, U): 0 or 1 for one unit, else one-hot."""
    if units == 1:
        return codes[:, None].to(dtype)
    return torch.nn.functional.one_hot(codes, units).to(dtype)


def cross_entropy(Z: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """Sum over rows of the cross-entropy of logits Z (n, U) against targets T (n, U): a scalar."""
    if Z.shape[1] == 1:
        return (torch.nn.functional.softplus(Z) - T * Z).sum()
    return (torch.logsumexp(Z.T, dim=0) - (T * Z).sum(1)).sum()


def ridge(X: torch.Tensor, l2: float, fit_intercept: bool) -> torch.Tensor:
    """The penalty on each column of theta: l2 on weights, 0 on the intercept."""
    values = X.new_full((X.shape[1] + fit_intercept,), l2)
    if fit_intercept:
        values[-1] = 0.0
    return values
