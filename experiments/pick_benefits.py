"""The benefit of each pick under every class, for picks.csv: what its label was weighed against."""

from dataclasses import replace

import numpy as np
import torch

from numerics.limits import DENSE_PARAMETERS
from strategies.base import Memory, Picks, Query


def pick_benefits(query: Query, picks: Picks) -> list[dict[str, float]]:
    """For each pick, in order, its first-order benefit under each class, by the class's name.

    picks : as NumPy arrays.

    Those that the strategy hands over, or else by the model of the query. Computing them changes
    nothing that the strategy finds in its memory. They are NaN if the strategy hands over none and
    the model has more than DENSE_PARAMETERS weights, because solving with its Hessian would cost
    about as much as the round itself; or if that Hessian is singular.
    """
    classes = [str(name) for name in query.model.classes_]
    found = picks.benefits
    if found is None:
        found = _by_the_model(query, picks)
    return [dict(zip(classes, row, strict=True)) for row in found.tolist()]


def _by_the_model(query: Query, picks: Picks) -> torch.Tensor | np.ndarray:
    unknown = np.full((len(picks.rows), len(query.model.classes_)), np.nan)
    if query.model.theta_.numel() > DENSE_PARAMETERS:
        return unknown
    rows = query.left[picks.rows]
    apart = replace(query, memory=Memory())
    try:
        return apart.influence().first(query.pool[rows])
    except np.linalg.LinAlgError:
        return unknown


def runner_up(benefits: dict[str, float], label: object) -> float:
    """The highest benefit of a label other than ``label``; NaN if no benefits are recorded."""
    others = (value for name, value in benefits.items() if name != str(label))
    return max(others, default=float("nan"))
