"""Images whose salutary label is not the true one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_utils import Split
from experiments.loop import run
from studies.base import Finding, study
from studies.bench import Bench, positions
from studies.drawing import panels
from studies.seed_statistics import mean_and_deviation
from studies.wording import with_interval

ROWS, COLUMNS = 5, 7  # of images


@dataclass(frozen=True)
class GalleryRecord:
    """One pick of the paper's rule.

    round, row, label, true_label, score : as in picks.csv.
    before, accuracy : of the model on the test set in %, before all picks and after this round's.
    """

    round: int
    row: int
    label: Any
    true_label: Any
    score: float
    before: float
    accuracy: float


@study(
    "Images whose salutary label is not the true one",
    "Picks of the paper's rule whose label is not the true one, in some rounds of the first seed, "
    "highest benefit first: true class → label given.",
    dataset="mnist:pca:50",
    images=True,
)
def gallery(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    wrong = records[records["label"] != records["true_label"]]
    by_round = records.assign(not_true=100 * (records["label"] != records["true_label"]))
    by_round = by_round.groupby(["round", "seed"])[["not_true", "accuracy"]].mean().reset_index()
    return Finding(
        image_grid(bench, wrong[wrong["seed"] == bench.seeds[0]]),
        mean_and_deviation(by_round, ["round"]),
        _sentences(records, wrong, by_round),
        first_seed_only=True,
    )


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[GalleryRecord]:
    features = bench.features(split, seed)
    curve, picks = run(split, "salutary", bench.settings(), seed, features=features)
    accuracies = [100 * record.test_accuracy for record in curve]
    for pick in picks:
        yield GalleryRecord(
            round=pick.round,
            row=pick.row,
            label=pick.label,
            true_label=pick.true_label,
            score=pick.score,
            before=accuracies[0],
            accuracy=accuracies[pick.round],
        )


def image_grid(bench: Bench, wrong: pd.DataFrame) -> Figure:
    """The images of some picks: a row for each of ROWS rounds, COLUMNS images in it at most.

    wrong : a row per pick with columns round, row, label, true_label and score.
    """
    rounds = np.unique(np.linspace(1, bench.rounds, min(ROWS, bench.rounds)).round().astype(int))
    figure, axes = panels(len(rounds), COLUMNS, height=0.82)
    for cells, round_number in zip(axes, rounds, strict=True):
        of_round = wrong[wrong["round"] == round_number].sort_values("score", ascending=False)
        share = f"{len(of_round)} of {bench.budget}"
        cells[0].set_ylabel(f"round {round_number}\n{share}\nnot true", fontsize=7.5)
        if of_round.empty:
            words = f"all {bench.budget} labels of this round are the true ones"
            note = cells[0].text(0, 0.5, words, va="center")
            note.set_in_layout(False)  # otherwise the first column would be as wide as the note
        for cell in cells:
            cell.set(xticks=[], yticks=[])
            cell.grid(False)
            cell.spines[:].set_visible(False)
        for cell, pick in zip(cells, of_round.itertuples(), strict=False):
            show_image(cell, bench, pick.row)
            cell.set_xlabel(f"{pick.true_label} → {pick.label}", labelpad=2)
    return figure


def show_image(axes: Axes, bench: Bench, row: int) -> None:
    """Draw the image in this row of the source file."""
    shape = bench.table.dataset.image  # channels, height, width
    (position,) = positions(bench.table.data, [row])
    pixels = bench.table.data.X[position].reshape(shape)
    image = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1)


def _sentences(
    records: pd.DataFrame, wrong: pd.DataFrame, by_round: pd.DataFrame
) -> tuple[str, str]:
    """wrong : the records whose label is not the true one. by_round : the means of each seed."""
    first, last = (
        by_round[by_round["round"] == number]
        for number in (by_round["round"].min(), by_round["round"].max())
    )
    mistakes = "no label is wrong"
    if len(wrong):
        pairs = wrong.groupby(["true_label", "label"]).size()
        pairs = pairs.sort_values(ascending=False, kind="stable")
        (true, given), count = pairs.index[0], pairs.iloc[0]
        mistakes = f"the most frequent mistake, {true} → {given}, is {count} of all {len(wrong)}"
    share = by_round.groupby("seed")["not_true"].mean()
    return (
        f"{with_interval(share, 1)} % of the labels that the paper's rule gives are not the true "
        f"ones, {with_interval(first['not_true'], 1)} % in the first round and "
        f"{with_interval(last['not_true'], 1)} % in the last; {mistakes}.",
        f"With these labels the model's test accuracy goes from "
        f"{with_interval(records.groupby('seed')['before'].first(), 1)} % to "
        f"{with_interval(last['accuracy'], 1)} %.",
    )
