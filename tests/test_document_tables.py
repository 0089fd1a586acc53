"""The tables of the documents, made again from the committed results in results/reference/."""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain

import pandas as pd
import pytest
from prettytable import PrettyTable
from scipy.stats import t as student

from benchmarks import error_bound, label_width, labels, loop, text_columns
from experiments import statistics
from experiments.results import load_results
from strategies.registry import REFERENCES, titles
from tests.helpers import ROOT

REFERENCE = ROOT / "results/reference"
SETS = ["electric", "wine", "bank", "waveform", "mnist", "diabetes", "musk"]
MARKS = {"better": " ▲", "worse": " ▼", "": ""}
NAMES_IN_README = {
    "random": "Random",
    "margin": "Margin",
    "pseudo": "Pseudo",
    "salutary": "Salutary, the paper's rule",
    "salutary_plus": "Salutary plus, ours",
    "labeled_plus_validation": "*Labeled + valid.*",
    "full_pool": "*Full pool*",
}
Rows = list[list[str]]


@cache
def summaries(folder: str) -> dict[str, pd.DataFrame]:
    """``statistics.summary`` by data set, of a folder that compare.py wrote."""
    curves = load_results(REFERENCE / folder)
    return {
        name: statistics.summary(of, list(REFERENCES)) for name, of in curves.groupby("dataset")
    }


def areas(folder: str, deviation: bool = True) -> dict[str, list[str]]:
    """A cell for each data set, by method: the mean AULC, its deviation if asked, and the mark."""
    found = summaries(folder)
    return {
        method: [
            f"{of.aulc:.2f}{f' ± {of.aulc_sd:.2f}' * deviation}{MARKS[of.verdict]}"
            for of in (found[name].loc[method] for name in SETS)
        ]
        for method in found["bank"].index
    }


def readme() -> Rows:
    cells, bank = areas("compare-tuned", deviation=False), summaries("compare-tuned")["bank"]
    bought = {m: str(bank.loc[m, "labels_bought"]) for m in NAMES_IN_README} | {"full_pool": "all"}
    return [[name, bought[m], *cells[m]] for m, name in NAMES_IN_README.items()]


def comparison(folder: str) -> Rows:
    return [[titles()[method], *cells] for method, cells in areas(folder).items()]


def leads() -> Rows:
    """Over random sampling, with l2 = 1 and with the chosen l2."""
    rows = []
    for method in ("salutary", "salutary_plus"):
        for words, folder in (("l2 = 1", "compare-strict"), ("tuned", "compare-tuned")):
            means = [summaries(folder)[name]["aulc"] for name in SETS]
            lead = [round(of[method] - of["random"], 2) + 0.0 for of in means]  # no −0.00
            lead = [f"{points:.2f}".replace("-", "−") for points in lead]
            rows.append([f"{titles()[method]}, {words}", *lead])
    return rows


def network() -> Rows:
    """Accuracy after 0, 5 and 10 rounds, without and with --model mlp."""
    curves = load_results(REFERENCE / "mlp").query("round in (0, 5, 10)")
    means = 100 * curves.groupby(["method", "variant", "round"])["test_accuracy"].mean()
    return [
        [titles()[method]]
        + [", ".join(f"{value:.1f}" for value in means[method, v]) for v in ("", "model=mlp")]
        for method in ("random", "salutary", "salutary_plus")
    ]


RETRAIN = {
    "tuned": "(l2 chosen by seed, 8.25 to 21.5)",
    "strict": "(l2 = 1)",
    "paper": "(l2 = 50, Hessian over the pool)",
}


def retraining() -> Rows:
    """explore.py retrain under the three protocols: means over eight seeds, 95 % intervals."""
    rows: Rows = []
    for protocol, words in RETRAIN.items():
        rows.append([f"`python explore.py retrain --protocol {protocol}` {words}", *[""] * 4])
        table = pd.read_csv(REFERENCE / f"retrain/{protocol}.csv").set_index(["rows", "estimate"])
        for group in ("best", "random"):
            cells = [
                f"{of[name]:.2f} ± {student.ppf(0.975, 7) * of[f'{name}_sd'] / 8**0.5:.2f}"
                for name in ("rank_correlation", "real_over_predicted")
                for of in (table.loc[group, "first"], table.loc[group, "finite"])
            ]
            rows.append([f"{group} rows", *cells])
    return rows


def draws(kind: str) -> Rows:
    """benchmarks/labels.py, without the seconds."""
    frame = pd.read_csv(REFERENCE / "label-draws.csv", keep_default_na=False)
    frame = frame[frame["kind"] == kind].reset_index(drop=True)
    return [list(map(str, row[:-1])) for row in labels.table(frame).rows]


def benchmark(table: Callable[[pd.DataFrame], PrettyTable], file: str, without: str = "") -> Rows:
    """What a benchmark prints of its draws, without a column."""
    shown = table(pd.read_csv(REFERENCE / file))
    kept = [i for i, name in enumerate(shown.field_names) if name != without]
    return [[str(row[i]) for i in kept] for row in shown.rows]


def texts(table: str) -> Rows:
    """benchmarks/text_columns.py: worth_table or scale_table."""
    frame = pd.read_csv(REFERENCE / "text-columns.csv").fillna({"scale": ""})
    return getattr(text_columns, table)(frame).rows


def movies() -> Rows:
    """Mean and deviation over seeds, the stand-in's mean, and the labels that are not true."""
    groups = pd.read_csv(REFERENCE / "movies/tuned.csv").groupby(["method", "round"])
    means, spread = 100 * groups[["tuned", "stand_in", "wrong_share"]].mean(), groups["tuned"].std()
    best = means["tuned"].drop("labeled_plus_validation").groupby("round").idxmax()

    def cell(method: str, number: int) -> str:
        of = means.loc[method, number]
        text = f"{of['tuned']:.1f} ± {100 * spread[method, number]:.1f}"
        bold = number > 0 and best[number] == (method, number)
        return f"{f'**{text}**' if bold else text} ({of['stand_in']:.1f})"

    rows = []
    for method in ("random", "margin", "salutary", "salutary_plus"):
        wrong = means["wrong_share"][method].dropna()
        shares = f"{', '.join(f'{share:.0f}' for share in wrong)} %" if len(wrong) else ""
        how = "gives" if len(wrong) else "buys"
        cells = [cell(method, number) for number in (10, 30, 60)]
        rows.append([f"{titles()[method]} ({how})", *cells, shares])
    rows.append(["*No added labels*", cell("none", 0), "", "", ""])
    rows.append(["*Labeled + valid.*", cell("labeled_plus_validation", 60), "", "", ""])
    return rows


AULC = "| mean AULC, 20 seeds |"
DRAWN = ("bank", "waveform", "random-half", "random-skewed", "rare-collected")
# Document, how the header begins, which of the tables with such a header, and the rows.
TABLES: list[tuple[str, str, int, Callable[[], Rows]]] = [
    ("README.md", "| | labels bought |", 0, readme),
    ("docs/results.md", AULC, 0, partial(comparison, "compare-tuned")),
    ("docs/results.md", "| | electric |", 0, leads),
    ("docs/results.md", AULC, 1, partial(comparison, "compare-forms")),
    ("docs/results.md", AULC, 2, partial(comparison, "compare-strict")),
    ("docs/results.md", "| | logistic | mlp |", 0, network),
    ("docs/method.md", "| | rank correlation", 0, retraining),
    ("docs/language.md", "| | 100 labels |", 0, movies),
    ("docs/label.md", "| texts | features |", 0, partial(texts, "worth_table")),
    ("docs/label.md", "| variance of a text |", 0, partial(texts, "scale_table")),
    *(
        ("docs/label.md", "| seed | answer |", number, partial(draws, kind))
        for number, kind in enumerate(DRAWN)
    ),
    ("docs/label.md", "| table | round |", 0, partial(benchmark, loop.table, "label-loop.csv")),
    (
        "docs/label.md",
        "| columns |",
        0,
        partial(benchmark, label_width.table, "label-width.csv", "way"),
    ),
    (
        "docs/label.md",
        "| data set | allowed |",
        0,
        partial(benchmark, error_bound.table, "error-bound.csv", "draws"),
    ),
]


@pytest.mark.parametrize(("document", "header", "number", "rows"), TABLES)
def test_a_table_is_that_of_the_committed_results(document, header, number, rows):
    shown = [cells for head, cells in tables_of(document) if head.startswith(header)][number]
    assert shown == rows()


@pytest.mark.parametrize("document", sorted({document for document, *_ in TABLES}))
def test_every_table_of_measured_figures_is_among_them(document):
    """A table with a figure such as 80.55 or 79.0 ± 0.4; timings are in other documents."""
    known = tuple(header for where, header, *_ in TABLES if where == document)
    for header, rows in tables_of(document):
        measured = re.search(r"\d\.\d\d|\d ± \d", " ".join(chain(*rows)))
        assert not measured or header.startswith(known), header


def test_the_columns_are_the_data_sets():
    for document, header in (("README.md", "| | labels bought |"), ("docs/results.md", AULC)):
        for head, _ in tables_of(document):
            assert not head.startswith(header) or head.endswith(f"| {' | '.join(SETS)} |")


def tables_of(document: str) -> Iterator[tuple[str, Rows]]:
    """The header line and the cells of every table."""
    for part in (ROOT / document).read_text().split("\n\n"):
        lines = part.strip().splitlines()
        if len(lines) > 2 and lines[0].startswith("| ") and set(lines[1]) <= set("|- "):
            yield lines[0], [[c.strip() for c in line.strip("|").split("|")] for line in lines[2:]]
