"""What a picture of learning curves shows: its lines, its levels, and what its caption must say."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from experiments.looks import FIRST, dashes
from experiments.metrics import ACCURACY, Metric, by_round
from experiments.statistics import MIN_SEEDS, half_width
from strategies.registry import REFERENCES, VALIDATION_FORMS, gives_own_labels, titles

MAJORITY = "Most frequent class"  # the level of a model that always answers this class
# Of the height, the least that the curves keep if a level far away is shown.
LEAST_SHARE, LEAST_BESIDE_MAJORITY = 0.4, 0.25


@dataclass(frozen=True)
class Line:
    """The curve of a method, or of several methods whose curves coincide in every seed.

    mean, half : over seeds, by round; half the width of the mean's 95 % interval, empty for few
    seeds.
    """

    methods: tuple[str, ...]
    mean: pd.Series
    half: pd.Series

    @property
    def title(self) -> str:
        """The titles of all its methods."""
        return " = ".join(titles().get(name, name) for name in self.methods)

    @property
    def label(self) -> str:
        """The title, or a short form of a long one."""
        first, *others = self.methods
        if len(self.title) <= 32:
            return self.title
        return f"{titles().get(first, first)} = {len(others)} others"


@dataclass(frozen=True)
class Chart:
    """The curves of one data set.

    levels : a value for each reference and for MAJORITY, by title. area : of each method, larger is
    better: what decides which methods are highlighted. seeds : at most, of a method.
    """

    metric: Metric
    rounds: tuple[int, ...]
    lines: tuple[Line, ...]
    levels: dict[str, float]
    area: pd.Series
    seeds: int

    def of(self, method: str) -> Line | None:
        """The line of a method; None if the metric is undefined for it."""
        return next((line for line in self.lines if method in line.methods), None)

    @cached_property
    def span(self) -> tuple[float, float]:
        """The lowest and the highest value of the lines and their bands, (nan, nan) if none.

        A band counts no further than the lines are high.
        """
        if not self.lines:
            return np.nan, np.nan
        low, high = _ends(line.mean for line in self.lines)
        reach = self._height(low, high)
        below, _ = _ends(line.mean.sub(line.half, fill_value=0) for line in self.lines)
        _, above = _ends(line.mean.add(line.half, fill_value=0) for line in self.lines)
        return max(below, low - reach), min(above, high + reach)

    @cached_property
    def shown_levels(self) -> dict[str, float]:
        """The levels that leave the lines enough of the height, the nearest ones first.

        A majority that is better than every line is always shown.
        """
        if not self.lines:
            return self.levels
        low, high = self.span
        bottom, top, height, shown = low, high, self._height(low, high), {}
        best = max(line.mean.max() for line in self.lines)
        for title, value in sorted(
            self.levels.items(), key=lambda item: max(low - item[1], item[1] - high)
        ):
            ends = min(bottom, value), max(top, value)
            least = LEAST_BESIDE_MAJORITY if title == MAJORITY else LEAST_SHARE
            if height >= least * (ends[1] - ends[0]) or (title == MAJORITY and value > best):
                bottom, top = ends
                shown[title] = value
        return shown

    def limits(self) -> tuple[float, float]:
        """The ends of the axis."""
        low, high = _ends([pd.Series([*self.span, *self.shown_levels.values()])])
        if not np.isfinite(low):
            return 0.0, float(self.metric.scale)
        margin = 0.05 * self._height(low, high)
        return low - margin, high + margin

    def outside(self) -> list[str]:
        """A few words on each level that is not shown."""
        low, _ = self.limits()
        shown, digits = self.shown_levels, self.metric.digits
        return [
            f"{title} {value:.{digits}f} ({'below' if value < low else 'above'})"
            for title, value in self.levels.items()
            if title not in shown
        ]

    def _height(self, low: float, high: float) -> float:
        return max(high - low, 0.005 * self.metric.scale)


def read_chart(
    curves: pd.DataFrame, metric: Metric = ACCURACY, majority: float | None = None
) -> Chart:
    """The chart of curves.csv.

    majority : the test accuracy of always answering the most frequent class, a fraction; it is
    shown if the metric is the accuracy. Seeds in which the metric is undefined are left out.
    """
    values = by_round(curves, metric)
    names = dict.fromkeys(curves["method"])
    levels = {
        titles()[name]: float(values.loc[name].mean().dropna().iloc[-1])
        for name in names
        if name in REFERENCES and values.loc[name].notna().any(axis=None)
    }
    if majority is not None and metric == ACCURACY:
        levels[MAJORITY] = metric.scale * majority
    methods = [name for name in names if name not in REFERENCES]
    area = values.groupby("method").mean().mean(axis=1).reindex(methods) * metric.sign
    return Chart(
        metric=metric,
        rounds=tuple(values.columns),
        lines=tuple(_lines(values, [name for name in methods if np.isfinite(area[name])])),
        levels=levels,
        area=area,
        seeds=int(values.groupby("method").count().to_numpy().max(initial=0)),
    )


def _lines(values: pd.DataFrame, methods: Iterable[str]) -> list[Line]:
    """A line for each different curve, in the order of the methods."""
    groups: dict[tuple, list[str]] = {}
    for name in methods:
        groups.setdefault((values.loc[name].to_numpy().tobytes(), dashes(name)), []).append(name)
    return [
        Line(
            tuple(sorted(group, key=lambda name: name not in FIRST)),
            values.loc[group[0]].mean().dropna(),
            _half(values.loc[group[0]]),
        )
        for group in groups.values()
    ]


def _half(values: pd.DataFrame) -> pd.Series:
    """Half the 95 % interval of each column's mean over seeds (rows), of those that have one."""
    half = half_width(values.std(), values.count())
    return pd.Series(half, index=values.columns).dropna()


def _ends(parts: Iterable[pd.Series]) -> tuple[float, float]:
    values = pd.concat(list(parts))
    return float(values.min()), float(values.max())


# --- the caption ----------------------------------------------------------------------------------


def kinds_sentence(methods: Iterable[str]) -> str:
    """What the lines of these methods mean, "" if there is none."""
    names = set(methods)
    kinds = {
        "solid: the method gives labels of its own": any(map(gives_own_labels, names)),
        "dashed: it buys true labels": any(
            not gives_own_labels(name) and name not in VALIDATION_FORMS for name in names
        ),
        "dash-dotted: it buys true labels and trains on the validation rows": bool(
            names & set(VALIDATION_FORMS)
        ),
    }
    return sentence("; ".join(words for words, there in kinds.items() if there))


def seeds_sentence(seeds: int, bands: bool = True) -> str:
    """What the lines and, if there are any, the bands are made of."""
    if seeds < 2:
        return "One seed."
    if not bands:
        return f"Means over {seeds} seeds."
    if seeds < MIN_SEEDS:
        return f"Means over {seeds} seeds, too few for confidence bands."
    return f"Means over {seeds} seeds. Bands: 95 % confidence intervals of the mean."


def levels_sentence(titles_of_levels: Iterable[str]) -> str:
    """What the black lines are, "" if there is none."""
    shown = set(titles_of_levels)
    parts = ["references"] * bool(shown - {MAJORITY}) + [
        "the accuracy of always answering the most frequent class"
    ] * (MAJORITY in shown)
    return f"Black: {', and '.join(parts)}." if parts else ""


def caption(chart: Chart, coloured: Iterable[str]) -> str:
    """The words below a picture of one chart, in which the methods ``coloured`` are highlighted."""
    colours = set(coloured)
    others = [line.title for line in chart.lines if not colours & set(line.methods)]
    equal = [line.title for line in chart.lines if len(line.methods) > 1]
    equal = [title for title in equal if title not in others]
    lines = [name for line in chart.lines for name in line.methods]
    sentences = [
        seeds_sentence(chart.seeds, bands=bool(colours)),
        kinds_sentence(lines),
        levels_sentence(chart.shown_levels),
        sentence(f"The same curve: {'; '.join(equal)}") if equal else "",
        sentence(f"Grey: {'; '.join(others)}") if others else "",
        f"Outside the picture: {'; '.join(chart.outside())}." if chart.outside() else "",
    ]
    return " ".join(filter(None, sentences))


def sentence(words: str) -> str:
    """The words with a capital and one full stop; "" for none."""
    return f"{words[0].upper()}{words[1:].removesuffix('.')}." if words else ""
