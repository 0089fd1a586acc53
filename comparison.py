"""The comparison behind compare.py: one job a data set, then tables, pictures and a report of all.

What a data set computed is kept under its own folder; a comparison that was killed goes on there.
"""

import io
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

import job
import report
import stats
from audit import confusion, drift
from cli import Options, feature_kind
from data_utils import DATASETS, find
from sources import UserError, choose
from strategies import STRATEGIES


def run(options) -> None:
    """Run every data set, print a table of each, and write the report of them all.

    options : compare.Comparison. Raises UserError as job.run does.
    """
    report.open_folder(options.out)
    if options.datasets == ("available",):
        options = replace(options, datasets=available(options.data_dir))
    plans = {token: plan(token, options) for token in options.datasets}
    methods = job.chosen(options.methods)
    if job.REFERENCES.issuperset(methods):
        raise UserError("--methods names references alone: name a method to compare with them")
    rounds = len(plans) * len(methods) * len(options.seeds) * (options.rounds + 1)
    results: dict[str, job.Result] = {}
    with tqdm(total=rounds, unit="round", disable=options.quiet, leave=False) as bar:
        for token, (kind, settings) in plans.items():
            bar.set_description(token)
            results[token] = job.compute(kind, settings, {}, on_round=bar.update)
            job.save(results[token])
    summaries = {
        token: stats.summary(result.curves, job.REFERENCES) for token, result in results.items()
    }
    for token, result in results.items():
        print(title(result))
        print(report.statistics_table(summaries[token], result.names))
    penalties = stats.penalties(
        result.curves[~result.curves["method"].isin(job.REFERENCES)] for result in results.values()
    )
    report.write(
        options.out,
        {
            "report.md": markdown(results, summaries, penalties).encode(),
            "table.csv": report.as_csv(long_table(results, summaries)),
            "table.tex": wide_table(results, summaries, " $\\pm$ ").to_latex().encode(),
            "penalties.png": heat_map(penalties),
        },
    )
    for result in results.values():
        job.forget(result)
    if not options.quiet:
        print(report.LEGEND)
        print(f"report.md, table.csv, table.tex and penalties.png in {options.out}")


def plan(token: str, options) -> tuple[str, Options]:
    """The script's kind and the job's options for one data set, given as name or name:features."""
    name, _, made = token.partition(":")
    choose("data set", name, list(DATASETS))
    if sum(other.split(":")[0] == name for other in options.datasets) > 1:
        raise UserError(f"--datasets names {name} twice: their results would share a folder")
    try:
        features = feature_kind(made) if made else None
    except ArgumentTypeError as error:
        raise UserError(f"--datasets {token}: {error}") from error
    known = {item.name for item in fields(Options)}
    shared = {k: v for k, v in vars(options).items() if k in known}
    own = {"dataset": name, "features": features, "quiet": True}
    return DATASETS[name].kind, Options(**shared | own)


def available(data_dir: Path | None) -> tuple[str, ...]:
    """Every data set that needs no network; large images by 50 principal components."""
    return tuple(
        dataset.name + (":pca:50" if dataset.image and dataset.image[-1] > 8 else "")
        for dataset in DATASETS.values()
        if dataset.bundled or find(dataset, data_dir)
    )


def title(result: job.Result) -> str:
    return f"{result.source}: {job.describe(result.options, result.explicit)}"


# --- tables --------------------------------------------------------------------------------------


def wide_table(results: Mapping, summaries: Mapping, pm: str) -> pd.DataFrame:
    """AULC of every method (rows) on every data set (columns), mean and deviation."""
    columns = {
        result.table.dataset.name: report.statistics(summaries[token], result.names, pm)[
            "AULC"
        ].str.rstrip(" ▲▼")
        for token, result in results.items()
    }
    return pd.DataFrame(columns)


def long_table(results: Mapping, summaries: Mapping) -> pd.DataFrame:
    """A row per data set and method, numbers as numbers."""
    parts = [
        summaries[token]
        .rename_axis("method")
        .reset_index()
        .assign(
            dataset=result.table.dataset.name,
            protocol=result.options.protocol,
        )
        for token, result in results.items()
    ]
    table = pd.concat(parts)
    return table[["dataset", "protocol", *table.columns.drop(["dataset", "protocol"])]]


# --- the report ----------------------------------------------------------------------------------


def markdown(results: Mapping, summaries: Mapping, penalties: pd.DataFrame) -> str:
    """The report as a person would want to read it."""
    first = next(iter(results.values()))
    lines = [
        "# Comparison",
        "",
        f"{len(results)} data sets, {len(penalties)} methods, {len(first.options.seeds)} seeds; "
        f"{job.describe(first.options, first.explicit)}. All methods see the same splits.",
        "",
        "AULC is the area under the learning curve, in % like accuracy. Each method's AULC is "
        "tested against the best other method's on the same seeds (Wilcoxon signed-rank, "
        f"Holm-corrected over the methods): ▲ significantly above it, ▼ below, at {stats.LEVEL}.",
        "",
        "## AULC",
        "",
        *markdown_table(
            pd.DataFrame(
                {
                    result.table.dataset.name: report.statistics(summaries[token], result.names)[
                        "AULC"
                    ]
                    for token, result in results.items()
                }
            )
        ),
        "",
        "## Penalties",
        "",
        "How often the method of a row beats that of a column: each data set gives 1/R for each of "
        "its R rounds in which a paired t-test says so. The last row is the mean of a column, what "
        "a method suffers: less is better.",
        "",
        *markdown_table(named(penalties).round(2)),
        "",
        "![penalty matrix](penalties.png)",
        "",
        "## The labels that methods give themselves",
        "",
        "Over all rounds and seeds: the share that differs from the truth; the share of the scores "
        "(the help that was expected) that the wrong ones had; the norm of the picks against the "
        "pool's; how far a round's classes are from those of the labeled set (total variation, "
        "mean over rounds); and how much better the last model is on the validation set, which "
        "chose the labels, than on the test set, in points.",
        "",
        *markdown_table(audit_table(results)),
        "",
    ]
    for token, result in results.items():
        folder = result.folder.name
        lines += [
            f"## {result.table.dataset.title}",
            "",
            title(result) + ".",
            f"Always answering the most frequent class: {100 * job.majority(result.split):.1f} % "
            "on the first seed's test set.",
            "",
            *markdown_table(report.statistics(summaries[token], result.names)),
            "",
            f"![curves of {result.table.dataset.name}]({folder}/curves.png)",
            "",
            *confusion_lines(result),
        ]
    return "\n".join(lines)


def markdown_table(frame: pd.DataFrame) -> list[str]:
    rows = [["", *frame.columns], ["---"] * (frame.shape[1] + 1), *frame.reset_index().to_numpy()]
    return ["| " + " | ".join(map(str, row)) + " |" for row in rows]


def named(penalties: pd.DataFrame) -> pd.DataFrame:
    """The penalty matrix with the methods' titles and the mean of each column below."""
    titles = {method: STRATEGIES[method].title for method in penalties}
    shown = penalties.rename(index=titles, columns=titles)
    return pd.concat([shown, shown.mean().rename("mean").to_frame().T])


def audit_table(results: Mapping) -> pd.DataFrame:
    """What the labels look like that methods gave themselves: a row per data set and method."""
    rows = {}
    for result in results.values():
        initial = pd.Series(result.split.y[result.split.labeled]).value_counts(normalize=True)
        for method, picks in result.picks.groupby("method", sort=False):
            if STRATEGIES[method].labels != "own":
                continue
            curves = result.curves[result.curves["method"] == method]
            wrong = picks["label"] != picks["true_label"]
            of_scores = picks["score"][wrong].sum() / picks["score"].sum()
            shares = drift(picks, initial.to_dict()).loc[method]
            moved = shares.sub(shares.loc[0]).abs().sum(axis=1).iloc[1:].mean() / 2
            last = curves[curves["round"] == curves["round"].max()]
            rows[f"{result.table.dataset.name}: {STRATEGIES[method].title}"] = {
                "wrong": f"{100 * wrong.mean():.0f} %",
                "of the scores": f"{100 * of_scores:.0f} %",
                "norm": f"{curves['pick_norm'].mean():.2f}",
                "class drift": f"{moved:.2f}",
                "validation - test": f"{100 * last['gap'].mean():+.1f}",
            }
    return pd.DataFrame(rows).T


def confusion_lines(result: job.Result) -> list[str]:
    """Given against true classes of the last method that gives its own labels, if there is one."""
    own = [m for m in dict.fromkeys(result.picks["method"]) if STRATEGIES[m].labels == "own"]
    plus = "salutary_plus" if "salutary_plus" in own else (own or [None])[-1]
    if plus is None:
        return []
    counts = confusion(result.picks).loc[plus]
    return [
        f"Labels that {STRATEGIES[plus].title} gave (rows) against the true ones (columns):",
        "",
        *markdown_table(counts.astype(int)),
        "",
    ]


def heat_map(penalties: pd.DataFrame) -> bytes:
    """The penalty matrix as a PNG, its column means below."""
    shown = named(penalties)
    size = 2.5 + 0.55 * len(penalties)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shown, cmap="Blues", vmin=0)
    axes.set_xticks(range(len(shown.columns)), shown.columns, rotation=45, ha="right")
    axes.set_yticks(range(len(shown)), shown.index)
    dark = 0.6 * shown.to_numpy().max()
    for (i, j), value in np.ndenumerate(shown.to_numpy()):
        axes.text(
            j, i, f"{value:.1f}", ha="center", va="center", color="w" if value > dark else "k"
        )
    axes.axhline(len(shown) - 1.5, color="k", lw=1)
    axes.set(xlabel="is beaten", ylabel="beats")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
