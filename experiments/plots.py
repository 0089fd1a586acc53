"""Pictures of learning curves: one data set in a picture, or a panel of a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.isotonic import isotonic_regression

from common.escape import mathtext
from data_prep.catalogue import Dataset
from experiments.chart import MAJORITY, Chart, Line, caption, read_chart
from experiments.looks import LEVELS, OTHERS, Look, dashes, highlighted, looks
from experiments.metrics import ACCURACY, Metric
from experiments.pictures import Picture, drawing, picture_of
from strategies.registry import REFERENCES

if TYPE_CHECKING:  # half a second that --no-plot need not wait for
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches.
WIDTH, AXES_HEIGHT = 9.0, 4.1
LEFT, LINE = 0.8, 0.17
LABEL_GAP = 0.185  # between two labels at the line ends
LETTER = 0.0078  # the width of a letter, seldom more, in each point of the size of its font
SETTING, CAPTION, LABEL = 8.5, 8.0, 9.0  # points


@dataclass(frozen=True)
class Heading:
    """What stands above a picture: the data set's title, and the setting in a smaller line."""

    title: str
    setting: str = ""


def short_title(dataset: Dataset) -> str:
    """The title of a data set; of the user's own table the file's name without its folders."""
    return Path(dataset.title).name


def curves_picture(
    curves: pd.DataFrame,
    heading: Heading,
    metric: Metric = ACCURACY,
    majority: float | None = None,
    xlabel: str = "round",
) -> Picture:
    """The learning curves of one data set.

    curves : method, seed, round and the metric's column, as in curves.csv.
    majority : the test accuracy of always answering the most frequent class, a fraction.
    xlabel : what the column round holds.

    At most six methods are highlighted, with markers, a band of 95 % confidence in the mean (for
    five seeds or more) and a label at the line's end; the others are grey. References are levels.
    The caption in the picture explains this.
    """
    with drawing():
        return picture_of(curves_figure(read_chart(curves, metric, majority), heading, xlabel))


def curves_figure(chart: Chart, heading: Heading, xlabel: str = "round") -> Figure:
    """The picture of a chart, as a figure of matplotlib."""
    from matplotlib.figure import Figure

    lines = [line.methods[0] for line in chart.lines]  # coinciding curves count once
    colours = looks(highlighted([chart.area[lines]]))
    titles, above = wrapped(heading.title, 13), wrapped(heading.setting, SETTING)
    below = wrapped(caption(chart, colours), CAPTION)
    top = 0.28 + 0.22 * len(titles) + LINE * len(above)
    bottom = 0.7 + LINE * len(below)
    height = top + AXES_HEIGHT + bottom
    entries = label_entries(chart, colours)
    right = 0.45 + LABEL * LETTER * max((len(text) for _, text, _ in entries), default=0)

    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes(
        (LEFT / WIDTH, bottom / height, (WIDTH - LEFT - right) / WIDTH, AXES_HEIGHT / height)
    )
    draw_chart(axes, chart, colours)
    draw_labels(axes, entries)
    axes.set(xlabel=xlabel, ylabel=chart.metric.label)
    write_lines(figure, titles, height - 0.3, size=12, step=0.22)
    write_lines(figure, above, height - 0.3 - 0.22 * len(titles), size=SETTING)
    write_lines(figure, below, LINE * len(below), size=CAPTION)
    return figure


def draw_chart(axes: Axes, chart: Chart, colours: Mapping[str, Look]) -> None:
    """Draw lines, bands and levels. colours : of the highlighted methods."""
    for title, value in chart.shown_levels.items():
        axes.axhline(value, color=LEVELS, label=title, zorder=2, **level_style(title))
    for line in chart.lines:
        if not set(line.methods) & set(colours):
            style = dashes(line.methods[0])
            axes.plot(line.mean, color=OTHERS, linewidth=1.1, linestyle=style, zorder=1)
    for place, (method, look) in reversed(list(enumerate(colours.items()))):
        coloured = chart.of(method)
        if coloured is not None:
            _draw_highlighted(axes, coloured, line_style(method, look), place)
    axes.set(xlim=(chart.rounds[0], chart.rounds[-1]), ylim=chart.limits())
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if not chart.lines and not chart.levels:
        axes.text(0.5, 0.5, f"no {chart.metric.title} is defined on these test sets",
                  ha="center", va="center", transform=axes.transAxes)  # fmt: skip


def _draw_highlighted(axes: Axes, line: Line, style: dict, place: int) -> None:
    """Draw a highlighted line and, if there are enough seeds, its band. place 0 lies on top."""
    mean, half = line.mean, line.half
    if len(half):
        low, high = mean[half.index] - half, mean[half.index] + half
        axes.fill_between(half.index, low, high, color=style["color"], alpha=0.11, lw=0, zorder=1.5)
    every = max(1, round(len(mean) / 11))
    axes.plot(mean, label=line.title, markevery=(place % every, every), zorder=4 - 0.1 * place,
              **style)  # fmt: skip


def line_style(method: str, look: Look) -> dict:
    """The line of a highlighted method, as ``Axes.plot`` takes it."""
    return {
        "color": look.colour,
        "linewidth": 1.8,
        "linestyle": dashes(method),
        "marker": look.marker,
        "markersize": 5.5,
        "markeredgecolor": "w",
        "markeredgewidth": 0.5,
        "clip_on": False,
    }


def level_style(title: str) -> dict:
    """The line of a level, by its title."""
    if title == MAJORITY:
        return {"linewidth": 0.9, "linestyle": "-"}
    names = {reference.title: name for name, reference in REFERENCES.items()}
    return {"linewidth": 1.4, "linestyle": dashes(names[title])}


# --- text -----------------------------------------------------------------------------------------


def label_entries(chart: Chart, colours: Mapping[str, Look]) -> list[tuple[float, str, str]]:
    """The labels at the line ends: the height of the end, the text, and the colour."""
    levels = [(value, title, LEVELS) for title, value in chart.shown_levels.items()]
    lines = [(line, look.colour) for name, look in colours.items() if (line := chart.of(name))]
    return [(line.mean.iloc[-1], line.label, colour) for line, colour in lines] + levels


def draw_labels(axes: Axes, entries: Iterable[tuple[float, str, str]]) -> None:
    """Write the labels right of the axes, each as near to its line's end as the others let it."""
    entries = sorted(entries, key=lambda entry: entry[0])
    low, high = axes.get_ylim()
    ends = [(value - low) / (high - low) for value, _, _ in entries]
    width = axes.get_position().width * WIDTH
    for end, place, (_, text, colour) in zip(
        ends, spread(ends, LABEL_GAP / AXES_HEIGHT), entries, strict=True
    ):
        axes.plot(
            [1 + 0.08 / width, 1 + 0.24 / width], [end, place],
            color=colour, linewidth=0.7, clip_on=False, transform=axes.transAxes,
        )  # fmt: skip
        axes.text(1 + 0.29 / width, place, text, color=colour, fontsize=LABEL, va="center",
                  transform=axes.transAxes)  # fmt: skip


def spread(ends: Sequence[float], gap: float) -> np.ndarray:
    """Places from 0 to 1, at least ``gap`` apart, as near to ``ends`` as least squares can.

    ends : in ascending order, fractions of the height.
    """
    if not len(ends):
        return np.array([])
    steps = gap * np.arange(len(ends))
    most = 1 - steps[-1]
    return steps + isotonic_regression(np.asarray(ends) - steps, y_min=0, y_max=most)


def wrapped(text: str, size: float, width: float = WIDTH) -> list[str]:
    """The text in lines that fit into ``width`` inches, in a font of ``size`` points."""
    return wrap(text, int((width - 0.4) / (LETTER * size)), break_on_hyphens=False)


def write_lines(
    figure: Figure, lines: Sequence[str], height: float, size: float, step: float = LINE, **style
) -> None:
    """Write lines of text from the left edge, the first one ``height`` inches above the bottom.

    step : from one line to the next, in inches.
    """
    width, total = figure.get_size_inches()
    for i, line in enumerate(lines):
        place = 0.2 / width, (height - i * step) / total
        figure.text(*place, mathtext(line), fontsize=size, **style)
