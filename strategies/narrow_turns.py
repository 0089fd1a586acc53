"""One pick in turn for one unit, if nobody asks for the scores: the pick of a full refit, sooner.

``salutary._highest_of`` checks its input anew, fits to ten digits by Newton's method, and finds
every score to all digits, once for each pick. Here the input is checked once a round. A fit begins
where the finite step of the row that joins leads, and its steps share one factor as long as that
serves. If two scores are too close for these, ``choose`` gives None, and the caller computes them
in full.
"""

from __future__ import annotations

from copy import deepcopy
from math import exp
from typing import NamedTuple

import torch

from common.kinds import HessianRows
from influence import class_targets
from models import LogisticRegression
from numerics.finite_step import residual_of_unit
from numerics.hessian import Hessian
from numerics.linear import ridge
from numerics.validation import check_finite
from strategies.base import Query, Turn

FITTED = 1e-10  # length of a fit's last step, as a share of the weights
MOST_STEPS = 30  # of a fit
FEW_STEPS = 10  # of a row's residual
WELL = 1e10  # condition number of the Hessian up to which the digits below are right
# The scores are right to eight digits or more. The best one must be ahead by this share of itself.
CLEAR = 1e-6


def takes_narrow_turns(query: Query) -> bool:
    """Whether a query leaves the scores out, and its model is a narrow one of one unit."""
    theta, settings = query.model.theta_, query.settings
    narrow = len(theta) == 1 and theta.numel() <= settings.finite_parameters
    plain = type(query.model) is LogisticRegression and settings.solver == "auto"
    return narrow and plain and not query.scores and theta.dtype == torch.float64


class Tables(NamedTuple):
    """The rows of a run, with a column of ones if the model has an intercept.

    pool, initial, validation : of the query; the labeled rows of round 0 are the initial ones.
    """

    pool: torch.Tensor
    initial: torch.Tensor
    validation: torch.Tensor

    @classmethod
    def of(cls, query: Query) -> Tables:
        """Of a query, checked."""
        tables = [query.pool, query.X_labeled[: query.initial], query.X_validation]
        for X in tables:
            check_finite(X, "the features")
        if query.model.fit_intercept:
            tables = [torch.cat([X, X.new_ones(len(X), 1)], 1) for X in tables]
        return cls(*tables)


class NarrowTurns:
    """The picks of one round, each in the light of those before it.

    query : one for which ``takes_narrow_turns`` is true. finite, weighted, short_list : as in
    ``salutary.score``. ``well`` is whether its Hessian is far from singular: otherwise the digits
    are not right, and the round is none for this class.
    """

    def __init__(self, query: Query, *, finite: bool, weighted: bool, short_list: int):
        self.query, self.finite, self.weighted = query, finite, weighted
        self.short_list, self.over_pool = short_list, query.settings.hessian == HessianRows.POOL
        tables = query.once("tables", lambda: Tables.of(query))
        self.pool, initial, self.validation = tables
        model, damping = query.model, query.settings.damping
        self.X = torch.cat([initial, self.pool[query.picked]])
        self.t = class_targets(model, query.y_labeled)[:, 0]
        self.t_validation = class_targets(model, query.y_validation)[:, 0]
        self.theta = model.theta_[0]
        self.fit_lower: torch.Tensor | None = None  # the factor of the fit's Hessian, if known
        self.ridge = ridge(query.pool, model.l2, model.fit_intercept)
        self.left = torch.zeros(len(self.pool)).to(self.theta)
        self.left[query.left] = 1.0
        rows, weights = (self.pool, self.left) if self.over_pool else (self.X, None)
        P = torch.sigmoid(rows @ self.theta)[:, None]
        hessian = Hessian(rows, P, 0.0, False, damping=damping, weights=weights)
        hessian.ridge = self.ridge + damping
        self.well = hessian.condition() < WELL

    def choose(self, taken: torch.Tensor) -> Turn | None:
        """The row with the highest score, or None if two scores are too close.

        taken (N,) : rows that cannot be picked.
        """
        p_validation = torch.sigmoid(self.validation @ self.theta)
        lower = self._factor_hessian()
        if lower is None:
            return None
        v = _solve(lower, self.validation.T @ (p_validation - self.t_validation))
        z, s = (self.pool @ torch.stack([self.theta, v], 1)).unbind(1)
        P = torch.sigmoid(torch.stack([-z, z]))  # (2, N), as all that follows
        benefits = torch.stack([P[1] * s, -P[0] * s])
        scores = (benefits * P if self.weighted else benefits).masked_fill(taken, -torch.inf)
        if self.finite:
            bound = scores.max(0).values
            curvature = _curvature(self.validation, p_validation)
            candidates = bound.topk(min(self.short_list, int((~taken).sum()))).indices
            while True:
                few = self.pool[candidates], z[candidates], s[candidates]
                scores = _finite(*few, lower, curvature)
                scores = scores * P[:, candidates] if self.weighted else scores
                above = (bound > scores.max()).nonzero()[:, 0]
                if len(above) <= len(candidates):
                    break
                candidates = above  # with all of the short list
            self.short_list = max(self.short_list, len(above))  # the next pick's is much the same
        (first, second), places = scores.flatten().topk(2)
        if not float(first - second) > CLEAR * abs(float(first)):
            return None
        code, place = divmod(int(places[0]), scores.shape[1])
        row = int(candidates[place]) if self.finite else place
        return Turn(row, code, float(first), benefits[None, :, row])

    def _factor_hessian(self) -> torch.Tensor | None:
        """The factor of the influence's Hessian, (width, width); None if it has none."""
        rows, weights = (self.pool, self.left) if self.over_pool else (self.X, None)
        damping = self.query.settings.damping
        curvature = _curvature(rows, torch.sigmoid(rows @ self.theta), weights)
        lower = _factor(curvature, self.ridge + damping)
        if not self.over_pool and not damping:
            self.fit_lower = lower
        return lower

    def add(self, row: int, code: int) -> bool:
        """Let the pool's row join with the class of this number, and fit again: True.

        Raises LinAlgError if the fit does not converge.
        """
        x, theta = self.pool[row], self.theta
        if self.fit_lower is not None:
            move = _solve(self.fit_lower, x)
            theta = theta - _residual(float(x @ theta), float(x @ move), code) * move
        self.X = torch.cat([self.X, x[None]])
        self.t = torch.cat([self.t, self.t.new_tensor([code])])
        fitted = self._refit(theta)
        self.theta = self._fit_in_full() if fitted is None else fitted
        return True

    def _refit(self, theta: torch.Tensor) -> torch.Tensor | None:
        """Newton's method from ``theta``, with no look at the loss; None if it gets nowhere.

        A factor is kept as long as the steps fall to a tenth each time.
        """
        last, lower = 0.0, None  # length of the last step; 0 if the next one needs a new factor
        for _ in range(MOST_STEPS):
            p = torch.sigmoid(self.X @ theta)
            if not last:
                lower = self.fit_lower = _factor(_curvature(self.X, p), self.ridge)
            if lower is None:
                return None
            g = self.X.T @ (p - self.t) + self.ridge * theta
            move = _solve(lower, g)
            length = float(torch.linalg.vector_norm(move))
            if last and not length < last:
                last = 0.0
                continue
            theta = theta - move
            if length <= FITTED * float(torch.linalg.vector_norm(theta)):
                at_minimum = float(torch.linalg.vector_norm(g)) <= 1e-6 * len(self.X)
                return theta if at_minimum else None
            last = 0.0 if length > last / 10 and last else length
        return None

    def _fit_in_full(self) -> torch.Tensor:
        """The fit as the caller would make it, from the last one."""
        query = self.query
        model = deepcopy(query.model).set_params(solver="newton", warm_start=True)
        model.theta_ = self.theta[None]
        codes = self.t.long().cpu().numpy()
        X = self.X[:, : query.pool.shape[1]]
        return model.fit_tensors(X, model.classes_[codes]).theta_[0]


def _curvature(
    X: torch.Tensor, p: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Σ w p (1 - p) x xᵀ over rows X (n, width) of probabilities p (n,): (width, width)."""
    d = torch.addcmul(p, p, p, value=-1)
    if weights is not None:
        d = weights * d
    return (X * d[:, None]).T @ X


def _factor(H: torch.Tensor, ridge: torch.Tensor) -> torch.Tensor | None:
    """The Cholesky factor of H (width, width) with its ridge (width,); None if it has none."""
    H.diagonal().add_(ridge)
    lower, failed = torch.linalg.cholesky_ex(H)
    return None if failed else lower


def _solve(lower: torch.Tensor, G: torch.Tensor) -> torch.Tensor:
    """H⁻¹ G by the factor of H, for G (width,) or (width, r)."""
    return torch.cholesky_solve(G.reshape(len(G), -1), lower).reshape(G.shape)


def _finite(
    X: torch.Tensor, z: torch.Tensor, s: torch.Tensor, lower: torch.Tensor, curvature: torch.Tensor
) -> torch.Tensor:
    """The benefit of rows X (r, width) after a finite step, as ``Influence.finite``: (2, r).

    z, s (r,) : logits, and products with H⁻¹g. lower : the factor of H. curvature : of the
    validation loss.
    """
    moves = _solve(lower, X.T)  # H⁻¹x in columns
    b, q = (X.T * moves).sum(0), (moves * (curvature @ moves)).sum(0)
    a = residual_of_unit(z, b, z.new_tensor([[0.0], [1.0]]))
    return a * s - a**2 * q / 2


def _residual(z: float, b: float, t: int) -> float:
    """``residual_of_unit`` of numbers; 0 if the steps do not end. They begin at u = 0."""
    known, u = z + b * t, 0.0
    for _ in range(FEW_STEPS):
        p = 1 / (1 + exp(-max(u, -700.0)))
        step = (u - known + b * p) / (1 + b * p * (1 - p))
        u -= step
        if abs(step) < 1e-10:
            return 1 / (1 + exp(-max(u, -700.0))) - t
    return 0.0
