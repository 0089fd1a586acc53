"""The look of the pictures, their panels and lines, and their PNGs for light and dark pages."""

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

from experiments.plots import PALETTE
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
RULE_COLOURS = {"salutary": PALETTE[6], "salutary_plus": PALETTE[5]}

WIDTH = 4.2  # inches: a phone shows this at a size at which 9 points are still read
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
    return matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE})


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
        axes.fill_between(range(len(means)), low, high, color=style["color"], alpha=0.15, lw=0)


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


# --- PNGs -----------------------------------------------------------------------------------------


def light_and_dark(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as two PNGs, for a light and for a dark page; it keeps the dark colours."""
    light = _png(figure)
    figure.set_facecolor(DARK.background)
    for axes in figure.axes:
        axes.tick_params(color=DARK.muted, labelcolor=DARK.muted)
        axes.spines[:].set_edgecolor(DARK.muted)
    for text in figure.findobj(Text):
        if text.get_color() == LIGHT.text:
            text.set_color(DARK.text)
    for image in figure.findobj(AxesImage):
        image.set_cmap("gray")  # has no effect on images of three channels
    return light, _png(figure)


def _png(figure: Figure) -> bytes:
    """The figure in 256 colours: nobody sees a difference, and it takes a third of the bytes."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    picture = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(packed, format="png", optimize=True)
    return packed.getvalue()
