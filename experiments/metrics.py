"""The metrics of the test set: how each is measured, shown and compared."""

from dataclasses import dataclass
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from common.kinds import MetricName

DECIMALS = 9  # that count: a smaller difference is one of the arithmetic, and here a tie


@dataclass(frozen=True)
class Metric:
    """How tables, pictures and statistics show a metric, and which of its values is better.

    scale : what a value of curves.csv is multiplied by to be shown; 100 shows a fraction in %.
    digits : shown behind the point.
    """

    name: MetricName
    title: str
    scale: int = 100
    digits: int = 1
    larger_is_better: bool = True

    @property
    def column(self) -> str:
        """Its column in curves.csv."""
        return f"test_{self.name}"

    @property
    def label(self) -> str:
        """The title with its unit, and a word if smaller is better."""
        unit = " in %" if self.scale == 100 else ""
        return f"{self.title}{unit}" + ("" if self.larger_is_better else " (smaller is better)")

    @property
    def sign(self) -> int:
        """1, or -1 if smaller is better: of two values times this, the larger one is better."""
        return 1 if self.larger_is_better else -1


ACCURACY = Metric(MetricName.ACCURACY, "test accuracy")

METRICS: dict[MetricName, Metric] = {
    metric.name: metric
    for metric in (
        ACCURACY,
        Metric(MetricName.LOG_LOSS, "test log loss", 1, 3, larger_is_better=False),
        Metric(MetricName.BALANCED_ACCURACY, "test balanced accuracy"),
        Metric(MetricName.MACRO_F1, "test macro F1"),
        Metric(MetricName.AUC, "test AUC (one-vs-rest)"),
    )
}


def by_round(curves: pd.DataFrame, metric: Metric = ACCURACY) -> pd.DataFrame:
    """A metric: a row per method and seed, a column per round, methods as they came.

    In the unit of ``metric.label``; NaN if the metric is undefined.
    """
    methods = list(dict.fromkeys(curves["method"]))
    wide = curves.pivot(index=["method", "seed"], columns="round", values=metric.column)
    return (wide * metric.scale).round(DECIMALS).reindex(methods, level="method")


class Scores(NamedTuple):
    """What the metrics say of one model, under the names of their columns in curves.csv.

    Fractions; the log loss is per row. test_auc : NaN if it is undefined.
    """

    test_accuracy: float
    test_log_loss: float
    test_balanced_accuracy: float
    test_macro_f1: float
    test_auc: float


def scores(P: np.ndarray, predicted: np.ndarray, y: np.ndarray) -> Scores:
    """The scores of predictions by scikit-learn's functions of these names.

    P (n, K) : probability of each class. predicted, y (n,) : the predicted and the true class of
    each row, as numbers from 0 to K - 1.

    The AUC is one-vs-rest, the mean over the classes; it is undefined if a class has no row.
    """
    classes = np.arange(P.shape[1])
    with config_context(assume_finite=True, skip_parameter_validation=True), catch_warnings():
        # A class may be predicted that has no row, or the other way round.
        simplefilter("ignore", UserWarning)
        auc = np.nan
        if len(np.unique(y)) == len(classes):
            of_each = P[:, 1] if len(classes) == 2 else P
            auc = roc_auc_score(y, of_each, multi_class="ovr", labels=classes)
        return Scores(
            test_accuracy=float(accuracy_score(y, predicted)),
            test_log_loss=float(log_loss(y, P, labels=classes)),
            test_balanced_accuracy=float(balanced_accuracy_score(y, predicted)),
            test_macro_f1=float(f1_score(y, predicted, average="macro", zero_division=0)),
            test_auc=float(auc),
        )
