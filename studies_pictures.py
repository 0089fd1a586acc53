"""Two studies to look at: images that got another label than their own, and a moving boundary.

See studies.py for what a study is.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import report
from experiment import run
from report import PALETTE
from splits import Split
from workbench import (
    GREY,
    RULES,
    Bench,
    Finding,
    about,
    legend_above,
    over_seeds,
    panels,
    positions,
    study,
    title_of,
    verdict,
)

CLASS_COLOURS = [PALETTE[i] for i in (6, 5, 3, 4, 1, 2, 7, 11)]

# --- gallery --------------------------------------------------------------------------------------

ROWS, COLUMNS = 5, 7


@study(
    "gallery",
    "Images whose salutary label is not the true one",
    "Picks of the paper's rule in some rounds, highest benefit first: true class → label given.",
    dataset="mnist:pca:50",
    images=True,
)
def gallery(bench: Bench) -> Finding:
    records = bench.each(_gallery)
    by_round = records.assign(not_true=100 * (records["label"] != records["true_label"]))
    by_round = by_round.groupby(["round", "seed"])[["not_true", "accuracy"]].mean().reset_index()
    wrong = records[records["label"] != records["true_label"]]
    figure = mosaic(bench, wrong[wrong["seed"] == bench.seeds[0]])
    ends = [by_round[by_round["round"] == r] for r in (1, bench.rounds)]
    pairs = (
        wrong.groupby(["true_label", "label"]).size().sort_values(ascending=False, kind="stable")
    )
    confused = "no label is wrong"
    if len(wrong):
        (true, given), count = pairs.index[0], pairs.iloc[0]
        confused = f"the commonest mistake, {true} → {given}, is {count} of all {len(wrong)}"
    share = by_round.groupby("seed")["not_true"].mean()
    return Finding(
        figure,
        over_seeds(by_round, ["round"]),
        (
            f"{about(share, 1)} % of the labels that the paper's rule gives are not the true ones, "
            f"{about(ends[0]['not_true'], 1)} % in the first round and "
            f"{about(ends[1]['not_true'], 1)} % in the last; {confused}.",
            f"With them the model's test accuracy goes from "
            f"{about(records.groupby('seed')['before'].first(), 1)} % to "
            f"{about(ends[1]['accuracy'], 1)} %.",
        ),
    )


def _gallery(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    curve, picked = run(split, "salutary", bench.settings(), seed)
    accuracy = [100 * record["test_accuracy"] for record in curve]
    for pick in picked:
        shown = {name: pick[name] for name in ("round", "row", "label", "true_label", "score")}
        yield shown | {"before": accuracy[0], "accuracy": accuracy[pick["round"]]}


def mosaic(bench: Bench, wrong: pd.DataFrame) -> Figure:
    """The images of picks (with round, row, label, true_label), a row for each of ROWS rounds."""
    rounds = np.unique(np.linspace(1, bench.rounds, min(ROWS, bench.rounds)).round().astype(int))
    figure, axes = panels(len(rounds), COLUMNS, height=0.82)
    data, (channels, height, width) = bench.table.data, bench.table.dataset.image
    for row, round_number in zip(axes, rounds, strict=True):
        of_round = wrong[wrong["round"] == round_number].sort_values("score", ascending=False)
        row[0].set_ylabel(f"round {round_number}")
        if of_round.empty:
            note = row[0].text(0, 0.5, "every label is true", va="center")
            note.set_in_layout(False)  # else the first column would be as wide
        for cell in row:
            cell.set(xticks=[], yticks=[])
            cell.grid(False)
            cell.spines[:].set_visible(False)
        for cell, pick in zip(row, of_round.itertuples(), strict=False):
            pixels = data.X[positions(data, [pick.row])[0]].reshape(channels, height, width)
            image = pixels[0] if channels == 1 else pixels.transpose(1, 2, 0)
            cell.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            cell.set_xlabel(f"{pick.true_label} → {pick.label}", labelpad=2)
    return figure


# --- boundary -------------------------------------------------------------------------------------


@study(
    "boundary",
    "What the picks do to the boundary",
    "Two principal components, few labels. Regions: the model after the picks; lines: its boundary "
    "before. Picks have the colour of the label given, the pool's small points that of the true.",
    dataset="waveform",
    pca=2,
    init=30,
)
def boundary(bench: Bench) -> Finding:
    records = bench.each(_boundary)
    split = bench.split(bench.seeds[0])
    figure, axes = panels(2, height=3.2, sharex=True)
    sentences = []
    for (panel,), (rule, of_rule) in zip(axes, records.groupby("rule", sort=False), strict=True):
        draw_boundary(panel, bench, split, rule)
        panel.set(title=title_of(rule), ylabel="second component")
        difference = of_rule["accuracy_after"] - of_rule["accuracy_before"]
        sentences.append(
            f"{title_of(rule)}: the picks lie {about(of_rule['pick_norm'])} times as far from the "
            f"centre as the pool's rows, {about(of_rule['not_true'], 1)} % of their labels are not "
            f"true, and against before, test accuracy after them is {verdict(difference)}."
        )
    axes[-1, 0].set_xlabel("first component")
    panel.plot([], [], color=GREY, lw=1.3, label="boundary before")
    for marker, name in ("o", "true label"), ("X", "another label"):
        panel.scatter([], [], color=GREY, marker=marker, s=34, lw=0, label=name)
    legend_above(figure, panel, columns=3)
    return Finding(figure, over_seeds(records, ["rule"]), tuple(sentences))


def _boundary(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    for rule in RULES:
        curve, _ = run(split, rule, bench.settings(), seed)
        yield {
            "rule": rule,
            "accuracy_before": 100 * curve[0]["test_accuracy"],
            "accuracy_after": 100 * curve[-1]["test_accuracy"],
            "not_true": 100 * curve[-1]["wrong_share"],
            "pick_norm": np.mean([record["pick_norm"] for record in curve[1:]]),
        }


def draw_boundary(axes, bench: Bench, split: Split, rule: str) -> None:
    """The pool, the picks of ``rule``, and the regions of the model before and after them."""
    _, picked = run(split, rule, bench.settings(), bench.seeds[0])
    picks = report.picks_frame(picked)
    rows = positions(split, picks["row"])
    X, y = split.X[split.labeled], split.y[split.labeled]
    before = bench.model().fit(X, y)
    after = bench.model().fit(np.vstack([X, split.X[rows]]), np.append(y, picks["label"]))
    colours = np.resize(CLASS_COLOURS, len(before.classes_))

    shown = split.X[np.append(split.pool, split.labeled)]
    margin = 0.05 * np.ptp(shown, axis=0)
    (left, low), (right, high) = shown.min(0) - margin, shown.max(0) + margin
    mesh = np.meshgrid(np.linspace(left, right, 400), np.linspace(low, high, 400))
    grid = np.column_stack([part.ravel() for part in mesh])
    region = after.predict_proba(grid).argmax(1).reshape(mesh[0].shape)
    edges = np.arange(len(colours) + 1) - 0.5
    axes.contourf(*mesh, region, levels=edges, colors=colours, alpha=0.14)
    for code in range(1 if len(colours) == 2 else 0, len(colours)):
        p = before.predict_proba(grid)
        lead = (p[:, code] - np.delete(p, code, 1).max(1)).reshape(mesh[0].shape)
        axes.contour(*mesh, lead, levels=[0], colors=GREY, linewidths=1.3)

    of = dict(zip(before.classes_, colours, strict=True))
    pool = split.pool
    axes.scatter(*split.X[pool].T, s=2, lw=0, alpha=0.5, c=[of[label] for label in split.y[pool]])
    true = (picks["label"] == picks["true_label"]).to_numpy()
    for chosen, marker, size in (true, "o", 22), (~true, "X", 34):
        given = [of[label] for label in picks["label"][chosen]]
        look = {"s": size, "marker": marker, "edgecolor": "w", "lw": 0.5, "zorder": 3}
        axes.scatter(*split.X[rows[chosen]].T, c=given, **look)
    axes.grid(False)
    axes.set(xlim=(left, right), ylim=(low, high))
