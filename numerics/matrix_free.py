"""Solvers of H V = g for a symmetric H of which only products are known, for module_influence.py.

A network's H need not be positive definite, as ``hessian.Hessian`` is. Each solver raises
LinAlgError, a ValueError, with the negative curvature that it found. Each also computes the true
residual g − H V, and raises LinAlgError if its norm is above ``tol`` times the norm of g. H may be
flat, with zero curvature, in directions in which g is zero; the solution is zero there too.

NaN or inf in g or in a product ends every solver at once, with LinAlgError: no damping mends them.

A curvature is an eigenvalue of H, or vᵀH v / vᵀv for the direction v.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.func import vmap

Product = Callable[[torch.Tensor], torch.Tensor]  # v (P,) ↦ H v (P,)

MOST_DENSE = 3_000  # most parameters of a dense Hessian: 72 MB in float64
LISSA_STEPS = 50_000  # after so many steps of LiSSA no further window is begun


def conjugate_gradients(product: Product, g: torch.Tensor, tol: float) -> torch.Tensor:
    """H⁻¹ g (P,) by plain conjugate gradients, restarted at most twice from the true residual.

    Raises LinAlgError if a direction has no positive curvature, or the residual stays too large.
    """
    product = finite(product, g)
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
    return verified(product, g, V, tol, f"the smallest curvature met was {smallest:.1e}")


def dense(product: Product, g: torch.Tensor, tol: float) -> torch.Tensor:
    """H⁻¹ g (P,) from all eigenvalues and eigenvectors of H (P, P), without its flat directions.

    Raises ValueError above ``MOST_DENSE`` parameters; its subclass LinAlgError if the smallest
    eigenvalue is negative, or the residual is too large.
    """
    if len(g) > MOST_DENSE:
        raise ValueError(f"a dense Hessian of {len(g):,} parameters is too large: choose cg")
    eye = torch.eye(len(g)).to(g)
    try:
        H = vmap(product, chunk_size=64)(eye)
    except RuntimeError:  # a layer that vmap does not know
        H = torch.stack([product(row) for row in eye])
    product = finite(product, g)
    check_product(H)
    values, vectors = torch.linalg.eigh((H + H.T) / 2)
    flat = len(g) * torch.finfo(g.dtype).eps * values.abs().max()
    if values[0] < -flat:
        raise np.linalg.LinAlgError(
            f"the smallest curvature of the Hessian is {values[0]:.1e}: raise damping above "
            f"{-values[0]:.1e}, or l2"
        )
    kept = values > flat
    V = vectors[:, kept] @ ((vectors[:, kept].T @ g) / values[kept])
    return verified(product, g, V, tol, f"{int((~kept).sum())} directions are flat")


def lissa(
    product: Product, sample: Callable[[], Product], g: torch.Tensor, tol: float
) -> torch.Tensor:
    """H⁻¹ g (P,) by a stochastic Neumann series: LiSSA, Agarwal et al. (2017), arXiv 1602.03943.

    sample : draws a random H_t, whose mean is H, and gives its product. H_t is the sum over a batch
        of rows, scaled up.

    The series V ← g + V − H_t V / σ has the mean σ H⁻¹ g. σ is the largest eigenvalue that power
    iteration finds in H and in eight H_t, so that a step is hardly ever too long. The source
    averages many short series. Here one series goes on, divided into windows, each twice as long as
    the one before. The mean over a window is the solution if its true residual is at most ``tol``
    times the norm of g. That takes about as many steps as the condition number of H: if H is
    ill-conditioned, choose cg.

    Raises LinAlgError if the series diverges, or does not reach ``tol`` in ``LISSA_STEPS`` steps.
    """
    product = finite(product, g)
    scale = max(largest(finite(p, g), g) for p in [product, *(sample() for _ in range(8))])
    V, done, window = g.clone(), 0, 100
    while done < LISSA_STEPS:
        total = torch.zeros_like(g)
        for _step in range(window):
            V = g + V - sample()(V) / scale
            total += V
            if not total.isfinite().all():
                raise np.linalg.LinAlgError(
                    "the stochastic series diverged to NaN or inf: choose the solver cg, or raise "
                    "damping"
                )
        mean = total / (window * scale)
        residual = (g - product(mean)).norm()
        if residual <= tol * g.norm():
            return mean
        if not residual < 100 * g.norm():  # the series diverges
            break
        done, window = done + window, 2 * window
    smallest = scale - largest(lambda v: scale * v - product(v), g)
    hint = f"the smallest curvature is about {smallest:.1e}, the largest {scale:.1e}"
    return verified(product, g, mean, tol, hint)


def finite(product: Product, g: torch.Tensor) -> Product:
    """``product``, with LinAlgError once it gives NaN or inf. Raises it also if g holds them."""
    if not g.isfinite().all():
        raise np.linalg.LinAlgError(
            "the gradient of the validation losses holds NaN or inf: look for a loss that is "
            "infinite, or an overflow, in the validation rows"
        )

    def checked(v: torch.Tensor) -> torch.Tensor:
        image = product(v)
        check_product(image)
        return image

    return checked


def check_product(image: torch.Tensor) -> None:
    """Raises LinAlgError if a product with H holds NaN or inf."""
    if not image.isfinite().all():
        raise np.linalg.LinAlgError(
            "a product with the Hessian holds NaN or inf: a loss of its rows or a second "
            "derivative of it is infinite (such as that of a square root or a norm at zero), or "
            "overflows the type of the parameters"
        )


def largest(product: Product, start: torch.Tensor, steps: int = 30) -> float:
    """The largest absolute eigenvalue, by power iteration: an estimate from below."""
    v, norm = start, start.norm()
    for _step in range(steps):
        if not norm > 0:
            return 0.0
        v = product(v / norm)
        norm = v.norm()
    return float(norm)


def verified(
    product: Product, g: torch.Tensor, V: torch.Tensor, tol: float, hint: str
) -> torch.Tensor:
    """V, if its true residual is at most ``tol`` times the norm of g; else LinAlgError."""
    residual, target = float((g - product(V)).norm()), float(tol * g.norm())
    if not residual <= target:
        raise np.linalg.LinAlgError(
            f"the solver stopped at a residual of {residual:.1e}, above {target:.1e}; {hint}: "
            "raise damping or l2"
        )
    return V
