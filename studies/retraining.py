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


class Retrained:
    """The models that are fitted to the labeled set and one more row; each is fitted once.

    model : fitted to the labeled set of ``split``.
    """

    def __init__(self, model: LogisticRegression, split: Split):
        self.model, self.refitted = model, deepcopy(model)
        self.X = split.X
        self.labeled = split.X[split.labeled], split.y[split.labeled]
        self.validation = split.X[split.validation], split.y[split.validation]
        self.before = influence.loss(model, *self.validation)
        self.known: dict[tuple[int, int], float] = {}

    def falls(self, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """The real fall for each of ``rows`` (m,), which joins alone: (m,).

        codes (m,) : the positions of their labels in ``model.classes_``.
        """
        pairs = zip(rows.tolist(), codes.tolist(), strict=True)
        return np.array([self._fall(row, code) for row, code in pairs])

    def _fall(self, row: int, code: int) -> float:
        if (row, code) not in self.known:
            X, y = self.labeled
            self.refitted.theta_ = self.model.theta_  # where every fit starts
            self.refitted.fit(np.vstack([X, self.X[row]]), np.append(y, self.model.classes_[code]))
            self.known[row, code] = self.before - influence.loss(self.refitted, *self.validation)
        return self.known[row, code]
