"""Repeat the paper's Bank and Wine curves, and compare them with the published ones.

python benchmarks/published.py [--data-dir FOLDER with bank-additional-full.csv]

The two commands that it runs are printed. results/published/ holds the published accuracies. If the
paper's Bank file is neither in FOLDER nor in datasets/bank/ nor in the cache, it is fetched.
"""

import argparse
import contextlib
import io
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
from prettytable import PrettyTable, TableStyle

import main_binary
import main_multi
from common.program import ROOT
from data_prep.catalogue import BANK
from data_prep.places import find_full
from experiments.results import load_results
from strategies.registry import PAPER, STRATEGIES

PUBLISHED = ROOT / "results" / "published"
OUT = Path("results/proof")
STOPPED = 130  # the exit code of a script that was stopped by Ctrl-C
SCRIPTS = {"bank": main_binary, "wine": main_multi}


@dataclass(frozen=True)
class Curves:
    """The accuracies of one run, (method, round) → accuracy, and the number of its test rows."""

    accuracy: pd.Series
    test_rows: int


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="a folder that is searched first")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder for results")
    options = parser.parse_args(argv)
    if options.data_dir and not options.data_dir.is_dir():
        print(f"error: --data-dir {options.data_dir} is not a folder", file=sys.stderr)
        return 2
    runs, codes = {}, []
    for name, where in {"bank": bank_options(options.data_dir), "wine": []}.items():
        codes.append(repeat(name, where, options.out))
        if codes[-1] == STOPPED:
            return STOPPED
        if codes[-1] == 0:
            runs[name] = read_curves(options.out / f"{name}-paper")
    print("\n" + comparison(runs))
    if codes[0]:
        print("\nBank is missing: with a network, `make data` fetches the paper's file.")
    return max(codes)


def bank_options(data_dir: Path | None) -> list[str]:
    """The options by which main_binary.py reads the paper's Bank file, wherever it is.

    The small Bank file ships, and main_binary.py prefers what ships to the cache and the network.
    """
    found = find_full(BANK, data_dir)
    if found and found.place == "--data-dir":
        return ["--data-dir", str(data_dir)]
    if found and found.place == "datasets/":
        return []
    return ["--source", "network"]  # the cache or else the network


def repeat(name: str, where: list[str], out: Path) -> int:
    """Run the paper's experiment by the command that a reader would run: its exit code."""
    script = SCRIPTS[name]
    words = ["--dataset", name, "--diabetes", "n", *where, "--out", str(out)]
    print(shlex.join(["python", f"{script.__name__}.py", *words]), flush=True)
    with contextlib.redirect_stdout(io.StringIO()):  # its table of accuracies
        return script.main([*words, "--no-plot", "--quiet"])


def read_curves(folder: Path) -> Curves:
    """The curves of the run in ``folder``."""
    accuracy = load_results(folder).set_index(["method", "round"])["test_accuracy"]
    return Curves(accuracy, json.loads((folder / "run.json").read_text("utf-8"))["split"]["test"])


def published_curves(name: str) -> pd.Series:
    """The published accuracies of a data set, (method, round) → accuracy."""
    frame = pd.read_csv(PUBLISHED / f"{name}.csv")
    return frame.set_index(["method", "round"])["accuracy"]


def right_rows(accuracy: pd.Series, test_rows: int) -> pd.Series:
    """How many test rows are right. The published accuracies of Bank have six digits only."""
    return (accuracy * test_rows).round().astype(int)


def differences(name: str, ours: Curves) -> pd.DataFrame:
    """Our right test rows less the published ones: a row per method, a column per round."""
    rows = right_rows(ours.accuracy, ours.test_rows)
    published = right_rows(published_curves(name), ours.test_rows)
    return (rows - published).unstack().loc[list(PAPER)]


def comparison(runs: Mapping[str, Curves]) -> str:
    """By method and data set: the largest distance in any round, and the rounds that agree."""
    table = PrettyTable(["method"], align="r")
    table.set_style(TableStyle.MARKDOWN)
    table.add_rows([[STRATEGIES[method].title] for method in PAPER])
    rows = []
    for name, ours in runs.items():
        off = differences(name, ours)
        largest, agree = off.abs().max(axis=1), (off == 0).sum(axis=1)
        distances = [f"{100 * count / ours.test_rows:.2f}" for count in largest]
        table.add_column(f"{name}: largest distance", distances, "r")
        rounds = [f"{count} of {off.shape[1]}" for count in agree]
        table.add_column(f"{name}: rounds that agree", rounds, "r")
        rows.append(f"{100 / ours.test_rows:.3f} points on {name}")
    table.align["method"] = "l"
    return (
        f"{table}\n\nDistances are in percentage points of test accuracy; one test row is "
        f"{', '.join(rows)}.\nA round agrees if equally many test rows are right."
    )


if __name__ == "__main__":
    sys.exit(main())
