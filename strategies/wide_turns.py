"""One pick in turn for a wide softmax: the pick of a full refit, by cheaper arithmetic.

After each pick the model is refitted and the pool scored again. Both change little from pick to
pick. So each solve begins at the last solution, takes a preconditioner that is built once in a run
or a round, or when it has become slow (numerics/leading.py), runs in float32, and ends as soon as
the best score is further ahead than the solve can be wrong. If two scores are too close for that,
``choose`` gives None, and the caller computes them as for a narrow model.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import torch
from scipy.optimize import brentq

from common.kinds import HessianRows
from influence import class_targets
from models import LogisticRegression
from numerics.conjugate_gradients import without_mean
from numerics.leading import Leading, Rows, Solution, principal_axes, solve, steps
from numerics.linear import matmul, probabilities, project, pull_back
from strategies.base import Query, Turn

LARGEST = 1e12  # of the features: their squares are summed in float32
WIDEST = 4_096  # columns up to which the principal axes are worth their eigenvalues
MOST_STEPS, FEW_STEPS = 50, 6  # of Newton's method: for a refit, and to make one finer
FITTED = 1e-4  # residual of a refit: norm of its gradient, as a share of that without the penalty
SOON = 40  # steps of a solve after which its preconditioner is built anew
ROUGHEST, FINEST = 0.1, 1e-3  # largest and smallest residual of a step's direction
OVERSHOOT = 0.3  # of a step: slope at its end, as a share of that at its start
# Residuals of a solve at which the scores are looked at first and last. As a share of the best one,
# a score was seen wrong by 2 residuals in the median, and by 12 at most; so the best must be SAFETY
# residuals, of the refit and of the solve, ahead of the second.
FIRST_LOOK, LAST_LOOK, SAFETY = 1e-4, 2e-6, 20.0
MOST_SOLVE_STEPS = 200  # after which nothing is chosen


def takes_turns(query: Query) -> bool:
    """Whether a query's model is a wide softmax, with a solver that is left open."""
    theta = query.model.theta_
    wide = theta.numel() > query.settings.finite_parameters and theta.shape[1] <= WIDEST
    if not wide or len(theta) == 1 or query.settings.solver != "auto":
        return False
    return query.once("no row is too large", lambda: _largest_entry(query) < LARGEST)


def _largest_entry(query: Query) -> float:
    """The largest absolute value in the pool, the labeled and the validation rows."""
    tables = query.pool, query.X_labeled, query.X_validation
    return max(float(X.abs().max()) for X in tables)


class Rotated(NamedTuple):
    """The rows of a run along principal axes (D, r), in float32, the intercept's column first.

    initial : the labeled rows of round 0.
    """

    axes: torch.Tensor
    pool: torch.Tensor
    initial: torch.Tensor
    validation: torch.Tensor

    @classmethod
    def of(cls, query: Query) -> Rotated:
        """Of a query, along the axes of all its rows."""
        tables = query.pool, query.X_labeled[: query.initial], query.X_validation
        axes = principal_axes(*tables)
        rotated = [matmul(X.float(), axes.float()) for X in tables]
        if query.model.fit_intercept:
            rotated = [torch.cat([X.new_ones(len(X), 1), X], 1) for X in rotated]
        return cls(axes, *rotated)


class WideTurns:
    """The picks of one round, each in the light of those before it.

    query : with a model for which ``takes_turns`` is true. weighted : each benefit times p(c|x).
    """

    def __init__(self, query: Query, weighted: bool):
        self.query, self.weighted, model = query, weighted, query.model
        self.over_pool = query.settings.hessian == HessianRows.POOL
        rotated = query.once("rotated", lambda: Rotated.of(query))
        self.axes, self.pool, self.validation = rotated.axes, rotated.pool, rotated.validation
        X = torch.cat([rotated.initial, self.pool[query.picked]])
        # Places for the picks: rows of zeros add nothing to any sum. torch prepares a product anew
        # for each new shape, which takes as long as the product itself.
        self.count, places = len(X), len(X) + query.budget
        self.X = X.new_zeros(places, X.shape[1])
        self.T = X.new_zeros(places, len(model.classes_))
        self.counted = X.new_zeros(places)
        self.X[: self.count], self.counted[: self.count] = X, 1.0
        self.T[: self.count] = class_targets(model, query.y_labeled)
        self.T_validation = class_targets(model, query.y_validation).float()
        # The penalty makes the mean over the units zero at the optimum: rounding is all it can be.
        self.theta = without_mean(model.theta_[:, : len(self.axes)].double() @ self.axes)
        self.ridge = self.pool.new_full((rotated.axes.shape[1],), model.l2)
        if model.fit_intercept:  # the first column of everything here
            self.theta = torch.cat([model.theta_[:, -1:].double(), self.theta], 1)
            self.ridge = torch.cat([self.ridge.new_zeros(1), self.ridge])
        self.weights = torch.zeros(len(self.pool), device=self.pool.device)
        self.weights[query.left] = 1.0
        # Over the same pool, the last round's is near the first of this one.
        self.last: dict[str, torch.Tensor] = query.once("last", dict)
        self.solution: Solution | None = None
        if "V" in self.last:
            rows = self.pool if self.over_pool else self.X
            self.solution = Solution(self.last["V"], project(rows, self.last["V"]))
        self.fit_preconditioner: Leading | None = None
        self.unfit = 0.0  # residual of the refit; the round's own fit is taken as it is

    def add(self, row: int, code: int) -> bool:
        """Let the pool's row join with the class of this number; whether the refit converged."""
        self.X[self.count], self.T[self.count, code] = self.pool[row], 1.0
        self.counted[self.count] = 1.0
        self.count += 1
        return self._refit(FITTED)

    def fitted_with(self, row: int, code: int) -> torch.Tensor | None:
        """The weights (U, width) of a refit with the last pick too, if the loop's fit begins there.

        None if it does not, or if the refit did not converge.
        """
        model = self.query.model
        if not (model.warm_start and model.solver == "newton" and self.add(row, code)):
            return None
        return self._on_features(without_mean(self.theta))

    def hand_over(self, model: LogisticRegression) -> None:
        """Let the next fit of ``model`` and the next full solve begin where these turns are."""
        model.theta_ = self._on_features(without_mean(self.theta))
        if self.solution and self.solution.V.isfinite().all():
            self.query.memory.solution = self._on_features(self.solution.V.double())

    def _on_features(self, theta: torch.Tensor) -> torch.Tensor:
        """theta (U, width) along the principal axes, as one of the features, intercept last."""
        intercepts = theta.shape[1] - self.axes.shape[1]
        weights = theta[:, intercepts:] @ self.axes.T
        return torch.cat([weights, theta[:, :intercepts]], 1).to(self.query.model.theta_)

    def _refit(self, tol: float, most: int = MOST_STEPS) -> bool:
        """Newton's method from the last fit; whether its residual came to ``tol``.

        Directions are solved for as roughly as Eisenstat and Walker (1996, choice 2) advise: so
        that the last step's progress tells how much the next one can gain.
        """
        theta, Z, last = self.theta, project(self.X, self.theta.float()).double(), 0.0
        for _ in range(most):
            P = probabilities(Z.float())
            pull = pull_back(P - self.T, self.X, False)
            G = without_mean(pull.addcmul(self.ridge, theta.float()))
            norm = float(torch.linalg.vector_norm(G) / torch.linalg.vector_norm(pull))
            if norm <= tol:
                self.theta, self.unfit = theta, norm
                return True
            rows = Rows(self.X, P, self.ridge, self.counted)
            if self.fit_preconditioner is None:
                self.fit_preconditioner = Leading(rows)
            rough = 0.9 * (norm / last) ** 2 if last else 0.0
            rough = min(ROUGHEST, max(rough, norm, FINEST, tol / norm / 2))
            step = solve(rows, G, self.fit_preconditioner, rough, most=SOON)
            if step is None:  # the probabilities are others by now
                self.fit_preconditioner = Leading(rows)
                step = solve(rows, G, self.fit_preconditioner, rough)
            if step is None:
                return False
            length = self._length(theta, Z, step)
            theta, Z, last = theta - length * step.V, Z - length * step.S, norm
        return False

    def _length(self, theta: torch.Tensor, Z: torch.Tensor, step: Solution) -> float:
        """The share of a step that goes to the lowest loss along it; 1 if that is about as good.

        Z (m, U) : logits at theta. The products of the step are known, so that no pass over the
        rows is needed.
        """
        theta = theta.float()

        def slope(length: float) -> float:
            residuals = probabilities((Z - length * step.S).float()) - self.T
            penalty = self.ridge * (theta - length * step.V)
            return float((residuals * step.S).sum() + (penalty * step.V).sum())

        if not slope(1.0) < -OVERSHOOT * slope(0.0) < 0:
            return 1.0
        return brentq(slope, 0.0, 1.0, xtol=1e-6, rtol=1e-2)

    def choose(self, taken: torch.Tensor) -> Turn | None:
        """The row with the highest score, or None. A refit too rough to tell is made finer first.

        taken (N,) : rows that cannot be picked. None: two scores are too close, or a solve failed.
        """
        chosen, ahead = self._look(taken)
        while not chosen and ahead > 0 and self.unfit > LAST_LOOK:
            finer = max(LAST_LOOK, min(ahead / SAFETY, self.unfit) / 4)
            if not self._refit(finer, FEW_STEPS):
                return None
            chosen, ahead = self._look(taken)
        return chosen

    def _look(self, taken: torch.Tensor) -> tuple[Turn | None, float]:
        """The row with the highest score, if it is clear, and its lead as a share of its score.

        The lead is 0 if the solve failed.
        """
        theta = self.theta.float()
        P = probabilities(project(self.pool, theta))
        residuals = probabilities(project(self.validation, theta)) - self.T_validation
        G = without_mean(pull_back(residuals, self.validation, False))
        hessian = self._hessian(P)
        start = self.solution
        if start and not self.over_pool:
            start = Solution(start.V, project(self.X, start.V))
        solutions, wanted = steps(hessian, G, self._preconditioner(hessian), start), FIRST_LOOK
        ahead = 0.0
        for solution, error in islice(solutions, MOST_SOLVE_STEPS):
            if error > wanted:
                continue
            self.solution, self.last["V"] = solution, solution.V
            S = solution.S if self.over_pool else project(self.pool, solution.V)
            benefits = (P * S).sum(1, keepdim=True) - S
            scores = benefits * P if self.weighted else benefits
            best, places = scores.masked_fill(taken[:, None], -torch.inf).flatten().topk(2)
            ahead = float((best[0] - best[1]) / best[0].abs())
            if ahead > SAFETY * (error + self.unfit):
                row, code = divmod(int(places[0]), scores.shape[1])
                return Turn(row, code, float(best[0]), benefits[row : row + 1].double()), ahead
            if error <= max(LAST_LOOK, self.unfit / 2):
                break
            wanted = max(LAST_LOOK, self.unfit / 2, min(ahead / SAFETY - self.unfit, error / 2))
        return None, ahead

    def _hessian(self, P: torch.Tensor) -> Rows:
        """Over what is left of the pool, at probabilities P (N, U), or over the labeled rows."""
        ridge = self.ridge + self.query.settings.damping
        if self.over_pool:
            return Rows(self.pool, P, ridge, self.weights)
        P = probabilities(project(self.X, self.theta.float()))
        return Rows(self.X, P, ridge, self.counted)

    def _preconditioner(self, hessian: Rows) -> Leading:
        """Over the pool built once in a run: this Hessian changes little."""
        if self.over_pool:
            return self.query.once("leading", lambda: Leading(hessian))
        if self.fit_preconditioner is None:
            self.fit_preconditioner = Leading(hessian)
        return self.fit_preconditioner
