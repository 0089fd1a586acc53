"""What stands behind each labeled row: its nearest labeled rows, and the validation rows it serves.

A validation row is served if its loss falls once the labeled row joins the training set. The falls
are first-order, as in ``influence.falls_by_row``, by a model that knows the labels given before. A
model for every single row would cost a fit and a factor each: the rows share SHARED models, in
order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

import influence
from labeling.labeler import SalutaryLabeler
from labeling.records import KnownRows, LabeledRows, split_off
from models import LogisticRegression
from numerics.hessian import Hessian
from numerics.linear import as_tensor, probabilities, project

TOLD = 5  # nearest rows, and rows served, of each row
SHARED = 10  # models that explain the rows, if the Hessian is small
SMALL_PARAMETERS = 400  # up to so many parameters a model costs a few milliseconds
MOST_PARAMETERS = 4_000  # above, the factor of the Hessian takes too long: nothing is explained
ENTRIES = 4_000_000  # numbers held at once


@dataclass(frozen=True)
class RowStories:
    """What stands behind b labeled rows.

    nearest, distances (b, t) : positions in the labeled rows, nearest first, and the Euclidean
        distances of the standardised features; t is at most TOLD.
    served, falls (b, s) : positions of validation rows, and by how much the loss of each falls,
        the largest fall first; a fall may be negative. s is at most TOLD, and 0 if the model is too
        large or its Hessian singular.
    helped (b,) : on how many of all ``validated`` validation rows the loss falls.
    of_labeled : whether the positions in ``served`` are in the labeled rows, because a part of them
        was set aside for validation.
    """

    nearest: np.ndarray
    distances: np.ndarray
    served: np.ndarray
    falls: np.ndarray
    helped: np.ndarray
    validated: int
    of_labeled: bool


@dataclass(frozen=True)
class Explained:
    """The rows to explain, in the order of the picks.

    rows : their features (b, D) and labels (b,). given (b,) : whether the model learned from the
    row; it did not from rows left for a person.
    """

    rows: LabeledRows
    given: np.ndarray


def row_stories(labeler: SalutaryLabeler, known: KnownRows, explained: Explained) -> RowStories:
    """The stories of the rows; features are standardised.

    labeler : fitted to ``known``.
    """
    training, validation, positions = parts(labeler, known)
    X, human = explained.rows.X, known.labeled.X
    near = NearestNeighbors(n_neighbors=min(TOLD, len(human))).fit(human)
    distances, nearest = near.kneighbors(X) if len(X) else (np.empty((0, 0)),) * 2
    count = min(TOLD, len(validation))
    served, helped = np.zeros((len(X), count), int), np.zeros(len(X), int)
    falls = np.zeros((len(X), count))
    size = (human.shape[1] + 1) * len(labeler.classes_)
    try:
        for rows in groups(len(X), size, len(validation)):
            told = falls_of(labeler, training, validation, explained, rows)
            served[rows] = np.argsort(-told, axis=1, kind="stable")[:, :count]
            falls[rows] = np.take_along_axis(told, served[rows], 1)
            helped[rows] = (told > 0).sum(1)
    except np.linalg.LinAlgError:  # the labels are there all the same
        served, falls = served[:, :0], falls[:, :0]
    return RowStories(
        nearest.astype(int),
        distances,
        positions[served],
        falls,
        helped,
        len(validation),
        known.validation is None,
    )


def parts(
    labeler: SalutaryLabeler, known: KnownRows
) -> tuple[LabeledRows, LabeledRows, np.ndarray]:
    """The rows that the labeler trains on first, those that it validates with, and their positions.

    The positions (v,) are in the validation rows or, if there are none, in the labeled rows.
    """
    if known.validation is not None:
        return known.labeled, known.validation, np.arange(len(known.validation))
    rng = np.random.default_rng(labeler.random_state)
    held = split_off(known.labeled.y, labeler.validation_fraction, rng)  # as ``fit`` draws it
    return known.labeled[~held], known.labeled[held], np.flatnonzero(held)


def groups(count: int, size: int, validated: int) -> list[np.ndarray]:
    """Positions 0 … count in order, those that share a model and fit into memory together.

    Raises LinAlgError if the model is too large to factor its Hessian.
    """
    if size > MOST_PARAMETERS:
        raise np.linalg.LinAlgError(f"{size:,} parameters")
    models = SHARED if size <= SMALL_PARAMETERS else 1
    at_once = max(1, ENTRIES // max(size, validated))
    pieces = max(min(models, count), -(-count // at_once))
    return [part for part in np.array_split(np.arange(count), max(pieces, 1)) if len(part)]


def falls_of(
    labeler: SalutaryLabeler,
    training: LabeledRows,
    validation: LabeledRows,
    explained: Explained,
    rows: np.ndarray,
) -> np.ndarray:
    """The predicted fall of each validation row's loss for consecutive ``rows`` (r,): (r, v).

    By the model that is trained on ``training`` and the labels given before the first of them.
    """
    learned = explained.rows[np.flatnonzero(explained.given[: rows[0]])]
    known = training.joined(learned)
    model = LogisticRegression(labeler.l2_, labeler.fit_intercept).fit(known.X, known.y)
    H = influence.hessian(model, known.X)
    return falls(model, H, validation, explained.rows[rows]).numpy()


def falls(
    model: LogisticRegression, H: Hessian, validation: LabeledRows, joining: LabeledRows
) -> torch.Tensor:
    """``influence.falls_by_row`` for each of r joining rows, by one factor of H: (r, v).

    Raises LinAlgError if H is singular.
    """
    (X, R), (X_joining, R_joining) = (with_residuals(model, rows) for rows in (validation, joining))
    ones = X_joining.new_ones(len(X_joining), int(model.fit_intercept))
    steps = R_joining[:, :, None] * torch.cat([X_joining, ones], 1)[:, None]  # (r, U, width)
    V = H.solve_each(steps)  # by which each row moves theta, but for its sign
    S = project(X, V.flatten(0, 1)).view(len(X), *V.shape[:2])  # (v, r, U)
    return torch.einsum("vu,vru->rv", R, S)


def with_residuals(
    model: LogisticRegression, rows: LabeledRows
) -> tuple[torch.Tensor, torch.Tensor]:
    """X (n, D) and the units' residuals p − e (n, U): a row's gradient is their outer product."""
    X = as_tensor(rows.X)
    return X, probabilities(project(X, model.theta_)) - influence.class_targets(model, rows.y)
