"""The options of ``label.py ask`` and ``label.py merge``. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from common.cli import option, same_option, whole_number
from common.kinds import PenaltyRule
from data_prep.reading import FileReading, TableReading
from labeling.options import LabelOptions


@dataclass(frozen=True)
class AskOptions(TableReading):
    """The options of ``label.py ask``, as the user gave them."""

    about: ClassVar[str] = "A sheet of the rows that a person should label next."

    labeled: Path | None = same_option(LabelOptions, "labeled")
    unlabeled: Path | None = same_option(LabelOptions, "unlabeled")
    validation: Path | None = option(
        None, "labeled rows that stay out of training, for methods that ask them", type=Path
    )
    target: str | None = same_option(LabelOptions, "target")
    n: int = option(50, "rows to ask for (default: 50)", type=whole_number(1))
    method: str = option(
        "margin", "a strategy that buys labels: margin, badge, entropy, … (default: margin)"
    )
    out: Path | None = option(
        None, "sheet to write: .csv, .tsv (each also with .gz) or .parquet", type=Path
    )
    l2: float | PenaltyRule = same_option(LabelOptions, "l2")
    seed: int = option(0, "seed of everything that is drawn (default: 0)", type=whole_number(0))
    excel_safe: bool = option(
        False,
        "write texts that a spreadsheet would run as formulas with a ' in front, which label.py "
        "takes away when it reads the sheet",
        action="store_true",
    )
    force: bool = same_option(LabelOptions, "force")
    quiet: bool = option(False, "print only what was written", action="store_true")


@dataclass(frozen=True)
class MergeOptions(FileReading):
    """The options of ``label.py merge``, as the user gave them."""

    about: ClassVar[str] = (
        "One table of all labels: of labeled tables, outputs of label.py and corrected sheets."
    )

    files: Sequence[Path] = option(
        (),
        "labeled tables, outputs of label.py, sheets of label.py ask, sheets of the page; later "
        "ones are newer",
        flags=(),
        nargs="*",
        type=Path,
        metavar="FILE",
    )
    target: str | None = same_option(LabelOptions, "target")
    out: Path | None = option(
        None,
        "table to write: .csv, .tsv (each also with .gz) or .parquet; --labeled of the next call",
        type=Path,
    )
    pool: Path | None = option(
        None, "the pool, from which the rows that have a label are taken away", type=Path
    )
    pool_out: Path | None = option(
        None,
        "rest of the pool to write, in the folder of --out; rows that a person rejected go back "
        "to it",
        type=Path,
    )
    newest: bool = option(
        False,
        "if persons gave one row different labels, the last file's is taken",
        action="store_true",
    )
    restore: bool = option(
        False,
        "if the cells of a sheet are not those of the table that it was made of, take those of "
        "the table",
        action="store_true",
    )
    new_class: tuple[str, ...] = option(
        (),
        "a class that only a person's labels have; can be given several times",
        action="append",
        metavar="NAME",
    )
    force: bool = same_option(LabelOptions, "force")
    quiet: bool = option(False, "print only what was written", action="store_true")
