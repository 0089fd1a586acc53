"""Picks of other strategies: ISLA's with predicted labels, and Salutary's with true ones."""

from common.kinds import LabelSource
from strategies.active import isal
from strategies.base import Picks, Query, strategy
from strategies.salutary import salutary


@strategy(
    "Pseudo",
    "ISLA's rows with the predicted label (Lee 2013)",
    labels=LabelSource.OWN,
    reads_validation=True,
    weighted=True,
)
def pseudo(query: Query) -> Picks:
    """Salutary labeling without its choice of label: the largest benefit under the prediction."""
    picks = isal(query)
    return picks._replace(labels=query.model.predict_tensor(query.X_pool[picks.rows]))


@strategy(
    "Salutary, true",
    "salutary's rows with their true labels",
    labels=LabelSource.TRUE,
    reads_validation=True,
)
def salutary_truth(query: Query) -> Picks:
    """How much of salutary labeling is its choice of rows, and how much its choice of labels."""
    return salutary(query)._replace(labels=None)
