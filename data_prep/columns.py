"""The columns of a user's own table: which are numbers, which are categories."""

import numpy as np
import pandas as pd

from common.errors import UserError
from data_prep.reading import AS_FOUND, TableReading

MOST_TEXTS = 100  # a text column with more different values names things, it does not sort them
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


def is_missing(cells: pd.Series) -> pd.Series:
    """Whether each cell is missing: bool, of the length of ``cells``."""
    return cells.isna() if _is_numeric(cells) else texts(cells).isna()


def as_numbers(cells: pd.Series) -> pd.Series:
    """The cells as float64, NaN if they are missing or no numbers."""
    if not _is_numeric(cells):
        cells = texts(cells)
    return pd.to_numeric(cells, errors="coerce").astype("Float64").astype(np.float64)


def _is_numeric(cells: pd.Series) -> bool:
    bools = pd.api.types.is_bool_dtype(cells)  # text of two values, which makes the same column
    return pd.api.types.is_numeric_dtype(cells) and not bools


class Columns:
    """How each column of a table becomes features: decided once, by the frame of ``fit``.

    - A column whose every cell reads as a number becomes one feature; a missing cell becomes NaN.
    - A column of lists of numbers, which a Parquet file may hold, becomes a feature for each place.
      The lists must have one length, and no missing number.
    - Any other column becomes an indicator for each of its sorted texts; one indicator for two.
    - A column that is constant, or that has over MOST_TEXTS different texts, is left out.

    Attributes
    ----------
    texts : for each column in use, the texts that have an indicator; None for numbers and lists.
    widths : for each column of lists, how long they are.
    missing : for each column of numbers, how many cells are missing.
    notes : what a reader should know.
    """

    def __init__(self, reading: TableReading = AS_FOUND):
        self.reading = reading

    def fit(self, frame: pd.DataFrame, source: str = "the table") -> "Columns":
        """Decide for every column of ``frame``; ``source`` names the frame in errors.

        Raises UserError if a number is infinite, if the lists of a column are not of one length, or
        if no column is left.
        """
        self.texts: dict[str, list[str] | None] = {}
        self.widths: dict[str, int] = {}
        self.missing: dict[str, int] = {}
        self.notes: list[str] = []
        for name in frame:
            self._fit_column(frame[name], source)
        if not self.texts:
            raise UserError(f"{source} has no column to learn from beside the target")
        return self

    def _fit_column(self, cells: pd.Series, source: str) -> None:
        if _holds_lists(cells):
            lists = stacked(cells, source)
            if (lists == lists[0]).all():
                self.notes.append(f"column {cells.name!r} is left out: it is constant")
            else:
                self.texts[cells.name] = None
                self.widths[cells.name] = lists.shape[1]
            return
        name, missing, numbers = cells.name, is_missing(cells), as_numbers(cells)
        infinite = np.isinf(numbers)
        values = texts(cells)[~missing]
        if missing.all() or values.nunique() < 2:
            self.notes.append(f"column {name!r} is left out: it is constant")
        elif (numbers.isna() == missing).all():
            if infinite.any():
                row = infinite.index[infinite.to_numpy().argmax()]
                raise UserError(f"{source}, row {row}, column {name!r} holds an infinite number")
            if numbers.nunique() < 2:  # 1 and 1.0
                self.notes.append(f"column {name!r} is left out: it is constant")
                return
            self.texts[name] = None
            self.missing[name] = int(missing.sum())
            if missing.any():
                self.notes.append(
                    f"column {name!r}: {missing.sum():,} missing numbers become the median of the "
                    "labeled set and the pool"
                )
        elif values.nunique() > MOST_TEXTS:
            odd = ""
            if numbers.notna().mean() > 0.5:  # a column of numbers, but for some cells
                odd = f", such as {values[numbers[~missing].isna()].iloc[0][:30]!r} among numbers"
            self.notes.append(
                f"column {name!r} is left out: {values.nunique():,} different texts{odd}"
            )
        else:
            every = sorted({*values, *(["(missing)"] if missing.any() else [])})
            self.texts[name] = every[1:] if len(every) == 2 else every

    def transform(self, frame: pd.DataFrame, source: str = "the table") -> np.ndarray:
        """Features (n, D); a text that was not there at ``fit`` is none of the indicated ones.

        Raises UserError if a list is not as those of ``fit``.
        """
        made = []
        for name, values in self.texts.items():
            if name in self.widths:
                made.append(stacked(frame[name], source, self.widths[name]))
            elif values is None:
                made.append(as_numbers(frame[name]))
            else:
                cells = texts(frame[name]).fillna("(missing)")
                made += [cells == value for value in values]
        return np.column_stack(made).astype(np.float64)

    @property
    def names(self) -> list[str]:
        """The column that each feature comes from, (D,)."""
        return [
            name
            for name, values in self.texts.items()
            for _ in values or range(self.widths.get(name, 1))
        ]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature, (D,): column, column[place] in a list, or column=text."""
        made: list[str] = []
        for name, values in self.texts.items():
            if values is not None:
                made += [f"{name}={text}" for text in values]
            elif name in self.widths:
                made += [f"{name}[{place}]" for place in range(self.widths[name])]
            else:
                made.append(name)
        return made

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return [n for n, values in self.texts.items() if values is None and n not in self.widths]


def _holds_lists(cells: pd.Series) -> bool:
    first = next(iter(cells.dropna()), None) if cells.dtype == object else None
    return isinstance(first, (list, np.ndarray))


def stacked(cells: pd.Series, source: str, width: int | None = None) -> np.ndarray:
    """Lists of numbers as a table, float64, (n, width).

    width : of every list; None for that of the first list. Raises UserError, with the row, for a
    cell that is anything but a flat list of so many finite numbers.
    """
    rows = []
    for row, cell in cells.items():
        place = f"{source}, row {row}, column {cells.name!r}"
        if not isinstance(cell, (list, np.ndarray)):
            raise UserError(f"{place} holds no list, but other rows do")
        try:
            numbers = np.asarray(cell)
        except ValueError:  # lists of several lengths in it
            numbers = np.empty((0, 0))
        if numbers.ndim != 1 or (numbers.dtype.kind not in "biuf" and len(numbers)):
            raise UserError(f"{place} holds a list of something else than numbers")
        width = len(numbers) if width is None else width
        if len(numbers) != width or not width:
            raise UserError(
                f"{place} holds a list of {len(numbers)} numbers"
                + (f", but the others have {width}" if width else "")
            )
        finite = np.isfinite(numbers)
        if not finite.all():
            raise UserError(f"{place}: place {finite.argmin()} of the list is no finite number")
        rows.append(numbers.astype(np.float64))
    return np.stack(rows) if rows else np.empty((0, width or 0))
