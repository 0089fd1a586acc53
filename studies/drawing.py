"""The look of the pictures, their panels, lines and headings, and their files."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from common.escape import mathtext
from experiments.looks import COLOURS
from experiments.pictures import drawing, rendered
from experiments.plots import wrapped
from studies.seed_statistics import interval


@dataclass(frozen=True)
class ColourScheme:
    """Colours of a page and of its pictures; ``muted`` is for axes and remarks."""

    background: str
    text: str
    muted: str


LIGHT = ColourScheme("#ffffff", "#1c2128", "#59636e")
DARK = ColourScheme("#161b22", "#e6edf3", "#9aa4af")
GREY = "#858585"

# The two rules that the studies compare. Their colours stand out on white and on black, also for
# the colour-blind. A picture that compares two other things gives them the same two colours.
RULE_COLOURS = {"salutary": COLOURS[0], "salutary_plus": COLOURS[1]}

WIDTH = 4.2  # inches: a phone shows this at a size at which 9 points are still read
BAND = "95 % confidence"  # marks the bands, so that a picture with bands can say so
LINE = 0.155  # inches, from a line of the heading to the next
DPI = 240  # twice the pixels of a column on a desktop, three times the pixels of one on a phone

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": LIGHT.muted,
    "axes.grid": True,
    "axes.labelcolor": LIGHT.text,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.facecolor": LIGHT.background,
    "axes.facecolor": "none",
    "font.size": 9,
    "grid.color": GREY,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": LIGHT.text,
    "xtick.color": LIGHT.muted,
    "xtick.labelsize": 8.5,
    "ytick.color": LIGHT.muted,
    "ytick.labelsize": 8.5,
}


def picture_style() -> AbstractContextManager[None]:
    """The look of every picture, as long as the context lasts."""
    return drawing(_STYLE)


# --- panels and lines -----------------------------------------------------------------------------


def panels(
    rows: int, columns: int = 1, height: float = 2.3, **arguments: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of WIDTH inches and its axes, (rows, columns).

    height : of a row of panels, in inches. arguments : of ``Figure.subplots``.
    """
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **arguments)


def mean_line(axes: Axes, records: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """The mean of the column ``y`` at each level of the column ``x``, and its 95 % interval.

    Levels are drawn at equal steps, in the order of the records. style : of ``Axes.plot``.
    """
    bare_mean_line(axes, records, x, y, **style)
    groups = records.groupby(x, sort=False)[y]
    means, halves = groups.mean(), groups.agg(interval)
    if not np.isinf(halves).any():
        low, high = means - halves, means + halves
        axes.fill_between(
            range(len(means)), low, high, color=style["color"], alpha=0.15, lw=0, gid=BAND
        )


def bare_mean_line(axes: Axes, records: pd.DataFrame, x: str, y: str, **style: Any) -> None:
    """``mean_line`` without the interval: where many lines cross, intervals hide each other."""
    means = records.groupby(x, sort=False)[y].mean()
    axes.plot(range(len(means)), means, **style)


def name_levels(axes: Axes, names: Sequence[object], label: str) -> None:
    """Write the names of the levels of ``mean_line`` below the axis, and the axis' label."""
    axes.set_xticks(range(len(names)), [str(name) for name in names])
    axes.set_xlabel(label)


def legend_above(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """The legend of ``axes`` above the whole figure, so that it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)


def write_heading(figure: Figure, title: str, setting: str) -> None:
    """Write the title and, smaller, the data and what bands mean above a finished figure.

    The figure grows by the height of these lines.
    """
    if figure.findobj(lambda artist: artist.get_gid() == BAND):
        setting += "; bands: 95 % confidence intervals of the mean"
    lines = [(line, 10.0, LIGHT.text, "bold") for line in wrapped(title, 10.5, WIDTH + 0.2)]
    lines += [(line, 7.5, LIGHT.muted, "normal") for line in wrapped(setting, 7.5, WIDTH + 0.2)]
    width, height = figure.get_size_inches()
    total = height + 0.08 + LINE * len(lines)
    share = height / total
    figure.draw_without_rendering()  # places everything
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, wide, high = axes.get_position(original=True).bounds
        axes.set_position((left, bottom * share, wide, high * share))
    for legend in figure.legends:
        legend.set_bbox_to_anchor((0, 0, 1, share), figure.transFigure)
    figure.set_size_inches(width, total)
    for i, (line, size, colour, weight) in enumerate(lines):
        place = 0.1 / width, 1 - (0.16 + LINE * i) / total
        figure.text(*place, mathtext(line), fontsize=size, color=colour, weight=weight)


# --- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyPicture:
    """A figure as two PNGs, for a light and for a dark page, and as a PDF."""

    light: bytes
    dark: bytes
    pdf: bytes


def study_picture(figure: Figure) -> StudyPicture:
    """The files of a figure; it keeps the dark colours."""
    light, pdf = _png(figure), rendered(figure, "pdf", DPI)
    figure.set_facecolor(DARK.background)
    for axes in figure.axes:
        axes.tick_params(color=DARK.muted, labelcolor=DARK.muted)
        axes.spines[:].set_edgecolor(DARK.muted)
    dark = {LIGHT.text: DARK.text, LIGHT.muted: DARK.muted}
    for text in figure.findobj(Text):
        if (colour := str(text.get_color())) in dark:
            text.set_color(dark[colour])
    for image in figure.findobj(AxesImage):
        image.set_cmap("gray")  # has no effect on images of three channels
    return StudyPicture(light, _png(figure), pdf)


def _png(figure: Figure) -> bytes:
    """The figure in 256 colours: nobody sees a difference, and it takes a third of the bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, pil_kwargs={"compress_level": 0})
    picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()
