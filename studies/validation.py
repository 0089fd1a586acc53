"""When the validation set is bad."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from common.kinds import TextEnum
from data_utils import Split
from experiments.loop import run
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import RULE_COLOURS, legend_above, mean_line, name_levels, panels
from studies.gains import LINES, GainRecord, gain_lines, gain_of, gains_by_level
from studies.seed_statistics import clearly_positive, mean_and_deviation, method_columns
from studies.wording import with_interval

METHODS = tuple(method for method in LINES if method != "margin")
SIZES = (10, 30, 100, 300, 1000)  # validation rows
NOISE = (0, 10, 20, 30, 50)  # % of the validation labels that are wrong
SHARES = (10, 50, 75, 90, 99)  # % of the validation rows that have the most frequent class
KEPT = (100, 75, 50, 25, 10)  # % of the validation rows, lowest along the first principal component


class Varied(TextEnum):
    """What is varied in the validation set."""

    SIZE = "size"
    NOISE = "noise"
    IMBALANCE = "imbalance"
    SHIFT = "shift"


AXIS_LABELS: dict[str, str] = {
    Varied.SIZE: "validation rows",
    Varied.NOISE: "% of their labels wrong",
    Varied.IMBALANCE: "% most frequent class",
    Varied.SHIFT: "% kept, from one side",
}


class ChangedSplit(NamedTuple):
    """A split whose validation set was changed: what was varied, and to which level."""

    varied: Varied
    level: int
    split: Split


@dataclass(frozen=True)
class ValidationRecord(GainRecord):
    """The gain of one method with a changed validation set of ``rows`` rows.

    labels_true : the share of the labels given that are true, in %; NaN for a method that gives
    none.
    """

    rows: int
    labels_true: float


@study(
    "When the validation set is bad",
    "Left: gain in test accuracy when the validation set is small, wrong, unbalanced or shifted. "
    "Right: the share of the labels given that are true.",
)
def validation(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    by = ["varied", "level", "rows"]
    labels = records[records["method"].isin(list(RULE_COLOURS))]
    labels = labels.assign(method=labels["method"] + "_labels_true")
    columns = method_columns(records, by, "gain").merge(method_columns(labels, by, "labels_true"))
    table = mean_and_deviation(columns, by)
    return Finding(_figure(records), table, _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[ValidationRecord]:
    # The l2 of the unchanged split: what is varied shall act through the labels alone.
    settings = replace(bench.settings(), l2=bench.l2(split, seed))
    of_random = run(split, "random", settings, seed, scores=False).curve  # it reads none of it
    for varied, level, changed in validation_sets(split, seed):
        for method in METHODS:
            curve = of_random
            if method != "random":
                curve = run(changed, method, settings, seed, scores=False).curve
            yield ValidationRecord(
                varied=varied,
                level=level,
                method=method,
                gain=gain_of(curve),
                rows=len(changed.validation),
                labels_true=100 * (1 - curve[-1].wrong_share),
            )


# --- changed validation sets ----------------------------------------------------------------------


def validation_sets(split: Split, seed: int) -> Iterator[ChangedSplit]:
    """The split with its validation set changed, for every level of everything that is varied.

    Nothing but the validation set and, for noise, its labels is changed.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(split.validation)
    yield from _smaller(split, rows)
    yield from _noisy(split, rows, rng)
    yield from _unbalanced(split, rows)
    yield from _shifted(split, rows, rng)


def _smaller(split: Split, rows: np.ndarray) -> Iterator[ChangedSplit]:
    """The first of ``rows``, SIZES of them and all of them."""
    for size in [*(size for size in SIZES if size < len(rows)), len(rows)]:
        yield ChangedSplit(Varied.SIZE, size, replace(split, validation=rows[:size]))


def _noisy(split: Split, rows: np.ndarray, rng: np.random.Generator) -> Iterator[ChangedSplit]:
    """NOISE % of the labels replaced by another class, drawn at random."""
    classes, codes = np.unique(split.y, return_inverse=True)
    others = (codes + rng.integers(1, len(classes), len(codes))) % len(classes)
    for percent in NOISE:
        y, wrong = split.y.copy(), rows[: round(len(rows) * percent / 100)]
        y[wrong] = classes[others[wrong]]
        yield ChangedSplit(Varied.NOISE, percent, replace(split, y=y))


def _unbalanced(split: Split, rows: np.ndarray) -> Iterator[ChangedSplit]:
    """SHARES % of the class that is most frequent in the labeled set; all sets are of one size."""
    _, codes = np.unique(split.y, return_inverse=True)
    frequent = codes == np.bincount(codes[split.labeled]).argmax()
    of_frequent, of_others = rows[frequent[rows]], rows[~frequent[rows]]
    size = int(
        min(len(of_frequent) / (max(SHARES) / 100), len(of_others) / (1 - min(SHARES) / 100))
    )
    for percent in SHARES:
        count = round(size * percent / 100)
        chosen = np.append(of_frequent[:count], of_others[: size - count])
        yield ChangedSplit(Varied.IMBALANCE, percent, replace(split, validation=chosen))


def _shifted(split: Split, rows: np.ndarray, rng: np.random.Generator) -> Iterator[ChangedSplit]:
    """Rows drawn from the KEPT % that are lowest along the first principal component of labeled +
    pool; all sets are of one size."""
    component = PCA(1).fit(split.X[np.append(split.labeled, split.pool)])
    ordered = rows[np.argsort(component.transform(split.X[rows])[:, 0], kind="stable")]
    size = round(len(rows) * min(KEPT) / 100)
    for percent in KEPT:
        kept = ordered[: round(len(rows) * percent / 100)]
        chosen = rng.choice(kept, size, replace=False)
        yield ChangedSplit(Varied.SHIFT, percent, replace(split, validation=chosen))


# --- picture and words ----------------------------------------------------------------------------


def _figure(records: pd.DataFrame) -> Figure:
    figure, axes = panels(4, 2, height=1.75)
    parts = records.groupby("varied", sort=False)
    for (gains, labels), (varied, of_varied) in zip(axes, parts, strict=True):
        gain_lines(gains, of_varied, AXIS_LABELS[varied])
        for rule in RULE_COLOURS:
            of_rule = of_varied[of_varied["method"] == rule]
            mean_line(labels, of_rule, "level", "labels_true", **LINES[rule])
        name_levels(labels, of_varied["level"].unique(), AXIS_LABELS[varied])
        gains.set_ylabel("gain (points)")
        labels.set(ylabel="labels true (%)", ylim=(0, 100))
    legend_above(figure, axes[0, 0])
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, str]:
    plus = {varied: _clear_levels(records, varied) for varied in Varied}
    rows = records.groupby("varied")["rows"].last()
    labels = records[(records["varied"] == "size") & (records["method"] == "salutary_plus")]
    labels = labels.set_index("level")["labels_true"]
    first, last = labels.index.min(), labels.index.max()
    training = [
        gains["labeled_plus_validation"] - gains["salutary_plus"]
        for _, of_varied in records.groupby("varied", sort=False)
        for gains in gains_by_level(of_varied).values()
    ]
    return (
        f"By the number of validation rows Salutary plus {plus[Varied.SIZE]}; by the % of wrong "
        f"labels among them it {plus[Varied.NOISE]}; of the labels that it gives, "
        f"{with_interval(labels.loc[[first]], 1)} % are true with {first:,} validation rows, and "
        f"{with_interval(labels.loc[[last]], 1)} % with {last:,}.",
        f"By the % of the most frequent class among {rows[Varied.IMBALANCE]} validation rows it "
        f"{plus[Varied.IMBALANCE]}; by the % of the validation rows kept from one end of the first "
        f"principal component, {rows[Varied.SHIFT]} of them drawn, it {plus[Varied.SHIFT]}; "
        f"training on the validation rows instead is clearly better in "
        f"{sum(map(clearly_positive, training))} of all {len(training)} settings.",
    )


def _clear_levels(records: pd.DataFrame, varied: Varied) -> str:
    """At which levels Salutary plus clearly loses, and at which it clearly gains."""
    by_level = gains_by_level(records[records["varied"] == str(varied)])

    def levels(sign: int) -> str:
        clear = [
            f"{level:,}"
            for level, gains in by_level.items()
            if clearly_positive(sign * gains["salutary_plus"])
        ]
        return ", ".join(clear) or "none"

    tried = ", ".join(f"{level:,}" for level in by_level)
    return f"clearly loses at {levels(-1)} and clearly gains at {levels(1)} of {tried}"
