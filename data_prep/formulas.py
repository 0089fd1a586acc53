"""Cells that a spreadsheet would run as formulas, and the apostrophe that keeps it from doing so.

A text is quoted by one more apostrophe in front if it is a formula, or apostrophes and a formula.
So ``unquoted`` gives back exactly what was there, also where a user had put apostrophes.
"""

import pandas as pd

from common.escape import FORMULA

WOULD_RUN, TO_QUOTE, IS_QUOTED = (f"(?s){before}{FORMULA}" for before in ("", "'*", "'+"))


def would_run(frame: pd.DataFrame) -> int:
    """How many texts of the frame, its column names among them, a spreadsheet would run."""
    return sum(int(_fits(cells, WOULD_RUN).sum()) for cells in [_names(frame), *_texts(frame)])


def quoted(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """The frame, an apostrophe in front of every formula; and how many each row got, (n,)."""
    made, counts = frame.copy(), pd.Series(0, frame.index)
    for cells in _texts(frame):
        fits = _fits(cells, TO_QUOTE)
        made[cells.name] = cells.mask(fits, "'" + cells)
        counts += fits
    names = _names(frame)
    made.columns = pd.Index(names.mask(_fits(names, TO_QUOTE), "'" + names))
    return made, counts


def unquoted(frame: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """The frame without the apostrophes of ``quoted`` in its column names and in ``rows``, a mask.

    Names stay as they are if two of them would become one.
    """
    made = frame.copy()
    for cells in _texts(frame):
        if (fits := _fits(cells, IS_QUOTED) & rows).any():
            made[cells.name] = cells.mask(fits, cells.str[1:])
    names = _names(frame)
    bare = names.mask(_fits(names, IS_QUOTED), names.str[1:])
    if bare.is_unique:
        made.columns = pd.Index(bare)
    return made


def _texts(frame: pd.DataFrame) -> list[pd.Series]:
    """Every column that is not of numbers, as objects."""
    held = frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]
    return [frame[name].astype(object) for name in held]


def _names(frame: pd.DataFrame) -> pd.Series:
    return pd.Series(list(frame.columns), dtype=object)


def _fits(cells: pd.Series, pattern: str) -> pd.Series:
    """Whether each cell is a text that fits: bool (n,)."""
    if pd.api.types.infer_dtype(cells, skipna=True) not in ("string", "mixed", "mixed-integer"):
        return pd.Series(False, cells.index)
    return cells.str.match(pattern).eq(True)
