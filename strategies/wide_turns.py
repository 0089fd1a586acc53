"""One pick in turn for a wide softmax: the pick of a full refit, by cheaper arithmetic.

After each pick the model is refitted and the pool scored again. Both change little from pick to
pick. So each solve begins at the last solution, takes a preconditioner that is built once in a
round or in a run (numerics/leading.py), runs in float32, and ends as soon as the best score is
further ahead than the solve can be wrong. If two scores are too close for that, ``choose`` gives
None, and the caller computes them as for a narrow model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from common.kinds import HessianRows
from influence import class_targets
from numerics.conjugate_gradients import without_mean
from numerics.leading import Leading, Rows, Solution, principal_axes, solve
from numerics.linear import probabilities, project, pull_back
from strategies.base import Query, Turn

LARGEST = 1e12  # of the features: their squares are summed in float32
WIDEST = 4_096  # columns up to which the principal axes are worth their eigenvalues
MOST_STEPS = 50  # of Newton's method
FITTED = 1e-6  # norm of a fit's gradient for each row
# Tolerances of the solve. The scores it gives are wrong by about twice the tolerance, as a share of
# the best one; the best must be SAFETY tolerances ahead.
TOLERANCES, SAFETY = (1e-4, 2e-6), 10.0


def takes_turns(query: Query) -> bool:
    """Whether a query's model is a wide softmax, with a solver that is left open."""
    theta = query.model.theta_
    wide = theta.numel() > query.settings.finite_parameters and theta.shape[1] <= WIDEST
    if not wide or len(theta) == 1 or query.settings.solver != "auto":
        return False
    tables = query.pool, query.X_labeled, query.X_validation
    return all(float(X.abs().max()) < LARGEST for X in tables)


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
        rotated = [X.float() @ axes.float() for X in tables]
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
        self.pool, self.validation = rotated.pool, rotated.validation
        self.X = torch.cat([rotated.initial, self.pool[query.picked]])
        self.T = class_targets(model, query.y_labeled).float()
        self.T_validation = class_targets(model, query.y_validation).float()
        # The penalty makes the mean over the units zero at the optimum: rounding is all it can be.
        self.theta = without_mean(model.theta_[:, : len(rotated.axes)].double() @ rotated.axes)
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
            self.solution = Solution(self.last["V"], project(self.pool, self.last["V"]))
        self.fit_preconditioner: Leading | None = None

    def add(self, row: int, code: int) -> bool:
        """Let the pool's row join with the class of this number; whether the refit converged."""
        self.X = torch.cat([self.X, self.pool[row : row + 1]])
        self.T = torch.cat([self.T, torch.eye(self.T.shape[1]).to(self.T)[[code]]])
        return self._refit()

    def _refit(self) -> bool:
        """Newton's method from the last fit; whether it came to the minimum.

        A step is halved until the gradient falls by a quarter of what a quadratic loss promises.
        """
        ones = self.X.new_ones(len(self.X))
        P, G, norm = self._gradient(self.theta)
        for _ in range(MOST_STEPS):
            if norm <= FITTED * len(self.X):
                return True
            rows = Rows(self.X, P, self.ridge, ones)
            if self.fit_preconditioner is None:
                self.fit_preconditioner = Leading(rows)
            rough = min(0.1, max(norm / len(self.X), 1e-3))
            step = solve(rows, G, self.fit_preconditioner, rough)
            if step is None:
                return False
            length, last = 1.0, norm
            while True:
                theta = self.theta - length * step.V
                P, G, norm = self._gradient(theta)
                if norm <= (1 - length / 4) * last:
                    break
                length /= 2
                if length < 1e-3:
                    return False
            self.theta = theta
        return False

    def _gradient(self, theta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Probabilities (m, U) of the labeled rows, the gradient of the loss, and its norm."""
        theta = theta.float()
        P = probabilities(project(self.X, theta))
        G = pull_back(P - self.T, self.X, False).addcmul_(self.ridge, theta)
        G = without_mean(G)
        return P, G, float(torch.linalg.vector_norm(G))

    def choose(self, taken: torch.Tensor) -> Turn | None:
        """The row with the highest score, or None.

        taken (N,) : rows that cannot be picked. None: two scores are too close, or a solve failed.
        """
        theta = self.theta.float()
        P = probabilities(project(self.pool, theta))
        residuals = probabilities(project(self.validation, theta)) - self.T_validation
        G = without_mean(pull_back(residuals, self.validation, False))
        hessian = self._hessian(P)
        start = self.solution if self.over_pool else None
        for tol in TOLERANCES:
            start = solve(hessian, G, self._preconditioner(hessian), tol, start)
            if start is None:
                return None
            self.solution, self.last["V"] = start, start.V
            S = start.S if self.over_pool else project(self.pool, start.V)
            benefits = (P * S).sum(1, keepdim=True) - S
            scores = benefits * P if self.weighted else benefits
            (first, second), places = (
                scores.masked_fill(taken[:, None], -torch.inf).flatten().topk(2)
            )
            if float(first - second) > SAFETY * tol * float(first.abs()):
                row, code = divmod(int(places[0]), scores.shape[1])
                return Turn(row, code, float(first), benefits[row : row + 1].double())
        return None

    def _hessian(self, P: torch.Tensor) -> Rows:
        """Over what is left of the pool, at probabilities P (N, U), or over the labeled rows."""
        ridge = self.ridge + self.query.settings.damping
        if self.over_pool:
            return Rows(self.pool, P, ridge, self.weights)
        P = probabilities(project(self.X, self.theta.float()))
        return Rows(self.X, P, ridge, self.X.new_ones(len(self.X)))

    def _preconditioner(self, hessian: Rows) -> Leading:
        """Built once in a run: the Hessian changes little."""
        return self.query.once("leading", lambda: Leading(hessian))
