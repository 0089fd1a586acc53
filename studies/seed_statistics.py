"""Statistics over seeds: means, deviations, and confidence intervals of the mean."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import t as student

SeedValues: TypeAlias = Sequence[float] | np.ndarray | pd.Series  # one number per seed

MIN_SEEDS = 5  # for an interval: of two seeds it is 13 standard deviations wide, and says nothing


def interval(values: SeedValues) -> float:
    """Half the width of the 95 % confidence interval of the mean over seeds.

    Infinite for fewer than MIN_SEEDS values.
    """
    n = len(values)
    if n < MIN_SEEDS:
        return np.inf
    return float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def clearly_positive(values: SeedValues) -> bool:
    """Whether the mean is above zero by more than half its 95 % interval."""
    return bool(np.mean(values) > interval(values))


def mean_and_deviation(records: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds (``x`` and ``x_sd``) of every other column.

    records : a row per seed and value of ``by``, with a column ``seed``.
    Gives a row per value of ``by``, in the order of the records.
    """
    groups = records.drop(columns="seed").groupby(list(by), sort=False)
    means, deviations = groups.mean(), groups.std()
    columns: dict[str, Any] = {}
    for name in means:
        columns |= {name: means[name], f"{name}_sd": deviations[name]}
    return pd.DataFrame(columns).round(6).reset_index()  # digits beyond these are rounding errors


def method_columns(records: pd.DataFrame, by: Sequence[str], values: str) -> pd.DataFrame:
    """``records``, a row per seed, ``by`` and method, with a column of ``values`` per method."""
    wide = records.pivot(index=["seed", *by], columns="method", values=values)
    order = records[["seed", *by]].drop_duplicates()  # pivot has sorted
    return order.merge(wide[records["method"].unique()].reset_index(), how="left")
