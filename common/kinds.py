"""The kinds that more than one package names, each an enum whose members are their own text."""

from enum import Enum


class TextEnum(str, Enum):
    """Members equal, print and sort as their text (Python 3.11's StrEnum, for 3.10 too)."""

    __str__ = str.__str__
    __repr__ = str.__repr__  # as argparse shows choices
    __format__ = str.__format__  # type: ignore[assignment]


class Task(TextEnum):
    """Two classes, or more: each has a script of its own."""

    BINARY = "binary"
    MULTI = "multi"


class Protocol(TextEnum):
    """How an experiment is split and fitted (experiments/protocols.py has the values)."""

    PAPER = "paper"
    STRICT = "strict"
    TUNED = "tuned"


class PenaltyRule(TextEnum):
    """How l2 is chosen, if it is no number (experiments/penalty.py)."""

    VALIDATION = "validation"  # by the log loss on the validation rows
    CV = "cv"  # by cross-validation on the rows that are trained on


class ModelKind(TextEnum):
    LOGISTIC = "logistic"
    MLP = "mlp"


class HessianRows(TextEnum):
    """The rows that the influence's Hessian sums over."""

    POOL = "pool"
    LABELED = "labeled"


class LabelSource(TextEnum):
    """Whose labels a strategy's picks get."""

    TRUE = "true"  # bought: each counts as a human label
    OWN = "own"  # given by the strategy: nothing is bought


class MetricName(TextEnum):
    """What is measured on the test set (experiments/metrics.py has the metrics)."""

    ACCURACY = "accuracy"
    LOG_LOSS = "log_loss"
    BALANCED_ACCURACY = "balanced_accuracy"
    MACRO_F1 = "macro_f1"
    AUC = "auc"


class Source(TextEnum):
    """Where a data set may come from."""

    AUTO = "auto"
    SHIPPED = "shipped"
    NETWORK = "network"
