"""Tables of texts: what an experiment and a comparison print.

Methods are named by their titles in strategies/registry.py; references get no star.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from experiments.statistics import Verdict
from strategies.registry import REFERENCES, titles

MOST_ROUNDS = 11  # columns of the printed table; curves.csv holds every round


@dataclass(frozen=True)
class _Column:
    """A column of ``accuracy_table``: values by method and seed, their form, and the best of them.

    best_of : max, min, or None if no value is better than another.
    """

    values: pd.Series
    form: str
    best_of: Callable[[pd.Series], float] | None = None

    def cells(self, methods: list[str], deviations: bool) -> list[str]:
        """A text per method: the mean over seeds, a star at the best, and maybe the deviation."""
        by_method = self.values.groupby("method")
        means, spread = by_method.mean()[methods], by_method.std()[methods]
        texts = [self.form.format(mean) for mean in means]
        rivals = means.drop(list(REFERENCES), errors="ignore")
        best = None
        if self.best_of and len(rivals) and len(set(texts)) > 1:
            best = self.form.format(self.best_of(rivals))
        cells = [
            text + "*" * (text == best and method not in REFERENCES)
            for method, text in zip(methods, texts, strict=True)
        ]
        if deviations:
            cells = [f"{cell} ± {s:.1f}" for cell, s in zip(cells, spread, strict=True)]
        return cells


def accuracy_table(curves: pd.DataFrame, title: str) -> str:
    """Methods × rounds, test accuracy in %, the best value of each column marked with a star.

    ``gain`` is the last round less round 0, ``mean`` the mean over all rounds with round 0; if
    there are several seeds, both with their standard deviation. Human labels are counted by what
    they were for: the start, the picks, and the validation set if the method reads it.
    """
    accuracy = curves.pivot(index=["method", "seed"], columns="round", values="test_accuracy") * 100
    last, seeds = accuracy.columns[-1], accuracy.index.unique("seed")
    shown = np.unique(np.linspace(0, last, min(last + 1, MOST_ROUNDS)).round().astype(int))
    sums = curves.groupby(["method", "seed"])
    columns = {str(r): _Column(accuracy[r], "{:.1f}", max) for r in shown} | {
        "gain": _Column(accuracy[last] - accuracy[0], "{:+.1f}", max),
        "mean": _Column(accuracy.mean(axis=1), "{:.1f}", max),
        "initial": _Column(sums["labels_initial"].max(), "{:.0f}"),
        "bought": _Column(sums["labels_bought"].max(), "{:.0f}", min),
        "valid.": _Column(sums["labels_validation"].max(), "{:.0f}"),
        "seconds": _Column(sums["seconds"].sum(), "{:.2f}", min),
    }
    methods = list(dict.fromkeys(curves["method"]))
    out = PrettyTable(title=title, padding_width=0, left_padding_width=1)
    out.add_column("method", [titles().get(method, method) for method in methods], align="l")
    for name, column in columns.items():
        deviations = len(seeds) > 1 and name in ("gain", "mean")
        out.add_column(name, column.cells(methods, deviations), align="r")
    return out.get_string()


MARK = {Verdict.BETTER: " ▲", Verdict.WORSE: " ▼", Verdict.UNCLEAR: ""}
LEGEND = (
    "AULC: area under the learning curve; p: paired Wilcoxon test of it against the best other "
    "method, Holm-corrected; ▲, ▼: significantly above, below that"
)


def statistics_cells(summary: pd.DataFrame, pm: str = " ± ") -> pd.DataFrame:
    """``statistics.summary`` as text: means, deviations, the verdict's mark, human labels."""
    names = titles()
    counts = summary[["labels_initial", "labels_bought", "labels_validation"]].to_numpy()
    return pd.DataFrame(
        {
            "final": [
                with_deviation(m, s, 1, pm) for m, s in summary[["final", "final_sd"]].to_numpy()
            ],
            "AULC": [
                with_deviation(m, s, 2, pm) + MARK[v]
                for m, s, v in summary[["aulc", "aulc_sd", "verdict"]].itertuples(index=False)
            ],
            "p": ["" if np.isnan(p) else f"{p:.3f}" for p in summary["p"]],
            "against": [names.get(a, a) if a else "" for a in summary["against"]],
            "labels: initial + bought + valid.": [" + ".join(f"{c:,}" for c in n) for n in counts],
        },
        index=[names.get(m, m) for m in summary.index],
    )


def with_deviation(mean: float, deviation: float, digits: int, pm: str = " ± ") -> str:
    """Mean and deviation; the mean alone for a single seed, which has no deviation."""
    shown = "" if np.isnan(deviation) else f"{pm}{deviation:.{digits}f}"
    return f"{mean:.{digits}f}{shown}"


def statistics_table(summary: pd.DataFrame) -> str:
    """``statistics.summary`` as a printed table."""
    return printed(statistics_cells(summary))


def printed(cells: pd.DataFrame, title: str | None = None) -> str:
    """A frame of texts, a row per method, as a printed table."""
    out = PrettyTable(["method", *cells.columns], title=title, align="l")
    out.add_rows([[name, *row] for name, row in cells.iterrows()])
    return out.get_string()
