"""A user's own estimator in place of the linear model that is judged: fitted, its answers checked.

The linear model picks and labels all the same. The estimator sees the features of label.py: filled
and standardised.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from experiments.estimators import check_estimator, make_estimator
from experiments.judge import CheckedClassifier
from labeling.records import LabeledRows
from numerics.torch_classifier import encoded_classes

OPTION = "--estimator"


@dataclass(frozen=True)
class TrainedEstimator:
    """A fitted estimator of the user's. classes_ (K,) : sorted. checked : asks and checks it."""

    checked: CheckedClassifier
    classes_: np.ndarray
    l2 = None  # the linear model alone has a penalty that we know

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """The probability of each class for X (n, D): (n, K). Raises UserError if it fails."""
        return self.checked.probabilities(X)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class of each row of X (n, D): (n,). Raises UserError if it fails."""
        return self.classes_[self.checked.predicted(X)]


def trained(estimator: Any, rows: LabeledRows, seed: int | None) -> TrainedEstimator:
    """A new estimator like this one, fitted to the rows.

    estimator : see ``template_of``. Raises UserError as ``template_of`` does, and if the fit fails.
    """
    seed = int(np.random.default_rng(seed).integers(2**31)) if seed is None else seed % 2**32
    template, shown = template_of(estimator, seed)
    classes, codes = encoded_classes(rows.y)
    checked = CheckedClassifier(template, shown, seed)
    checked.fit(rows.X, codes, len(classes), f"on {len(rows):,} rows")
    return TrainedEstimator(checked, classes)


def template_of(estimator: Any, seed: int) -> tuple[Any, str]:
    """A classifier that is not fitted, and how messages call it.

    estimator : an object with scikit-learn's interface, or the dotted name of its class, of an
    object, or of a function that returns one. Each ``random_state`` of it that is None becomes the
    seed.

    Raises UserError if it is no classifier, cannot be cloned, or has no ``predict_proba``.
    """
    if isinstance(estimator, str):
        shown, template = f"{OPTION} {estimator}", make_estimator(estimator, OPTION)
    else:
        shown = f"estimator {getattr(estimator, '__name__', type(estimator).__name__)}"
        check_estimator(
            estimator, shown, mend="wrap it in sklearn.calibration.CalibratedClassifierCV"
        )
        template = clone(estimator)
    states = {
        key: seed
        for key, value in template.get_params(deep=True).items()
        if value is None and (key == "random_state" or key.endswith("__random_state"))
    }
    return template.set_params(**states), shown
