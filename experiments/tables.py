"""Tables of texts: what an experiment and a comparison print.

Methods are named by their titles in strategies/registry.py; references get no star.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from experiments.metrics import ACCURACY, Metric, by_round
from experiments.statistics import Verdict, last_round
from strategies.registry import REFERENCES, titles

MOST_ROUNDS = 11  # columns of the printed table; curves.csv holds every round


@dataclass(frozen=True)
class _Column:
    """A column of ``rounds_table``: values by method and seed, their form, and the best of them.

    best_sign : 1 if larger values are better, -1 if smaller ones are, 0 if none is.
    """

    values: pd.Series
    form: str
    best_sign: int = 0

    def cells(self, methods: list[str], deviation_form: str = "") -> list[str]:
        """A text per method: the mean over seeds, a star at the best, and maybe the deviation.

        No text for a method without a number.
        """
        by_method = self.values.groupby("method")
        means, spread = by_method.mean()[methods], by_method.std()[methods]
        texts = ["" if np.isnan(mean) else self.form.format(mean) for mean in means]
        rivals = means.drop(list(REFERENCES), errors="ignore").dropna()
        best = None
        if self.best_sign and len(rivals) and len(set(texts)) > 1:
            best = self.form.format(rivals.max() if self.best_sign > 0 else rivals.min())
        return [
            text
            + "*" * (text == best and method not in REFERENCES)
            + ("" if not deviation_form or np.isnan(s) else f" ± {deviation_form.format(s)}")
            for method, text, s in zip(methods, texts, spread, strict=True)
        ]


def rounds_table(curves: pd.DataFrame, source: str, metric: Metric = ACCURACY) -> str:
    """Methods × rounds, a metric of the test set, the best value of each column with a star.

    ``gain`` is the last round less round 0, ``mean`` the mean over all rounds with round 0; if
    there are several seeds, both with their standard deviation. Human labels are counted in the
    last round, by what they were for: the start, the picks, and the validation set if the method
    reads it. A cell is empty if the metric is undefined there.

    source : what was learned from, for the title.
    """
    values = by_round(curves, metric)
    last, seeds = values.columns[-1], values.index.unique("seed")
    shown = np.unique(np.linspace(0, last, min(last + 1, MOST_ROUNDS)).round().astype(int))
    counts = last_round(curves).set_index(["method", "seed"])
    seconds = curves.groupby(["method", "seed"])["seconds"].sum()
    form, sign = f"{{:.{metric.digits}f}}", metric.sign
    columns = {str(r): _Column(values[r], form, sign) for r in shown} | {
        "gain": _Column(values[last] - values[0], f"{{:+.{metric.digits}f}}", sign),
        "mean": _Column(values.mean(axis=1, skipna=False), form, sign),
        "initial": _Column(counts["labels_initial"], "{:.0f}"),
        "bought": _Column(counts["labels_bought"], "{:.0f}", -1),
        "valid.": _Column(counts["labels_validation"], "{:.0f}"),
        "seconds": _Column(seconds, "{:.2f}", -1),
    }
    methods = list(dict.fromkeys(curves["method"]))
    title = f"{source}: {metric.label}"
    out = PrettyTable(title=title, padding_width=0, left_padding_width=1)
    out.add_column("method", [titles().get(method, method) for method in methods], align="l")
    for name, column in columns.items():
        with_deviation = len(seeds) > 1 and name in ("gain", "mean")
        out.add_column(name, column.cells(methods, form if with_deviation else ""), align="r")
    return out.get_string()


def rounds_legend(metric: Metric) -> str:
    """What the columns ``gain`` and ``mean`` and the star mean."""
    below = "" if metric.larger_is_better else " (below 0 is better)"
    return f"gain: last round less round 0{below}; mean: over all rounds; *: best value"


MARK = {Verdict.BETTER: " ▲", Verdict.WORSE: " ▼", Verdict.UNCLEAR: ""}


def statistics_legend(metric: Metric) -> str:
    """What the columns of ``statistics_table`` mean."""
    return (
        f"AULC: area under the learning curve of the {metric.label}, divided by the number of "
        "rounds; p: paired Wilcoxon test of it against the best other method, Holm-corrected; "
        "▲, ▼: significantly better, worse than that"
    )


def statistics_cells(
    summary: pd.DataFrame, metric: Metric = ACCURACY, pm: str = " ± "
) -> pd.DataFrame:
    """``statistics.summary`` as text: means, deviations, the verdict's mark, human labels."""
    names = titles()
    counts = summary[["labels_initial", "labels_bought", "labels_validation"]].to_numpy()
    digits = metric.digits
    return pd.DataFrame(
        {
            "final": [
                with_deviation(m, s, digits, pm)
                for m, s in summary[["final", "final_sd"]].to_numpy()
            ],
            "AULC": [
                with_deviation(m, s, digits + 1, pm) + MARK[v]
                for m, s, v in summary[["aulc", "aulc_sd", "verdict"]].itertuples(index=False)
            ],
            "p": [p_text(p) for p in summary["p"]],
            "against": [names.get(a, a) if a else "" for a in summary["against"]],
            "labels: initial + bought + valid.": [" + ".join(f"{c:,}" for c in n) for n in counts],
        },
        index=[names.get(m, m) for m in summary.index],
    )


def p_text(p: float) -> str:
    """A p-value with three digits; nothing for NaN."""
    if np.isnan(p):
        return ""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def with_deviation(mean: float, deviation: float, digits: int, pm: str = " ± ") -> str:
    """Mean and deviation; the mean alone for a single seed; no text for no number."""
    if np.isnan(mean):
        return ""
    shown = "" if np.isnan(deviation) else f"{pm}{deviation:.{digits}f}"
    return f"{mean:.{digits}f}{shown}"


def statistics_table(summary: pd.DataFrame, metric: Metric = ACCURACY) -> str:
    """``statistics.summary`` as a printed table."""
    return printed(statistics_cells(summary, metric))


def printed(cells: pd.DataFrame, title: str | None = None) -> str:
    """A frame of texts, a row per method, as a printed table."""
    out = PrettyTable(["method", *cells.columns], title=title, align="l")
    out.add_rows([[name, *row] for name, row in cells.iterrows()])
    return out.get_string()
