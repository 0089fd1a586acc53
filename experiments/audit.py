"""Audit of the labels that methods give: how many are wrong, which ones, how far out the rows lie.

``audit`` is what the loop records each round; the other functions read the frame of picks.csv.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd

from strategies.registry import STRATEGIES, gives_own_labels


class Pick(Protocol):
    """What ``audit`` reads of a pick."""

    @property
    def round(self) -> int: ...
    @property
    def label(self) -> Any: ...
    @property
    def true_label(self) -> Any: ...
    @property
    def norm(self) -> float: ...


def audit(
    picks: Sequence[Pick], round_number: int, own: bool, pool_norm: float
) -> tuple[float, float]:
    """wrong_share and pick_norm of a round's record.

    picks : all so far, by one method on one split. own : the method gives labels of its own.

    wrong_share : the share of the labels given so far that are not the true ones; NaN if the method
    gives none itself. pick_norm : the mean norm of this round's picks over ``pool_norm``, that of
    the pool at the start; NaN if nothing is picked.
    """
    wrong = [pick.label != pick.true_label for pick in picks if own]
    norms = [pick.norm for pick in picks if pick.round == round_number]
    return (
        float(np.mean(wrong)) if wrong else np.nan,
        float(np.mean(norms) / pool_norm) if norms else np.nan,
    )


def confusion(picks: pd.DataFrame) -> pd.DataFrame:
    """Counts of labels given (rows, by method) by true label (columns), over seeds and rounds.

    Only of methods that give labels themselves; the others' are true.
    """
    own = picks[picks["method"].isin([name for name in STRATEGIES if gives_own_labels(name)])]
    classes = np.unique(own[["label", "true_label"]].to_numpy())
    methods = list(dict.fromkeys(own["method"]))
    rows = pd.MultiIndex.from_product([methods, classes], names=["method", "label"])
    counts = pd.crosstab([own["method"], own["label"]], own["true_label"])
    return counts.reindex(index=rows, columns=classes, fill_value=0).rename_axis(
        columns="true_label"
    )


def drift(picks: pd.DataFrame, initial_shares: Mapping) -> pd.DataFrame:
    """Class shares (columns) of the labels that entered training, by method and round, over seeds.

    Round 0 is ``initial_shares``, class → share of the initial labeled set, so that a column read
    downwards shows how far a method's labels are from those that it started with.
    """
    methods = list(dict.fromkeys(picks["method"]))
    rounds = pd.MultiIndex.from_product([methods, [0]], names=["method", "round"])
    start = pd.DataFrame([initial_shares] * len(methods), index=rounds)
    given = pd.crosstab([picks["method"], picks["round"]], picks["label"], normalize="index")
    shares = pd.concat([start, given]).fillna(0.0).sort_index(axis=1)
    return shares.reindex(methods, level=0).rename_axis(columns="label")
