"""What several tests of this folder use: Hessians at a fit, and networks with their data."""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import influence
from models import LogisticRegression
from tests.helpers import split_of

EXACT = ("cg", "dense")


def hessian_of(
    name, l2=1.0, fit_intercept=True, scale=1.0, dtype="float64", protocol="strict", **more
):
    """The Hessian over a labeled set at its fit, and a right-hand side: the validation gradient."""
    split = split_of(name, protocol)
    X, y = scale * split.X[split.labeled], split.y[split.labeled]
    model = LogisticRegression(l2, fit_intercept, dtype=dtype).fit(X, y)
    G = influence.gradient(model, scale * split.X[split.validation], split.y[split.validation])
    return influence.hessian(model, X, **more), G


def softmax_loss(Z, y):
    return cross_entropy(Z, y, reduction="none")


def sigmoid_loss(Z, y):
    return binary_cross_entropy_with_logits(Z[:, 0], y, reduction="none")


def setting(mlp, name, rows=300, pool=30):
    """A fitted network and the arguments of module_benefit for a data set of class numbers."""
    split = split_of(name)
    part = split.labeled[:rows]
    mlp.fit(split.X[part], split.y[part])
    binary = len(mlp.classes_) == 2
    dtype = float if binary else int
    y = np.searchsorted(mlp.classes_, split.y).clip(max=len(mlp.classes_) - 1).astype(dtype)
    valid = split.validation[np.isin(split.y[split.validation], mlp.classes_)]
    arrays = split.X[part], y[part], split.X[valid], y[valid], split.X[split.pool[:pool]]
    classes = torch.arange(len(mlp.classes_), dtype=torch.float64 if binary else torch.int64)
    return mlp, sigmoid_loss if binary else softmax_loss, (*arrays, classes)
