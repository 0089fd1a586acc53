"""The report of a comparison: tables for people, for programs and for papers, and a picture."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import wrap
from urllib.parse import quote

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common.cli import seeds_words
from common.escape import latex, markdown
from experiments import statistics
from experiments.audit import confusion, drift
from experiments.data_sets import LeftOut
from experiments.figure import comparison_figure
from experiments.metrics import Metric
from experiments.pictures import Picture, drawing, picture_of
from experiments.results import Result
from experiments.tables import statistics_cells, with_deviation
from strategies.registry import REFERENCES, gives_own_labels, titles


@dataclass(frozen=True)
class Comparison:
    """The results of all data sets, and the ``statistics.summary`` of each.

    left_out : why a data set has no result, by name. order : the names of all, as asked for.
    """

    results: Sequence[Result]
    summaries: Sequence[pd.DataFrame]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    order: Sequence[str] = ()

    @property
    def pairs(self) -> Iterator[tuple[Result, pd.DataFrame]]:
        return zip(self.results, self.summaries, strict=True)

    @property
    def has_figure(self) -> bool:
        """One data set has its own picture."""
        return len(self.order) > 1

    @property
    def metric(self) -> Metric:
        return self.results[0].metric

    @cached_property
    def penalties(self) -> pd.DataFrame:
        """The penalty matrix over all data sets, without references."""
        return statistics.penalties(
            (
                result.curves[~result.curves["method"].isin(list(REFERENCES))]
                for result in self.results
            ),
            self.metric,
        )

    @property
    def unable(self) -> str:
        """A sentence for each number of seeds that is too small for a verdict, or ""."""
        sentences = (statistics.reach(summary, list(REFERENCES)) for summary in self.summaries)
        return "\n".join(dict.fromkeys(filter(None, sentences)))

    def areas(self) -> pd.DataFrame:
        """AULC of every method (rows) on every data set (columns): mean, deviation and mark."""
        return pd.DataFrame(
            {
                result.table.dataset.name: statistics_cells(summary, self.metric)["AULC"]
                for result, summary in self.pairs
            }
        )


def long_table(comparison: Comparison) -> pd.DataFrame:
    """A row per data set and method, numbers as numbers."""
    parts = [
        summary.rename_axis("method")
        .reset_index()
        .assign(
            dataset=result.table.dataset.name,
            protocol=str(result.settings.protocol),
            metric=str(result.metric.name),
        )
        for result, summary in comparison.pairs
    ]
    table, first = pd.concat(parts), ["dataset", "protocol", "metric"]
    return table[[*first, *table.columns.drop(first)]]


# --- Markdown -------------------------------------------------------------------------------------


def markdown_table(frame: pd.DataFrame) -> list[str]:
    """The lines of a table; its first column is the frame's index."""
    rows = [["", *frame.columns], *frame.reset_index().to_numpy()]
    lines = ["| " + " | ".join(markdown(str(cell)) for cell in row) + " |" for row in rows]
    rule = "| " + " | ".join(["---"] * (frame.shape[1] + 1)) + " |"
    return [lines[0], rule, *lines[1:]]


def markdown_report(comparison: Comparison) -> str:
    """The report as a person would want to read it."""
    sections = [
        _introduction(comparison),
        _penalties_section(comparison),
        _own_labels_section(comparison),
        *(_dataset_section(*pair) for pair in comparison.pairs),
    ]
    return "\n".join(line for section in sections for line in section)


def _introduction(comparison: Comparison) -> list[str]:
    first = comparison.results[0].settings
    return [
        "# Comparison",
        "",
        f"{len(comparison.results)} data sets, {len(comparison.penalties)} methods, "
        f"{len(first.seeds)} seeds; {first.describe()}. All methods see the same splits.",
        "",
        f"AULC is the area under the learning curve of the {comparison.metric.label}, divided by "
        "the number of rounds. Each method's AULC is tested against the best other method's on the "
        "same seeds (Wilcoxon signed-rank, Holm-corrected over the methods): ▲ significantly "
        f"better, ▼ worse, at {statistics.LEVEL}.",
        "",
        "## AULC",
        "",
        *markdown_table(comparison.areas()),
        "",
        *(f"{sentence}.\n" for sentence in comparison.unable.splitlines()),
        *_left_out_lines(comparison),
        *(["![learning curves](figure.png)", ""] if comparison.has_figure else []),
    ]


def _left_out_lines(comparison: Comparison) -> list[str]:
    if not comparison.left_out:
        return []
    items = comparison.left_out.items()
    lines = (f"- {markdown(name)}: {markdown(why.sentence)}" for name, why in items)
    return ["Without a result:", "", *lines, ""]


def _penalties_section(comparison: Comparison) -> list[str]:
    return [
        "## Penalties",
        "",
        "How often the method of a row beats that of a column: each data set gives 1/R for each of "
        "its R rounds in which a paired t-test says so. The last row is the mean of a column, what "
        "a method suffers: less is better. The method that suffers least comes first.",
        "",
        *markdown_table(with_means(comparison.penalties).round(2)),
        "",
        "![penalty matrix](penalties.png)",
        "",
    ]


def _own_labels_section(comparison: Comparison) -> list[str]:
    return [
        "## The labels that methods give themselves",
        "",
        "Over all rounds and seeds: the share that differs from the truth; the share of the scores "
        "(the help that was expected) that the wrong ones had; the norm of the picks against the "
        "pool's; how far a round's classes are from those of the labeled set (total variation, "
        "mean over rounds); and how much better the last model is on the validation set, which "
        "chose the labels, than on the test set, in points of accuracy.",
        "",
        *markdown_table(audit_table(comparison.results)),
        "",
    ]


def _dataset_section(result: Result, summary: pd.DataFrame) -> list[str]:
    name = result.table.dataset.name
    return [
        f"## {markdown(result.table.dataset.title)}",
        "",
        f"{markdown(result.heading)}.",
        f"Always answering the most frequent class: {100 * result.majority_accuracy:.1f} % "
        "accuracy on the first seed's test set.",
        "",
        *markdown_table(statistics_cells(summary, result.metric)),
        "",
        f"![curves of {name}]({quote(result.folder.name, safe=',=')}/curves.png)",
        "",
        *confusion_lines(result),
    ]


def with_means(penalties: pd.DataFrame) -> pd.DataFrame:
    """The penalty matrix with the methods' titles, and the mean of each column below.

    The method that suffers least comes first.
    """
    order = penalties.mean().sort_values(kind="stable").index
    shown = penalties.loc[order, order].rename(index=titles(), columns=titles())
    return pd.concat([shown, shown.mean().rename("mean").to_frame().T])


def audit_table(results: Sequence[Result]) -> pd.DataFrame:
    """What the labels look like that methods gave themselves: a row per data set and method."""
    rows = {}
    for result in results:
        initial = pd.Series(result.split.y[result.split.labeled]).value_counts(normalize=True)
        for method, picks in result.picks.groupby("method", sort=False):
            if not gives_own_labels(method):
                continue
            curves = result.curves[result.curves["method"] == method]
            wrong = picks["label"] != picks["true_label"]
            of_scores = picks["score"][wrong].sum() / picks["score"].sum()
            shares = drift(picks, initial.to_dict()).loc[method]
            moved = shares.sub(shares.loc[0]).abs().sum(axis=1).iloc[1:].mean() / 2
            last = curves[curves["round"] == curves["round"].max()]
            rows[f"{result.table.dataset.name}: {titles()[method]}"] = {
                "wrong": f"{100 * wrong.mean():.0f} %",
                "of the scores": f"{100 * of_scores:.0f} %",
                "norm": f"{curves['pick_norm'].mean():.2f}",
                "class drift": f"{moved:.2f}",
                "validation - test": f"{100 * last['gap'].mean():+.1f}",
            }
    return pd.DataFrame(rows).T


def confusion_lines(result: Result) -> list[str]:
    """Given against true classes of the last method that gives its own labels, if there is one."""
    own = [method for method in dict.fromkeys(result.picks["method"]) if gives_own_labels(method)]
    if not own:
        return []
    method = "salutary_plus" if "salutary_plus" in own else own[-1]
    counts = confusion(result.picks).loc[method]
    return [
        f"Labels that {titles()[method]} gave (rows) against the true ones (columns):",
        "",
        *markdown_table(counts.astype(int)),
        "",
    ]


# --- LaTeX -------------------------------------------------------------------------------------

LATEX_MARK = {
    statistics.Verdict.BETTER: r" $\bigtriangleup$",
    statistics.Verdict.WORSE: r" $\bigtriangledown$",
    statistics.Verdict.UNCLEAR: "",
}


def latex_table(comparison: Comparison) -> str:
    """AULC of every method on every data set: mean, deviation and mark, the best in bold.

    It needs no package but booktabs.
    """
    first, metric = comparison.results[0].settings, comparison.metric
    cells = pd.DataFrame(
        {
            latex(result.table.dataset.name): pd.Series(_latex_cells(summary, metric))
            for result, summary in comparison.pairs
        }
    )
    cells.index = pd.Index([latex(titles()[method]) for method in cells.index])
    caption = latex(
        f"Area under the learning curve of the {metric.label}, divided by the number of rounds: "
        f"mean and standard deviation over {seeds_words(first.seeds)}; {first.protocol} protocol: "
        f"{first.loop.describe()}."
    )
    marks = (
        r" $\bigtriangleup$, $\bigtriangledown$: significantly better, worse than the best other "
        rf"method (paired Wilcoxon test, Holm-corrected, {statistics.LEVEL}). "
        "Bold: the best method of a column; references do not count."
    )
    text = cells.to_latex(
        caption=caption + marks,
        label=f"tab:aulc-{first.protocol}-{metric.name}".replace("_", "-"),
        column_format="l" + "r" * cells.shape[1],
        position="htbp",
    )
    return "% needs \\usepackage{booktabs}\n" + text


def _latex_cells(summary: pd.DataFrame, metric: Metric) -> dict[str, str]:
    """A data set's cells, by method."""
    digits = metric.digits + 1
    rivals = summary["aulc"].round(digits).drop(list(REFERENCES), errors="ignore") * metric.sign
    best = set(rivals.index[rivals == rivals.max()])
    cells = {}
    for method, of in summary.iterrows():
        mean, *rest = with_deviation(of["aulc"], of["aulc_sd"], digits, "|").split("|")
        if method in best:
            mean = rf"\textbf{{{mean}}}"
        cells[str(method)] = r" $\pm$ ".join([mean, *rest]) + LATEX_MARK[of["verdict"]]
    return cells


# --- the pictures ---------------------------------------------------------------------------------


def figure_files(comparison: Comparison) -> Mapping[str, bytes | None]:
    """The figure of several data sets by file name; None for a file that an older run has left."""
    if not comparison.has_figure:
        return {"figure.png": None, "figure.pdf": None}
    short = {name: why.short for name, why in comparison.left_out.items()}
    return comparison_figure(comparison.results, short, comparison.order)


def heat_map(comparison: Comparison) -> Picture:
    """The penalty matrix, and below it the mean of each column."""
    with drawing():
        return picture_of(heat_map_figure(comparison.penalties, len(comparison.results)))


def heat_map_figure(penalties: pd.DataFrame, datasets: int) -> Figure:
    """The same as a figure of matplotlib. datasets : how many there are."""
    shown = with_means(penalties)
    size = max(4.2, 2.5 + 0.55 * len(penalties))
    figure = Figure(figsize=(size + 1, size + 1), layout="constrained")
    figure.suptitle("How often a method beats another", x=0.01, ha="left", weight="bold")
    axes = figure.subplots()
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=max(shown.to_numpy().max(), 1e-9))
    axes.set_xticks(range(len(shown.columns)), shown.columns, rotation=45, ha="right")
    axes.set_yticks(range(len(shown)), [*shown.index[:-1], "mean: what it suffers"])
    dark = 0.6 * shown.to_numpy().max()
    for (i, j), value in np.ndenumerate(shown.to_numpy()):
        if round(value, 1) > 0:
            axes.text(
                j, i, f"{value:.1f}", ha="center", va="center", color="w" if value > dark else "k"
            )
    axes.axhline(len(shown) - 1.5, color="k", lw=1)
    axes.set(xlabel="… the method of this column", ylabel="the method of this row beats …")
    words = (
        f"Each of {datasets} data sets gives 1/R to a cell for each of its R rounds in which a "
        f"paired t-test says so: {datasets} is the most. Blank: below 0.05. Sorted by the mean "
        "of the column; less is better."
    )
    figure.supxlabel("\n".join(wrap(words, int(15 * size))), x=0.01, ha="left", fontsize=8)
    return figure
