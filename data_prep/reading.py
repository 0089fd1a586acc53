"""How a user's own table is to be read: the options of every script that reads one.

Standard library only. From Python, ``TableReading(decimal=",")`` is an argument of the functions
that read a table.
"""

from dataclasses import dataclass
from typing import Any

from common.cli import option

UNSEEN = ("error", "other")


def _columns(text: str) -> Any:
    """An option that names a column and can be given several times."""
    return option((), f"{text}; can be given several times", action="append", metavar="COLUMN")


@dataclass(frozen=True)
class FileReading:
    """How the cells of a file are found, and which of them say a class."""

    unlabeled_value: tuple[str, ...] = option(
        (),
        "value of --target that means \"no label\", such as -1 or NA, as an empty cell does; '' if "
        "all values are classes; can be given several times",
        action="append",
        metavar="VALUE",
    )
    encoding: str | None = option(
        None,
        "encoding of your text files (default: UTF-8, or UTF-16 if they begin with its mark)",
    )
    separator: str | None = option(
        None,
        "what separates the cells of your text files: one character, tab, or blanks "
        "(default: found in the first lines)",
    )
    decimal: str | None = option(
        None,
        "decimal sign of the numbers in your tables (default: found for each column)",
        choices=(".", ","),
    )


@dataclass(frozen=True)
class TableReading(FileReading):
    """The same, and what each column is read as. Column names are as in the file."""

    numeric: tuple[str, ...] = _columns("a column to read as numbers")
    categorical: tuple[str, ...] = _columns("a column to read as categories, one for each text")
    text: tuple[str, ...] = _columns("a column to read as free text")
    date: tuple[str, ...] = option(
        (),
        "a column to read as dates, if need be with their form, as in day:%%d/%%m/%%Y; can be "
        "given several times",
        action="append",
        metavar="COLUMN[:FORM]",
    )
    drop: tuple[str, ...] = _columns("a column to leave out")
    unseen: str = option(
        "error",
        "what becomes of a category that only other rows have than those that decide: an error, or "
        "none of the indicators of its column (default: error)",
        choices=UNSEEN,
    )
