"""Statistics over seeds: means, deviations, and confidence intervals of the mean."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from experiments.statistics import MIN_SEEDS, half_width

SeedValues: TypeAlias = Sequence[float] | np.ndarray | pd.Series  # one number per seed


def interval(values: SeedValues) -> float:
    """Half the width of the 95 % confidence interval of the mean over seeds.

    Infinite for fewer than MIN_SEEDS values, see experiments/statistics.py.
    """
    if len(values) < MIN_SEEDS:
        return np.inf
    return float(half_width(np.std(values, ddof=1), len(values)))


def clearly_positive(values: SeedValues) -> bool:
    """Whether the mean is above zero by more than half its 95 % interval."""
    return bool(np.mean(values) > interval(values))


def mean_and_deviation(records: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The mean of every other column over seeds (``x``), its standard deviation (``x_sd``), and
    half the width of the mean's 95 % interval (``x_half``), NaN for fewer than MIN_SEEDS.

    records : a row per seed and value of ``by``, with a column ``seed``.
    Gives a row per value of ``by``, in the order of the records.
    """
    groups = records.drop(columns="seed").groupby(list(by), sort=False)
    means, deviations, counts = groups.mean(), groups.std(), groups.count()
    columns: dict[str, Any] = {}
    for name in means:
        columns |= {
            name: means[name],
            f"{name}_sd": deviations[name],
            f"{name}_half": half_width(deviations[name], counts[name]),
        }
    return pd.DataFrame(columns).round(6).reset_index()  # digits beyond these are rounding errors


def method_columns(records: pd.DataFrame, by: Sequence[str], values: str) -> pd.DataFrame:
    """``records``, a row per seed, ``by`` and method, with a column of ``values`` per method."""
    wide = records.pivot(index=["seed", *by], columns="method", values=values)
    order = records[["seed", *by]].drop_duplicates()  # pivot has sorted
    return order.merge(wide[records["method"].unique()].reset_index(), how="left")
