"""Decide, from all of its cells, what a column of a user's table is read as."""

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pandas as pd

from common.errors import UserError
from data_prep import date_cells
from data_prep.cells import as_numbers, has_numbers, texts
from data_prep.column_cells import Column, Decided
from data_prep.column_kinds import (
    NOTHING,
    Categories,
    Dates,
    Kind,
    Lists,
    Numbers,
    category_texts,
    date_texts,
    plain,
)
from data_prep.list_cells import holds_lists, holds_numbers, lists_of
from data_prep.number_cells import COMMA, POINT, NumberForm, NumberTexts
from data_prep.row_ids import FEWEST_ROWS, why_id
from data_prep.text_columns import TextRules, reader_of_texts, word_counts

SHARE = 0.95  # so many of the filled cells must fit, in deciding and later
MOST_TEXTS = 100  # a text column with more different values names things, it does not sort them
MOST_MARKS = 3  # different texts that stand for "no number" beside at least FEWEST_NUMBERS
FEWEST_NUMBERS = 20
WORDS = 3  # texts of so many words on average are sentences
GROUPED = r"[1-9]\d{0,2}(?:\.\d{3})+"  # a number with a decimal point, or thousands apart by points
NAMES_A_CODE = re.compile(r"(.*[\W_])?(zip|zip ?code|postal ?code|post ?code|plz)", re.IGNORECASE)


def decide(
    column: Column,
    choice: Kind | None,
    date_form: str,
    sign: "DecimalSign",
    free_text: TextRules,
) -> Decided:
    """What the column is read as, and what reads it; None if it is left out.

    choice : what the user said it is. date_form : for dates, as the user said, or "".
    free_text : what may become of free text.

    Raises UserError if a number is infinite, if a column can be read in two ways, and as
    ``reader_of_texts`` does.
    """
    if choice == Kind.LEFT_OUT:
        return column.left_out("--drop")
    if holds_lists(column.cells) and choice != Kind.TEXT:
        return _lists(column, column.cells)
    if isinstance(next(iter(column.cells.dropna()), None), (dict, complex)):
        return column.left_out("its cells are objects, or complex numbers")
    if column.missing == len(column.cells):
        return column.left_out("it is empty")
    if not has_numbers(column.cells) and column.shown.nunique() < 2:
        return column.left_out("it is constant")
    if choice is not None:
        return _as_said(column, choice, date_form, sign, free_text)
    if isinstance(column.cells.dtype, pd.CategoricalDtype):
        return _names(column, free_text) or _categories(column, "a categorical type")
    for attempt in (_typed, _numbers, _dates, _texts_of_lists):
        if decided := attempt(column, sign):
            return decided
    return _names(column, free_text) or _categories(column, "texts")


def _as_said(
    column: Column, choice: Kind, date_form: str, sign: "DecimalSign", free_text: TextRules
) -> Decided:
    """What the user said that the column is, if it is not constant."""
    if choice == Kind.TEXT:
        return _texts(column, free_text)
    if choice == Kind.NUMBER:
        return _forced_numbers(column, sign)
    if choice == Kind.CATEGORY:
        return _categories(column, "--categorical")
    return _forced_dates(column, date_form)


# --- numbers --------------------------------------------------------------------------------------


class DecimalSign:
    """The decimal sign of the tables, if their columns agree on one.

    said : what the user says. columns : all of them.
    """

    def __init__(self, said: str | None, columns: Sequence[Column]):
        self.said, self.columns = said, columns

    @cached_property
    def agreed(self) -> str | None:
        """The sign that the user says, or that alone reads some column; None if there are two."""
        if self.said:
            return self.said
        found = set()
        for column in self.columns:
            if holds_lists(column.cells) or has_numbers(column.cells):
                continue
            cells = NumberTexts.of(column.shown)
            for decimal in (POINT, COMMA):
                if cells.share(cells.best(decimal)) >= SHARE and cells.only(decimal):
                    found.add(decimal)
        return found.pop() if len(found) == 1 else None


def _typed(column: Column, sign: DecimalSign) -> Decided | None:
    """A column whose type says what it is."""
    cells = plain(column.cells)
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _as_dates(column, date_cells.ISO, "dates")
    if has_numbers(cells):
        dated = as_numbers(cells).dropna().between(19_000_101, 20_991_231).all()
        if dated and (decided := _eight_digits(column, category_texts(cells).dropna())):
            return decided
        return _as_numbers(column, NumberForm(grouped=False), "numbers")
    return None


def _numbers(column: Column, sign: DecimalSign) -> Decided | None:
    """A column of which SHARE of the filled cells are numbers, marks of missing numbers aside."""
    shown = column.shown
    if _are_codes(shown):
        return None
    if sign.said is None and as_numbers(shown).notna().all():
        if decided := _eight_digits(column, shown):
            return decided
        form = NumberForm(grouped=False)
        if _points_may_group(shown) and sign.agreed == COMMA:
            form = NumberForm(COMMA)
        return _as_numbers(column, form, "numbers")
    cells = NumberTexts.of(shown)
    if not cells.total:
        return None
    form = _best_form(column, cells, sign)
    share = cells.share(form)
    if share >= SHARE:
        return _as_numbers(column, form, "numbers")
    if cells.any_form() >= SHARE:
        raise _two_ways(column, cells, form)
    odd = [text for text, cell in cells.cells.items() if not form.fits(cell)]
    if share >= 0.5 and len(odd) <= MOST_MARKS and len(cells.counts) >= FEWEST_NUMBERS + len(odd):
        return _as_numbers(column, form, "numbers", marks=odd)
    return None


def _are_codes(shown: pd.Series) -> bool:
    """Whether all texts are digits, of one length, and some begin with 0: 01234 is no number."""
    zeros = shown.str.startswith("0").any() and shown.str.len().nunique() == 1
    return zeros and len(shown.iloc[0]) > 1 and bool(shown.str.fullmatch(r"\d+").all())


def _best_form(column: Column, cells: NumberTexts, sign: DecimalSign) -> NumberForm:
    """The form that fits most cells. Raises UserError if two fit, and differ."""
    forms = {decimal: cells.best(decimal) for decimal in (POINT, COMMA)}
    shares = {decimal: cells.share(form) for decimal, form in forms.items()}
    if sign.said:
        other = COMMA if sign.said == POINT else POINT
        if shares[sign.said] < SHARE <= shares[other]:
            odd = next(t for t, c in cells.cells.items() if not forms[sign.said].fits(c))
            raise UserError(
                f"{_first(column, odd)} is {odd!r}, but --decimal says {sign.said!r}: leave "
                "--decimal out, then each column is looked at by itself"
            )
        return forms[sign.said]
    if shares[POINT] != shares[COMMA]:
        return forms[max(shares, key=lambda decimal: shares[decimal])]
    text = cells.undecided()
    if text is None or shares[POINT] < SHARE:
        return forms[POINT]
    if sign.agreed is None:
        cell = cells.cells[text]
        raise UserError(
            f"{_first(column, text)} is {text!r}, which may be {cell.point:.12g} or "
            f"{cell.comma:.12g}: add --decimal . or --decimal ,"
        )
    return forms[sign.agreed]


def _two_ways(column: Column, cells: NumberTexts, form: NumberForm) -> UserError:
    this = next((t for t, c in cells.cells.items() if form.fits(c)), "")
    that = next(t for t, c in cells.cells.items() if not form.fits(c))
    return UserError(
        f"{_first(column, this)} is {this!r}, but {_first(column, that)} is {that!r}: write all "
        "numbers of the column in one way, or leave it out with --drop"
    )


def _first(column: Column, text: str) -> str:
    """The first cell with this text, in a sentence."""
    return column.place(int(column.shown.index[(column.shown == text).to_numpy().argmax()]))


def _points_may_group(shown: pd.Series) -> bool:
    """Whether each point between digits may keep thousands apart, and there are points."""
    pointed = shown[shown.str.contains(".", regex=False)]
    return len(pointed) > 0 and bool(pointed.str.strip().str.fullmatch(GROUPED).all())


def _as_numbers(
    column: Column, form: NumberForm, why: str, marks: Sequence[str] = (), forced: bool = False
) -> Decided:
    reader = Numbers(form, frozenset(text.strip() for text in marks))
    values, odd = reader.read(column.cells, "")
    numbers = values[:, 0]
    if np.isinf(numbers).any():
        raise UserError(f"{column.place(int(np.isinf(numbers).argmax()))} holds an infinite number")
    known = numbers[~np.isnan(numbers)]
    if len(np.unique(known)) < 2:
        return column.left_out("it is constant")
    if not forced and (id_words := why_id(column.name, numbers, column.starts, column.distinct)):
        return column.left_out(id_words)
    words, signs = [why], []
    if form.decimal == COMMA and column.shown.str.contains(COMMA, regex=False).any():
        signs.append("with a decimal comma")
    if form.grouped:
        signs.append("with thousands apart")
    words += [" and ".join(signs)] if signs else []
    if form.unit:
        words.append(f"in {form.unit}")
    told = [" ".join(words)]
    missing = int(np.isnan(numbers).sum()) - column.missing
    if missing:
        lost = column.shown[np.isnan(numbers)[column.shown.index]]
        most = lost.value_counts().index[:3]
        told.append(f"{missing:,} cells hold no number and count as missing: " + _listed(most))
    if odd.any():
        told.append(f"the first in {column.place(int(odd.argmax()))}")
    if NAMES_A_CODE.fullmatch(column.name):
        told.append("if they are codes, say --categorical or --drop")
    return column.decided(Kind.NUMBER, reader, "; ".join(told), missing)


def _listed(found: Sequence[str]) -> str:
    return ", ".join(repr(text[:30]) for text in found)


def _forced_numbers(column: Column, sign: DecimalSign) -> Decided:
    if has_numbers(plain(column.cells)):
        return _as_numbers(column, NumberForm(grouped=False), "--numeric", forced=True)
    cells = NumberTexts.of(column.shown)
    form = _best_form(column, cells, sign) if cells.total else NumberForm()
    if not cells.share(form):
        raise UserError(f"{column.title}, which --numeric names, holds no number")
    odd = [text for text, cell in cells.cells.items() if not form.fits(cell)]
    return _as_numbers(column, form, "--numeric", marks=odd, forced=True)


# --- dates and texts ------------------------------------------------------------------------------


def _eight_digits(column: Column, shown: pd.Series) -> Decided | None:
    """Dates such as 20240131."""
    if not shown.str.fullmatch(date_cells.EIGHT_DIGITS).all():
        return None
    return _as_dates(column, "%Y%m%d", "dates")


def _dates(column: Column, sign: DecimalSign) -> Decided | None:
    shown = date_texts(column.cells).dropna()
    form = date_cells.the_form(shown, SHARE, column.title)
    return _as_dates(column, form, "dates") if form else None


def _forced_dates(column: Column, form: str) -> Decided:
    shown = date_texts(column.cells).dropna()
    found = form or date_cells.the_form(shown, 0.5, column.title) or date_cells.ISO
    if not date_cells.dates(shown, found).notna().any():
        raise UserError(
            f"{column.title}, which --date names, holds no date"
            + (f" such as {pd.Timestamp(2024, 12, 31).strftime(form)}" if form else "")
            + f": {_first(column, column.shown.iloc[0])} is {column.shown.iloc[0]!r}"
        )
    return _as_dates(column, found, "--date")


def _as_dates(column: Column, form: str, why: str) -> Decided:
    found = date_cells.dates(date_texts(column.cells), form)
    missing = int(found.isna().sum()) - column.missing
    if found.nunique() < 2:
        return column.left_out("it is constant")
    shown = "" if form == date_cells.ISO else f" as {form}"
    told = f"{why}{shown}: year, month, weekday and age in days"
    if missing:
        odd = column.shown[found.reset_index(drop=True)[column.shown.index].isna()]
        told += (
            f"; {missing:,} cells hold no date and count as missing: {_listed(odd.unique()[:3])}"
        )
    return column.decided(Kind.DATE, Dates(form, found.max()), told, missing)


def _texts_of_lists(column: Column, sign: DecimalSign) -> Decided | None:
    """Lists in a text file."""
    if not column.shown.iloc[0].lstrip().startswith("["):
        return None
    lists = lists_of(texts(column.cells))
    odd = [cell for cell in lists.dropna() if isinstance(cell, str)]
    if len(odd) > (1 - SHARE) * len(column.shown):
        cut = odd[0].strip().endswith("]")
        return column.left_out(f"lists that cannot be read: {odd[0][:30]!r}") if cut else None
    return _lists(column, lists, in_text=True)


def _lists(column: Column, lists: pd.Series, in_text: bool = False) -> Decided:
    lists = lists.reset_index(drop=True)
    if not holds_numbers(lists):
        return column.left_out("lists of something else than numbers")
    width = int(np.size(lists.dropna().iloc[0]))
    reader, filled = Lists(width, in_text), lists.dropna()
    found = []
    bounds = [*column.starts, len(lists)]
    for source, start, stop in zip(column.sources, bounds[:-1], bounds[1:], strict=True):
        found.append(reader.read(column.cells.iloc[start:stop], source)[0])
    table = np.concatenate(found)[filled.index]
    if (table == table[0]).all():
        return column.left_out("it is constant")
    return column.decided(Kind.LIST, reader, f"lists of {width:,} numbers")


def _texts(column: Column, rules: TextRules) -> Decided:
    """A column of free text."""
    if column.shown.nunique() < 2:
        return column.left_out("it is constant")
    reader, why = reader_of_texts(column.cells, rules, column.title)
    if reader is None:
        return column.left_out(why)
    told = f"{why}; missing ones count as empty texts" if column.missing else why
    return column.decided(Kind.TEXT, reader, told)


def _names(column: Column, rules: TextRules) -> Decided | None:
    """A column of texts that are too many to be categories."""
    shown = category_texts(column.cells).dropna()
    different = shown.nunique()
    mostly = len(shown) >= FEWEST_ROWS and different > len(shown) / 2
    if different <= MOST_TEXTS and not mostly:
        return None
    cells = NumberTexts.of(shown)
    form = max(map(cells.best, (POINT, COMMA)), key=cells.share)
    if SHARE > cells.share(form) > 0.5:
        odd = next(text for text, cell in cells.cells.items() if not form.fits(cell))
        return column.left_out(
            f"{different:,} different texts, {cells.share(form):.0%} of them numbers, but for such "
            f"as {odd[:30]!r}: --numeric counts these as missing"
        )
    if word_counts(shown).mean() >= WORDS:
        return _texts(column, rules)
    if different == len(shown):
        return column.left_out("an id: a different text in every row")
    return column.left_out(f"{different:,} different texts")


def _categories(column: Column, why: str) -> Decided:
    shown = category_texts(column.cells)
    found = {*shown.dropna(), *([NOTHING] if shown.isna().any() else [])}
    if len(found) < 2:  # they differ in blanks only
        return column.left_out("it is constant")
    reader = Categories(tuple(sorted(found)))
    return column.decided(Kind.CATEGORY, reader, f"{why}, {len(found):,} different")
