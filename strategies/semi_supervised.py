"""Semi-supervised learning by scikit-learn: labels for the pool from the labeled rows alone.

No validation label is read. Classes are class numbers here, because scikit-learn's -1 means "no
label" and could be a class of the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from common.kinds import LabelSource
from strategies.base import Picks, Query, highest, strategy

if TYPE_CHECKING:  # what --list need not wait for
    from scipy.sparse import csr_matrix
    from sklearn.semi_supervised import SelfTrainingClassifier

LIBRARIES = ("sklearn.neighbors", "sklearn.semi_supervised")
UNLABELED = -1
NEIGHBOURS = 7  # scikit-learn's default
# Zhou et al. have 0.99, scikit-learn 0.2. On electric, wine, bank, waveform, mnist (pca:50) and
# diabetes, seeds 100-102, 0.9 gives 71.8 % of the pool its true label on average, they give 68.7
# and 69.1 %.
ALPHA = 0.9
MOST_STEPS = 1000  # at ALPHA about 60 are enough


@strategy(
    "Self-training",
    "the surest predictions, with the predicted label (Lee 2013)",
    labels=LabelSource.OWN,
    libraries=LIBRARIES,
)
def self_training(query: Query) -> Picks:
    """One step of self-training: the rows that the model is surest of."""
    from numerics.linear import class_probabilities

    once = _self_trained(query, criterion="k_best", k_best=query.budget, max_iter=1)
    size = len(query.y_labeled)
    rows = np.flatnonzero(once.labeled_iter_[size:] == 1)
    sure = class_probabilities(query.model.logits_tensor(query.X_pool[rows])).max(1).values
    order = highest(sure, query.budget).cpu().numpy()
    labels = query.model.classes_[once.transduction_[size + rows[order]]]
    return Picks(rows[order], labels, sure[order])


def self_trained_labels(query: Query) -> np.ndarray:
    """Labels for what is left of the pool, (n,): self-training until no row is sure enough.

    A row that it never labels gets its final prediction.
    """
    trained = _self_trained(query)
    codes = trained.transduction_[len(query.y_labeled) :]
    unsure = np.flatnonzero(codes == UNLABELED)
    if len(unsure):
        codes[unsure] = trained.estimator_.predict_tensor(query.X_pool[unsure])
    return query.model.classes_[codes]


def _self_trained(query: Query, **options) -> SelfTrainingClassifier:
    """Self-training of the query's model, from the labeled rows, over what is left of the pool."""
    import torch
    from sklearn.base import clone
    from sklearn.semi_supervised import SelfTrainingClassifier

    X = torch.cat([query.X_labeled, query.X_pool]).cpu().numpy()
    codes = np.append(_codes(query), np.full(len(query.left), UNLABELED))
    return SelfTrainingClassifier(clone(query.model), **options).fit(X, codes)


@strategy(
    "Label spreading",
    "the surest labels that spread over a graph of neighbours (Zhou et al. 2004)",
    labels=LabelSource.OWN,
    libraries=LIBRARIES,
)
def label_spreading(query: Query) -> Picks:
    """The labeled rows, with all labels given so far, spread their labels to their neighbours."""
    import torch

    spread = _spread(query)
    rows = highest(torch.as_tensor(spread.sure[query.left]), query.budget).numpy()
    labels = query.model.classes_[spread.codes[query.left[rows]]]
    return Picks(rows, labels, spread.sure[query.left[rows]])


def spread_labels(query: Query) -> np.ndarray:
    """Labels for every row of the first pool, (N,): those that are spread to it."""
    return query.model.classes_[_spread(query).codes]


class _Spread(NamedTuple):
    """codes (N,) : class numbers of all rows of the first pool. sure (N,) : their share, 0 to 1."""

    codes: np.ndarray
    sure: np.ndarray


def _spread(query: Query) -> _Spread:
    """What label spreading says of every row of the first pool.

    A row that no label reaches gets the model's prediction, and is not sure at all.
    """
    import torch
    from sklearn.semi_supervised import LabelSpreading

    graph = query.once("neighbours", lambda: _neighbours(query))
    codes, labeled = np.full(graph.shape[0], UNLABELED), _codes(query)
    codes[: query.initial] = labeled[: query.initial]
    codes[query.initial + query.picked] = labeled[query.initial :]
    spreading = LabelSpreading(lambda X, Y: graph, alpha=ALPHA, max_iter=MOST_STEPS)
    no_features = np.zeros((len(codes), 1))  # the graph has been made of them
    spreading.fit(no_features, codes)
    shares = spreading.label_distributions_[query.initial :]
    sure, codes = shares.max(1), spreading.transduction_[query.initial :]
    lost = np.flatnonzero(sure == 0)
    predicted = query.model.predict_tensor(query.pool[torch.as_tensor(lost)])
    codes[lost] = np.searchsorted(query.model.classes_, predicted)
    return _Spread(codes, sure)


def _neighbours(query: Query) -> csr_matrix:
    """Which of the first labeled rows and the pool are neighbours: (initial + N) squared.

    Two rows are neighbours if either is among the nearest of the other.
    """
    import torch
    from sklearn.neighbors import kneighbors_graph

    X = torch.cat([query.X_labeled[: query.initial], query.pool]).cpu().numpy()
    nearest = kneighbors_graph(X, min(NEIGHBOURS, len(X) - 1))
    return nearest.maximum(nearest.T)


def _codes(query: Query) -> np.ndarray:
    """The class numbers of the labeled rows, (m,)."""
    from influence import class_numbers

    return class_numbers(query.model, query.y_labeled).cpu().numpy()
