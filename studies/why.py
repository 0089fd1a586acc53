"""Why was this row picked, and why with this label?"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from common.escape import mathtext
from data_utils import Split
from studies.base import Finding, study
from studies.bench import Bench, told_errors
from studies.drawing import GREY, RULE_COLOURS, panels
from studies.explanation import Explanation, explain
from studies.gallery import show_image
from studies.wording import title_of

LISTED = 5  # validation rows, labeled rows and features of each pick in the table
PICTURED = 3  # labeled rows and validation rows of each pick that are drawn if they are images
GAIN_COLOUR, LOSS_COLOUR = RULE_COLOURS.values()


@dataclass(frozen=True)
class WhyRecord:
    """A row of the table.

    Numbers are text of four significant digits: losses, distances and values in the units of the
    file differ by orders of magnitude, and share columns.

    pick : the row number of the pick in the source file.
    about : what ``amount`` is: the benefit of a label; the fall of the loss of a validation row; a
        labeled row's distance; or a feature's contribution to the logit.
    name : the row number, or the name of the feature. label : of this row.
    note : of a label, whether it is the true one, the one given, or the runner-up; of a labeled
        row, whether it was picked before.
    probability : of ``label`` by the model, for the pick and the validation rows.
    value, seen_as : of the feature, in the units of the file, and as the model sees it.
    """

    pick: str
    about: str
    name: str
    label: str = ""
    note: str = ""
    amount: str = ""
    probability: str = ""
    value: str = ""
    seen_as: str = ""


@study(
    "Why this row, and why this label?",
    "Single picks of one seed. Left: the validation rows, each with its class, whose loss falls or "
    "rises most. Right: the features that speak most for or against the label given. Of images: "
    "the pick, the nearest labeled rows and the validation rows whose loss falls most.",
    one_seed=True,
    options=("method", "round", "picks"),
)
def why(bench: Bench) -> Finding:
    (seed,) = bench.seeds
    split = bench.split(seed)
    with told_errors(bench, split, seed):
        explanations = explain(bench, split, seed)
    table = pd.DataFrame(
        [asdict(record) for each in explanations for record in _records(bench, split, each)]
    )
    drawn = _image_figure if _has_images(bench) else _figure
    figure = drawn(bench, split, explanations)
    return Finding(figure, table, tuple(_sentences(bench, seed, split, explanations)))


def _has_images(bench: Bench) -> bool:
    return bench.table.dataset.image is not None


def feature_names(bench: Bench, width: int) -> list[str]:
    """Names of the features that the model sees, (width,): of the file, or else by number."""
    if bench.pca:
        return [f"component {i + 1}" for i in range(width)]
    return list(bench.table.data.names) or [f"x{i + 1}" for i in range(width)]


def _records(bench: Bench, split: Split, of: Explanation) -> Iterator[WhyRecord]:
    row, validation = str(of.pick.row), split.validation
    for code, (name, benefit) in enumerate(zip(of.classes, of.benefits, strict=True)):
        notes = {
            "given": code == of.given,
            "true": name == of.pick.true_label,
            "runner-up": code == of.runner_up,
        }
        note = ", ".join(word for word, holds in notes.items() if holds)
        p = of.probabilities[code]
        yield WhyRecord(
            row, "benefit of label", f"row {row}", str(name), note, _digits(benefit), _digits(p)
        )
    order = np.argsort(-of.falls, kind="stable")
    for about, chosen in (
        ("loss falls most", order[:LISTED]),
        ("loss rises most", order[::-1][:LISTED]),
    ):
        for i in chosen:
            at = validation[i]
            label = str(split.y[at])
            amounts = _digits(of.falls[i]), _digits(of.own[i])
            yield WhyRecord(row, about, f"row {split.rows[at]}", label, "", *amounts)
    for at, label, distance in list(zip(of.labeled, of.labels, of.distances, strict=True))[:LISTED]:
        name, note = f"row {split.rows[at]}", "picked before" if at in split.pool else ""
        yield WhyRecord(row, "nearest labeled", name, str(label), note, _digits(distance))
    names = feature_names(bench, split.X.shape[1])
    for d in _strongest(of):
        yield WhyRecord(
            row,
            "part of logit",
            names[d],
            amount=_digits(of.contributions[d]),
            value="" if bench.pca else _digits(bench.table.data.X[of.row, d]),
            seen_as=_digits(split.X[of.row, d]),
        )


def _digits(number: float) -> str:
    return "" if np.isnan(number) else f"{number + 0.0:.4g}"


def _strongest(of: Explanation) -> np.ndarray:
    """The features with the largest contributions."""
    return np.argsort(-np.abs(of.contributions), kind="stable")[:LISTED]


# --- pictures -------------------------------------------------------------------------------------


def _figure(bench: Bench, split: Split, explanations: Sequence[Explanation]) -> Figure:
    """A row of panels for each pick: validation rows, and features."""
    names = feature_names(bench, split.X.shape[1])
    figure, axes = panels(len(explanations), 2, height=1.9)
    for (left, right), of in zip(axes, explanations, strict=True):
        label, true = _short(str(of.pick.label)), _short(str(of.pick.true_label))
        left.set_title(mathtext(f"row {of.pick.row}: {label} (true: {true})"))
        order = np.argsort(-of.falls, kind="stable")
        ends = order if len(order) <= 2 * LISTED else [*order[:LISTED], *order[-LISTED:]]
        rows = split.validation[ends]
        told = [
            f"{row}: {_short(str(y), 6)}"
            for row, y in zip(split.rows[rows], split.y[rows], strict=True)
        ]
        _draw_bars(left, of.falls[ends], told)
        strongest = _strongest(of)
        _draw_bars(right, of.contributions[strongest], [_short(names[d]) for d in strongest])
    axes[0][1].set_title(f"{title_of(bench.explained.method)}, round {bench.explained.round}")
    axes[-1][0].set_xlabel("fall of loss by validation row: class")
    axes[-1][1].set_xlabel("part of logit")
    return figure


def _draw_bars(axes: Axes, amounts: np.ndarray, names: Sequence[str]) -> None:
    """Bars with their names, the first on top; what helps and what hurts in two colours."""
    colours = [GAIN_COLOUR if amount > 0 else LOSS_COLOUR for amount in amounts]
    axes.barh(range(len(amounts)), amounts, color=colours, height=0.65)
    axes.axvline(0, color=GREY, lw=0.8)
    axes.set_yticks(range(len(amounts)), [mathtext(name) for name in names], fontsize=6.5)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def _short(name: str, length: int = 18) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _image_figure(bench: Bench, split: Split, explanations: Sequence[Explanation]) -> Figure:
    """A row of images for each pick: itself, its nearest labeled rows, the rows that gain most."""
    figure, axes = panels(len(explanations), 1 + 2 * PICTURED, height=0.9)
    for cells, of in zip(axes, explanations, strict=True):
        gaining = split.validation[np.argsort(-of.falls, kind="stable")[:PICTURED]]
        near = of.labeled[:PICTURED], of.labels[:PICTURED]
        shown = [
            (of.row, f"{of.pick.true_label} → {of.pick.label}"),
            *zip(*near, strict=True),
            *zip(gaining, split.y[gaining], strict=True),
        ]
        for cell in cells:
            cell.set(xticks=[], yticks=[])
            cell.grid(False)
            cell.spines[:].set_visible(False)
        for cell, (at, label) in zip(cells, shown, strict=False):
            show_image(cell, bench, split.rows[at])
            cell.set_xlabel(str(label), labelpad=2)
    heads = {0: "pick", 1: "nearest labeled rows", 1 + PICTURED: "loss falls most"}
    for column, text in heads.items():
        title = axes[0][column].set_title(text, fontsize=8)
        title.set_in_layout(False)
    return figure


# --- words ----------------------------------------------------------------------------------------


def _sentences(
    bench: Bench, seed: int, split: Split, explanations: Sequence[Explanation]
) -> Iterator[str]:
    asked = bench.explained
    yield (
        f"These are the first {len(explanations)} picks of {title_of(asked.method)} in round "
        f"{asked.round} of seed {seed}; each is seen by the model that picked it, and all falls "
        "are predicted, by first order."
    )
    for of in explanations:
        total, gains = of.falls.sum(), np.sort(of.falls[of.falls > 0])[::-1]
        share = 100 * gains[:LISTED].sum() / gains.sum() if len(gains) else 0.0
        yield (
            f"Row {of.pick.row} got the label {of.pick.label} (true: {of.pick.true_label}), to "
            f"which the model gave {100 * of.probabilities[of.given]:.1f} %. Its benefit is "
            f"{total:.2f}, that of the runner-up {of.classes[of.runner_up]} is "
            f"{of.benefits[of.runner_up]:.2f}: the loss falls by {gains.sum():.2f} on {len(gains)} "
            f"validation rows and rises by {gains.sum() - total:.2f} on the other "
            f"{len(of.falls) - len(gains)}; the {min(LISTED, len(gains))} rows that gain most have "
            f"{share:.0f} % of the fall."
        )
