"""Statistics over paired seeds: who is better, by how much, and whether that could be chance.

Every method ran on the same split for a seed, so all comparisons are paired.
"""

import warnings
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student
from scipy.stats import ttest_rel, wilcoxon

from common.kinds import TextEnum
from experiments.metrics import ACCURACY, DECIMALS, Metric, by_round

LEVEL = 0.05
MIN_SEEDS = 5  # for an interval: of two seeds it is 13 standard deviations wide, and says nothing


class Verdict(TextEnum):
    """What the test of a method against the best other method says, at LEVEL."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = ""


def aulc(values: pd.DataFrame) -> pd.Series:
    """Area under each learning curve (row) by trapezoids, divided by its rounds: in their unit."""
    area = np.trapezoid(values, axis=1) / (values.shape[1] - 1)
    return pd.Series(area, index=values.index).round(DECIMALS)


def half_width(deviation: ArrayLike, n: ArrayLike) -> np.ndarray:
    """Half the width of the 95 % confidence interval of a mean over ``n`` seeds, by Student's t.

    deviation : the standard deviation over these seeds. NaN for fewer than MIN_SEEDS.
    """
    n = np.maximum(n, 1)
    half = student.ppf(0.975, np.maximum(n - 1, 1)) * deviation / np.sqrt(n)
    return np.where(n >= MIN_SEEDS, half, np.nan)


def last_round(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last round."""
    return curves[curves["round"] == curves["round"].max()]


def summary(
    curves: pd.DataFrame, references: Collection[str] = (), metric: Metric = ACCURACY
) -> pd.DataFrame:
    """A row per method: final value and AULC over seeds, a test of the AULC, human labels.

    Columns: ``final`` and ``aulc`` are means over seeds in the metric's unit, ``…_sd`` their
    standard deviations, ``seeds`` the number of seeds in which the metric is defined. ``labels_…``
    are the counts of the last round. ``p`` is that of the two-sided Wilcoxon signed-rank test of
    the method's AULC against the best OTHER method's (``against``) on the same seeds, corrected by
    Holm for as many comparisons as there are methods; NaN for a single seed. A seed in which a
    method has no AULC is left out of all tests. ``verdict`` is a Verdict.

    references : methods that are shown, but neither tested nor compared with.
    """
    values = by_round(curves, metric)
    area = aulc(values).unstack("seed").reindex(values.index.unique("method"))
    final = values.iloc[:, -1].unstack("seed").reindex(area.index)
    out = pd.DataFrame(
        {
            "final": final.mean(axis=1),
            "final_sd": final.std(axis=1),
            "aulc": area.mean(axis=1),
            "aulc_sd": area.std(axis=1),
            "seeds": area.count(axis=1),
        }
    )
    counts = [name for name in curves if name.startswith("labels_")]
    out = out.join(last_round(curves).groupby("method")[counts].max())
    paired = area.drop(references, errors="ignore").dropna(how="all").dropna(axis=1)
    if paired.shape[1] < 2 or len(paired) < 2:
        return out.assign(against="", p=np.nan, verdict="")
    return out.join(_tests(paired * metric.sign)).fillna({"against": "", "verdict": ""})


def _tests(area: pd.DataFrame) -> pd.DataFrame:
    """``against``, ``p`` and ``verdict`` of ``summary``.

    area : methods × seeds, the larger the better.
    """
    from statsmodels.stats.multitest import multipletests  # a single seed need not wait for it

    means = area.mean(axis=1)
    tested = list(means.index)
    rivals = [means.drop(method).idxmax() for method in tested]
    raw = [paired_p(area.loc[m], area.loc[r]) for m, r in zip(tested, rivals, strict=True)]
    p = multipletests(raw, method="holm")[1]
    ahead = means.to_numpy() > means[rivals].to_numpy()
    better, worse, unclear = (verdict.value for verdict in Verdict)
    verdict = np.where(p < LEVEL, np.where(ahead, better, worse), unclear)
    return pd.DataFrame({"against": rivals, "p": p, "verdict": verdict}, index=tested)


def paired_p(ours: pd.Series, theirs: pd.Series) -> float:
    """Two-sided Wilcoxon signed-rank test; 1 if every pair is equal."""
    difference = (ours - theirs).round(DECIMALS).to_numpy()
    return float(wilcoxon(difference).pvalue) if difference.any() else 1.0


def least_p(seeds: int, methods: int) -> float:
    """The smallest p of ``summary``: every seed agrees, and Holm multiplies by the methods."""
    return min(1.0, methods * 2.0 ** (1 - seeds))


def reach(summary: pd.DataFrame, references: Collection[str] = ()) -> str:
    """A sentence if no verdict is possible with so few seeds; "" if one is, or for one method.

    summary, references : as of ``summary``.
    """
    rivals = summary.drop(references, errors="ignore").query("seeds > 0")
    if len(rivals) < 2:
        return ""
    seeds, methods = int(rivals["seeds"].min()), len(rivals)
    if least_p(seeds, methods) < LEVEL:
        return ""
    enough = next(n for n in range(seeds, 99) if least_p(n, methods) < LEVEL)
    return (
        f"{seeds} seed{'s' * (seeds > 1)}: the smallest p that {methods} methods can reach is "
        f"{least_p(seeds, methods):.3f}, so no ▲ or ▼ can appear; {enough} seeds would do"
    )


def penalties(all_curves: Iterable[pd.DataFrame], metric: Metric = ACCURACY) -> pd.DataFrame:
    """Penalty matrix of the BADGE paper (Ash et al. 2020, section 4): methods × methods.

    Entry (i, j) counts how often i beats j: each data set gives 1/R for each of its R rounds in
    which a paired two-sided t-test at LEVEL says so. A column's mean is what a method suffers: less
    is better. A seed in which a method has no value is left out.
    """
    total = None
    for curves in all_curves:
        values = by_round(curves, metric) * metric.sign
        methods = values.index.unique("method")
        cube = np.stack([values.loc[m].iloc[:, 1:].to_numpy() for m in methods])  # (m, seeds, R)
        cube = cube[:, np.isfinite(cube).all(axis=(0, 2))]
        with warnings.catch_warnings():
            # Of a single seed or of a constant difference: 0/0 is no win, any other constant is.
            warnings.simplefilter("ignore", RuntimeWarning)
            statistic = ttest_rel(cube[:, None], cube[None], axis=2).statistic  # (m, m, R)
        critical = student.ppf(1 - LEVEL / 2, cube.shape[1] - 1)
        wins = (np.nan_to_num(statistic) > critical).mean(axis=2)
        wins = pd.DataFrame(wins, index=methods, columns=methods)
        total = wins if total is None else total.add(wins, fill_value=0)
    return total
