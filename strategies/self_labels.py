"""What salutary labeling has to beat: the model's own labels, and its picks with true labels."""

from common.kinds import LabelSource
from numerics.linear import class_probabilities
from strategies.active import isal
from strategies.base import Picks, Query, highest, strategy
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
    "Self-training",
    "the surest predictions, with the predicted label (Lee 2013)",
    labels=LabelSource.OWN,
)
def self_training(query: Query) -> Picks:
    """Pseudo-labels in their plain form: what the model is surest of."""
    surest = class_probabilities(query.model.logits_tensor(query.X_pool)).max(1)
    rows = highest(surest.values, query.budget)
    labels = query.model.classes_[surest.indices[rows].cpu().numpy()]
    return Picks(rows, labels, surest.values[rows])


@strategy(
    "Salutary, true",
    "salutary's rows with their true labels",
    labels=LabelSource.TRUE,
    reads_validation=True,
)
def salutary_truth(query: Query) -> Picks:
    """How much of salutary labeling is its choice of rows, and how much its choice of labels."""
    return salutary(query)._replace(labels=None)
