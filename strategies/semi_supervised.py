"""Semi-supervised learning by scikit-learn: labels for the pool from the labeled rows alone.

No validation label is read. Classes are class numbers here, because scikit-learn's -1 means "no
label" and could be a class of the user's.
"""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.semi_supervised import SelfTrainingClassifier

from common.kinds import LabelSource
from influence import class_numbers
from strategies.base import Picks, Query, highest, strategy

UNLABELED = -1


def joined(query: Query) -> tuple[np.ndarray, np.ndarray]:
    """The labeled rows, then those left of the pool: features (m + n, D), class numbers (m + n,).

    The class number of a pool row is UNLABELED.
    """
    codes = class_numbers(query.model, query.y_labeled).cpu().numpy()
    X = np.concatenate([query.X_labeled.cpu().numpy(), query.X_pool.cpu().numpy()])
    return X, np.append(codes, np.full(len(query.left), UNLABELED))


@strategy(
    "Self-training",
    "the surest predictions, with the predicted label (Lee 2013)",
    labels=LabelSource.OWN,
)
def self_training(query: Query) -> Picks:
    """One step of self-training: the rows that the model is surest of."""
    X, codes = joined(query)
    once = SelfTrainingClassifier(
        clone(query.model), criterion="k_best", k_best=query.budget, max_iter=1
    ).fit(X, codes)
    labeled = len(query.y_labeled)
    rows = np.flatnonzero(once.labeled_iter_[labeled:] == 1)
    sure = query.model.predict_proba(X[labeled + rows]).max(1)
    order = highest(torch.as_tensor(sure), query.budget)
    rows = rows[order]
    labels = query.model.classes_[once.transduction_[labeled + rows]]
    return Picks(rows, labels, sure[order])
