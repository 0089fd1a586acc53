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
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import legend_above, panels
from studies.gains import LINES, GainRecord, gain, gain_lines, gains_by_level
from studies.seed_statistics import clearly_positive, mean_and_deviation, method_columns

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
    Varied.IMBALANCE: "% of the most frequent class",
    Varied.SHIFT: "% kept, from one side",
}


class ChangedSplit(NamedTuple):
    """A split whose validation set was changed: what was varied, and to which level."""

    varied: Varied
    level: int
    split: Split


@dataclass(frozen=True)
class ValidationRecord(GainRecord):
    """The gain of one method with a changed validation set of ``rows`` rows."""

    rows: int


@study(
    "When the validation set is bad",
    "Gain in test accuracy when the validation set is small, wrong, unbalanced or shifted.",
)
def validation(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    by = ["varied", "level", "rows"]
    table = mean_and_deviation(method_columns(records, by, "gain"), by)
    return Finding(_figure(records), table, _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[ValidationRecord]:
    # The l2 of the unchanged split: what is varied shall act through the labels alone.
    settings = replace(bench.settings(), l2=bench.l2(split, seed))
    of_random = gain(split, "random", settings, seed)  # it does not read the validation set
    for varied, level, changed in validation_sets(split, seed):
        for method in LINES:
            value = of_random if method == "random" else gain(changed, method, settings, seed)
            yield ValidationRecord(varied, level, method, value, len(changed.validation))


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
    figure, axes = panels(2, 2)
    parts = records.groupby("varied", sort=False)
    for panel, (varied, of_varied) in zip(axes.flat, parts, strict=True):
        gain_lines(panel, of_varied, AXIS_LABELS[varied])
    for panel in axes[:, 0]:
        panel.set_ylabel("gain (points)")
    legend_above(figure, axes[0, 0])
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, str]:
    gaining, rows = {}, {}
    training_is_better = []
    for varied, of_varied in records.groupby("varied", sort=False):
        by_level = gains_by_level(of_varied)
        levels = [
            f"{level:,}"
            for level, gains in by_level.items()
            if clearly_positive(gains["salutary_plus"])
        ]
        tried = ", ".join(f"{level:,}" for level in by_level)
        gaining[varied] = f"{', '.join(levels) or 'none'} of {tried}"
        rows[varied] = of_varied["rows"].iloc[-1]
        training_is_better += [
            clearly_positive(gains["labeled_plus_validation"] - gains["salutary_plus"])
            for gains in by_level.values()
        ]
    return (
        f"Salutary plus gains clearly at these numbers of validation rows: "
        f"{gaining[Varied.SIZE]}; and at these % of wrong labels among them: "
        f"{gaining[Varied.NOISE]}.",
        f"It gains clearly at these % of the most frequent class among "
        f"{rows[Varied.IMBALANCE]} validation rows: {gaining[Varied.IMBALANCE]}; and at these % of "
        f"the validation rows kept from one end of the first principal component, "
        f"{rows[Varied.SHIFT]} of them drawn: {gaining[Varied.SHIFT]}; training on the validation "
        f"rows instead is clearly better in {sum(training_is_better)} of all "
        f"{len(training_is_better)} settings.",
    )
