"""The metrics of the test set: how each is measured, shown and compared."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata

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
    """The scores of predictions, as scikit-learn's functions of these names define them.

    P (n, K) : probability of each class. predicted, y (n,) : the predicted and the true class of
    each row, as numbers from 0 to K - 1.

    Every round is measured, and scikit-learn's functions check their input anew in each call: 5 to
    9 ms, more than the round itself. One table of counts and one ranking take 0.2 to 0.3 ms.
    """
    n, classes = P.shape
    confusion = np.bincount(y * classes + predicted, minlength=classes**2)
    confusion = confusion.reshape(classes, classes)  # true class × predicted class
    hits, rows, answers = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    either = rows + answers > 0
    eps = np.finfo(P.dtype).eps
    return Scores(
        test_accuracy=float(hits.sum() / n),
        test_log_loss=float(-np.log(P[np.arange(n), y].clip(eps, 1 - eps)).mean()),
        test_balanced_accuracy=float((hits[rows > 0] / rows[rows > 0]).mean()),
        test_macro_f1=float((2 * hits[either] / (rows + answers)[either]).mean()),
        test_auc=one_vs_rest_auc(P, y),
    )


def one_vs_rest_auc(P: np.ndarray, y: np.ndarray) -> float:
    """The area under the ROC curve of each class, their mean; NaN if a class has no row.

    P (n, K), y (n,) : as for ``scores``. By Mann and Whitney: the share of the pairs of a row of
    the class and another row in which the first has the higher probability; equal ones count half.
    """
    members = y[:, None] == np.arange(P.shape[1])
    if P.shape[1] == 2:  # the classes mirror each other
        P, members = P[:, 1:], members[:, 1:]
    inside = members.sum(0)
    pairs = inside * (len(y) - inside)
    if not pairs.all():
        return np.nan
    ranks = (rankdata(P, axis=0) * members).sum(0)
    return float(((ranks - inside * (inside + 1) / 2) / pairs).mean())
