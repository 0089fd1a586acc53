"""Audit of the labels that methods give: how many are wrong, which ones, how far out the rows lie.

``audit`` is what the loop records each round; the other functions read the frame of picks.csv.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

import baselines  # noqa: F401, registers its strategies
from strategies import STRATEGIES


def audit(picked: Sequence[Mapping], round_number: int, own: bool, pool_norm: float) -> dict:
    """Of all picks so far, by one method on one split, what a round's record says about them.

    wrong_share : share of the labels given so far that are not the true ones; NaN where the method
    gives none itself. pick_norm : mean norm of this round's picks over ``pool_norm``, that of the
    pool at the start; NaN where nothing is picked.
    """
    wrong = [pick["label"] != pick["true_label"] for pick in picked if own]
    norms = [pick["norm"] for pick in picked if pick["round"] == round_number]
    return {
        "wrong_share": float(np.mean(wrong)) if wrong else np.nan,
        "pick_norm": float(np.mean(norms) / pool_norm) if norms else np.nan,
    }


def confusion(picks: pd.DataFrame) -> pd.DataFrame:
    """Counts of labels given (rows, by method) by true label (columns), over seeds and rounds.

    Only of methods that give labels themselves; the others' are true.
    """
    own = picks[picks["method"].isin([n for n, s in STRATEGIES.items() if s.labels == "own"])]
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
