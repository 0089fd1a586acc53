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


class Source(Enum):
    """Columns of a frame: the file and the row, counted from 0, that a row came from first.

    BY : who labeled the row, PERSON or SALUTARY; "" if nobody has yet.
    """

    FILE = "source_file"
    ROW = "source_row"
    BY = "labeled_by"

    @classmethod
    def names(cls) -> list[str]:
        """The names that these columns have in a file."""
        return [source.value for source in cls]


PERSON, SALUTARY = "person", "salutary"
OF_LABELS = ("benefit", "runner_up", "probability", "round")  # the fields of ``Labels``
SOURCES = (Source.FILE.value, Source.ROW.value)
LABELED_BY = Source.BY.value
OF_ASKING = ("guess", "second_guess", "why", "asked")  # of a sheet of ``label.py ask``
DECISION = "decision"  # in a sheet of the page: accept, correct or reject
QUOTED = "quoted"  # added by --excel-safe: how many cells of the row begin with our apostrophe
ADDED_COLUMNS = (*OF_LABELS, *OF_ASKING, *SOURCES, LABELED_BY, DECISION, QUOTED)
OF_OLD_FILES = (*OF_LABELS, *SOURCES)  # all that label.py added before it wrote ``labeled_by``
PREFIX = "salutary_"  # of all added columns, if the table has one of these names already


def own_columns(frame: pd.DataFrame) -> list[str]:
    """The columns that the file has."""
    return [name for name in frame.columns if not isinstance(name, Source)]


def prefix_beside(own: Collection[str], added: Collection[str] = ADDED_COLUMNS) -> str:
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
    by = pd.Series(PERSON, rows.index, dtype=object)
    prefix = prefix_of_output(chunk.columns)
    if prefix is not None:
        rows, by = _as_it_was(rows, prefix), _labeled_by(chunk, prefix)
        was_file, was_row = (chunk[prefix + name] for name in SOURCES)
        was_row = pd.to_numeric(was_row, errors="coerce").astype("float64")
        named = was_file.notna() & was_file.ne("") & was_row.between(0, 2**53) & (was_row % 1).eq(0)
        file = file.mask(named, rows.pop(prefix + SOURCES[0]))
        row = row.mask(named, was_row.where(named, 0).astype("int64"))
        ours = ADDED_COLUMNS if prefix + LABELED_BY in chunk else (*OF_OLD_FILES, QUOTED)
        names = [prefix + name for name in ours if prefix + name in chunk]
        rows = rows.drop(columns=names, errors="ignore")
        rows.attrs["notes"] = [
            *tables.notes_of(chunk),
            f"{path} was written by label.py: {', '.join(names)} are no features and are written "
            "anew, and labels that it gave count like all others",
        ]
    rows[Source.FILE], rows[Source.ROW], rows[Source.BY] = file, row, by
    return rows


def prefix_of_output(names: Collection[str]) -> str | None:
    """What the added columns begin with among ``names``; None if label.py did not write them."""
    for name in names:
        prefix = name.removesuffix(SOURCES[1])
        if name == prefix or prefix.replace(PREFIX, ""):
            continue
        if any(all(prefix + n in names for n in ours) for ours in (Source.names(), OF_OLD_FILES)):
            return prefix
    return None


def _labeled_by(chunk: pd.DataFrame, prefix: str) -> pd.Series:
    """Who labeled each row: as the file says or, if it is too old to say it, by its round."""
    if prefix + LABELED_BY in chunk:
        return chunk[prefix + LABELED_BY].fillna("").map(lambda cell: str(cell).strip().lower())
    given = pd.to_numeric(chunk[prefix + "round"], errors="coerce").gt(0)
    return given.map({True: SALUTARY, False: PERSON}).astype(object)


def _as_it_was(rows: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The rows before --excel-safe, if it was given."""
    if prefix + QUOTED not in rows:
        return rows
    return formulas.unquoted(rows, pd.to_numeric(rows[prefix + QUOTED], errors="coerce").gt(0))
