"""What a column is read as, and how its cells become features."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from pandas.api.types import is_timedelta64_dtype

from common.errors import UserError
from common.kinds import TextEnum
from data_prep import date_cells
from data_prep.cells import as_numbers, has_numbers, texts
from data_prep.list_cells import lists_of, stacked
from data_prep.number_cells import NumberForm, is_mark


class Kind(TextEnum):
    """What a column is read as."""

    NUMBER = "number"
    CATEGORY = "category"
    DATE = "date"
    LIST = "list"
    TEXT = "text"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class ColumnDecision:
    """What one column is read as, and why.

    features : how many it becomes. missing : how many of its cells say nothing, or nothing that
    fits.
    """

    column: str
    read_as: Kind
    why: str
    features: int = 0
    missing: int = 0


class Reader(Protocol):
    """Makes features of the cells of a column, as was decided for it."""

    @property
    def misfit(self) -> str:
        """What a cell is that does not fit, such as "is no number"."""

    def names(self, column: str) -> list[str]:
        """The name of each feature, (k,)."""

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        """Features (n, k), NaN if a cell is missing; and which cells do not fit, bool (n,)."""


@dataclass(frozen=True)
class Numbers:
    """A feature that is the number. marks : texts that stand for a missing number."""

    form: NumberForm
    marks: Collection[str] = ()
    misfit = "does not read as a number of this column and counts as missing"

    def names(self, column: str) -> list[str]:
        return [column]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        cells = plain(cells)
        if has_numbers(cells):
            return _column(as_numbers(cells).to_numpy()), _none(cells)
        shown = texts(cells)
        numbers = self.form.numbers(shown)
        odd = np.isnan(numbers) & shown.notna().to_numpy()
        marks = {t for t in shown[odd].unique() if t.strip() in self.marks or is_mark(t)}
        return _column(numbers), odd & ~shown.isin(marks).to_numpy()


@dataclass(frozen=True)
class Categories:
    """An indicator for each text, or for the second of two. values : the texts, sorted.

    both : whether two texts have an indicator each, so that a third one differs from both.
    """

    values: tuple[str, ...]
    both: bool = False
    misfit = "is no category of the rows that decide and gets none of the indicators"

    @property
    def indicated(self) -> tuple[str, ...]:
        return self.values[1:] if len(self.values) == 2 and not self.both else self.values

    def names(self, column: str) -> list[str]:
        return [f"{column}={text}" for text in self.indicated]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        shown = category_texts(cells).fillna(NOTHING)
        made = np.column_stack([(shown == value).to_numpy(float) for value in self.indicated])
        if NOTHING not in self.values:
            made[shown.eq(NOTHING)] = np.nan
        return made, ~shown.isin([*self.values, NOTHING]).to_numpy()


NOTHING = "(missing)"  # the category of missing cells


@dataclass(frozen=True)
class Dates:
    """Year, month, weekday (Monday is 0), and the age in days before ``latest``."""

    form: str
    latest: pd.Timestamp
    misfit = "does not read as a date of this column and counts as missing"

    def names(self, column: str) -> list[str]:
        return [f"{column}.{part}" for part in date_cells.PARTS]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        found = date_cells.dates(date_texts(cells), self.form)
        odd = found.isna().to_numpy() & date_texts(cells).notna().to_numpy()
        return date_cells.features(found, self.latest), odd


@dataclass(frozen=True)
class Lists:
    """A feature for each place of lists of ``width`` numbers. A list that does not fit is an error.

    in_text : whether the lists are texts.
    """

    width: int
    in_text: bool = False
    misfit = "is no list"

    def names(self, column: str) -> list[str]:
        return [f"{column}[{place}]" for place in range(self.width)]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        lists = lists_of(texts(cells)) if self.in_text else cells
        return stacked(lists, source, self.width), _none(cells)


def plain(cells: pd.Series) -> pd.Series:
    """The cells; durations as days."""
    return cells.dt.total_seconds() / 86_400 if is_timedelta64_dtype(cells) else cells


def category_texts(cells: pd.Series) -> pd.Series:
    """The cells as texts without the blanks around them; whole numbers without ``.0``."""
    if pd.api.types.is_float_dtype(cells):  # floats because a cell is missing
        numbers = cells.astype(object).where(cells.notna(), None)
        cells = numbers.map(lambda n: int(n) if n % 1 == 0 else n, na_action="ignore")
        cells = cells.astype(object)
    return texts(cells).str.strip()


def date_texts(cells: pd.Series) -> pd.Series:
    """The cells as dates or texts, None or NaT if they are missing or a mark."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        return cells
    shown = category_texts(cells)
    marks = [t for t in shown.dropna().unique() if is_mark(t) or date_cells.NO_DATE.fullmatch(t)]
    return shown.mask(shown.isin(marks), None)


def _column(numbers: np.ndarray) -> np.ndarray:
    return numbers[:, None]


def _none(cells: pd.Series) -> np.ndarray:
    return np.zeros(len(cells), bool)


def unseen(values: Collection[str], text: str, place: str) -> UserError:
    """The error for a category that the deciding rows lack; it names one that looks alike."""
    alike = [v for v in values if v.casefold().strip() == text.casefold().strip()]
    hint = f"; {alike[0]!r} is one" if alike else ""
    return UserError(
        f"{place}: {text!r} is no category of the rows that decide{hint}: mend it, leave the "
        "column out with --drop, or add --unseen other"
    )
