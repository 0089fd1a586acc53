"""Cells that are lists of numbers, such as embeddings: in Parquet as lists, in text as [1, 2.5]."""

import re

import numpy as np
import pandas as pd

from common.errors import UserError

LIKE_A_LIST = re.compile(r"\s*\[.*\]\s*", re.DOTALL)


def holds_lists(cells: pd.Series) -> bool:
    """Whether the first cell that is not missing is a list."""
    first = next(iter(cells.dropna()), None) if cells.dtype == object else None
    return isinstance(first, (list, tuple, np.ndarray))


def holds_numbers(cells: pd.Series) -> bool:
    """Whether the first list that is not empty has numbers."""
    lists = (np.asarray(cell, dtype=object) for cell in cells.dropna() if np.size(cell))
    first = next(lists, None)
    return first is not None and all(isinstance(n, (int, float, np.number)) for n in first.flat)


def lists_of(shown: pd.Series) -> pd.Series:
    """The texts, those that are lists of numbers as arrays, which JSON and NumPy write."""
    return shown.map(_list_of, na_action="ignore")


def _list_of(text: str) -> np.ndarray | str:
    if not LIKE_A_LIST.fullmatch(text):
        return text
    try:
        return np.array([float(word) for word in text.strip()[1:-1].replace(",", " ").split()])
    except ValueError:
        return text


def stacked(cells: pd.Series, source: str, width: int | None = None) -> np.ndarray:
    """Lists of numbers as a table, float64, (n, width); NaN in the row of a missing list.

    width : of every list; None for that of the first list. Raises UserError, with the row, for a
    cell that is anything but a flat list of so many finite numbers.
    """
    if width is None:
        width = next((np.size(cell) for cell in cells if isinstance(cell, (list, np.ndarray))), 0)
    rows = np.full((len(cells), width), np.nan)
    for place, (row, cell) in enumerate(cells.items()):
        if cell is not None and not (isinstance(cell, float) and np.isnan(cell)):
            rows[place] = _numbers(cell, f"{source}, row {row}, column {cells.name!r}", width)
    return rows


def _numbers(cell: object, place: str, width: int) -> np.ndarray:
    if not isinstance(cell, (list, tuple, np.ndarray)):
        raise UserError(f"{place} holds no list, but other rows do")
    try:
        numbers = np.asarray(cell)
    except ValueError:  # lists of several lengths in it
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or (numbers.dtype.kind not in "biuf" and len(numbers)):
        raise UserError(f"{place} holds a list of something else than numbers")
    if len(numbers) != width or not width:
        raise UserError(
            f"{place} holds a list of {len(numbers)} numbers"
            + (f", but the others have {width}" if width else "")
        )
    finite = np.isfinite(numbers)
    if not finite.all():
        raise UserError(f"{place}: place {finite.argmin()} of the list is no finite number")
    return numbers.astype(np.float64)
