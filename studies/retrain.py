"""Does the prediction come true?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from common.errors import UserError
from common.kinds import TextEnum
from data_utils import Split
from numerics.limits import DENSE_PARAMETERS
from studies.base import Finding, study
from studies.bench import Bench
from studies.drawing import GREY, RULE_COLOURS, legend_above, panels
from studies.retraining import RETRAINED, Retrained, best_rows, predicted_falls
from studies.seed_statistics import mean_and_deviation
from studies.wording import with_interval

ESTIMATES = {"first": "first order", "finite": "finite step"}


class Group(TextEnum):
    """Which rows are retrained on."""

    BEST = "best"  # ranked best by first order, under their best label
    RANDOM = "random"  # rows and labels at random


@dataclass(frozen=True)
class RetrainRecord:
    """The fall of the validation loss if one row joins: as both estimates say, and really."""

    rows: Group
    first: float
    finite: float
    real: float


@study(
    "Does the prediction come true?",
    "The predicted fall of the validation loss if one row joins, and the fall after retraining.",
)
def retrain(bench: Bench) -> Finding:
    records = bench.records(_of_seed).melt(
        ["seed", "rows", "real"], list(ESTIMATES), "estimate", "predicted"
    )
    records = records.sort_values("rows", kind="stable")  # best, random
    groups = records.groupby(["rows", "estimate", "seed"], sort=False)
    by_seed = groups[["predicted", "real"]].apply(_agreement).reset_index()
    table = mean_and_deviation(by_seed, ["rows", "estimate"])
    return Finding(_figure(records), table, _sentences(by_seed))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[RetrainRecord]:
    _check_weights(bench, split)
    model = bench.exact_model(split, seed).fit(split.X[split.labeled], split.y[split.labeled])
    hessian = bench.settings().influence.hessian
    scores = predicted_falls(model, split, split.pool, hessian)
    rng = np.random.default_rng(seed)
    best = best_rows(scores)
    random = rng.choice(len(split.pool), len(best), replace=False)
    random_codes = rng.integers(scores.shape[1], size=len(random))
    for group, rows, codes in (
        (Group.BEST, best, scores[best].argmax(1)),
        (Group.RANDOM, random, random_codes),
    ):
        finite = predicted_falls(model, split, split.pool[rows], hessian, step="finite")
        falls = Retrained(model, split).falls(split.pool[rows], codes)
        for i, (row, code) in enumerate(zip(rows, codes, strict=True)):
            yield RetrainRecord(group, scores[row, code], finite[i, code], falls[i])


def _check_weights(bench: Bench, split: Split) -> None:
    """Raise UserError if the model has too many weights for the finite step."""
    classes = len(np.unique(split.y[split.labeled]))
    units = 1 if classes == 2 else classes
    weights = units * (split.X.shape[1] + bench.settings().intercept)
    if weights > DENSE_PARAMETERS:
        raise UserError(
            f"retrain takes a model of at most {DENSE_PARAMETERS:,} weights, this one has "
            f"{weights:,}: give principal components, as in "
            f"--dataset {bench.table.dataset.name}:pca:50"
        )


def _agreement(pairs: pd.DataFrame) -> pd.Series:
    """Of predicted and real falls: their rank correlation, and the median of their ratios."""
    correlation = spearmanr(pairs["predicted"], pairs["real"]).statistic
    ratio = (pairs["real"] / pairs["predicted"]).median()
    return pd.Series({"rank_correlation": correlation, "real_over_predicted": ratio})


def _figure(records: pd.DataFrame) -> Figure:
    figure, (axes,) = panels(1, 2, height=2.7)
    groups = records.groupby("rows", sort=False)
    for panel, (group, of_group) in zip(axes, groups, strict=True):
        panel.axline((0, 0), slope=1, color=GREY, lw=1, zorder=3, label="as predicted")
        estimates = of_group.groupby("estimate", sort=False)
        for (estimate, points), colour in zip(estimates, RULE_COLOURS.values(), strict=True):
            panel.scatter(
                points["predicted"],
                points["real"],
                s=8,
                alpha=0.55,
                lw=0,
                color=colour,
                label=ESTIMATES[estimate],
            )
        panel.set(title=f"{group} rows", xlabel="predicted fall")
    axes[0].set_ylabel("fall after retraining")
    legend_above(figure, axes[0], columns=3)
    return figure


def _sentences(by_seed: pd.DataFrame) -> tuple[str, str]:
    """by_seed : the agreement for each group of rows, estimate and seed."""

    def mean(column: str, group: Group, estimate: str) -> str:
        chosen = (by_seed["rows"] == str(group)) & (by_seed["estimate"] == estimate)
        return with_interval(by_seed[column][chosen])

    correlations, ratios = (
        [mean(column, group, estimate) for group in Group for estimate in ESTIMATES]
        for column in ("rank_correlation", "real_over_predicted")
    )
    return (
        f"Rank correlation with real retraining: for the {RETRAINED} rows ranked best, under "
        f"their best label, {correlations[0]} by first order and {correlations[1]} by the finite "
        f"step; for rows and labels at random, {correlations[2]} and {correlations[3]}.",
        f"The median best row lowers the validation loss by {ratios[0]} times what first order "
        f"predicts and {ratios[1]} times what the finite step does; at random these are "
        f"{ratios[2]} and {ratios[3]}.",
    )
