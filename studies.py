"""The studies behind explore.py: when salutary labels help, and when they do not.

A study is one function. It gets a ``Bench`` (data, protocol, seeds), works seed by seed, and gives
a picture, a table and two sentences. Numbers in them, and the words for these, come from the data.
After the in-depth studies of arXiv 2405.17627, section 4; ``python explore.py NAME`` runs one.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

import report
from experiment import Settings, run
from models import LogisticRegression
from report import PALETTE
from sources import UserError
from splits import Split
from workbench import (
    GREY,
    RULES,
    STUDIES,  # noqa: F401, for whoever imports all studies from here
    Bench,
    Finding,
    about,
    clear,
    legend_above,
    line,
    name_levels,
    over_seeds,
    panels,
    positions,
    side_by_side,
    study,
    title_of,
    verdict,
)

# --- truth ----------------------------------------------------------------------------------------

SAME = "same rows, true labels"


@study(
    "truth",
    "Are the labels true, and does it matter?",
    "Each rule's picks, trained on with the labels that it gave, and with their true labels.",
)
def truth(bench: Bench) -> Finding:
    records = bench.each(_truth)
    figure, ((top,), (below,)) = panels(2, sharex=True)
    sentences = []
    for rule, of_rule in records.groupby("rule", sort=False):
        title, colour = title_of(rule), RULES[rule]
        line(top, of_rule, "round", "given_accuracy", color=colour, label=f"{title}, its labels")
        line(top, of_rule, "round", "true_accuracy", color=colour, label=SAME, ls=":")
        line(below, of_rule, "round", "not_true", color=colour, label=title)
        last = of_rule[of_rule["round"] == bench.rounds]
        share = of_rule.groupby("seed")["not_true"].mean()
        against_true = verdict(last["given_accuracy"] - last["true_accuracy"])
        sentences.append(
            f"{title}: {about(share, 1)} % of the labels given are not the true ones; against the "
            f"true labels of the same rows, test accuracy after the last round is {against_true}."
        )
    top.set(ylabel="test accuracy (%)")
    below.set(ylabel="labels not true (%)", xlabel="round", ylim=(0, None))
    below.xaxis.get_major_locator().set_params(integer=True)
    legend_above(figure, top)
    return Finding(figure, over_seeds(records, ["rule", "round"]), tuple(sentences))


def _truth(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    for rule in RULES:
        curve, picked = run(split, rule, bench.settings(), seed)
        picks = report.picks_frame(picked)
        differ = (picks["label"] != picks["true_label"]).groupby(picks["round"]).mean()
        for record, accuracy in zip(curve, replay(bench, split, picks), strict=True):
            yield {
                "rule": rule,
                "round": record["round"],
                "given_accuracy": 100 * record["test_accuracy"],
                "true_accuracy": 100 * accuracy,
                "not_true": 100 * differ.get(record["round"], np.nan),
            }


def replay(bench: Bench, split: Split, picks: pd.DataFrame) -> Iterator[float]:
    """Test accuracy by round with the same picks, all with their true labels."""
    settings = bench.settings()
    model = LogisticRegression(
        settings.l2, settings.intercept, solver=settings.fit, warm_start=True
    )
    for round_number in range(settings.rounds + 1):
        so_far = positions(split, picks["row"][picks["round"] <= round_number])
        rows = np.append(split.labeled, so_far)
        model.fit(split.X[rows], split.y[rows])
        yield model.score(split.X[split.test], split.y[split.test])


# --- budget ---------------------------------------------------------------------------------------

BUDGETS = (1, 2, 5, 10, 20, 50, 100)
LABELED = (50, 100, 200, 300, 500, 1000)
STYLES = {
    "salutary": {"color": RULES["salutary"]},
    "salutary_plus": {"color": RULES["salutary_plus"]},
    "random": {"color": GREY, "ls": ":"},
    "labeled_plus_validation": {"color": PALETTE[3], "ls": "--"},
}
NAMES = {"random": "Random, true labels", "labeled_plus_validation": "trained on validation rows"}


def gain(split: Split, method: str, settings: Settings, seed: int) -> float:
    """Test accuracy after the last round less that before the first, in points."""
    curve, _ = run(split, method, settings, seed)
    return 100 * (curve[-1]["test_accuracy"] - curve[0]["test_accuracy"])


def gain_lines(axes, records: pd.DataFrame, label: str) -> None:
    """The gain of each method at each level of what is varied."""
    axes.axhline(0, color=GREY, lw=0.8, zorder=1)
    for method, of_method in records.groupby("method", sort=False):
        name = NAMES.get(method) or title_of(method)
        line(axes, of_method, "level", "gain", label=name, **STYLES[method])
    name_levels(axes, records["level"].unique(), label)


def gains_by_level(records: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """For each level the gains by seed (rows) and method (columns)."""
    return {
        level: of_level.pivot(index="seed", columns="method", values="gain")
        for level, of_level in records.groupby("level", sort=False)
    }


@study(
    "budget",
    "How many picks, from how many labels?",
    "Gain in test accuracy over all rounds, by picks in a round and by labeled rows at the start.",
)
def budget(bench: Bench) -> Finding:
    records = bench.each(_budget)
    figure, axes = panels(2)
    sentences = []
    for (panel,), (varied, of_axis) in zip(
        axes, records.groupby("varied", sort=False), strict=True
    ):
        gain_lines(panel, of_axis, varied)
        panel.set_ylabel("gain (points)")
        by_level = gains_by_level(of_axis)
        (low, first), *_, (high, last) = by_level.items()
        above = sum(clear(gains["salutary_plus"] - gains["random"]) for gains in by_level.values())
        moves = [
            f"from {about(first[method])} to {about(last[method])} points for {name}"
            for method, name in (
                ("salutary_plus", "Salutary plus"),
                ("salutary", "Salutary"),
                ("random", "true labels of random rows"),
            )
        ]
        sentences.append(
            f"From {low} to {high:,} {varied} the gain goes {', '.join(moves)}; Salutary plus is "
            f"clearly above these at {above} of {len(by_level)} levels."
        )
    legend_above(figure, axes[0, 0], columns=3)
    table = over_seeds(side_by_side(records, ["varied", "level"], "gain"), ["varied", "level"])
    return Finding(figure, table, tuple(sentences))


def _budget(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    free = len(split.labeled) + len(split.pool)
    picked = bench.rounds * bench.budget
    budgets = [b for b in BUDGETS if bench.rounds * b <= len(split.pool)]
    sizes = [n for n in LABELED if bench.splits(n) and n + picked <= free]
    if min(len(budgets), len(sizes)) < 2:
        raise UserError(
            f"budget varies the picks and the labeled rows; the {free:,} rows for both are too few "
            "here: give a larger data set or fewer --rounds"
        )
    for varied, levels in ("picks in a round", budgets), ("labeled rows at the start", sizes):
        for level in levels:
            by_budget = varied == "picks in a round"
            part = split if by_budget else bench.split(seed, level)
            settings = bench.settings(level if by_budget else bench.budget)
            for method in ("salutary", "salutary_plus", "random"):
                value = gain(part, method, settings, seed)
                yield {"varied": varied, "level": level, "method": method, "gain": value}


# --- validation -----------------------------------------------------------------------------------

SIZES = (10, 30, 100, 300, 1000)
NOISE = (0, 10, 20, 30, 50)  # % of the validation labels
SHARES = (10, 50, 75, 90, 99)  # % of the most frequent class
KEPT = (100, 75, 50, 25, 10)  # % of the rows, lowest along the first principal component
VARIED = {
    "size": "validation rows",
    "noise": "% of their labels wrong",
    "imbalance": "% of the most frequent class",
    "shift": "% kept, from one side",
}


@study(
    "validation",
    "When the validation set is bad",
    "Gain in test accuracy when the validation set is small, wrong, unbalanced or shifted.",
)
def validation(bench: Bench) -> Finding:
    records = bench.each(_validation)
    figure, axes = panels(2, 2)
    gains, rows, spent = {}, {}, []
    for panel, (varied, of_axis) in zip(
        axes.flat, records.groupby("varied", sort=False), strict=True
    ):
        gain_lines(panel, of_axis, VARIED[varied])
        by_level = gains_by_level(of_axis)
        held = [f"{level:,}" for level, by in by_level.items() if clear(by["salutary_plus"])]
        tried = ", ".join(f"{level:,}" for level in by_level)
        gains[varied] = f"{', '.join(held) or 'none'} of {tried}"
        rows[varied] = of_axis["rows"].iloc[-1]
        spent += [
            clear(by["labeled_plus_validation"] - by["salutary_plus"]) for by in by_level.values()
        ]
    for panel in axes[:, 0]:
        panel.set_ylabel("gain (points)")
    legend_above(figure, axes[0, 0])
    sentences = (
        f"Salutary plus gains clearly with these numbers of validation rows: {gains['size']}; and "
        f"with these % of wrong labels among them: {gains['noise']}.",
        f"With these % of the most frequent class among {rows['imbalance']} validation rows: "
        f"{gains['imbalance']}; with {rows['shift']} rows from these % of them, at one end of the "
        f"first principal component: {gains['shift']}; and training on the rows instead is clearly "
        f"better in {sum(spent)} of all {len(spent)} settings.",
    )
    by = ["varied", "level", "rows"]
    return Finding(figure, over_seeds(side_by_side(records, by, "gain"), by), sentences)


def _validation(bench: Bench, split: Split, seed: int) -> Iterator[dict]:
    random = gain(split, "random", bench.settings(), seed)
    for varied, level, changed in validation_sets(split, seed):
        shared = {"varied": varied, "level": level, "rows": len(changed.validation)}
        for method in STYLES:
            known = method == "random"  # it does not read the validation set
            value = random if known else gain(changed, method, bench.settings(), seed)
            yield shared | {"method": method, "gain": value}


def validation_sets(split: Split, seed: int) -> Iterator[tuple[str, int, Split]]:
    """What is varied, its level, and the split with the validation set so changed."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(split.validation)
    for size in [n for n in SIZES if n < len(rows)] + [len(rows)]:
        yield "size", size, replace(split, validation=rows[:size])

    classes, codes = np.unique(split.y, return_inverse=True)
    others = (codes + rng.integers(1, len(classes), len(codes))) % len(classes)
    for percent in NOISE:
        y, wrong = split.y.copy(), rows[: round(len(rows) * percent / 100)]
        y[wrong] = classes[others[wrong]]
        yield "noise", percent, replace(split, y=y)

    frequent = codes == np.bincount(codes[split.labeled]).argmax()
    most, rest = rows[frequent[rows]], rows[~frequent[rows]]
    size = int(min(len(most) / (max(SHARES) / 100), len(rest) / (1 - min(SHARES) / 100)))
    for percent in SHARES:
        count = round(size * percent / 100)
        chosen = np.append(most[:count], rest[: size - count])
        yield "imbalance", percent, replace(split, validation=chosen)

    direction = PCA(1).fit(split.X[np.append(split.labeled, split.pool)])
    ordered = rows[np.argsort(direction.transform(split.X[rows])[:, 0], kind="stable")]
    size = round(len(rows) * min(KEPT) / 100)
    for percent in KEPT:
        kept = ordered[: round(len(rows) * percent / 100)]
        yield "shift", percent, replace(split, validation=rng.choice(kept, size, replace=False))


import studies_influence  # noqa: E402, F401, registers its studies
import studies_pictures  # noqa: E402, F401, registers its studies
