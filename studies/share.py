"""How much of the pool can be labeled before it hurts?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common.errors import UserError
from data_utils import Split
from experiments.loop import Features, PickRecord
from studies.base import Finding, study
from studies.bench import Bench, positions
from studies.drawing import (
    RULE_COLOURS,
    bare_mean_line,
    legend_above,
    mean_line,
    name_levels,
    panels,
)
from studies.gains import LINES, gain, gain_lines, gain_of, gains_by_level, runs_by_budget
from studies.seed_statistics import clearly_positive, mean_and_deviation
from studies.wording import title_of, verdict, with_interval

REFERENCE = "labeled_plus_validation"
SHARES: tuple[float, ...] = (1, 2, 5, 10, 20)  # % of the pool that is picked in all rounds


@dataclass(frozen=True)
class ShareRecord:
    """One method that picks ``level`` % of the pool, ``picks`` rows in all.

    gain : in test accuracy, in points. not_true : the share of the labels given that are not the
    true ones, in %. true_label_gain : the gain if the same rows are trained on with their true
    labels. gap_growth : by how much validation less test accuracy grew, in points. The last three
    are NaN if they do not apply.
    """

    level: float
    picks: int
    method: str
    gain: float
    not_true: float = np.nan
    true_label_gain: float = np.nan
    gap_growth: float = np.nan


@study(
    "How much of the pool can be labeled before it hurts?",
    "Gain in test accuracy by the share of the pool that is picked in all rounds; the share of the "
    "labels given that are not true; and how much more validation accuracy grows than test "
    "accuracy.",
)
def share(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    table = mean_and_deviation(records, ["level", "picks", "method"])
    return Finding(_figure(records), table.rename(columns={"level": "share"}), _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[ShareRecord]:
    settings = bench.settings()
    features = bench.features(split, seed)
    by_level = budgets(bench, split)
    runs = {
        method: runs_by_budget(split, method, settings, seed, list(by_level.values()), features)
        for method in LINES
        if method != REFERENCE
    }
    fewest = replace(settings, budget=min(by_level.values()))
    of_reference = gain(split, REFERENCE, fewest, seed, features)
    for level, picks_in_round in by_level.items():
        total = picks_in_round * settings.rounds
        for method in LINES:
            if method == REFERENCE:
                yield ShareRecord(level, total, method, of_reference)
                continue
            curve, picks = runs[method][picks_in_round]
            record = ShareRecord(level, total, method, gain_of(curve))
            record = replace(record, gap_growth=100 * (curve[-1].gap - curve[0].gap))
            if method in RULE_COLOURS:
                accuracy = _true_label_accuracy(bench, split, seed, features, picks)
                record = replace(
                    record,
                    not_true=100 * curve[-1].wrong_share,
                    true_label_gain=100 * (accuracy - curve[0].test_accuracy),
                )
            yield record


def budgets(bench: Bench, split: Split) -> dict[float, int]:
    """The picks in a round for each of the SHARES that fill a round.

    Raises UserError if fewer than two do.
    """
    rounded = {level: round(len(split.pool) * level / 100 / bench.rounds) for level in SHARES}
    filled = {level: picks for level, picks in rounded.items() if picks > 0}
    if len(filled) < 2:
        raise UserError(
            f"share picks up to {SHARES[-1]} % of the pool, and these {len(split.pool):,} rows are "
            f"too few for {bench.rounds} rounds: give a larger data set or fewer --rounds"
        )
    return filled


def _true_label_accuracy(
    bench: Bench, split: Split, seed: int, features: Features, picks: list[PickRecord]
) -> float:
    """Test accuracy of the model that is trained on the picks with their true labels."""
    rows = np.append(split.labeled, positions(split, [pick.row for pick in picks]))
    model = bench.settings().classifier(seed, features.l2).fit(split.X[rows], split.y[rows])
    return model.score(split.X[split.test], split.y[split.test])


# --- picture and words ----------------------------------------------------------------------------


def _figure(records: pd.DataFrame) -> Figure:
    figure, ((gains,), (labels,), (gaps,)) = panels(3, sharex=True)
    gain_lines(gains, records, "")
    for method, of_method in records.dropna(subset="gap_growth").groupby("method", sort=False):
        draw = bare_mean_line
        if method in RULE_COLOURS:
            draw = mean_line
            mean_line(labels, of_method, "level", "not_true", **LINES[method])
        draw(gaps, of_method, "level", "gap_growth", **LINES[method])
    gains.set_ylabel("gain (points)")
    labels.set(ylabel="labels not true (%)", ylim=(0, None))
    gaps.set_ylabel("gap growth (points)")
    name_levels(gaps, records["level"].unique(), "% of the pool picked")
    legend_above(figure, gains)
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, str]:
    gains = {f"{level:g}": of_level for level, of_level in gains_by_level(records).items()}
    ends = "; ".join(_against_baselines(gains, rule) for rule in RULE_COLOURS)
    by_method = dict(iter(records.groupby("method")))
    changes = "; ".join(_change(by_method[rule], title_of(rule)) for rule in RULE_COLOURS)
    levels = list(gains)
    return (
        f"With {', '.join(levels)} % of the pool picked, {ends}.",
        f"From {levels[0]} to {levels[-1]} %, {changes}.",
    )


def _against_baselines(gains: dict[str, pd.DataFrame], rule: str) -> str:
    """At which shares the rule ends clearly below, and at which clearly above, its baselines."""

    def levels(sign: int, other: str) -> str:
        clear = [
            level
            for level, of_level in gains.items()
            if clearly_positive(sign * (of_level[rule] - of_level[other]))
        ]
        return f"{', '.join(clear)} %" if clear else "none"

    parts = [
        f"{name} at {levels(-1, other)} (above: {levels(1, other)})"
        for other, name in (
            ("random", "random rows with true labels"),
            ("margin", "margin sampling"),
            ("labeled_plus_validation", "training on the validation rows"),
        )
    ]
    return f"{title_of(rule)} ends clearly below {', '.join(parts)}"


def _change(of_rule: pd.DataFrame, title: str) -> str:
    """How the labels of a rule change from the lowest share to the highest."""
    first, *_, last = (of_level for _, of_level in of_rule.groupby("level"))
    return (
        f"the labels of {title} that are not true go from {with_interval(first['not_true'], 1)} to "
        f"{with_interval(last['not_true'], 1)} %, the growth of validation accuracy beyond that of "
        f"test accuracy goes from {with_interval(first['gap_growth'])} to "
        f"{with_interval(last['gap_growth'])} points, and compared with the true labels of the "
        f"same rows, test accuracy at the end is {verdict(last['gain'] - last['true_label_gain'])}"
    )
