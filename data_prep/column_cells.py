"""All cells of a column of a user's table, from which it is decided what the column is read as."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from data_prep.cells import has_numbers, texts
from data_prep.column_kinds import ColumnDecision, Kind, Reader
from data_prep.list_cells import holds_lists

Decided = tuple[ColumnDecision, Reader | None]


@dataclass(frozen=True)
class Column:
    """All cells of a column that decide, of one table or more.

    starts : the position of the first row of each table. sources : their names.
    distinct : gives the positions of the rows that do not repeat an earlier row as a whole.
    """

    cells: pd.Series
    sources: Sequence[str]
    starts: Sequence[int]
    distinct: Callable[[], np.ndarray]

    @property
    def name(self) -> str:
        return str(self.cells.name)

    @property
    def title(self) -> str:
        """The column in a sentence."""
        return f"{' + '.join(self.sources)}, column {self.name!r}"

    def place(self, position: int) -> str:
        """A cell in a sentence."""
        table = int(np.searchsorted(self.starts, position, side="right")) - 1
        row = self.cells.index[position]
        return f"{self.sources[table]}, row {row}, column {self.name!r}"

    @cached_property
    def shown(self) -> pd.Series:
        """The cells as texts, by their positions, without those that are missing."""
        return texts(self.cells).reset_index(drop=True).dropna()

    @cached_property
    def missing(self) -> int:
        """How many cells say nothing."""
        if has_numbers(self.cells) or holds_lists(self.cells):
            return int(self.cells.isna().sum())
        return len(self.cells) - len(self.shown)

    def left_out(self, why: str) -> Decided:
        return ColumnDecision(self.name, Kind.LEFT_OUT, why, missing=self.missing), None

    def decided(self, kind: Kind, reader: Reader, why: str, more_missing: int = 0) -> Decided:
        features = len(reader.names(self.name))
        return ColumnDecision(self.name, kind, why, features, self.missing + more_missing), reader
