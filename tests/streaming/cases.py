"""What several tests of this folder use: models, pools with ties, and the comparison of bits."""

import numpy as np

from influence import Influence
from models import LogisticRegression
from tests.helpers import split_of

BUDGET = 40


def fitted(name):
    split = split_of(name)
    model = LogisticRegression(1.0, True).fit(split.X[split.labeled], split.y[split.labeled])
    return split, model


def influence_of(name, X_hessian=None):
    split, model = fitted(name)
    X_hessian = split.X[split.labeled] if X_hessian is None else X_hessian
    return Influence(model, X_hessian, split.X[split.validation], split.y[split.validation])


def pool_of(name):
    """The pool, then its first rows again in another order: a tie for many of the best rows."""
    split = split_of(name)
    X = split.X[split.pool]
    return np.vstack([X, X[np.random.default_rng(0).permutation(len(X))]])


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
