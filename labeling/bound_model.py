"""The model that gives the labels within a bound.

Three are tried: a linear model; a random forest, or the user's own estimator in its place; and soft
voting, which is the mean of the two models' probabilities. That one is taken whose errors come last
if rows are sorted by its confidence: it has the smallest area under the risk-coverage curve
(Geifman, Uziel and El-Yaniv 2019, Bias-Reduced Uncertainty Estimation, section 2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import KFold

from experiments import penalty
from labeling import wide
from labeling.fitting import Fits, fitted_model
from labeling.own_model import trained
from labeling.records import LabeledRows
from numerics.linear import as_tensor

FOLDS = 5
TREES = 100
BOTH = "the mean of both"


class Classifier(Protocol):
    """A fitted model."""

    @property
    def classes_(self) -> np.ndarray:
        """The K classes, sorted."""

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """The probability of each class for X (n, D): (n, K)."""


Fit = Callable[[LabeledRows], Classifier]


@dataclass(frozen=True)
class SoftVote:
    """Models of the same classes; their mean probability is the answer."""

    members: tuple[Classifier, ...]

    @property
    def classes_(self) -> np.ndarray:
        return self.members[0].classes_

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """The probability of each class for X (n, D): (n, K)."""
        return np.mean([member.predict_proba(X) for member in self.members], axis=0)


@dataclass(frozen=True)
class Judged:
    """Rows of known class: the model's confidence (n,), and whether it errs, (n,) bool."""

    confidence: np.ndarray
    errs: np.ndarray

    def above(self, threshold: float) -> tuple[int, int]:
        """How many rows are at least so confident, and on how many of these the model errs."""
        rows = self.confidence >= threshold
        return int(rows.sum()), int(self.errs[rows].sum())

    @property
    def risk_coverage_area(self) -> float:
        """The mean share of errors among the 1, 2, … n most confident rows."""
        errs = self.errs[np.argsort(-self.confidence, kind="stable")]
        return float((np.cumsum(errs) / np.arange(1, len(errs) + 1)).mean())


def judge(model: Classifier, P: np.ndarray, y: np.ndarray) -> Judged:
    """The model's answers P (n, K) to rows whose classes are y (n,)."""
    return Judged(P.max(1), model.classes_[P.argmax(1)] != y)


def two_fits(labeler: Fits, rows: LabeledRows) -> dict[str, Fit]:
    """How the two models are fitted, by name. The l2 of the linear one is chosen on these rows.

    Raises what ``fitted_model`` raises.
    """
    l2 = fitted_model(labeler, rows).l2

    def linear(training: LabeledRows) -> Classifier:
        known = penalty.Rows(as_tensor(training.X), training.y)
        return wide.fitted(known, l2, fit_intercept=labeler.fit_intercept)

    own = labeler.estimator
    second = RandomForestClassifier(TREES) if own is None else own
    name = "a random forest" if own is None else "your estimator"
    return {
        f"the linear model with l2 = {l2:.3g}": linear,
        name: partial(trained, second, seed=labeler.random_state),
    }


def fitted_votes(fits: dict[str, Fit], rows: LabeledRows) -> dict[str, SoftVote]:
    """Each model, fitted to the rows, and the mean of both."""
    members = {name: fit(rows) for name, fit in fits.items()}
    alone = {name: SoftVote((member,)) for name, member in members.items()}
    return alone | {BOTH: SoftVote(tuple(members.values()))}


def out_of_fold(
    fits: dict[str, Fit], labeled: LabeledRows, choosing: LabeledRows, seed: int
) -> dict[str, Judged]:
    """The choosing rows, each judged by models that were not trained on it."""
    parts: dict[str, list[Judged]] = {}
    folds = KFold(min(FOLDS, len(choosing)), shuffle=True, random_state=seed)
    for kept, held_out in folds.split(choosing.X):
        out = choosing[held_out]
        for name, model in fitted_votes(fits, labeled.joined(choosing[kept])).items():
            parts.setdefault(name, []).append(judge(model, model.predict_proba(out.X), out.y))
    return {
        name: Judged(
            np.concatenate([part.confidence for part in found]),
            np.concatenate([part.errs for part in found]),
        )
        for name, found in parts.items()
    }
