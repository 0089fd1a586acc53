"""The predicted fall of the validation loss if one row joins, and the fall after real retraining.

Both falls are of the sum of the losses over the validation set; positive if the loss falls. Rows
are positions in the split.
"""

from copy import deepcopy

import numpy as np
import torch

import influence
from common.kinds import HessianRows
from data_utils import Split
from models import LogisticRegression
from strategies.base import highest

RETRAINED = 60  # rows in each group that is retrained on, one row at a time


def predicted_falls(
    model: LogisticRegression,
    split: Split,
    rows: np.ndarray,
    hessian: HessianRows,
    *,
    damping: float = 0.0,
    step: str = "first",
) -> np.ndarray:
    """The predicted fall if each of ``rows`` (m,) joins alone, under every label: (m, K).

    model : fitted to the labeled set of ``split``. hessian : the rows that the Hessian sums over.
    damping, step : as in ``influence.benefit``.
    """
    of_hessian = split.pool if hessian == HessianRows.POOL else split.labeled
    return influence.benefit(
        model,
        split.X[of_hessian],
        split.X[split.validation],
        split.y[split.validation],
        split.X[rows],
        damping=damping,
        step=step,
    )


def best_rows(scores: np.ndarray) -> np.ndarray:
    """Positions of the RETRAINED rows whose best label promises most, best first.

    scores (n, K) : from ``predicted_falls``.
    """
    return highest(torch.from_numpy(scores.max(1)), RETRAINED).numpy()


def real_falls(
    model: LogisticRegression, split: Split, rows: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """The fall if the model is fitted to the labeled set and one of ``rows``: (m,).

    model : fitted to the labeled set of ``split``. rows (m,), codes (m,) : the rows, each added
    alone, and the positions of their labels in ``model.classes_``.
    """
    X, y = split.X[split.labeled], split.y[split.labeled]
    validation = split.X[split.validation], split.y[split.validation]
    before, refitted, falls = influence.loss(model, *validation), deepcopy(model), []
    for row, code in zip(rows, codes, strict=True):
        refitted.theta_ = model.theta_  # every warm start is from the model without the row
        refitted.fit(np.vstack([X, split.X[row]]), np.append(y, model.classes_[code]))
        falls.append(before - influence.loss(refitted, *validation))
    return np.array(falls)
