"""The finite step of a row that joins: its residual once the model has been fitted again."""

import torch

from numerics.linear import probabilities

MOST_STEPS = 50  # of Newton's method
MOST_HALVINGS = 10  # of one step
ENOUGH = {torch.float64: 1e-12, torch.float32: 1e-6}  # error of a residual


def residual_after_step(Z: torch.Tensor, B: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """a (n, K, U) with a = p(z − B a) − t for every row and target, by Newton's method.

    Z (n, U) : the logits. B (n, U, U) : positive semidefinite. T (K, U) : the targets. If a
    Newton step increases the error of a row and target, that step is halved.
    """
    if Z.shape[1] == 1:
        return residual_of_unit(Z, B[:, 0], T[:, 0])[..., None]
    enough = ENOUGH[Z.dtype]
    a = probabilities(Z)[:, None] - T
    P, F = _probabilities_and_error(Z, B, T, a)
    for _ in range(MOST_STEPS):
        if F.abs().max() < enough:
            break
        J = torch.diag_embed(P) - P[..., None] * P[..., None, :]
        step = torch.linalg.solve(torch.eye(Z.shape[1]).to(J) + J @ B[:, None], F)
        before = F.norm(dim=2, keepdim=True).clamp(min=enough)  # errors below it are of rounding
        for _ in range(MOST_HALVINGS):
            tried = a - step
            P, F_new = _probabilities_and_error(Z, B, T, tried)
            worse = F_new.norm(dim=2, keepdim=True) > before
            if not worse.any():
                break
            step = torch.where(worse, step / 2, step)
        a, F = tried, F_new
    return a


def _probabilities_and_error(
    Z: torch.Tensor, B: torch.Tensor, T: torch.Tensor, a: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """P = p(z − B a), and a − P + t, which is zero at the solution: (n, K, U) each."""
    P = probabilities((Z[:, None] - a @ B).reshape(-1, Z.shape[1])).reshape(a.shape)
    return P, a - P + T


def residual_of_unit(z: torch.Tensor, b: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The same for one unit: a = p(z − b a) − t, in the shape that z, b and t have together.

    z : the logits. b : of at least 0. t : 0 or 1.

    Newton's method for the logit after the step, u = z − b a. Its error u + b p(u) − z − b t rises
    with u; it is convex below u = 0 and concave above. So if the steps begin at 0, or at z if that
    lies between 0 and the solution, they come nearer from one side, and none goes too far.
    """
    known = torch.addcmul(z, b, t)
    u = torch.where(t > 0, z.clamp(min=0), z.clamp(max=0))  # the step raises z if t = 1
    for _ in range(MOST_STEPS):
        p = torch.sigmoid(u)
        curvature = torch.addcmul(p, p, p, value=-1)
        step = torch.addcmul(u - known, b, p) / torch.addcmul(torch.ones_like(p), b, curvature)
        u = u - step
        if float((curvature * step).abs().max()) < ENOUGH[u.dtype]:
            break
    return torch.sigmoid(u) - t
