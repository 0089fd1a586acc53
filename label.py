"""Salutary labels for your own table: measures whether they help, then writes them.

python label.py --labeled labeled.csv --unlabeled pool.csv --target outcome --out labeled_plus.csv
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cli import guarded, option, positive, whole


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return value


@dataclass(frozen=True)
class Labeling:
    """The options of label.py."""

    about: ClassVar[str] = "Salutary labels for a table of your own, and whether they help there."

    labeled: Path | None = option(
        None,
        "your labeled rows: .csv, .tsv (each also with .gz) or .parquet; without --unlabeled, the "
        "rows whose target is blank are the pool",
        type=Path,
    )
    unlabeled: Path | None = option(None, "the pool, rows without labels", type=Path)
    validation: Path | None = option(
        None,
        "labeled rows that stay out of training and say which labels help (default: a quarter of "
        "the labeled rows)",
        type=Path,
    )
    target: str | None = option(None, "the column that holds the classes")
    budget: int = option(200, "rows of the pool to label (default: 200)", type=whole(1))
    out: Path | None = option(
        None, "file to write: .csv, .tsv (each also with .gz) or .parquet", type=Path
    )
    rounds: int = option(10, "rounds that the budget is spent in (default: 10)", type=whole(1))
    abstain: float | None = option(
        None,
        "leave a row for a person if its benefit is less than MARGIN above the runner-up's",
        type=number,
        metavar="MARGIN",
    )
    method: str = option(
        "salutary_plus", "strategy, one that gives labels of its own (default: salutary_plus)"
    )
    l2: float = option(1.0, "penalty beside the sum of losses (default: 1)", type=positive)
    encoding: str | None = option(
        None, "encoding of your text files (default: UTF-8, or UTF-16 where they are marked so)"
    )
    seed: int = option(
        0, "of what is drawn: folds, validation, samples (default: 0)", type=whole(0)
    )
    dry_run: bool = option(False, "only measure, write nothing", action="store_true")
    force: bool = option(False, "write over files that exist", action="store_true")
    quiet: bool = option(False, "print nothing but the answer", action="store_true")


def run(options: Labeling, given: dict) -> None:
    import labeling  # not above: mistakes in options need not wait for it

    labeling.run(options)


def main(argv: Sequence[str] | None = None) -> int:
    return guarded("label.py", Labeling, argv, run)


if __name__ == "__main__":
    sys.exit(main())
