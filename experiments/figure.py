"""The figure of a comparison: a panel for each data set."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from common.escape import mathtext
from experiments.metrics import by_round
from experiments.plots import colour_of, line_style
from experiments.results import Result
from strategies.registry import titles


def comparison_figure(
    results: Sequence[Result], missing: Mapping[str, str], order: Sequence[str]
) -> dict[str, bytes]:
    """figure.png and figure.pdf: mean learning curves, a panel for each data set.

    missing : a few words on why a data set has no result, by name. order : the names of all.
    """
    by_name = {result.table.dataset.name: result for result in results}
    wide = min(3, len(order))
    tall = -(-len(order) // wide)
    figure = Figure(figsize=(4 * wide, 3 * tall), layout="constrained")
    axes = figure.subplots(tall, wide, squeeze=False).ravel()
    for panel, name in zip(axes, order, strict=False):
        panel.set_title(mathtext(name))
        if name not in by_name:
            panel.text(0.5, 0.5, mathtext(missing[name]), ha="center", transform=panel.transAxes)
            continue
        values = by_round(by_name[name].curves, by_name[name].metric).T
        for method in dict.fromkeys(by_name[name].curves["method"]):
            panel.plot(
                values[method].mean(axis=1),
                color=colour_of(method),
                linestyle=line_style(method),
                label=titles().get(method, method),
            )
    for panel in axes[len(order) :]:
        panel.remove()
    figure.legend(*axes[list(order).index(next(iter(by_name)))].get_legend_handles_labels())
    files = {}
    for form in ("png", "pdf"):
        buffer = io.BytesIO()
        figure.savefig(
            buffer, format=form, metadata={"CreationDate": None} if form == "pdf" else {}
        )
        files[f"figure.{form}"] = buffer.getvalue()
    return files
