"""The classes in a column of a user's table: which cells have none, and which spellings are one."""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import pandas as pd

from common.errors import UserError
from data_prep.cells import MISSING, as_numbers
from data_prep.reading import AS_FOUND, FileReading

MOST_CLASSES = 100
# A class, or a mark of rows without a label? Only the user knows. In any case of letters.
MARKS = frozenset(word.casefold() for word in [*MISSING, "NaT"] if word)
UNLABELED = Decimal(-1)  # scikit-learn's and snorkel's mark
COMMAS = str.maketrans(",.", ".,")  # a number with a decimal comma, as Python writes it
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def class_texts(cells: pd.Series) -> pd.Series:
    """The cells as text without the blanks around them, "" if they are empty or null."""
    shown = cells.astype(object).where(cells.notna(), "")
    if pd.api.types.is_float_dtype(cells):  # floats because a cell is missing: 1.0 is 1
        shown = pd.Series([_whole(cell) for cell in shown], cells.index, dtype=object)
    return shown.map(str).str.strip()


def _whole(cell: float | str) -> float | int | str:
    return int(cell) if not isinstance(cell, str) and cell % 1 == 0 else cell


def has_no_class(cells: pd.Series, reading: FileReading = AS_FOUND) -> pd.Series:
    """Whether each cell is empty, null, or one of ``reading.unlabeled_value``: bool (n,)."""
    shown, comma = class_texts(cells), reading.decimal == ","
    marks = {_number(value.strip(), comma) for value in reading.unlabeled_value}
    held = {text: _number(text, comma) in marks for text in shown.unique()}
    return shown.eq("") | shown.map(held)


def marks_held(cells: pd.Series, reading: FileReading) -> set[str]:
    """The ones of ``reading.unlabeled_value`` that some cell holds; "" always."""
    comma = reading.decimal == ","
    values = {_number(text, comma) for text in class_texts(cells).unique()}
    return {m for m in reading.unlabeled_value if not m or _number(m.strip(), comma) in values}


def unheld_notes(held: set[str], reading: FileReading, target: str, files: str) -> tuple[str, ...]:
    """A line for each value that means "no label", but that none of the files holds."""
    lacking = [mark for mark in dict.fromkeys(reading.unlabeled_value) if mark not in held]
    return tuple(
        f"{files}: no cell of {target!r} is {mark!r}, which --unlabeled-value names"
        for mark in lacking
    )


def stripped(cells: pd.Series, file: str) -> tuple[pd.Series, tuple[str, ...]]:
    """The cells, texts without the blanks around them; and a note of how many had any."""
    bare = [cell.strip() if isinstance(cell, str) else cell for cell in cells]
    count = sum(cell is not old and cell != old for cell, old in zip(bare, cells, strict=True))
    if not count:
        return cells, ()
    note = f"{file}: {count:,} cells of {cells.name!r} have blanks around the class, left out here"
    return pd.Series(bare, cells.index, dtype=object, name=cells.name), (note,)


def classes_of(*columns: tuple[str, pd.Series], reading: FileReading = AS_FOUND) -> np.ndarray:
    """The classes of all rows of several columns, one after the other: integers, or text, (n,).

    columns : the name of a file, and its cells with a class (see ``has_no_class``). Blanks around
    a class are no part of it.
    reading : its ``unlabeled_value`` are the values that mean "no label"; with "" among them, all
    other values are classes. Its ``decimal`` is the sign in classes that are numbers.

    Raises UserError if the classes are fractions, too many or too few; if two differ only in case,
    blanks or the form of a number; and for words such as NA, and -1 beside other classes than 1,
    unless ``unlabeled_value`` has "".
    """
    target, files = columns[0][1].name, [file for file, _ in columns]
    comma = reading.decimal == ","
    numbers = pd.concat([as_numbers(_with_point(cells, comma)) for _, cells in columns])
    shown = [class_texts(cells) for _, cells in columns]
    found = pd.DataFrame(dict(enumerate(text.value_counts(sort=False) for text in shown)))
    found = found.fillna(0).astype(int)
    plain = numbers[~pd.concat(shown).str.casefold().isin(MARKS)]
    if plain.notna().all() and (plain % 1 != 0).any():  # the remainder of inf is NaN
        raise UserError(f"--target {target!r} holds fractions: salutary labels are classes")
    if 2 <= len(found) <= MOST_CLASSES:
        if "" not in reading.unlabeled_value:
            _ask_about_marks(found, files, target, comma)
        _check_spellings(found, files, target, comma)
    else:
        raise UserError(
            f"--target {target!r} has {len(found):,} values: 2 to {MOST_CLASSES} are classes"
        )
    if numbers.notna().all() and (numbers.abs() < 2**53).all():
        return numbers.to_numpy(np.int64)
    return pd.concat(shown).to_numpy(dtype=str)


def _with_point(cells: pd.Series, comma: bool) -> pd.Series:
    """The cells, texts that are numbers with a decimal comma as Python writes numbers."""
    if not comma or pd.api.types.is_numeric_dtype(cells):
        return cells
    return cells.map(lambda cell: cell.translate(COMMAS) if isinstance(cell, str) else cell)


def _ask_about_marks(found: pd.DataFrame, files: Sequence[str], target: str, comma: bool) -> None:
    """Raise UserError if a text of ``found`` (its counts in each file) may mean "no label"."""
    values = {text: _number(text, comma) for text in found.index}
    binary = set(values.values()) == {UNLABELED, Decimal(1)}
    for text, value in values.items():
        if text.casefold() in MARKS or (value == UNLABELED and not binary):
            raise UserError(
                f"{target!r} is {text!r} in {_where(found.loc[text], files)}: is it a class, or "
                f"does it mean that a row has no label, as an empty cell does? Say "
                f"--unlabeled-value {_quoted(text)} for no label, --unlabeled-value '' for a class"
            )


def _check_spellings(found: pd.DataFrame, files: Sequence[str], target: str, comma: bool) -> None:
    """Raise UserError if two texts of ``found`` are nearly the same."""
    first: dict = {}
    for text in found.index:
        other = first.setdefault(class_key(text, comma), text)
        if other != text:
            this, that = (f"{t!r} in {_where(found.loc[t], files)}" for t in (other, text))
            raise UserError(
                f"{target!r} is {this}, but {that}: make them one, or give them names that "
                "differ in more than case, blanks or the form of a number"
            )


def class_key(text: str, comma: bool) -> Decimal | str:
    """What texts have in common that differ only in case, blanks or the form of a number."""
    number = _number(text, comma)
    if isinstance(number, Decimal):
        return number
    parts = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"\s+", " ", re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", parts))


def _number(text: str, comma: bool = False) -> Decimal | str:
    """The number that a text says, exactly; the text itself if it says none.

    comma : whether it has a decimal comma in place of a point.
    """
    plain = text.translate(COMMAS) if comma else text
    try:
        return Decimal(plain) if NUMBER.fullmatch(plain) else text
    except InvalidOperation:
        return text


def _where(counts: pd.Series, files: Sequence[str]) -> str:
    told = [
        f"{n:,} row{'s' * (n != 1)} of {file}" for n, file in zip(counts, files, strict=True) if n
    ]
    return " and ".join(told)


def _quoted(text: str) -> str:
    """As a shell takes it."""
    return text if re.fullmatch(r"[\w.+-]+", text) else f"'{text}'"
