"""Statistics over paired seeds: who is better, by how much, and whether that could be chance.

Every method ran on the same split for a seed, so all comparisons are paired.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from scipy.stats import t as student
from scipy.stats import ttest_rel, wilcoxon
from statsmodels.stats.multitest import multipletests

from common.kinds import TextEnum

LEVEL = 0.05


class Verdict(TextEnum):
    """What the test of a method against the best other method says, at LEVEL."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = ""


def accuracies(curves: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy in %: a row per method and seed, a column per round, methods as they came."""
    methods = list(dict.fromkeys(curves["method"]))
    wide = curves.pivot(index=["method", "seed"], columns="round", values="test_accuracy") * 100
    return wide.reindex(methods, level="method")


def aulc(accuracy: pd.DataFrame) -> pd.Series:
    """Area under each learning curve by trapezoids, divided by its rounds: in % like accuracy."""
    return pd.Series(np.trapezoid(accuracy, axis=1) / (accuracy.shape[1] - 1), index=accuracy.index)


def summary(curves: pd.DataFrame, references: Collection[str] = ()) -> pd.DataFrame:
    """A row per method: final accuracy and AULC over seeds, a test of the AULC, human labels.

    Columns: ``final`` and ``aulc`` are means over seeds in %, ``…_sd`` their standard deviations.
    ``p`` is that of the two-sided Wilcoxon signed-rank test of the method's AULC against the best
    OTHER method's (``against``) on the same seeds, corrected by Holm for as many comparisons as
    there are methods; NaN for a single seed. ``verdict`` is a Verdict.

    references : methods that are shown, but neither tested nor compared with.
    """
    accuracy = accuracies(curves)
    area = aulc(accuracy).unstack("seed").reindex(accuracy.index.unique("method"))
    final = accuracy.iloc[:, -1].unstack("seed").reindex(area.index)
    out = pd.DataFrame(
        {
            "final": final.mean(axis=1),
            "final_sd": final.std(axis=1),
            "aulc": area.mean(axis=1),
            "aulc_sd": area.std(axis=1),
        }
    )
    counts = [name for name in curves if name.startswith("labels_")]
    out = out.join(curves.groupby("method")[counts].max())  # the counts of the last round
    out = out.assign(against="", p=np.nan, verdict="")
    means = out["aulc"].drop(references, errors="ignore")
    if area.shape[1] < 2 or len(means) < 2:
        return out
    tested = list(means.index)
    rivals = [means.drop(method).idxmax() for method in tested]
    raw = [paired_p(area.loc[m], area.loc[r]) for m, r in zip(tested, rivals, strict=True)]
    p = multipletests(raw, method="holm")[1]
    ahead = means.to_numpy() > means[rivals].to_numpy()
    better, worse, unclear = (verdict.value for verdict in Verdict)
    verdict = np.where(p < LEVEL, np.where(ahead, better, worse), unclear)
    told = pd.DataFrame({"against": rivals, "p": p, "verdict": verdict}, index=tested)
    return out.drop(columns=told.columns).join(told).fillna({"against": "", "verdict": ""})


def paired_p(ours: pd.Series, theirs: pd.Series) -> float:
    """Two-sided Wilcoxon signed-rank test; 1 if every pair is equal."""
    difference = ours.to_numpy() - theirs.to_numpy()
    return 1.0 if not difference.any() else float(wilcoxon(difference).pvalue)


def penalties(all_curves: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Penalty matrix of the BADGE paper (Ash et al. 2020, section 4): methods × methods.

    Entry (i, j) counts how often i beats j: each data set gives 1/R for each of its R rounds in
    which a paired two-sided t-test at LEVEL says so. A column's mean is what a method suffers: less
    is better.
    """
    total = None
    for curves in all_curves:
        accuracy = accuracies(curves)
        methods = accuracy.index.unique("method")
        cube = np.stack([accuracy.loc[m].iloc[:, 1:].to_numpy() for m in methods])  # (m, seeds, R)
        with np.errstate(invalid="ignore", divide="ignore"):
            statistic = ttest_rel(cube[:, None], cube[None], axis=2).statistic  # (m, m, R)
        critical = student.ppf(1 - LEVEL / 2, cube.shape[1] - 1)
        wins = (np.nan_to_num(statistic) > critical).mean(axis=2)
        wins = pd.DataFrame(wins, index=methods, columns=methods)
        total = wins if total is None else total.add(wins, fill_value=0)
    return total
