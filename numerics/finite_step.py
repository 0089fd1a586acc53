"""The finite step of a row that joins: its residual once the model has been fitted again."""

import torch

from numerics.linear import probabilities


def residual_after_step(Z: torch.Tensor, B: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """a (n, K, U) with a = p(z − B a) − t for every row and target, by Newton's method.

    Z (n, U) : the logits. B (n, U, U) : positive semidefinite. T (K, U) : the targets. If a
    Newton step increases the error of a row and target, that step is halved.
    """
    units = Z.shape[1]

    def probabilities_and_error(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = a * B if units == 1 else a @ B  # one unit: a product of numbers
        P = probabilities((Z[:, None] - moved).reshape(-1, units)).reshape(a.shape)
        return P, a - P + T

    def size(F: torch.Tensor) -> torch.Tensor:
        return F.abs() if units == 1 else F.norm(dim=2, keepdim=True)

    enough = 1e-12 if Z.dtype == torch.float64 else 1e-6
    a = probabilities(Z)[:, None] - T
    P, F = probabilities_and_error(a)
    for _ in range(50):
        if F.abs().max() < enough:
            break
        if units == 1:
            step = F / (1 + P * (1 - P) * B)
        else:
            J = torch.diag_embed(P) - P[..., None] * P[..., None, :]
            step = torch.linalg.solve(torch.eye(units).to(J) + J @ B[:, None], F)
        before = size(F).clamp(min=enough)  # errors below it are of rounding
        for _ in range(10):
            tried = a - step
            P, F_new = probabilities_and_error(tried)
            worse = size(F_new) > before
            if not worse.any():
                break
            step = torch.where(worse, step / 2, step)
        a, F = tried, F_new
    return a
