"""What the picks do to the boundary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.base import clone

from data_utils import Split
from experiments.loop import run
from experiments.results import picks_frame
from models import LogisticRegression
from studies.base import Finding, study
from studies.bench import Bench, positions
from studies.drawing import GREY, RULE_COLOURS, legend_above, panels
from studies.seed_statistics import mean_and_deviation
from studies.wording import title_of, verdict, with_interval

# Okabe and Ito's colours that stand out on white and on black, then two of Paul Tol's.
CLASS_COLOURS = "#0072B2 #D55E00 #009E73 #CC79A7 #E69F00 #56B4E9 #882255 #999933".split()
MOST_NAMED = 6  # classes in the legend
BOUNDARY: dict[str, Any] = {"color": GREY, "lw": 1.4, "ls": "--"}
GRID_POINTS = 400  # along each axis, at which the models are asked for their probabilities


@dataclass(frozen=True)
class BoundaryRecord:
    """All picks of one rule.

    accuracy_before, accuracy_after, not_true : test accuracy before and after the picks, and the
        share of their labels that are not the true ones, in %.
    pick_norm : the mean norm of the picks over that of the pool.
    """

    rule: str
    accuracy_before: float
    accuracy_after: float
    not_true: float
    pick_norm: float


@study(
    "What the picks do to the boundary",
    "Two principal components, few labels. A region has the colour of the class that the model "
    "answers there after the picks; the dashed line is its boundary before. A pick has the colour "
    "of the label given, and is a cross if this label is not the true one. Small grey points: the "
    "pool.",
    dataset="waveform",
    pca=2,
    init=30,
)
def boundary(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    table = mean_and_deviation(records, ["rule"])
    return Finding(_figure(bench), table, _sentences(records), first_seed_only=True)


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[BoundaryRecord]:
    features = bench.features(split, seed)
    for rule in RULE_COLOURS:
        curve = run(split, rule, bench.settings(), seed, features=features, scores=False).curve
        yield BoundaryRecord(
            rule=rule,
            accuracy_before=100 * curve[0].test_accuracy,
            accuracy_after=100 * curve[-1].test_accuracy,
            not_true=100 * curve[-1].wrong_share,
            pick_norm=float(np.mean([record.pick_norm for record in curve[1:]])),
        )


def _sentences(records: pd.DataFrame) -> tuple[str, ...]:
    sentences = []
    for rule, of_rule in records.groupby("rule", sort=False):
        difference = of_rule["accuracy_after"] - of_rule["accuracy_before"]
        sentences.append(
            f"{title_of(rule)}: the picks lie {with_interval(of_rule['pick_norm'])} times as far "
            f"from the centre as the pool's rows, {with_interval(of_rule['not_true'], 1)} % of "
            "their labels are not true, and compared with the model before the picks, test "
            f"accuracy after them is {verdict(difference)}."
        )
    return tuple(sentences)


# --- the picture ----------------------------------------------------------------------------------


def _figure(bench: Bench) -> Figure:
    """The pool, the picks of each rule, and the model before and after them, for the first seed."""
    split = bench.split(bench.seeds[0])
    figure, axes = panels(2, height=3.2, sharex=True)
    for (panel,), rule in zip(axes, RULE_COLOURS, strict=True):
        _draw_rule(panel, bench, split, rule)
        panel.set(title=title_of(rule), ylabel="second component")
    panel.set_xlabel("first component")
    panel.plot([], [], **BOUNDARY, label="boundary before")
    for marker, name in ("o", "pick, true label"), ("X", "pick, another label"):
        panel.scatter([], [], color=GREY, marker=marker, s=34, lw=0, label=name)
    panel.scatter([], [], color=GREY, s=4, alpha=0.6, lw=0, label="pool")
    classes = np.unique(split.y)
    for label, colour in zip(classes, CLASS_COLOURS, strict=False):
        if len(classes) <= MOST_NAMED:
            panel.scatter([], [], color=colour, marker="s", s=34, lw=0, label=f"class {label}"[:18])
    legend_above(figure, panel)
    return figure


def _draw_rule(axes: Axes, bench: Bench, split: Split, rule: str) -> None:
    """The pool, the picks of one rule, and the model before and after them."""
    seed, settings = bench.seeds[0], bench.settings()
    features = bench.features(split, seed)
    picks = picks_frame(run(split, rule, settings, seed, features=features).picks)
    picked = positions(split, picks["row"])
    X, y = split.X[split.labeled], split.y[split.labeled]
    model = bench.exact_model(split, seed)
    before = clone(model).fit(X, y)
    after = clone(model).fit(np.vstack([X, split.X[picked]]), np.append(y, picks["label"]))
    colours = np.resize(CLASS_COLOURS, len(before.classes_))

    shown = split.X[np.append(split.pool, split.labeled)]
    margin = 0.05 * np.ptp(shown, axis=0)
    (left, bottom), (right, top) = shown.min(0) - margin, shown.max(0) + margin
    mesh = np.meshgrid(np.linspace(left, right, GRID_POINTS), np.linspace(bottom, top, GRID_POINTS))
    _draw_regions(axes, mesh, after, colours)
    _draw_boundary(axes, mesh, before)
    _draw_rows(axes, split, picks, dict(zip(before.classes_, colours, strict=True)))
    axes.grid(False)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def _draw_regions(
    axes: Axes, mesh: Sequence[np.ndarray], model: LogisticRegression, colours: np.ndarray
) -> None:
    """Tint each region with the colour of the class that the model answers there."""
    region = _probabilities(model, mesh).argmax(-1)
    edges = np.arange(len(colours) + 1) - 0.5
    axes.contourf(*mesh, region, levels=edges, colors=colours, alpha=0.14)


def _draw_boundary(axes: Axes, mesh: Sequence[np.ndarray], model: LogisticRegression) -> None:
    """Draw, for each two classes, where both are the most probable ones, and equally so."""
    p = _probabilities(model, mesh)
    for one, other in combinations(range(p.shape[-1]), 2):
        pair = p[..., [one, other]]
        lead = np.ma.masked_where(pair.max(-1) < p.max(-1), pair[..., 0] - pair[..., 1])
        if lead.count() and lead.min() < 0 < lead.max():
            axes.contour(*mesh, lead, levels=[0], colors=GREY, linewidths=1.4, linestyles="--")


def _probabilities(model: LogisticRegression, mesh: Sequence[np.ndarray]) -> np.ndarray:
    """The model's p(c|x) at each point of the mesh: (points, points, K)."""
    grid = np.column_stack([coordinates.ravel() for coordinates in mesh])
    return model.predict_proba(grid).reshape(*mesh[0].shape, -1)


def _draw_rows(axes: Axes, split: Split, picks: pd.DataFrame, colour_of: dict) -> None:
    """Draw the pool as small grey points, and the picks by whether their labels are true.

    picks : as in picks.csv. colour_of : a colour for each label.
    """
    first, second = split.X[split.pool].T
    axes.scatter(first, second, s=2.5, lw=0, alpha=0.5, color=GREY)
    picked = positions(split, picks["row"])
    is_true = (picks["label"] == picks["true_label"]).to_numpy()
    for chosen, marker, size in (is_true, "o", 22), (~is_true, "X", 34):
        first, second = split.X[picked[chosen]].T
        axes.scatter(
            first,
            second,
            c=[colour_of[label] for label in picks["label"][chosen]],
            s=size,
            marker=marker,
            edgecolor="w",
            lw=0.5,
            zorder=3,
        )
