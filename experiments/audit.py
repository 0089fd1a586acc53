"""Audit of the labels that methods give: which are wrong, and their classes by round."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from strategies.registry import STRATEGIES, gives_own_labels


def confusion(picks: pd.DataFrame) -> pd.DataFrame:
    """How often each label was given (rows, by method) to rows of each true label (columns).

    picks : as in picks.csv. Only methods that give labels of their own are counted: all labels of
    the other methods are true.
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
    """The share of each class (columns) in the labels of a round, by method and round.

    picks : as in picks.csv. initial_shares : the share of each class in the initial labeled set; it
    stands as round 0, so that a column shows how a class's share changes from the start on.
    """
    methods = list(dict.fromkeys(picks["method"]))
    rounds = pd.MultiIndex.from_product([methods, [0]], names=["method", "round"])
    start = pd.DataFrame([initial_shares] * len(methods), index=rounds)
    given = pd.crosstab([picks["method"], picks["round"]], picks["label"], normalize="index")
    shares = pd.concat([start, given]).fillna(0.0).sort_index(axis=1)
    return shares.reindex(methods, level=0).rename_axis(columns="label")
