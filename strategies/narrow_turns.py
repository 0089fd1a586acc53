"""One pick in turn for one unit, if nobody asks for the scores: the pick of a full refit, sooner.

``salutary._highest_of`` checks its input anew, fits to ten digits by Newton's method, and finds
every score to all digits, once for each pick. Here the input is checked once a round. A fit begins
where the finite step of the row that joins leads, and its steps share one factor as long as that
serves. If two scores are too close for these, ``choose`` gives None, and the caller computes them
in full.

All arrays are small, so that most of the time is that of the calls: NumPy's take a third of
torch's.
"""

from __future__ import annotations

from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg.lapack import dpotrf, dpotrs
from scipy.special import expit

from common.kinds import HessianRows
from influence import class_targets
from models import LogisticRegression
from numerics.hessian import Hessian
from numerics.linear import ridge
from numerics.validation import check_finite
from strategies.base import Query, Turn, to_numpy

FITTED = 1e-10  # length of a fit's last step, as a share of the weights
MOST_STEPS = 30  # of a fit, and of a row's residual
WELL = 1e10  # condition number of the Hessian up to which the digits below are right
# The scores are right to eight digits or more. The best one must be ahead by this share of itself.
CLEAR = 1e-6


def takes_narrow_turns(query: Query) -> bool:
    """Whether a query leaves the scores out, and its model is a narrow one of one unit."""
    theta, settings = query.model.theta_, query.settings
    narrow = len(theta) == 1 and theta.numel() <= settings.finite_parameters
    plain = type(query.model) is LogisticRegression and settings.solver == "auto"
    in_numpy = theta.dtype == torch.float64 and theta.device.type == "cpu"
    return narrow and plain and in_numpy and not query.scores


class Tables(NamedTuple):
    """The rows of a run, with a column of ones if the model has an intercept: (rows, width) each.

    pool, initial, validation : of the query; the labeled rows of round 0 are the initial ones.
    """

    pool: np.ndarray
    initial: np.ndarray
    validation: np.ndarray

    @classmethod
    def of(cls, query: Query) -> Tables:
        """Of a query, checked."""
        tables = [query.pool, query.X_labeled[: query.initial], query.X_validation]
        for X in tables:
            check_finite(X, "the features")
        arrays = [to_numpy(X) for X in tables]
        if query.model.fit_intercept:
            arrays = [np.column_stack([X, np.ones(len(X))]) for X in arrays]
        return cls(*arrays)


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
        self.X = np.concatenate([initial, self.pool[query.picked]])
        self.t = to_numpy(class_targets(model, query.y_labeled)[:, 0])
        self.t_validation = to_numpy(class_targets(model, query.y_validation)[:, 0])
        self.theta = to_numpy(model.theta_[0])
        self.factor: np.ndarray | None = None  # of the fit's Hessian, if it is known
        penalty = ridge(query.pool, model.l2, model.fit_intercept)
        self.ridge = to_numpy(penalty)
        self.left = np.zeros(len(self.pool))
        self.left[query.left] = 1.0
        rows, weights = self._rows_of_hessian()
        X = torch.from_numpy(rows)
        w = None if weights is None else torch.from_numpy(weights)
        P = torch.sigmoid(X @ model.theta_[0])[:, None]
        hessian = Hessian(X, P, 0.0, False, damping=damping, weights=w)
        hessian.ridge = penalty + damping
        self.well = hessian.condition() < WELL

    def choose(self, taken: torch.Tensor) -> Turn | None:
        """The row with the highest score, or None if two scores are too close.

        taken (N,) : rows that cannot be picked.
        """
        p_validation = expit(self.validation @ self.theta)
        factor = self._factor_of_influence()
        if factor is None:
            return None
        v = _solve(factor, self.validation.T @ (p_validation - self.t_validation))
        z, s = self.pool @ self.theta, self.pool @ v
        P = expit(np.stack([-z, z]))  # (2, N), as all that follows
        benefits = np.stack([P[1] * s, -P[0] * s])
        scores = np.where(taken.numpy(), -np.inf, benefits * P if self.weighted else benefits)
        candidates = np.arange(len(z))
        if self.finite:
            bound = scores.max(0)
            curvature = _curvature(self.validation, p_validation)
            inverse = _solve(factor, np.eye(len(factor)))
            count = min(self.short_list, int((bound > -np.inf).sum()))
            candidates = np.argpartition(bound, -count)[-count:]
            while True:
                few = self.pool[candidates], z[candidates], s[candidates]
                scores = _finite(*few, inverse, curvature)
                scores = scores * P[:, candidates] if self.weighted else scores
                above = np.flatnonzero(bound > scores.max())
                if len(above) <= len(candidates):
                    break
                candidates = above  # with all of the short list
            self.short_list = max(self.short_list, len(above))  # the next pick's is much the same
        second, first = np.partition(scores, -2, axis=None)[-2:]
        if not first - second > CLEAR * abs(first):
            return None
        code, place = np.unravel_index(scores.argmax(), scores.shape)
        row = int(candidates[place])
        return Turn(row, int(code), float(first), torch.from_numpy(benefits[None, :, row]))

    def _rows_of_hessian(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows that the influence's Hessian sums over, and their weights."""
        return (self.pool, self.left) if self.over_pool else (self.X, None)

    def _factor_of_influence(self) -> np.ndarray | None:
        """The factor of the influence's Hessian, (width, width); None if it has none."""
        rows, weights = self._rows_of_hessian()
        damping = self.query.settings.damping
        curvature = _curvature(rows, expit(rows @ self.theta), weights)
        factor = _factor(curvature, self.ridge + damping)
        if not self.over_pool and not damping:
            self.factor = factor
        return factor

    def add(self, row: int, code: int) -> bool:
        """Let the pool's row join with the class of this number, and fit again: True.

        Raises LinAlgError if the fit does not converge.
        """
        x, theta = self.pool[row], self.theta
        if self.factor is not None:
            move = _solve(self.factor, x)
            theta = theta - _residual(x @ theta, x @ move, np.float64(code)) * move
        self.X = np.concatenate([self.X, x[None]])
        self.t = np.append(self.t, code)
        fitted = self._refit(theta)
        self.theta = self._fit_in_full() if fitted is None else fitted
        return True

    def fitted_with(self, row: int, code: int) -> None:
        """None: a narrow fit takes few steps from the last round's weights too."""

    def hand_over(self, model: LogisticRegression) -> None:
        """Nothing, for the same reason."""

    def _refit(self, theta: np.ndarray) -> np.ndarray | None:
        """Newton's method from ``theta``, with no look at the loss; None if it gets nowhere.

        A factor is kept as long as the steps fall to a tenth each time.
        """
        last, factor = 0.0, None  # length of the last step; 0 if the next one needs a new factor
        for _ in range(MOST_STEPS):
            p = expit(self.X @ theta)
            if not last:
                factor = self.factor = _factor(_curvature(self.X, p), self.ridge)
            if factor is None:
                return None
            g = self.X.T @ (p - self.t) + self.ridge * theta
            move = _solve(factor, g)
            length = float(np.linalg.norm(move))
            if last and not length < last:
                last = 0.0
                continue
            theta = theta - move
            if length <= FITTED * np.linalg.norm(theta):
                at_minimum = np.linalg.norm(g) <= 1e-6 * len(self.X)
                return theta if at_minimum else None
            last = 0.0 if length > last / 10 and last else length
        return None

    def _fit_in_full(self) -> np.ndarray:
        """The fit as the caller would make it, from the last one."""
        query = self.query
        model = deepcopy(query.model).set_params(solver="newton", warm_start=True)
        model.theta_ = torch.from_numpy(self.theta)[None]
        X = torch.from_numpy(self.X[:, : query.pool.shape[1]])
        return to_numpy(model.fit_tensors(X, model.classes_[self.t.astype(int)]).theta_[0])


def _curvature(X: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Σ w p (1 - p) x xᵀ over rows X (n, width) of probabilities p (n,): (width, width)."""
    d = p * (1 - p) if weights is None else weights * p * (1 - p)
    return (X * d[:, None]).T @ X


def _factor(H: np.ndarray, ridge: np.ndarray) -> np.ndarray | None:
    """The Cholesky factor of H (width, width) with its ridge (width,); None if it has none."""
    factor, failed = dpotrf(H + np.diag(ridge), lower=1)
    return None if failed else factor


def _solve(factor: np.ndarray, G: np.ndarray) -> np.ndarray:
    """H⁻¹ G by the factor of H, for G (width,) or (width, r)."""
    return dpotrs(factor, G, lower=1)[0]


def _finite(
    X: np.ndarray, z: np.ndarray, s: np.ndarray, inverse: np.ndarray, curvature: np.ndarray
) -> np.ndarray:
    """The benefit of rows X (r, width) after a finite step, as ``Influence.finite``: (2, r).

    z, s (r,) : logits, and products with H⁻¹g. inverse : H⁻¹. curvature : of the validation loss.
    """
    moves = X @ inverse  # H⁻¹x in rows
    b, q = (np.einsum("rw,rw->r", *pair) for pair in ((X, moves), (moves @ curvature, moves)))
    a = _residual(z, b, np.array([[0.0], [1.0]]))
    return a * s - a**2 * q / 2


def _residual(z: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """``numerics.finite_step.residual_of_unit`` of arrays; how it works is told there."""
    known = z + b * t
    u = np.where(t > 0, np.maximum(z, 0), np.minimum(z, 0))
    for _ in range(MOST_STEPS):
        p = expit(u)
        curvature = p * (1 - p)
        step = (u - known + b * p) / (1 + b * curvature)
        u = u - step
        if np.abs(curvature * step).max() < FITTED:
            break
    return expit(u) - t
