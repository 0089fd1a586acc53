"""What a cell of a user's table says: nothing, a text, a number."""

import numpy as np
import pandas as pd

# What pandas reads as missing, and the question mark of UCI's files.
MISSING = frozenset(
    ["", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"]
    + ["1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)


def texts(cells: pd.Series) -> pd.Series:
    """The cells as text, None if they are missing."""
    missing = cells.isna()
    shown = cells.astype(object).where(~missing, "").map(str)
    return shown.mask(missing | shown.str.strip().isin(MISSING), None)


def as_numbers(cells: pd.Series) -> pd.Series:
    """The cells as float64, NaN if they are missing or no numbers."""
    if not has_numbers(cells):
        cells = texts(cells)
    return pd.to_numeric(cells, errors="coerce").astype("Float64").astype(np.float64)


def has_numbers(cells: pd.Series) -> bool:
    """Whether the column's type is a type of numbers; a truth value is none."""
    bools = pd.api.types.is_bool_dtype(cells)  # text of two values, which makes the same column
    return pd.api.types.is_numeric_dtype(cells) and not bools


def is_missing(cells: pd.Series) -> pd.Series:
    """Whether each cell is missing: bool, of the length of ``cells``."""
    return cells.isna() if has_numbers(cells) else texts(cells).isna()
