"""Numbers as people write them: decimal commas, groups of thousands, currency and percent signs."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

POINT, COMMA = ".", ","  # decimal signs
DIGITS = {  # a whole part, which may be in groups of thousands, then a fraction
    POINT: r"(\d+|[1-9]\d{0,2}(,\d{2,3})*,\d{3}|[1-9]\d{0,2}(['’ ]\d{3})+)?(\.\d*)?",
    COMMA: r"(\d+|[1-9]\d{0,2}(\.\d{3})+|[1-9]\d{0,2}(['’ ]\d{3})+)?(,\d*)?",
}
NUMBER = {
    sign: re.compile(rf"(?=.*\d){digits}(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
    for sign, digits in DIGITS.items()
}
CURRENCY = (
    r"[A-Z]{0,2}\$|[€£¥₹₽₩₺₪₫₴฿]|EUR|USD|GBP|CHF|JPY|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|"
    r"ZAR|MXN|TRY|RUB|KRW|kr|zł"
)
WRITTEN = re.compile(
    rf"(?P<open>\()?(?P<minus>[+-])? ?(?P<before>{CURRENCY})? ?(?P<sign>[+-])?"
    rf"(?P<digits>[\d.,'’ ]*\d[.,]?(e[+-]?\d+)?) ?(?P<after>{CURRENCY}|%)?(?P<close>\))?",
    re.ASCII | re.IGNORECASE,
)
BLANKS = re.compile(r"\s+")  # with those that do not break a line, or are thin
# Texts that stand for "no number" in a column of numbers, in any case of letters. So does any text
# without a letter or a digit, such as - or .., and what Excel writes for an error.
MARKS = frozenset(
    "na n/a n.a. n.a nan nil none null nd n.d. k.a. unknown unk missing tbd".split()
    + ["(missing)", "(blank)"]
    + ["not available", "not applicable", "no data", "keine angabe"]
)
NO_NUMBER = re.compile(r"[^\w]+|#[A-Z]+[/A-Z0?!]*", re.IGNORECASE)


class Cell(NamedTuple):
    """What a text says: a number with each decimal sign, None if it is none, and its unit.

    signs : what stands between its digits.
    """

    point: float | None
    comma: float | None
    unit: str = ""
    signs: str = ""

    def value(self, decimal: str) -> float | None:
        return self.point if decimal == POINT else self.comma

    def grouped(self, decimal: str) -> bool:
        """Whether thousands are kept apart if this is the decimal sign."""
        return any(sign != decimal for sign in self.signs)


NOTHING = Cell(None, None)


def is_mark(text: str) -> bool:
    """Whether a text stands for a missing number."""
    bare = text.strip()
    return bare.casefold() in MARKS or NO_NUMBER.fullmatch(bare) is not None


def cell_of(text: str) -> Cell:
    """What a text says."""
    bare = BLANKS.sub(" ", text.strip()).replace("−", "-")
    found = WRITTEN.fullmatch(bare)
    if not found or bool(found["open"]) != bool(found["close"]) or found["minus"] and found["sign"]:
        return NOTHING
    if found["before"] and found["after"]:
        return NOTHING
    negative = "-" in (found["minus"], found["sign"]) or bool(found["open"])  # (12) of accountants
    point, comma = (_value(found["digits"], decimal, negative) for decimal in (POINT, COMMA))
    if point is None and comma is None:
        return NOTHING
    signs = re.sub(r"[\deE+-]", "", found["digits"])
    return Cell(point, comma, (found["before"] or found["after"] or "").upper(), signs)


def _value(digits: str, decimal: str, negative: bool) -> float | None:
    if not NUMBER[decimal].fullmatch(digits):
        return None
    group = COMMA if decimal == POINT else POINT
    plain = re.sub(rf"[{group}'’ ]", "", digits).replace(decimal, ".")
    return -float(plain) if negative else float(plain)


@dataclass(frozen=True)
class NumberForm:
    """How a column's numbers are written.

    unit : a currency or %, "" for none. grouped : whether some have their thousands apart. If no
    number of the column has, then 1,234 in a later table may be another number, and does not fit.
    """

    decimal: str = POINT
    unit: str = ""
    grouped: bool = True

    def fits(self, cell: Cell) -> bool:
        """A currency may be left out in some cells, a percent sign may not."""
        if cell.value(self.decimal) is None or (cell.grouped(self.decimal) and not self.grouped):
            return False
        return cell.unit == self.unit or (cell.unit == "" and self.unit != "%")

    def numbers(self, shown: pd.Series) -> np.ndarray:
        """The texts as float64, (n,); NaN if they are None or do not fit."""
        plain = pd.to_numeric(shown, errors="coerce").to_numpy(np.float64)
        if self.decimal == POINT and not self.unit:
            rest = shown[np.isnan(plain) & shown.notna().to_numpy()].unique()
        else:
            rest = shown.dropna().unique()
            plain = np.full(len(shown), np.nan)
        if len(rest):
            cells = {text: cell_of(text) for text in rest}
            values = {t: c.value(self.decimal) for t, c in cells.items() if self.fits(c)}
            plain = np.where(np.isnan(plain), shown.map(values).astype(np.float64), plain)
        return plain


@dataclass(frozen=True)
class NumberTexts:
    """The different texts of a column that are no marks, and how often each occurs."""

    counts: Mapping[str, int]

    @classmethod
    def of(cls, shown: Iterable[str]) -> "NumberTexts":
        return cls({text: n for text, n in Counter(shown).items() if not is_mark(text)})

    @cached_property
    def cells(self) -> dict[str, Cell]:
        return {text: cell_of(text) for text in self.counts}

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def share(self, form: NumberForm) -> float:
        """The share of cells that fit."""
        return self._sum(form.fits(cell) for cell in self.cells.values()) / max(self.total, 1)

    def best(self, decimal: str) -> NumberForm:
        """The form with this decimal sign, and the unit that fits most cells."""
        units = sorted({cell.unit for cell in self.cells.values()} | {""})
        form = max((NumberForm(decimal, unit) for unit in units), key=self.share)
        grouped = any(c.grouped(decimal) for c in self.cells.values() if form.fits(c))
        return replace(form, grouped=grouped)

    def only(self, decimal: str) -> int:
        """How many cells are numbers with this decimal sign and none with the other."""
        other = COMMA if decimal == POINT else POINT
        return self._sum(
            cell.value(decimal) is not None and cell.value(other) is None
            for cell in self.cells.values()
        )

    def any_form(self) -> float:
        """The share of cells that are a number in some form."""
        return self._sum(cell != NOTHING for cell in self.cells.values()) / max(self.total, 1)

    def undecided(self) -> str | None:
        """A text that is one number with a decimal point and another one with a decimal comma."""
        return next((t for t, c in self.cells.items() if None not in c[:2] and c[0] != c[1]), None)

    def _sum(self, chosen: Iterable[bool]) -> int:
        return sum(n for n, yes in zip(self.counts.values(), chosen, strict=True) if yes)
