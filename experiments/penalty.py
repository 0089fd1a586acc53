"""The penalty l2, chosen from one fixed grid: on the validation rows, or by cross-validation.

Each value is judged by the log loss of a model that is fitted with it. A tie goes to the larger
value. The grid is walked from the largest value down, so that a model with a warm start begins near
its optimum.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold

import influence
from common.errors import UserError
from common.kinds import PenaltyRule
from models import MLP, LogisticRegression
from numerics.limits import DENSE_PARAMETERS

GRID = tuple(np.logspace(3, -2, 13).tolist())
FOLDS = 5
# Of models with many weights: the tolerance of rough fits, and losses FAR above the lowest one and
# NEAR it, as multiples of it.
TO_CHOOSE, FAR, NEAR = 1e-5, 1.1, 1.001


def l2_text(l2: float, digits: int = 3) -> str:
    """So many digits of l2, but never as 1e+03."""
    return f"{float(f'{l2:.{digits}g}'):g}"


class PenaltyError(UserError):
    """l2 cannot be chosen on these rows."""


class Rows(NamedTuple):
    """Features X (n, D), on the model's device, and labels y (n,) of the same rows."""

    X: torch.Tensor
    y: np.ndarray

    def at(self, positions: np.ndarray) -> "Rows":
        """The rows at these positions (m,)."""
        return Rows(self.X[torch.as_tensor(positions)], self.y[positions])

    def joined(self, other: "Rows") -> "Rows":
        """These rows, followed by the other ones."""
        return Rows(torch.cat([self.X, other.X]), np.append(self.y, other.y))


def chosen_by(
    rule: PenaltyRule,
    model: LogisticRegression | MLP,
    training: Rows,
    validation: Rows,
    seed: int,
) -> float:
    """The l2 that the rule chooses; raises PenaltyError as the function behind it does."""
    if rule == PenaltyRule.VALIDATION:
        return chosen_on_validation(model, training, validation)
    return chosen_by_cross_validation(model, training, seed)


def chosen_on_validation(
    model: LogisticRegression | MLP, training: Rows, validation: Rows
) -> float:
    """The l2 whose model, fitted to ``training``, has the lowest log loss on ``validation``.

    model : gives all parameters but l2; it is not changed.

    Raises PenaltyError if the validation rows have one class, or if a value cannot be fitted.
    """
    if len(np.unique(validation.y)) < 2:
        raise PenaltyError(
            f"l2 cannot be chosen on validation rows that are all of class {validation.y[0]}: "
            "give l2 as a number, or cv"
        )
    return GRID[int(_losses(model, [(training, validation)]).argmin())]


def chosen_by_cross_validation(
    model: LogisticRegression | MLP,
    training: Rows,
    seed: int,
    *,
    always: Rows | None = None,
    folds: int = FOLDS,
) -> float:
    """The l2 with the lowest log loss over ``stratified_folds`` of ``training``.

    model : as in ``chosen_on_validation``. seed : of the folds.
    always : more rows, that every fit trains on and none is judged by.

    Raises PenaltyError as ``stratified_folds`` does, or if a value cannot be fitted.
    """
    parts = []
    for kept, held_out in stratified_folds(training.y, seed, folds):
        rows = training.at(kept)
        if always is not None:
            rows = rows.joined(always)
        parts.append((rows, training.at(held_out)))
    return GRID[int(_losses(model, parts).argmin())]


def stratified_folds(
    y: np.ndarray, seed: int, folds: int = FOLDS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions in the labels y (m,) to fit on and to judge on, for each fold.

    A class of fewer rows than folds is never held out, so that every fit knows all classes.

    Raises PenaltyError if fewer than two classes have as many rows as folds.
    """
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    fills = counts >= folds
    if fills.sum() < 2:
        lacking = [
            f"class {few} has fewer than {folds} rows to train on" for few in classes[~fills]
        ]
        why = lacking[0] if lacking else f"all rows to train on are of class {classes[0]}"
        raise PenaltyError(
            f"l2 cannot be chosen by {folds}-fold cross-validation: {why}: label more rows, or "
            "give l2 as a number"
        )
    common = np.flatnonzero(fills[codes])
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    held_out = [np.sort(common[out]) for _, out in splitter.split(common, codes[common])]
    return [(np.setdiff1d(np.arange(len(y)), out), out) for out in held_out]


def unfit(l2: float, error: Exception) -> PenaltyError:
    """The error that says which value of the grid cannot be fitted, and why."""
    return PenaltyError(
        f"l2 = {l2_text(l2)} of the grid cannot be fitted: {error}; or give l2 as a number"
    )


def _losses(model: LogisticRegression | MLP, parts: list[tuple[Rows, Rows]]) -> np.ndarray:
    """The sum of the log losses by GRID; infinite for a value that cannot be the best.

    parts : pairs of rows to fit to and rows to judge by.
    """
    if isinstance(model, LogisticRegression) and _is_wide(model, parts[0][0]):
        return _losses_of_wide(model, parts)
    losses = np.zeros(len(GRID))
    for training, held_out in parts:
        fitted = clone(model)
        if isinstance(fitted, LogisticRegression):
            fitted.set_params(solver="newton")  # L-BFGS stops early, and not for every l2 at all
        losses += [_loss(fitted, l2, training, held_out) for l2 in GRID]
    return losses


def _is_wide(model: LogisticRegression, training: Rows) -> bool:
    """Whether the model has so many weights that its Hessian is never factored."""
    classes = len(np.unique(training.y))
    units = 1 if classes == 2 and not model.softmax else classes
    return units * (training.X.shape[1] + model.fit_intercept) > DENSE_PARAMETERS


def _losses_of_wide(model: LogisticRegression, parts: list[tuple[Rows, Rows]]) -> np.ndarray:
    """``_losses`` of a model with many weights: the lowest one is at the same place.

    All parts walk the grid together, by rough fits. Small values of l2 take the most steps to fit,
    and fit the labels by heart: the walk ends with the second value in a row that is FAR above
    the lowest loss. Values whose losses are NEAR the lowest one are fitted again to all digits.
    """
    rough = {"solver": "newton", "warm_start": True, "tol": max(model.tol, TO_CHOOSE)}
    models = [clone(model).set_params(**rough) for _ in parts]
    losses, above = np.full(len(GRID), np.inf), 0
    for i, l2 in enumerate(GRID):
        pairs = zip(models, parts, strict=True)
        losses[i] = sum(_loss(fitted, l2, *part) for fitted, part in pairs)
        above = above + 1 if losses[i] > FAR * losses.min() else 0
        if above == 2:
            break
    near = np.flatnonzero(losses <= NEAR * losses.min())
    for i in near.tolist() if len(near) > 1 else ():
        pairs = zip(models, parts, strict=True)
        losses[i] = sum(
            _loss(fitted.set_params(tol=model.tol), GRID[i], *part) for fitted, part in pairs
        )
    return losses


def _loss(model: LogisticRegression | MLP, l2: float, training: Rows, held_out: Rows) -> float:
    """The sum of the log losses on ``held_out`` of the model, fitted to ``training`` with l2."""
    try:
        model.set_params(l2=l2).fit_tensors(*training)
    except np.linalg.LinAlgError as error:
        raise unfit(l2, error) from error
    return influence.loss(model.head_, model.embed_tensor(held_out.X), held_out.y)
