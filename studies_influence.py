"""Two studies of the estimate itself: is the predicted fall of the validation loss the real one?

See studies.py for what a study is, and influence.py for the estimates.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

import influence
from experiment import run
from hessian import DENSE_PARAMETERS
from sources import UserError
from splits import Split
from strategies import highest
from workbench import (
    GREY,
    RULES,
    Bench,
    Finding,
    about,
    legend_above,
    line,
    name_levels,
    over_seeds,
    panels,
    study,
    verdict,
)

# --- retrain --------------------------------------------------------------------------------------

ESTIMATES = {"first": "first order", "finite": "finite step"}
RETRAINED = 60  # rows in each group


@study(
    "retrain",
    "Does the prediction come true?",
    "The predicted fall of the validation loss if one row joins, and the fall after retraining.",
)
def retrain(bench: Bench) -> Finding:
    records = bench.each(_retrain).melt(
        ["seed", "rows", "real"], list(ESTIMATES), "estimate", "predicted"
    )
    records = records.sort_values("rows", kind="stable")  # best, random
    groups = records.groupby(["rows", "estimate", "seed"], sort=False)
    by_seed = groups[["predicted", "real"]].apply(_agreement).reset_index()
    figure, (axes,) = panels(1, 2, height=2.7)
    for panel, (rows, of_rows) in zip(axes, records.groupby("rows", sort=False), strict=True):
        ends = of_rows["real"].min(), of_rows["real"].max()
        panel.plot(ends, ends, color=GREY, lw=1, zorder=3, label="as predicted")
        for (estimate, points), colour in zip(
            of_rows.groupby("estimate", sort=False), RULES.values(), strict=True
        ):
            panel.scatter(
                points["predicted"], points["real"], s=8, alpha=0.4, lw=0, color=colour,
                label=ESTIMATES[estimate],
            )  # fmt: skip
        panel.set(title=f"{rows} rows", xlabel="predicted fall")
    axes[0].set_ylabel("fall after retraining")
    legend_above(figure, axes[0], columns=3)

    def said(column: str, rows: str, estimate: str) -> str:
        chosen = (by_seed["rows"] == rows) & (by_seed["estimate"] == estimate)
        return about(by_seed[column][chosen])

    first, second = (
        [said(column, rows, estimate) for rows in ("best", "random") for estimate in ESTIMATES]
        for column in ("rank_correlation", "real_over_predicted")
    )
    return Finding(
        figure,
        over_seeds(by_seed, ["rows", "estimate"]),
        (
            f"Rank correlation with real retraining: for the {RETRAINED} rows ranked best, under "
            f"their best label, {first[0]} by first order and {first[1]} by the finite step; for "
            f"rows and labels at random, {first[2]} and {first[3]}.",
            f"The median best row lowers the validation loss by {second[0]} times what first order "
            f"predicts and {second[1]} times what the finite step does; at random these are "
            f"{second[2]} and {second[3]}.",
        ),
    )


def _agreement(pairs: pd.DataFrame) -> pd.Series:
    correlation = spearmanr(pairs["predicted"], pairs["real"]).statistic
    ratio = (pairs["real"] / pairs["predicted"]).median()
    return pd.Series({"rank_correlation": correlation, "real_over_predicted": ratio})


def _retrain(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    X, y = split.X[split.labeled], split.y[split.labeled]
    X_pool = split.X[split.pool]
    validation = split.X[split.validation], split.y[split.validation]
    model = bench.model()
    units = 1 if len(np.unique(y)) == 2 else len(np.unique(y))
    weights = units * (X.shape[1] + model.fit_intercept)
    if weights > DENSE_PARAMETERS:
        raise UserError(
            f"retrain takes a model of at most {DENSE_PARAMETERS:,} weights, this one has "
            f"{weights:,}: give principal components, as in "
            f"--dataset {bench.table.dataset.name}:pca:50"
        )
    model.fit(X, y)
    X_hessian = X_pool if bench.settings().hessian == "pool" else X
    scores = influence.benefit(model, X_hessian, *validation, X_pool)
    rng = np.random.default_rng(seed)
    best = highest(scores.max(1), RETRAINED)
    random = rng.choice(len(X_pool), len(best), replace=False)
    drawn = rng.integers(scores.shape[1], size=len(random))
    for kind, rows, codes in ("best", best, scores[best].argmax(1)), ("random", random, drawn):
        finite = influence.benefit(model, X_hessian, *validation, X_pool[rows], step="finite")
        falls = real_falls(model, X, y, X_pool[rows], codes, validation)
        for i, (row, code) in enumerate(zip(rows, codes, strict=True)):
            predicted = {"first": scores[row, code], "finite": finite[i, code]}
            yield {"rows": kind, **predicted, "real": falls[i]}


def real_falls(model, X, y, X_new, codes, validation) -> np.ndarray:
    """By how much the validation loss falls when the model is fitted to X, y and one more row.

    X_new (m, D), codes (m,) : the rows, each added alone, and their class numbers. Gives (m,).
    """
    before, refitted, falls = influence.loss(model, *validation), deepcopy(model), []
    for x, code in zip(X_new, codes, strict=True):
        refitted.theta_ = model.theta_  # a warm start from where the model is, for every row
        refitted.fit(np.vstack([X, x]), np.append(y, model.classes_[code]))
        falls.append(before - influence.loss(refitted, *validation))
    return np.array(falls)


# --- hessian --------------------------------------------------------------------------------------

DAMPING = (0, 1, 10, 100, 1_000, 10_000)
HESSIANS = dict(zip(("labeled", "pool"), RULES.values(), strict=True))


@study(
    "hessian",
    "Which Hessian, and how much damping?",
    "The paper's rule with the Hessian over the labeled set or the pool, and damping added to it.",
)
def hessian(bench: Bench) -> Finding:
    records = bench.each(_hessian)
    figure, ((top,), (below,)) = panels(2, sharex=True)
    below.axhline(0, color=GREY, lw=0.8, zorder=1)
    for rows, of_rows in records.groupby("hessian", sort=False):
        style = {"color": HESSIANS[rows], "label": f"over the {rows}{' set' * (rows != 'pool')}"}
        line(top, of_rows, "damping", "rank_correlation", **style)
        line(below, of_rows, "damping", "gain", **style)
    name_levels(below, [f"{level:,}" for level in DAMPING], "damping added to the diagonal")
    top.set_ylabel("rank correlation")
    below.set_ylabel("gain (points)")
    legend_above(figure, top)
    most = DAMPING[-1]

    def values(column: str, rows: str, damping: int) -> np.ndarray:
        chosen = (records["hessian"] == rows) & (records["damping"] == damping)
        return records[column][chosen].to_numpy()

    plain, strong = (
        [about(values("rank_correlation", rows, damping)) for rows in HESSIANS]
        for damping in (0, most)
    )
    undamped = values("gain", "labeled", 0)
    pool, strongly = (
        verdict(values("gain", rows, damping) - undamped)
        for rows, damping in (("pool", 0), ("labeled", most))
    )
    sentences = (
        f"Among its own {RETRAINED} best rows the undamped estimate has a rank correlation with "
        f"real retraining of {plain[0]} over the labeled set and {plain[1]} over the pool; with "
        f"damping {most:,} these are {strong[0]} and {strong[1]}.",
        f"Test accuracy after the last round: with the pool's Hessian, against the labeled set's, "
        f"{pool}; with damping {most:,} over the labeled set, against none, {strongly}.",
    )
    return Finding(figure, over_seeds(records, ["hessian", "damping"]), sentences)


def _hessian(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    X, y = split.X[split.labeled], split.y[split.labeled]
    X_pool = split.X[split.pool]
    validation = split.X[split.validation], split.y[split.validation]
    model = bench.model().fit(X, y)
    for rows in HESSIANS:
        for damping in DAMPING:
            X_hessian = X_pool if rows == "pool" else X
            scores = influence.benefit(model, X_hessian, *validation, X_pool, damping=damping)
            best = highest(scores.max(1), RETRAINED)
            codes = scores[best].argmax(1)
            falls = real_falls(model, X, y, X_pool[best], codes, validation)
            yield {
                "hessian": rows,
                "damping": damping,
                "rank_correlation": spearmanr(scores[best].max(1), falls).statistic,
                "gain": damped_gain(bench, split, seed, rows, damping),
            }


def damped_gain(bench: Bench, split: Split, seed: int, rows: str, damping: float) -> float:
    """Gain of the paper's rule in points, as the main scripts would find it."""
    settings = replace(bench.settings(), fit="newton", hessian=rows, damping=float(damping))
    curve, _ = run(split, "salutary", settings, seed)
    return 100 * (curve[-1]["test_accuracy"] - curve[0]["test_accuracy"])
