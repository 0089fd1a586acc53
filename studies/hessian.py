"""Which Hessian, and how much damping?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from common.kinds import HessianRows
from data_utils import Split
from strategies.base import InfluenceSettings
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import GREY, RULE_COLOURS, legend_above, mean_line, name_levels, panels
from studies.gains import gain
from studies.retraining import RETRAINED, Retrained, best_rows, predicted_falls
from studies.seed_statistics import mean_and_deviation
from studies.wording import verdict, with_interval

DAMPING = (0, 1, 10, 100, 1_000, 10_000)
HESSIANS = (HessianRows.LABELED, HessianRows.POOL)
NAMES = {HessianRows.LABELED: "over the labeled set", HessianRows.POOL: "over the pool"}


@dataclass(frozen=True)
class HessianRecord:
    """One Hessian with one damping.

    rank_correlation : of the predicted and the real fall of the validation loss, among the rows
        that this estimate ranks best.
    gain : of the paper's rule with this Hessian, in points.
    """

    hessian: HessianRows
    damping: int
    rank_correlation: float
    gain: float


@study(
    "Which Hessian, and how much damping?",
    "The paper's rule with the Hessian over the labeled set or the pool, and damping added to it.",
)
def hessian(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    table = mean_and_deviation(records, ["hessian", "damping"])
    return Finding(_figure(records), table, _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[HessianRecord]:
    model = bench.exact_model(split, seed).fit(split.X[split.labeled], split.y[split.labeled])
    features = bench.features(split, seed)
    retrained = Retrained(model, split)
    for rows in HESSIANS:
        for damping in DAMPING:
            scores = predicted_falls(model, split, split.pool, rows, damping=damping)
            best = best_rows(scores)
            falls = retrained.falls(split.pool[best], scores[best].argmax(1))
            settings = replace(
                bench.settings(),
                fit="newton",
                influence=InfluenceSettings(rows, damping=float(damping)),
            )
            yield HessianRecord(
                hessian=rows,
                damping=damping,
                rank_correlation=spearmanr(scores[best].max(1), falls).statistic,
                gain=gain(split, "salutary", settings, seed, features),
            )


def _figure(records: pd.DataFrame) -> Figure:
    figure, ((correlations,), (gains,)) = panels(2, sharex=True)
    gains.axhline(0, color=GREY, lw=0.8, zorder=1)
    for rows, colour in zip(HESSIANS, RULE_COLOURS.values(), strict=True):
        of_rows = records[records["hessian"] == str(rows)]
        style = {"color": colour, "label": NAMES[rows]}
        mean_line(correlations, of_rows, "damping", "rank_correlation", **style)
        mean_line(gains, of_rows, "damping", "gain", **style)
    name_levels(gains, [f"{level:,}" for level in DAMPING], "damping added to the diagonal")
    correlations.set_ylabel("rank correlation")
    gains.set_ylabel("gain (points)")
    legend_above(figure, correlations)
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, str]:
    most = DAMPING[-1]

    def values(column: str, rows: HessianRows, damping: int) -> np.ndarray:
        chosen = (records["hessian"] == str(rows)) & (records["damping"] == damping)
        return records[column][chosen].to_numpy()

    undamped, damped = (
        [with_interval(values("rank_correlation", rows, damping)) for rows in HESSIANS]
        for damping in (0, most)
    )
    gain_of_paper = values("gain", HessianRows.LABELED, 0)
    over_the_pool, with_damping = (
        verdict(values("gain", rows, damping) - gain_of_paper)
        for rows, damping in ((HessianRows.POOL, 0), (HessianRows.LABELED, most))
    )
    return (
        f"Among its own {RETRAINED} best rows the undamped estimate has a rank correlation with "
        f"real retraining of {undamped[0]} over the labeled set and {undamped[1]} over the pool; "
        f"with damping {most:,} these are {damped[0]} and {damped[1]}.",
        f"Test accuracy after the last round: with the Hessian over the pool, compared with the "
        f"labeled set, it is {over_the_pool}; with damping {most:,} over the labeled set, compared "
        f"with none, it is {with_damping}.",
    )
