"""The figure of a comparison: the learning curves of every data set, a panel for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from common.cli import seeds_words
from common.escape import mathtext
from data_prep.catalogue import DATASETS
from experiments.chart import (
    Chart,
    kinds_sentence,
    levels_sentence,
    read_chart,
    seeds_sentence,
    sentence,
)
from experiments.looks import LEVELS, OTHERS, Look, highlighted, looks
from experiments.pictures import drawing, picture_files, picture_of
from experiments.plots import (
    Heading,
    draw_chart,
    level_style,
    line_style,
    short_title,
    wrapped,
    write_lines,
)
from experiments.results import Result
from strategies.registry import titles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# In inches.
WIDTH, PANEL_HEIGHT, GAP = 10.5, 2.15, 0.62
LEFT, BETWEEN, RIGHT, TOP = 0.75, 0.6, 0.2, 0.95
LEGEND_LINE, LINE = 0.24, 0.18
COLUMNS, LEGEND_COLUMNS = 3, 5


def comparison_figure(
    results: Sequence[Result], missing: Mapping[str, str], order: Sequence[str]
) -> dict[str, bytes | None]:
    """``figure.png`` and ``figure.pdf``: three panels in a row, as many rows as are needed.

    results : one per data set, with the same methods, rounds and metric. missing : why a data set
    is not here, by its name. order : the names of the data sets, from left to right and down;
    without features ("mnist", not "mnist:pca:50").

    The same six methods at most are highlighted in all panels.
    """
    with drawing():
        return picture_files("figure", picture_of(draw_figure(results, missing, order)))


def draw_figure(
    results: Sequence[Result], missing: Mapping[str, str], order: Sequence[str]
) -> Figure:
    """The same as a figure of matplotlib."""
    from matplotlib.figure import Figure

    charts = {
        result.table.dataset.name: read_chart(
            result.curves, result.metric, result.majority_accuracy
        )
        for result in results
    }
    titles_of = {name: dataset.title for name, dataset in DATASETS.items()}
    titles_of |= {r.table.dataset.name: short_title(r.table.dataset) for r in results}
    colours = looks(highlighted([chart.area for chart in charts.values()])) if charts else {}
    handles = legend_handles(charts, colours)
    below = wrapped(figure_caption(charts, colours), 8.5, WIDTH)
    legend_height = LEGEND_LINE * -(-len(handles) // LEGEND_COLUMNS)
    bottom = 0.65 + legend_height + LINE * len(below)
    rows = -(-len(order) // COLUMNS)
    height = TOP + rows * PANEL_HEIGHT + (rows - 1) * GAP + bottom

    figure = Figure(figsize=(WIDTH, height))
    for place, name in enumerate(order):
        axes = add_panel(figure, place)
        axes.set_title(mathtext(titles_of.get(name, name)), loc="left", fontsize=10)
        if name not in charts:
            draw_missing(axes, missing.get(name, "it did not run"))
            continue
        draw_chart(axes, charts[name], colours)
        write_outside(axes, charts[name])
        axes.tick_params(labelsize=8)
        if not set(order[place // COLUMNS * COLUMNS : place]) & set(charts):  # none left of it
            axes.set_ylabel(charts[name].metric.label, fontsize=8.5)
        if not set(order[place + COLUMNS :: COLUMNS]) & set(charts):  # none below it
            axes.set_xlabel("round", fontsize=8.5)
    heading = figure_heading(results)
    write_lines(figure, [heading.title], height - 0.3, size=12)
    write_lines(figure, wrapped(heading.setting, 8.5, WIDTH)[:1], height - 0.52, size=8.5)
    if handles:
        figure.legend(
            handles=handles, loc="center", ncols=LEGEND_COLUMNS, frameon=False, fontsize=8.5,
            handlelength=3.2, bbox_to_anchor=(0.5, (bottom - 0.52 - legend_height / 2) / height),
        )  # fmt: skip
    write_lines(figure, below, LINE * len(below), size=8.5, step=LINE)
    return figure


def add_panel(figure: Figure, place: int) -> Axes:
    """The axes of a panel; places count from left to right and down."""
    row, column = divmod(place, COLUMNS)
    height = figure.get_figheight()
    width = (WIDTH - LEFT - RIGHT - (COLUMNS - 1) * BETWEEN) / COLUMNS
    left = LEFT + column * (width + BETWEEN)
    bottom = height - TOP - PANEL_HEIGHT - row * (PANEL_HEIGHT + GAP)
    return figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, PANEL_HEIGHT / height))


def figure_heading(results: Sequence[Result]) -> Heading:
    """The metric, and the setting that all data sets share."""
    if not results:
        return Heading("Learning curves")
    first, metric = results[0].settings, results[0].metric
    return Heading(
        f"{metric.title[0].upper()}{metric.title[1:]} by round",
        f"{first.protocol} protocol: {first.loop.describe()}, {seeds_words(first.seeds)}",
    )


def draw_missing(axes: Axes, reason: str) -> None:
    """A panel without curves, which says why."""
    words = "\n".join(mathtext(line) for line in wrapped(f"not here: {reason}", 8.5, 3.1)[:9])
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8.5, color="#555555",
              transform=axes.transAxes)  # fmt: skip
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=OTHERS, linestyle=(0, (4, 3)))


def write_outside(axes: Axes, chart: Chart) -> None:
    """Name the levels that lie outside the panel, in the corner that the curves leave free."""
    if chart.outside():
        top = 0.97 if not chart.metric.larger_is_better else 0.03
        axes.text(
            0.98, top, "\n".join(chart.outside()), ha="right", fontsize=7, color=LEVELS,
            va="bottom" if chart.metric.larger_is_better else "top", transform=axes.transAxes,
            bbox={"facecolor": "w", "alpha": 0.75, "linewidth": 0, "pad": 1.5}, zorder=5,
        )  # fmt: skip


def legend_handles(charts: Mapping[str, Chart], colours: Mapping[str, Look]) -> list[Line2D]:
    """The lines of the legend that all panels share."""
    from matplotlib.lines import Line2D

    levels = dict.fromkeys(title for chart in charts.values() for title in chart.shown_levels)
    others = any(set(chart.area.index) - set(colours) for chart in charts.values())
    return [
        *(
            Line2D([], [], label=titles().get(name, name), **line_style(name, look))
            for name, look in colours.items()
        ),
        *([Line2D([], [], color=OTHERS, linewidth=1.1, label="other methods")] * others),
        *(Line2D([], [], color=LEVELS, label=title, **level_style(title)) for title in levels),
    ]


def figure_caption(charts: Mapping[str, Chart], colours: Mapping[str, Look]) -> str:
    """The words below the figure: seeds, bands, lines, and which curves coincide where."""
    if not charts:
        return ""
    methods = dict.fromkeys(name for chart in charts.values() for name in chart.area.index)
    others = [titles().get(name, name) for name in methods if name not in colours]
    equal: dict[str, list[str]] = {}
    for dataset, chart in charts.items():
        for line in chart.lines:
            if len(line.methods) > 1 and set(line.methods) & set(colours):
                equal.setdefault(line.title, []).append(dataset)
    shown = [title for chart in charts.values() for title in chart.shown_levels]
    sentences = [
        seeds_sentence(max(chart.seeds for chart in charts.values()), bands=bool(colours)),
        kinds_sentence(methods),
        levels_sentence(shown),
        *(f"The same curve on {', '.join(where)}: {which}." for which, where in equal.items()),
        sentence(f"Other methods: {'; '.join(others)}") if others else "",
    ]
    return " ".join(filter(None, sentences))
