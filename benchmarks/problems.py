"""The three jobs of engine.py, drawn from seeded Gaussian mixtures and fitted once.

The classes overlap, so that the fitted probabilities are not all near 0 or 1. Otherwise the Hessian
would be nearly constant, and every solver fast.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

import influence
from models import LogisticRegression

L2 = 1.0
SEPARATION = 2.0  # distance between the means of two classes, in deviations of a feature
TOLERANCE = {"float32": 1e-6, "float64": 1e-10}  # of CG, relative residual


@dataclass(frozen=True)
class Job:
    """The sizes of a job, and the data set that has about these sizes."""

    pool: int
    features: int
    classes: int
    labeled: int
    validation: int
    like: str

    def shrunk(self, factor: int) -> "Job":
        """The same job with 1/``factor`` of the rows, but at least 20 for each class."""
        few = {
            part: max(getattr(self, part) // factor, 20 * self.classes)
            for part in ("pool", "labeled", "validation")
        }
        return replace(self, **few)

    def __str__(self) -> str:
        return (
            f"pool {self.pool:,} × {self.features}, {self.classes} classes, "
            f"{self.labeled:,} labeled, {self.validation:,} validation (like {self.like})"
        )


JOBS = {
    "A": Job(17_992, 51, 2, 300, 6_098, "Bank"),
    "B": Job(3_596, 11, 7, 301, 1_300, "Wine Quality"),
    "C": Job(50_000, 512, 10, 5_000, 5_000, "the features of an image network"),
}


@dataclass
class Problem:
    """The input of one round, in the job's float type, and its correct result.

    X_pool (n, D) : the rows to score.
    X_labeled (m, D), y_labeled (m,) : the rows that H sums over, and their class numbers.
    X_validation (v, D), y_validation (v,) : the validation rows and their class numbers.
    theta (U, D) : the weights, without an intercept, because pyDVL, dattri and captum have one
        penalty for all parameters.
    l2 : the penalty. tolerance : the relative residual that CG has to reach.
    reference (n, K) : the scores in float64, from this engine's dense solution.
    gradient_norm, cg_steps : the norm of the validation gradient, and how many steps plain CG needs
        to reach the tolerance. The stopping rules of some libraries need them.
    confidence : the mean over the pool of the largest probability.
    """

    X_pool: torch.Tensor
    X_labeled: torch.Tensor
    y_labeled: torch.Tensor
    X_validation: torch.Tensor
    y_validation: torch.Tensor
    theta: torch.Tensor
    l2: float = L2
    tolerance: float = 0.0
    reference: torch.Tensor | None = None
    gradient_norm: float = 0.0
    cg_steps: int = 0
    confidence: float = 0.0

    @property
    def classes(self) -> int:
        return max(2, len(self.theta))

    def tiny(self) -> "Problem":
        """A few rows and columns of the problem, to make a library load what it loads late."""
        rows, columns = slice(64), slice(4)
        return replace(
            self,
            X_pool=self.X_pool[rows, columns],
            X_labeled=self.X_labeled[rows, columns],
            y_labeled=self.y_labeled[rows],
            X_validation=self.X_validation[rows, columns],
            y_validation=self.y_validation[rows],
            theta=self.theta[:, columns].clone(),
            cg_steps=2,
        )

    def to(self, device: str) -> "Problem":
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **tensors)

    def save(self, path: Path) -> None:
        torch.save(vars(self), path)

    @classmethod
    def load(cls, path: Path) -> "Problem":
        return cls(**torch.load(path))


def draw(job: Job, dtype: str, seed: int = 0) -> Problem:
    """Draw a job's data and fit its model, in float64."""
    rng = np.random.default_rng([seed, job.pool, job.features])
    spread = SEPARATION / np.sqrt(2 * job.features)
    means = spread * rng.standard_normal((job.classes, job.features))

    def rows(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = rng.permutation(np.arange(count) % job.classes)
        X = rng.standard_normal((count, job.features), dtype=dtype)
        X += means[y].astype(dtype)
        return torch.from_numpy(X), torch.from_numpy(y)

    X_labeled, y_labeled = rows(job.labeled)
    X_validation, y_validation = rows(job.validation)
    X_pool, _ = rows(job.pool)
    model = LogisticRegression(L2).fit(X_labeled.double().numpy(), y_labeled.numpy())
    theta = model.theta_.to(X_pool.dtype)
    model.theta_ = theta.double()  # rounded: all contestants have the same weights, bit for bit
    exact = (X_labeled.double(), X_validation.double(), y_validation.numpy(), X_pool.double())
    gradient = influence.gradient(model, *exact[1:3])
    tolerance = TOLERANCE[dtype]
    return Problem(
        X_pool=X_pool,
        X_labeled=X_labeled,
        y_labeled=y_labeled,
        X_validation=X_validation,
        y_validation=y_validation,
        theta=theta,
        tolerance=tolerance,
        reference=influence.benefit(model, *exact, solver="cholesky"),
        gradient_norm=float(torch.linalg.vector_norm(gradient)),
        cg_steps=cg_steps(influence.hessian(model, exact[0]), gradient, tolerance),
        confidence=float(model.predict_proba(exact[3].numpy()).max(1).mean()),
    )


def prepare(job: Job, dtype: str, path: Path) -> dict[str, float]:
    """Draw a job and save it at ``path``; what engine.py prints about it."""
    problem = draw(job, dtype)
    problem.save(path)
    return {
        "parameters": problem.theta.numel(),
        "confidence": problem.confidence,
        "cg_steps": problem.cg_steps,
    }


def cg_steps(hessian: influence.Hessian, G: torch.Tensor, tolerance: float) -> int:
    """How many steps plain CG needs from G itself, where the libraries start, to the tolerance."""
    R = G - hessian.product(G)
    direction, square, target = R, (R * R).sum(), tolerance * torch.linalg.vector_norm(G)
    steps = 0
    while square.sqrt() > target:
        image = hessian.product(direction)
        R = R - square / (direction * image).sum() * image
        previous, square = square, (R * R).sum()
        direction = R + square / previous * direction
        steps += 1
    return steps
