"""The columns that label.py adds to a table: their names, and such a table when it is read again.

A frame that was read also has the columns ``Source``, which say where each row is from. No column
of a file can have their names, because these are no texts.
"""

import os
from collections.abc import Collection
from enum import Enum
from pathlib import Path

import pandas as pd

from data_prep import formulas, tables

OF_LABELS = ("benefit", "runner_up", "probability", "round")  # the fields of ``Labels``
SOURCES = ("source_file", "source_row")
ADDED_COLUMNS = (*OF_LABELS, *SOURCES)
QUOTED = "quoted"  # added by --excel-safe: how many cells of the row begin with our apostrophe
PREFIX = "salutary_"  # of all added columns, if the table has one of these names already


class Source(Enum):
    """Columns of a frame: the file and the row, counted from 0, that a row came from first."""

    FILE = "source_file"
    ROW = "source_row"


def own_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that the file has."""
    return [name for name in frame.columns if not isinstance(name, Source)]


def prefix_beside(own: Collection[str], added: Collection[str] = (*ADDED_COLUMNS, QUOTED)) -> str:
    """What the names of the added columns begin with, so that none is among ``own``."""
    prefix = ""
    while any(prefix + name in own for name in added):
        prefix += PREFIX
    return prefix


def with_sources(chunk: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows of the file ``path`` with the columns ``Source``; their index counts its rows.

    If label.py wrote the file, its added columns and apostrophes are gone, and a row keeps the
    source that they name; a note in ``attrs`` says so.
    """
    rows = chunk.copy(deep=False)
    file = pd.Series(os.fsencode(path).decode("utf-8", "replace"), rows.index, dtype=object)
    row = pd.Series(rows.index, rows.index, dtype="int64")
    prefix = _prefix_of_output(chunk.columns)
    if prefix is not None:
        rows = _as_it_was(rows, prefix)
        was_file, was_row = (chunk[prefix + name] for name in SOURCES)
        was_row = pd.to_numeric(was_row, errors="coerce").astype("float64")
        named = was_file.notna() & was_file.ne("") & was_row.between(0, 2**53) & (was_row % 1).eq(0)
        file = file.mask(named, rows.pop(prefix + SOURCES[0]))
        row = row.mask(named, was_row.where(named, 0).astype("int64"))
        names = [prefix + name for name in (*ADDED_COLUMNS, QUOTED) if prefix + name in chunk]
        rows = rows.drop(columns=names, errors="ignore")
        rows.attrs["notes"] = [
            *tables.notes_of(chunk),
            f"{path} was written by label.py: {', '.join(names)} are no features and are written "
            "anew, and labels that it gave count like all others",
        ]
    rows[Source.FILE], rows[Source.ROW] = file, row
    return rows


def _prefix_of_output(names: Collection[str]) -> str | None:
    """What the added columns begin with among ``names``; None if one is missing."""
    for name in names:
        prefix = name.removesuffix(SOURCES[1])
        ours = name != prefix and not prefix.replace(PREFIX, "")
        if ours and all(prefix + added in names for added in ADDED_COLUMNS):
            return prefix
    return None


def _as_it_was(rows: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The rows before --excel-safe, if it was given."""
    if prefix + QUOTED not in rows:
        return rows
    return formulas.unquoted(rows, pd.to_numeric(rows[prefix + QUOTED], errors="coerce").gt(0))
