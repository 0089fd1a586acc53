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

GRID = tuple(np.logspace(3, -2, 13).tolist())
FOLDS = 5


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
    return GRID[int(_losses(model, training, validation).argmin())]


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
    losses = np.zeros(len(GRID))
    for kept, held_out in stratified_folds(training.y, seed, folds):
        rows = training.at(kept)
        if always is not None:
            rows = rows.joined(always)
        losses += _losses(model, rows, training.at(held_out))
    return GRID[int(losses.argmin())]


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


def _losses(model: LogisticRegression | MLP, training: Rows, held_out: Rows) -> np.ndarray:
    """The sum of the log losses on ``held_out`` of models fitted to ``training``, by GRID."""
    fitted, losses = clone(model), []
    if isinstance(fitted, LogisticRegression):
        fitted.set_params(solver="newton")  # L-BFGS stops early, and not for every l2 at all
    for l2 in GRID:
        try:
            fitted.set_params(l2=l2).fit_tensors(*training)
        except np.linalg.LinAlgError as error:
            raise unfit(l2, error) from error
        losses.append(influence.loss(fitted.head_, fitted.embed_tensor(held_out.X), held_out.y))
    return np.array(losses)
