"""Pictures of learning curves, and the colours that all pictures share."""

import io

import numpy as np
import pandas as pd

from common.escape import mathtext
from experiments.metrics import ACCURACY, Metric, by_round
from strategies.registry import (
    REFERENCES,
    VALIDATION_FORM,
    VALIDATION_FORMS,
    gives_own_labels,
    titles,
)

# Okabe-Ito for the paper's seven, Tol's muted colours for the others, in the registry's order.
PALETTE = (
    "#000000 #E69F00 #56B4E9 #009E73 #CC79A7 #D55E00 #0072B2 #882255 #44AA99 #AA4499 "
    "#117733 #999933 #661100 #6699CC #DDCC77 #CC6677 #332288 #88CCEE #EE99AA"
).split()
GREY = "#808080"


def colour_of(method: str) -> str:
    """The colour of a method in every picture; references are grey.

    A form that trains on the validation rows has the colour of its baseline.
    """
    if method in REFERENCES:
        return GREY
    method, names = method.removesuffix(VALIDATION_FORM), list(titles())
    return PALETTE[names.index(method) % len(PALETTE)] if method in names else PALETTE[0]


def line_style(method: str) -> str | tuple[int, tuple[float, ...]]:
    """How the line of a method is drawn, as matplotlib takes it."""
    if method in REFERENCES:
        return ":"
    if method in VALIDATION_FORMS:
        return 0, (2.5, 1, 0.8, 1)
    return "-" if gives_own_labels(method) else (0, (4, 1.5))


def curves_picture(
    curves: pd.DataFrame, title: str, metric: Metric = ACCURACY, xlabel: str = "round"
) -> bytes:
    """The learning curves as a PNG: a line per method, and if there are several seeds, a band of
    95 % confidence in its mean.

    curves : method, seed, round and the metric's column, as in curves.csv. Methods that buy no
    label are drawn solid, references dotted, forms that train on the validation rows dash-dotted,
    the others dashed. Seeds in which the metric is undefined are left out.
    xlabel : what the column round holds.
    """
    from matplotlib.figure import Figure  # half a second that --no-plot need not wait for

    values = by_round(curves, metric).T
    ends = values.iloc[-1].groupby("method").mean().fillna(-np.inf)
    # the legend lists them as the lines end, from top to bottom
    methods = sorted(dict.fromkeys(curves["method"]), key=lambda m: -ends[m])
    figure = Figure(figsize=(8.5, max(4.8, 1.2 + 0.3 * len(methods))), layout="constrained")
    axes = figure.subplots()
    for i, method in enumerate(methods):
        seeds = values[method].count(axis=1).max()
        mean, spread = values[method].mean(axis=1), values[method].std(axis=1)
        own, colour = gives_own_labels(method), colour_of(method)
        axes.plot(
            mean,
            color=colour,
            # curves can coincide: later ones are thinner, so that both are seen
            linewidth=4.0 - 2.5 * i / max(len(methods) - 1, 1),
            linestyle=line_style(method),
            label=titles().get(method, method) + (" (buys no label)" if own else ""),
        )
        if seeds > 1:
            half = 1.96 * spread / np.sqrt(seeds)
            axes.fill_between(mean.index, mean - half, mean + half, color=colour, alpha=0.12, lw=0)
    figure.suptitle(mathtext(title), fontsize=10)
    axes.set(xlabel=xlabel, ylabel=metric.label)
    axes.set_xlim(0, values.index[-1])
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", frameon=False)
    return png_bytes(figure)


def png_bytes(figure) -> bytes:
    """A figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
