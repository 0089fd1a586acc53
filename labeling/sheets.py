"""The files of ``label.py merge``: their rows, and what each row says of its label."""

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.errors import UserError, check_known
from data_prep import tables
from data_prep.classes import class_key, class_texts, classes_of, has_no_class
from data_prep.reading import FileReading
from labeling.added_columns import (
    DECISION,
    LABELED_BY,
    OF_ASKING,
    PERSON,
    SALUTARY,
    Source,
    own_columns,
    prefix_of_output,
    with_sources,
)

ACCEPT, CORRECT, REJECT = DECISIONS = ("accept", "correct", "reject")

Key = tuple[str, int]  # what a row is known by: the file that it is from, absolute, and its row


class Vote(NamedTuple):
    """What one row of a file says. label : None if a person rejects the labels of the row.

    settled : its label was a class before anyone looked at a sheet. kept : nothing but a proposal
    that is still there in a row left for a person; what a person says elsewhere counts more.
    """

    path: Path
    row: int
    label: str | None
    by_person: bool
    settled: bool
    kept: bool = False

    @property
    def place(self) -> str:
        return f"{self.path}, row {self.row}"

    @property
    def told(self) -> str:
        """The vote in words."""
        said = "rejected" if self.label is None else repr(self.label)
        return f"{said} ({self.place})"


@dataclass(frozen=True)
class Sheet:
    """A file: a labeled table, an output of label.py, a sheet of ``ask`` or of the page.

    rows : its cells, and their ``Source`` columns. keys : of the rows. votes : one for each row,
    None if it says nothing. guesses : the classes that the model of ``ask`` named.
    notes : what a user should know of it.
    """

    path: Path
    rows: pd.DataFrame
    keys: list[Key]
    votes: list[Vote | None]
    guesses: frozenset[str]
    notes: tuple[str, ...]
    is_output: bool


def keys_of(rows: pd.DataFrame) -> list[Key]:
    """What each row is known by, however its file was named on the command line."""
    absolute = {name: os.path.abspath(name) for name in rows[Source.FILE].unique()}
    files = rows[Source.FILE].map(absolute)
    return list(zip(files.tolist(), rows[Source.ROW].tolist(), strict=True))


def read_sheet(path: Path, target: str, reading: FileReading) -> Sheet:
    """Read a file. Raises UserError, with the row, if a mark in it is none that we know."""
    raw = tables.read(path, reading)
    rows, prefix = with_sources(raw, path), prefix_of_output(raw.columns)
    check_known("--target", target, own_columns(rows))
    labels = class_texts(rows[target]).mask(has_no_class(rows[target], reading), "")
    marks = _Marks(raw, rows, prefix, path)
    has = {name: prefix is not None and prefix + name in raw for name in (*OF_ASKING, DECISION)}
    votes: list[Vote | None] = []
    reviewed = proposals = 0
    each = zip(labels, marks.decisions, rows[Source.BY], strict=True)
    for row, (label, decision, by) in enumerate(each):
        proposed = bool(label) and not by and prefix is not None and not has["asked"]
        if decision in (ACCEPT, CORRECT) and not label:
            raise UserError(
                f"{path}, row {row}: {DECISION} is {decision!r}, but {target!r} is empty: give "
                f"the class, or write {REJECT}"
            )
        if decision == REJECT:
            votes.append(Vote(path, row, None, True, False))
        elif not label or (proposed and not decision and has[DECISION]):
            proposals += bool(label)
            votes.append(None)
        else:
            kept = proposed and not decision
            reviewed += kept
            asked = has["asked"] or proposed or decision == CORRECT
            person = bool(decision) or by != SALUTARY
            votes.append(Vote(path, row, label, person, not asked, kept))
    keys = keys_of(rows)
    notes = [*tables.notes_of(raw), *marks.notes(keys, sum(map(bool, labels)))]
    if reviewed:
        notes.append(f"{path}: {reviewed:,} labels of rows left for a person count as a person's")
    if proposals:
        notes.append(f"{path}: {proposals:,} rows left for a person have no decision yet")
    return Sheet(path, rows, keys, votes, marks.guesses, tuple(notes), prefix is not None)


class _Marks:
    """The columns of a file that say something of its labels.

    decisions (n,) : of a person who looked at the page, "" if there is none. guesses : the classes
    that a sheet of ``ask`` names.
    """

    def __init__(self, raw: pd.DataFrame, rows: pd.DataFrame, prefix: str | None, path: Path):
        def texts(name: str) -> pd.Series:
            if prefix is None or prefix + name not in raw:
                return pd.Series("", raw.index, dtype=object)
            return class_texts(raw[prefix + name])

        self.path = path
        self.decisions = texts(DECISION).str.lower()
        _check_words(self.decisions, DECISIONS, DECISION, path)
        _check_words(rows[Source.BY], (PERSON, SALUTARY), LABELED_BY, path)
        named = {*texts("guess").unique(), *texts("second_guess").unique()} - {""}
        self.guesses = frozenset(named)
        self._asked = texts("asked")

    def notes(self, keys: Sequence[Key], labels: int) -> Iterator[str]:
        """What is missing of the rows that a person was asked for, and which are there twice."""
        places = self._asked.str.extract(r"^(\d+) of (\d+)$").dropna().astype(int)
        if len(places):
            lost = int(places[1].max()) - places[0].nunique()
            if lost:
                yield f"{self.path}: {lost:,} of the {places[1].max():,} rows asked for are missing"
            if labels < len(keys):
                yield f"{self.path}: {len(keys) - labels:,} rows have no label yet"
        if doubled := len(keys) - len(set(keys)):
            yield f"{self.path}: {doubled:,} rows are there more than once"


def _check_words(cells: pd.Series, known: Collection[str], column: str, path: Path) -> None:
    odd = ~cells.isin(["", *known])
    if odd.any():
        row = int(np.argmax(odd))
        raise UserError(
            f"{path}, row {row}: {column} is {cells.iloc[row]!r}: write {', '.join(known)} or "
            f"nothing ({int(odd.sum()):,} such cells)"
        )


# --- classes --------------------------------------------------------------------------------------


class Classes:
    """The classes of all files, and how each is spelled.

    sheets : what says them. new : classes that only a person's labels have.
    Raises UserError as ``classes_of`` does for the labels that were there before the sheets.
    """

    def __init__(
        self, sheets: Iterable[Sheet], new: Sequence[str], target: str, reading: FileReading
    ):
        self.comma = reading.decimal == ","
        settled: dict[Path, list[str]] = {}
        guesses: list[str] = []
        for sheet in sheets:
            guesses += sorted(sheet.guesses)
            texts = [v.label for v in sheet.votes if v and v.settled and v.label is not None]
            if texts:
                settled.setdefault(sheet.path, []).extend(texts)
        found = [text for texts in settled.values() for text in texts]
        if len(set(found)) > 1:
            columns = [
                (str(path), pd.Series(texts, dtype=object, name=target))
                for path, texts in settled.items()
            ]
            classes_of(*columns, reading=reading)
        self.spelling: dict = {}
        for text in (*found, *guesses, *(name.strip() for name in new)):
            self.spelling.setdefault(class_key(text, self.comma), text)
        self.known = bool(found or guesses)

    def spelled(self, votes: Iterable[Vote]) -> tuple[dict[Vote, str], list[str]]:
        """The class of each vote that has a label; and a note of those spelled in another way.

        Raises UserError for a label that is no known class.
        """
        made, odd, unknown = {}, [], []
        for vote in votes:
            assert vote.label is not None
            key = class_key(vote.label, self.comma)
            if not self.known:
                self.spelling.setdefault(key, vote.label)
            made[vote] = self.spelling.get(key, "")
            if not made[vote]:
                unknown.append(vote)
            elif made[vote] != vote.label:
                odd.append(vote)
        if unknown:
            first, names = unknown[0], list(self.spelling.values())
            near = difflib.get_close_matches(str(first.label), names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UserError(
                f"{first.place}: {first.label!r} is no known class ({len(unknown):,} such labels): "
                f"{hint}the classes are {', '.join(names)}; --new-class {first.label} adds one"
            )
        notes = [
            f"{len(odd):,} labels are spelled otherwise, such as {odd[0].told}: taken as "
            f"{made[odd[0]]!r}"
        ] if odd else []  # fmt: skip
        return made, notes


# --- cells ----------------------------------------------------------------------------------------


def differing(cells: pd.DataFrame, was: pd.DataFrame) -> np.ndarray:
    """Which cells (n, D) say something else than those that were there: bool (n, D).

    Blanks around a cell, line ends, and the form of a number say nothing.
    """
    return np.column_stack(
        [
            ~_same(plain(cells.iloc[:, place]), plain(was.iloc[:, place]))
            for place in range(cells.shape[1])
        ]
    )


def plain(cells: pd.Series) -> np.ndarray:
    """The cells (n,) as texts, without blanks around them, lines ended in one way."""
    shown = tables.cell_texts(cells).map(str).str.replace(r"\r\n?", "\n", regex=True).str.strip()
    return shown.to_numpy(object)


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    same = one == other
    first, second = (pd.to_numeric(c[~same], errors="coerce") for c in (one, other))
    same[~same] = np.isclose(first, second, rtol=1e-12, atol=0)
    return same


def source_tables(
    sheets: Sequence[Sheet], own: Sequence[str], target: str, reading: FileReading
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables that rows of the sheets came from, by their absolute path, as far as they are
    there; and a note of each other one. own : the columns that they should have.
    """
    given = {os.path.abspath(sheet.path): sheet.rows for sheet in sheets if not sheet.is_output}
    counts = pd.Series([key[0] for s in sheets for key in set(s.keys)], dtype=object).value_counts()
    named = {os.path.abspath(n): n for s in sheets[::-1] for n in s.rows[Source.FILE].unique()}
    found, notes = {}, []
    for file, count in counts.items():
        rows, why, path = given.get(str(file)), "", Path(named[str(file)])
        if rows is None:
            try:
                rows = with_sources(tables.read(path, reading), path)
            except UserError as error:
                why = f"cannot be read ({error})" if path.exists() else "is not there"
        if rows is not None and any(name not in rows for name in own if name != target):
            why = "has other columns now"
        if why or rows is None:
            notes.append(f"{path}, the source of {count:,} rows, {why}: cells are not compared")
        else:
            found[str(file)] = rows
    return found, notes
