"""How much of the gain is the penalty's?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common.kinds import PenaltyRule
from data_utils import Split
from experiments.loop import Features, run
from experiments.penalty import GRID, l2_text
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import GREY, RULE_COLOURS, bare_mean_line, legend_above, name_levels, panels
from studies.gains import LINES, gain_lines, gain_of, gains_by_level
from studies.seed_statistics import clearly_positive, mean_and_deviation, method_columns
from studies.wording import title_of, value_range, with_interval

VALUES = tuple(sorted(GRID)[::2])
BASELINES = tuple(method for method in LINES if method not in RULE_COLOURS)
CHOSEN = "chosen"  # the level at which every seed has the l2 that its validation rows choose


@dataclass(frozen=True)
class PenaltyRecord:
    """One method with one l2.

    level : the l2 as text, or CHOSEN. l2 : of the models before the picks. before : their test
    accuracy, in %. gain : of the method, in points.
    """

    level: str
    method: str
    l2: float
    before: float
    gain: float


@study(
    "How much of the gain is the penalty's?",
    "Gain in test accuracy by the strength of the penalty, and test accuracy before and after the "
    "picks. Ticks: the values that the seeds choose on their validation rows. The line stands "
    "at their median, its points show each seed with its own value.",
)
def l2(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    levels = records.drop_duplicates(["seed", "level"])[["seed", "level", "before"]]
    columns = levels.merge(method_columns(records, ["level"], "gain"))
    return Finding(_figure(records), mean_and_deviation(columns, ["level"]), _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[PenaltyRecord]:
    for value in (*VALUES, PenaltyRule.VALIDATION):
        settings = replace(bench.settings(), l2=value)
        features = Features.of(split, settings, seed)
        level = CHOSEN if isinstance(value, PenaltyRule) else l2_text(value, 2)
        for method in LINES:
            curve = run(split, method, settings, seed, features=features, scores=False).curve
            yield PenaltyRecord(
                level=level,
                method=method,
                l2=features.l2,
                before=100 * curve[0].test_accuracy,
                gain=gain_of(curve),
            )


# --- picture and words ----------------------------------------------------------------------------


def _figure(records: pd.DataFrame) -> Figure:
    figure, ((gains,), (accuracies,)) = panels(2, height=2.7, sharex=True)
    records = records.assign(after=records["before"] + records["gain"])
    fixed, chosen = (records[(records["level"] == CHOSEN) == which] for which in (False, True))
    of_seeds = _axis_position(chosen.groupby("seed")["l2"].first())
    gain_lines(gains, fixed, "")
    bare_mean_line(accuracies, fixed, "level", "before", color=GREY)
    gains.plot([], [], color=GREY, label="before the picks")
    for method, of_method in fixed.groupby("method", sort=False):
        bare_mean_line(accuracies, of_method, "level", "after", **LINES[method])
    for axes, column in ((gains, "gain"), (accuracies, "after")):
        axes.axvline(of_seeds.median(), color=GREY, lw=0.8, zorder=1)
        for method, values in chosen.groupby("method", sort=False)[column]:
            axes.plot(of_seeds.median(), values.mean(), "o", ms=4.5, color=LINES[method]["color"])
        axes.plot(of_seeds, np.zeros(len(of_seeds)), "|", color=GREY, clip_on=False,
                  transform=axes.get_xaxis_transform())  # fmt: skip
    gains.set_ylabel("gain (points)")
    accuracies.set_ylabel("test accuracy (%)")
    name_levels(accuracies, fixed["level"].unique(), "l2")
    legend_above(figure, gains)
    return figure


def _axis_position(l2: pd.Series) -> pd.Series:
    """Where these values stand on the axis, on which VALUES have equal steps."""
    return pd.Series(np.interp(np.log(l2), np.log(VALUES), np.arange(len(VALUES))), l2.index)


def _sentences(records: pd.DataFrame) -> tuple[str, str]:
    gains, before = gains_by_level(records), records.groupby(["level", "seed"])["before"].first()
    weakest, values = records["level"].iloc[0], records[records["level"] == CHOSEN]["l2"]
    changes, comparisons = [], []
    for rule in RULE_COLOURS:
        title, ends = title_of(rule), [with_interval(gains[at][rule]) for at in (weakest, CHOSEN)]
        changes.append(f"the gain of {title} goes from {ends[0]} to {ends[1]} points")
        below, above = (
            [
                title_of(other)
                for other in BASELINES
                if clearly_positive(sign * (gains[CHOSEN][rule] - gains[CHOSEN][other]))
            ]
            for sign in (-1, 1)
        )
        comparisons.append(
            f"{title} ends clearly below {', '.join(below) or 'none'} and clearly above "
            f"{', '.join(above) or 'none'}"
        )
    return (
        f"From l2 = {weakest} to the values chosen on the validation rows, "
        f"{value_range(values)}, {' and '.join(changes)}; accuracy before the picks goes from "
        f"{with_interval(before[weakest])} to {with_interval(before[CHOSEN])} %, by the penalty "
        f"alone.",
        f"With the chosen values, of {', '.join(map(title_of, BASELINES))}: "
        f"{'; '.join(comparisons)}.",
    )
