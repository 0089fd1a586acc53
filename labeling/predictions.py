"""The file of --predictions: the rest of the pool, with the probability of each class."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from data_prep import formulas, tables
from labeling.added_columns import QUOTED, SOURCES, Source, own_columns, prefix_beside
from labeling.own_model import TrainedEstimator
from labeling.user_tables import UserTables
from models import LogisticRegression

PROBABILITY = "probability_"  # then the class, as the labeled table spells it


@dataclass
class Predictions:
    """Writes the file, a chunk of the pool at a time.

    model : gives the probabilities. labeled : rows of the pool's file that are no part of the rest.
    excel_safe : texts that a spreadsheet would run get an apostrophe in front.

    Its counts: rows, formulas (cells that a spreadsheet would run), quoted (cells that got an
    apostrophe).
    """

    path: Path
    user_tables: UserTables
    model: LogisticRegression | TrainedEstimator
    labeled: pd.Index
    excel_safe: bool
    rows: int = 0
    formulas: int = 0
    quoted: int = 0

    def write(self, stream: BinaryIO) -> None:
        """Write to the stream; raises UserError for a cell that cannot be read or written."""
        if not self.path.name.lower().endswith(".gz"):
            self._write(stream)
            return
        with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0, filename="") as packed:
            self._write(packed)

    def _write(self, stream: BinaryIO | gzip.GzipFile) -> None:
        self.rows = self.formulas = self.quoted = 0
        for chunk, X in self.user_tables.pool():
            rest = ~chunk.index.isin(self.labeled)
            if rest.any():
                frame = self._frame(chunk[rest], self.model.predict_proba(X[rest]))
                stream.write(tables.text_bytes(frame, self.path, header=self.rows == 0))
                self.rows += len(frame)
        if not self.rows:  # the names alone
            none = self.user_tables.sample.iloc[:0]
            frame = self._frame(none, np.empty((0, len(self.model.classes_))))
            stream.write(tables.text_bytes(frame, self.path))

    def _frame(self, chunk: pd.DataFrame, P: np.ndarray) -> pd.DataFrame:
        """Rows of the pool with the added columns, as the file has them. P (n, K)."""
        own, spelling = own_columns(chunk), self.user_tables.cells.spelling
        classes = [f"{PROBABILITY}{spelling[c]}" for c in self.model.classes_.tolist()]
        prefix = prefix_beside(own, [*classes, *SOURCES, QUOTED])
        frame = chunk.reindex(columns=own)
        for k, name in enumerate(classes):
            frame[prefix + name] = P[:, k]
        for name, source in zip(SOURCES, (Source.FILE, Source.ROW), strict=True):
            frame[prefix + name] = chunk[source]
        frame = tables.below_each_other([frame], self.path)
        self.formulas += formulas.would_run(frame)
        if self.excel_safe:
            frame, counts = formulas.quoted(frame)
            self.quoted += int(counts.sum())
            frame[prefix + QUOTED] = counts
        return frame
