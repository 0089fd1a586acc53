"""H⁻¹ g for a symmetric H that is known only by its products: what module_influence.py needs.

Unlike Hessian.solve in models.py, whose H is positive definite by construction, these say where it
is not: LinAlgError, a ValueError, with the curvature met. All check the true residual, the size of
g − H V, and raise LinAlgError where it is above ``tol`` times that of g. Flat directions are
allowed where g has no part in them: the answer has none either.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.func import vmap

MOST_DENSE = 3_000  # parameters of a dense Hessian: 72 MB in float64
LISSA_STEPS = 50_000


def conjugate_gradients(product: Callable, g: torch.Tensor, tol: float) -> torch.Tensor:
    """H⁻¹ g to a true residual of ``tol`` times that of zero, which is checked at every restart."""
    V, smallest = torch.zeros_like(g), np.inf
    target = tol * g.norm()
    for _restart in range(3):
        R = g - product(V)
        square = R @ R
        if square.sqrt() <= target:
            return V
        direction = R
        for _step in range(10 * len(g)):
            image = product(direction)
            bend = direction @ image
            smallest = min(smallest, float(bend / (direction @ direction)))
            if bend <= 0:
                raise np.linalg.LinAlgError(
                    f"conjugate gradients met a curvature of {smallest:.1e}: the Hessian is not "
                    "positive definite; raise damping well above its size, or l2"
                )
            length = square / bend
            V, R = V + length * direction, R - length * image
            previous, square = square, R @ R
            if square.sqrt() <= 0.5 * target:
                break
            direction = R + (square / previous) * direction
    return checked(product, g, V, tol, f"the smallest curvature met was {smallest:.1e}")


def dense(product: Callable, g: torch.Tensor, tol: float) -> torch.Tensor:
    """H⁻¹ g by all eigenvalues of H, (P, P), flat directions left out."""
    if len(g) > MOST_DENSE:
        raise ValueError(f"a dense Hessian of {len(g):,} parameters is too large: choose cg")
    eye = torch.eye(len(g)).to(g)
    H = vmap(product, chunk_size=64)(eye)
    values, vectors = torch.linalg.eigh((H + H.T) / 2)
    flat = len(g) * torch.finfo(g.dtype).eps * values.abs().max()
    if values[0] < -flat:
        raise np.linalg.LinAlgError(
            f"the smallest curvature of the Hessian is {values[0]:.1e}: raise damping above "
            f"{-values[0]:.1e}, or l2"
        )
    kept = values > flat
    V = vectors[:, kept] @ ((vectors[:, kept].T @ g) / values[kept])
    return checked(product, g, V, tol, f"{int((~kept).sum())} directions are flat")


def lissa(product: Callable, sample: Callable, g: torch.Tensor, tol: float) -> torch.Tensor:
    """H⁻¹ g by the stochastic Neumann series of Agarwal et al. (2017), arXiv 1602.03943.

    The series V ← g + V − H_t V / σ has the mean σ H⁻¹ g for unbiased H_t; ``sample`` gives a
    product with the next H_t, which sums over a batch of rows, scaled up. σ is the largest
    eigenvalue that power iteration finds in H and eight H_t, so that a step hardly ever goes too
    far. Instead of many short series, one runs on, and its mean over windows, each twice as long as
    the last, is tried until the true residual is below ``tol`` times that of zero. That takes about
    as many steps as H's condition number: for ill-conditioned H choose cg.
    """
    scale = max(largest(p, g) for p in [product, *(sample() for _ in range(8))])
    V, done, window = g.clone(), 0, 100
    while done < LISSA_STEPS:
        total = torch.zeros_like(g)
        for _step in range(window):
            V = g + V - sample()(V) / scale
            total += V
        mean = total / (window * scale)
        residual = (g - product(mean)).norm()
        if residual <= tol * g.norm():
            return mean
        if not residual < 100 * g.norm():  # it runs away
            break
        done, window = done + window, 2 * window
    smallest = scale - largest(lambda v: scale * v - product(v), g)
    hint = f"the smallest curvature is about {smallest:.1e}, the largest {scale:.1e}"
    return checked(product, g, mean, tol, hint)


def largest(product: Callable, start: torch.Tensor, steps: int = 30) -> float:
    """Size of the largest eigenvalue, estimated from below by power iteration."""
    v, norm = start, start.norm()
    for _step in range(steps):
        if not norm > 0:
            return 0.0
        v = product(v / norm)
        norm = v.norm()
    return float(norm)


def checked(product, g, V, tol, hint) -> torch.Tensor:
    """V, if it solves H V = g."""
    residual, target = float((g - product(V)).norm()), float(tol * g.norm())
    if not residual <= target:
        raise np.linalg.LinAlgError(
            f"the solver stopped at a residual of {residual:.1e}, above {target:.1e}; {hint}: "
            "raise damping or l2"
        )
    return V
