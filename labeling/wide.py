"""Fits and limits for wide tables, where the ways that suit few columns would take minutes."""

import numpy as np
import torch

import influence
from experiments import penalty
from models import LogisticRegression
from strategies.span_regression import WIDE, SpanRegression

# Most multiplications that the finite step may take for one pick: some 10 ms of one core. First
# order loses nothing at that width (benchmarks/label_width.py).
FINITE_FLOPS = 1e8
RISES = 2  # so many values in a row without a new lowest loss end the walk through the grid
# Tolerances of fits that only rank values of l2, and of those that only rank the pool's rows.
TO_CHOOSE, TO_PICK = 1e-5, 1e-7


def finite_parameters() -> int:
    """Most parameters P for which the finite step stays within FINITE_FLOPS.

    H⁻¹ takes P³ multiplications and H⁻¹H_vH⁻¹ twice as many, of two operations each.
    """
    return int((FINITE_FLOPS / 6) ** (1 / 3))


def is_wide(X: torch.Tensor) -> bool:
    """Whether the models of X (n, D) are fitted as this module does."""
    return X.shape[1] >= WIDE


def chosen_l2(
    training: penalty.Rows,
    always: penalty.Rows | None,
    seed: int,
    folds: int,
    *,
    fit_intercept: bool,
) -> float:
    """The l2 that cross-validation on ``training`` chooses (``chosen_by_cross_validation``).

    If the rows are wide, all folds walk the grid together. So the walk can end early: small values
    of l2, which take the most steps to fit, are left out once the loss has passed its minimum.

    training, always, seed, folds : as there.

    Raises PenaltyError as ``penalty.stratified_folds`` does, or if a value cannot be fitted.
    """
    if not is_wide(training.X):
        plain = LogisticRegression(fit_intercept=fit_intercept, warm_start=True)
        return penalty.chosen_by_cross_validation(plain, training, seed, always=always, folds=folds)
    rows = training if always is None else training.joined(always)
    K = rows.X @ rows.X.T
    models, parts = [], []
    for kept, held_out in penalty.stratified_folds(training.y, seed, folds):
        kept = np.append(kept, np.arange(len(training.y), len(rows.y)))
        model = SpanRegression(1.0, fit_intercept, warm_start=True, tol=TO_CHOOSE)
        part = rows.at(kept)
        model.set_gram(part.X, K[kept][:, kept])
        models.append(model)
        parts.append((part, training.at(held_out)))
    losses: list[float] = []
    for l2 in penalty.GRID:
        try:
            for model, (part, _) in zip(models, parts, strict=True):
                model.set_params(l2=l2).fit_tensors(*part)
        except np.linalg.LinAlgError as error:
            raise penalty.unfit(l2, error) from error
        pairs = zip(models, parts, strict=True)
        losses.append(sum(influence.loss(model, *held_out) for model, (_, held_out) in pairs))
        if len(losses) > int(np.argmin(losses)) + RISES:
            break
    return penalty.GRID[int(np.argmin(losses))]


def fitted(training: penalty.Rows, l2: float, *, fit_intercept: bool) -> LogisticRegression:
    """A LogisticRegression, fitted in the span of its rows if that is cheaper."""
    model = SpanRegression(l2, fit_intercept).fit_tensors(*training)
    plain = LogisticRegression(l2, fit_intercept)
    for name in ("theta_", "n_iter_", "classes_", "n_features_in_"):
        setattr(plain, name, getattr(model, name))
    return plain
