"""The columns of a user's own table: what each is read as, decided once, and held to later."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from common.errors import UserError
from data_prep.column_cells import Column
from data_prep.column_kinds import (
    Categories,
    ColumnDecision,
    Kind,
    Lists,
    Numbers,
    Reader,
    unseen,
)
from data_prep.deciding import SHARE, DecimalSign, decide
from data_prep.list_cells import holds_lists
from data_prep.reading import AS_FOUND, TableReading
from data_prep.text_columns import TextRules

DECISION_HEAD = ["column", "read as", "features", "missing", "why"]
SHOWN = 25  # rows of the printed table; if there are more columns, those alike share a row


@dataclass
class Misfits:
    """The cells of one table that do not fit what was decided, counted by column.

    source : names the table. partial : whether it comes in parts, of which some did not decide.
    Then a category never seen is counted as well, and the counts are checked at the end.
    """

    source: str
    partial: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, cells: pd.Series, odd: np.ndarray, words: str) -> None:
        """Count cells (n,) of a column, of which ``odd`` (n,) do not fit; words : what they are."""
        name = str(cells.name)
        self.filled[name] += int((cells.notna() & cells.ne("")).sum())
        if odd.any():
            self.counts[name] += int(odd.sum())
            place = int(odd.argmax())
            example = f"{str(cells.iloc[place])[:30]!r} in row {cells.index[place]}, which {words}"
            self.first.setdefault(name, example)

    def notes(self) -> list[str]:
        """A line for each column that has some."""
        return [self._told(name) for name in self.counts]

    def check(self, allowed: Mapping[str, float]) -> None:
        """Raise UserError if in a column more than the allowed share does not fit."""
        for name, count in self.counts.items():
            if count > allowed[name] * self.filled[name]:
                raise UserError(
                    f"{self._told(name)}: write the column alike in all tables, or leave it out "
                    "with --drop"
                )

    def _told(self, name: str) -> str:
        return (
            f"{self.source}, column {name!r}: {self.counts[name]:,} of {self.filled[name]:,} cells "
            f"do not fit, such as {self.first[name]}"
        )


class Columns:
    """How each column of a table becomes features: decided once, by the tables of ``fit``.

    ``deciding.decide`` has the rules, ``column_kinds`` the readers.

    Attributes
    ----------
    decisions : a ColumnDecision for each column, in the order of the table.
    readers : what reads each column in use, by its name.

    free_text : how free text becomes features, but for what the reading says of it.
    """

    def __init__(self, reading: TableReading = AS_FOUND, free_text: TextRules = TextRules()):  # noqa: B008
        self.reading = reading
        self.free_text = replace(free_text, choice=reading.text_features)

    def fit(self, *tables: tuple[str, pd.DataFrame]) -> "Columns":
        """Decide for every column; each table has a name, for errors, and the same columns.

        Raises UserError as ``decide`` does, if an option names a column that is not there, or if no
        column is left.
        """
        sources, frames = [source for source, _ in tables], [named(frame) for _, frame in tables]
        names = _names_once(frames[0], sources[0])
        choices, forms = _choices(self.reading, names, sources[0])
        columns = _columns_of(sources, frames)
        sign = DecimalSign(self.reading.decimal, columns)
        self.decisions: list[ColumnDecision] = []
        self.readers: dict[str, Reader] = {}
        self._allowed: dict[str, float] = {}
        for column in columns:
            decision, reader = decide(
                column,
                choices.get(column.name),
                forms.get(column.name, ""),
                sign,
                self.free_text,
            )
            if isinstance(reader, Categories) and self.reading.unseen == "other":
                reader = replace(reader, both=True)
                decision = replace(decision, features=len(reader.indicated))
            self.decisions.append(decision)
            if reader is not None:
                self.readers[column.name] = reader
                self._allowed[column.name] = self._allowed_share(column, decision)
        if not self.readers:
            reasons = "; ".join(f"{d.column!r}: {d.why}" for d in self.decisions[:5])
            raise UserError(
                f"{' + '.join(sources)} has no column to learn from beside the target"
                + (f" ({reasons})" if reasons else "")
            )
        if self.reading.text_features and not any(d.read_as == Kind.TEXT for d in self.decisions):
            raise UserError(
                f"--text-features {self.reading.text_features}: {' + '.join(sources)} has no "
                "column of free text: leave the option out, or name a column with --text"
            )
        return self

    def _allowed_share(self, column: Column, decision: ColumnDecision) -> float:
        """The share of cells that may not fit later: more if the user wants a column of few."""
        lost = decision.missing - column.missing
        forced = column.name in self.reading.numeric
        return max(1 - SHARE, 2 * lost / max(len(column.cells), 1) if forced else 0)

    def transform(self, frame: pd.DataFrame, table: Misfits | str = "the table") -> np.ndarray:
        """Features (n, D), NaN for missing cells.

        table : its name, or what counts the cells that do not fit.

        Raises UserError, with the row, for an infinite number, a list that is not as those of
        ``fit``, and a category never seen unless the reading lets it pass; and if over 5 % of the
        filled cells of a column do not fit.
        """
        misfits = Misfits(table) if isinstance(table, str) else table
        frame, made = named(frame), []
        for name, reader in self.readers.items():
            if name not in frame:
                raise UserError(f"{misfits.source} lacks the column {name!r}")
            cells = frame[name]
            values, odd = reader.read(cells, misfits.source)
            _check_finite(values, cells, misfits.source)
            passes = misfits.partial or self.reading.unseen == "other"
            if isinstance(reader, Categories) and odd.any() and not passes:
                row = int(odd.argmax())
                place = f"{misfits.source}, row {cells.index[row]}, column {name!r}"
                raise unseen(reader.values, str(cells.iloc[row]), place)
            if not isinstance(reader, Lists):  # a list that does not fit is an error
                misfits.add(cells, odd, reader.misfit)
            made.append(values)
        if not misfits.partial:
            self.check(misfits)
        return np.column_stack(made).astype(np.float64)

    def check(self, misfits: Misfits) -> None:
        """Raise UserError if over 5 % of the cells of a column do not fit."""
        misfits.check(self._allowed)

    @property
    def names(self) -> list[str]:
        """The column that each feature comes from, (D,)."""
        return [name for name, reader in self.readers.items() for _ in reader.names(name)]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature, (D,): column, column[place] in a list, or column=text."""
        return [made for name, reader in self.readers.items() for made in reader.names(name)]

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return [name for name, reader in self.readers.items() if isinstance(reader, Numbers)]

    @property
    def texts(self) -> list[str]:
        """The columns of free text."""
        return [d.column for d in self.decisions if d.read_as == Kind.TEXT]


def decision_lines(decisions: Sequence[ColumnDecision]) -> list[str]:
    """The decisions as a table, and what becomes of missing cells; of no column, no line."""
    if not decisions:
        return []
    filled = (Kind.NUMBER, Kind.DATE, Kind.LIST)
    if not any(d.missing for d in decisions if d.read_as in filled):
        return [table_of(decisions)]
    legend = "missing numbers become the median of the labeled set and the pool"
    return [table_of(decisions), legend]


def decisions_record(decisions: Sequence[ColumnDecision]) -> list[dict[str, Any]]:
    """The decisions for a JSON file."""
    return [asdict(decision) for decision in decisions]


def table_of(decisions: Sequence[ColumnDecision]) -> str:
    """The decisions as a table."""
    table = PrettyTable(DECISION_HEAD, align="l")
    table.align["features"] = table.align["missing"] = "r"
    table.add_rows(decision_rows(decisions))
    return table.get_string()


def decision_rows(decisions: Sequence[ColumnDecision]) -> list[list[str]]:
    """The cells of the table; of many columns, neighbours that are alike share a row."""
    grouped = [
        list(rows) for _, rows in groupby(decisions, lambda d: (d.read_as, d.why, d.missing))
    ]
    rows = grouped if len(decisions) > SHOWN else [[decision] for decision in decisions]
    shown = []
    for same in rows[:SHOWN]:
        first, last = same[0], same[-1]
        name = first.column
        if len(same) > 1:
            name = f"{first.column} … {last.column} ({len(same):,} columns)"
        features = sum(d.features for d in same)
        shown.append([name, first.read_as, f"{features:,}", f"{first.missing:,}", first.why])
    if len(rows) > SHOWN:
        rest = sum(map(len, rows[SHOWN:]))
        shown.append([f"… {rest:,} more columns", "", "", "", ""])
    return shown


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, with texts for the names of its columns."""
    if all(isinstance(name, str) for name in frame):
        return frame
    return frame.set_axis([str(name) for name in frame], axis=1)


def _names_once(frame: pd.DataFrame, source: str) -> list[str]:
    """The names of the columns. Raises UserError if one is given twice, or there are levels."""
    if isinstance(frame.columns, pd.MultiIndex):
        raise UserError(f"{source} has names of columns in several levels: give each one name")
    names = [str(name) for name in frame]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"{source} has more than one column {twice[0]!r}: rename one of them")
    return names


def _columns_of(sources: Sequence[str], frames: Sequence[pd.DataFrame]) -> list[Column]:
    starts = np.cumsum([0, *map(len, frames)])[:-1].tolist()
    whole = pd.concat(frames) if len(frames) > 1 else frames[0]

    @cache
    def distinct() -> np.ndarray:
        simple = [name for name in whole if not holds_lists(whole[name])]
        return np.flatnonzero(~whole[simple].astype(str).duplicated().to_numpy())

    return [Column(whole[name], sources, starts, distinct) for name in whole]


def _choices(
    reading: TableReading, names: Sequence[str], source: str
) -> tuple[dict[str, Kind], dict[str, str]]:
    """What the user says of columns, by name, and the forms of dates.

    Raises UserError for a column that is not there, or that is named for two things.
    """
    dates, forms = [], {}
    for given in reading.date:
        name, colon, form = (given, "", "") if given in names else given.partition(":%")
        dates.append(name)
        forms[name] = colon[1:] + form
    options = {
        "--numeric": (Kind.NUMBER, reading.numeric),
        "--categorical": (Kind.CATEGORY, reading.categorical),
        "--text": (Kind.TEXT, reading.text),
        "--date": (Kind.DATE, dates),
        "--drop": (Kind.LEFT_OUT, reading.drop),
    }
    choices: dict[str, Kind] = {}
    by: dict[str, str] = {}
    for option, (kind, columns) in options.items():
        for name in columns:
            if name not in names:
                raise UserError(
                    f"{option} {name!r} is no column of {source} to learn from: choose from "
                    + ", ".join(names[:8])
                    + (" …" if len(names) > 8 else "")
                )
            if choices.setdefault(name, kind) != kind:
                raise UserError(f"column {name!r} is named by {by[name]} and by {option}")
            by[name] = option
    return choices, forms


def _check_finite(values: np.ndarray, cells: pd.Series, source: str) -> None:
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        row = cells.index[int(infinite.argmax())]
        raise UserError(f"{source}, row {row}, column {cells.name!r} holds an infinite number")
