"""How many picks, from how many labels?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd
from matplotlib.figure import Figure

from common.errors import UserError
from common.kinds import TextEnum
from data_utils import Split
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import legend_above, panels
from studies.gains import GainRecord, gain_lines, gain_of, gains_by_level, runs_by_budget
from studies.seed_statistics import clearly_positive, mean_and_deviation, method_columns
from studies.wording import with_interval

BUDGETS = (1, 2, 5, 10, 20, 50, 100)  # picks in a round
METHODS = ("salutary", "salutary_plus", "random")
LABELED_SIZES = (50, 100, 200, 300, 500, 1000)  # labeled rows at the start


class Varied(TextEnum):
    """What is varied, as the table and the picture name it."""

    PICKS = "picks in a round"
    LABELED = "labeled rows at the start"


@study(
    "How many picks, from how many labels?",
    "Gain in test accuracy over all rounds, by picks in a round and by labeled rows at the start.",
)
def budget(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    by = ["varied", "level"]
    table = mean_and_deviation(method_columns(records, by, "gain"), by)
    return Finding(_figure(records), table, _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[GainRecord]:
    budgets, sizes = levels(bench, split)
    by_picks = list(_gains(bench, split, seed, Varied.PICKS, budgets))
    yield from by_picks
    for size in sizes:
        if size != bench.init or bench.budget not in budgets:
            of_size = bench.split(seed, size)
            records = _gains(bench, of_size, seed, Varied.LABELED, [bench.budget])
        else:  # these runs are made already
            records = (record for record in by_picks if record.level == bench.budget)
        for record in records:
            yield replace(record, varied=Varied.LABELED, level=size)


def levels(bench: Bench, split: Split) -> tuple[list[int], list[int]]:
    """The BUDGETS and the LABELED_SIZES for which the data are enough.

    Raises UserError if there are fewer than two of either.
    """
    if bench.table.data.parts is not None:
        raise UserError("budget varies the labeled rows, which --split-column fixes: leave it out")
    rows = len(split.labeled) + len(split.pool)
    picked = bench.rounds * bench.budget
    budgets = [picks for picks in BUDGETS if bench.rounds * picks <= len(split.pool)]
    sizes = [size for size in LABELED_SIZES if bench.can_split(size) and size + picked <= rows]
    if min(len(budgets), len(sizes)) < 2:
        raise UserError(
            "budget varies the picks and the labeled rows; the "
            f"{rows:,} rows for both are too few here: give a larger data set or fewer --rounds"
        )
    return budgets, sizes


def _gains(
    bench: Bench, split: Split, seed: int, varied: Varied, budgets: Sequence[int]
) -> Iterator[GainRecord]:
    """A record for each number of picks in a round and each method."""
    features = bench.features(split, seed)
    runs = {
        method: runs_by_budget(split, method, bench.settings(), seed, budgets, features)
        for method in METHODS
    }
    for picks in budgets:
        for method, by_budget in runs.items():
            yield GainRecord(varied, picks, method, gain_of(by_budget[picks].curve))


def _figure(records: pd.DataFrame) -> Figure:
    figure, axes = panels(2)
    parts = records.groupby("varied", sort=False)
    for (panel,), (varied, of_varied) in zip(axes, parts, strict=True):
        gain_lines(panel, of_varied, varied)
        panel.set_ylabel("gain (points)")
    legend_above(figure, axes[0, 0], columns=3)
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, ...]:
    names = {
        "salutary_plus": "Salutary plus",
        "salutary": "Salutary",
        "random": "random rows with their true labels",
    }
    sentences = []
    for varied, of_varied in records.groupby("varied", sort=False):
        by_level = gains_by_level(of_varied)
        (lowest, first), *_, (highest, last) = by_level.items()
        changes = ", ".join(
            f"from {with_interval(first[method])} to {with_interval(last[method])} points "
            f"for {name}"
            for method, name in names.items()
        )
        below, above = (
            sum(
                clearly_positive(sign * (gains["salutary_plus"] - gains["random"]))
                for gains in by_level.values()
            )
            for sign in (-1, 1)
        )
        sentences.append(
            f"From {lowest:,} to {highest:,} {varied} the gain goes {changes}; the gain of "
            f"Salutary plus is clearly below that of random rows at {below} and clearly above at "
            f"{above} of {len(by_level)} levels."
        )
    return tuple(sentences)
