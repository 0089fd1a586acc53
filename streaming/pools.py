"""Pools of any length, a chunk of rows at a time: from arrays, memory maps and files.

An error in a file names the file, the row or line, and the column.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import scipy.sparse
import torch

from common.errors import UserError
from data_prep.tables import open_text
from data_prep.text_tables import fault_of, find_layout, header_of, named_once, strictly
from data_prep.unreadable import our_words
from influence import columns
from models import LogisticRegression
from numerics.validation import check_count, check_names, column_names, table
from streaming.pool_files import (
    check_is_here,
    check_table,
    drop_pages,
    finite_rows,
    open_npy,
    open_parquet,
    rows_for,
)

Part = tuple[int, np.ndarray]  # the position of its first row in the pool, and the rows (m, D)


def chunks(source: Any, rows: int | None = None) -> "Chunks":
    """The pool as an iterable of parts (start, X (m, D)), which can be iterated many times.

    source : an array or memory map (n, D), lists, a data frame, a sparse matrix, a tensor, or the
        path of a .npy, .parquet, .csv, .tsv, .csv.gz or .tsv.gz file. All columns of a file are
        features. A text file begins with a line of names.
    rows : the most rows in a part. The default makes parts of CHUNK_ENTRIES numbers.

    Raises UserError, now or during the iteration, if the source cannot be read or holds anything
    but finite numbers. The message says in which row (from 0) or line, and in which column.
    ValueError if ``rows`` is below 1.
    """
    if rows is not None:
        check_count(rows, "rows")
    if not isinstance(source, str | Path):
        return ArrayChunks(pool_array(source), rows, column_names(source))
    path = Path(source)
    name = path.name.lower().removesuffix(".gz")
    kinds: dict[str, Callable[[Path, int | None], Chunks]] = {
        ".npy": NpyChunks,
        ".parquet": ParquetChunks,
        ".csv": TextChunks,
        ".tsv": TextChunks,
    }
    kind = kinds.get(Path(name).suffix)
    if kind is None or (kind is not TextChunks and name != path.name.lower()):
        raise UserError(f"{path} is no pool: give a .npy, .parquet, .csv or .tsv file")
    if not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a pool")
    return kind(path, rows)


def pool_array(source: Any) -> np.ndarray:
    """The pool as an array (n, D). Raises UserError unless it is a table of numbers."""
    if (
        isinstance(source, np.ndarray)
        and source.dtype.kind not in "OUS"
        and not np.ma.is_masked(source)
    ):
        return source  # ArrayChunks checks it
    try:
        X = table(source, "the pool")
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error
    if not isinstance(X, torch.Tensor):
        return X
    return (X.float() if X.dtype == torch.bfloat16 else X).cpu().numpy()


def pool_for(model: LogisticRegression, parts: Any) -> Any:
    """The pool as parts; a path, an array or a frame becomes ``Chunks``.

    Raises UserError if its columns have other names than those that the model was fitted to.
    """
    whole = isinstance(parts, str | Path | np.ndarray | torch.Tensor)
    if whole or hasattr(parts, "columns") or scipy.sparse.issparse(parts):
        parts = chunks(parts)
    try:
        place = getattr(parts, "path", "the pool")
        check_names(getattr(parts, "names", None), columns(model)[1], str(place))
    except ValueError as error:
        raise UserError(str(error)) from error
    return parts


# --- what is sent to a worker ---------------------------------------------------------------------


@dataclass(frozen=True)
class NpyRows:
    """Rows ``start`` to ``stop`` of a .npy file."""

    path: Path
    start: int
    stop: int

    def read(self) -> Iterator[Part]:
        """The rows as one part. Raises UserError unless all are finite numbers."""
        check_is_here(self.path)
        X = open_npy(self.path)
        if X.flags.c_contiguous:
            # Not through the memory map: its pages would count as memory used, beside the copy.
            (_, D), offset = X.shape, X.offset + self.start * X.strides[0]
            length = self.stop - self.start
            rows = np.fromfile(self.path, X.dtype, length * D, offset=offset).reshape(-1, D)
        else:
            rows = np.array(X[self.start : self.stop])
        yield self.start, finite_rows(rows, str(self.path), self.start)


@dataclass(frozen=True)
class RowGroup:
    """Row group ``group`` of a Parquet file, whose first row has the position ``start``.

    rows : the most rows in a part.
    """

    path: Path
    start: int
    group: int
    rows: int

    def read(self) -> Iterator[Part]:
        """The rows in parts. Raises UserError unless all are finite numbers."""
        check_is_here(self.path)
        start = self.start
        with open_parquet(self.path) as file, our_words(self.path, "parquet"):
            for batch in file.iter_batches(self.rows, row_groups=[self.group], use_threads=False):
                yield start, self._features(batch, start)
                start += len(batch)

    def _features(self, batch: pyarrow.RecordBatch, start: int) -> np.ndarray:
        names = batch.schema.names
        for name, column in zip(names, batch.columns, strict=True):
            if column.null_count:
                row = start + column.is_null().to_numpy(zero_copy_only=False).argmax()
                raise UserError(f"{self.path}, row {row}, column {name!r}: it is missing")
        columns = [column.to_numpy(zero_copy_only=False) for column in batch.columns]
        X = np.empty((len(batch), len(columns)), np.result_type(*columns))
        for j, column in enumerate(columns):
            X[:, j] = column
        return finite_rows(X, str(self.path), start, names)


ChunkTask = NpyRows | RowGroup | Part


def read(task: ChunkTask) -> Iterator[Part]:
    """The parts of a task. A part of rows is a task too, already read."""
    return task.read() if isinstance(task, NpyRows | RowGroup) else iter([task])


# --- kinds of pools -------------------------------------------------------------------------------


class Chunks(ABC):
    """A pool in parts, to be iterated over, or to be sent to workers as ``tasks``.

    ``read`` gives the parts of a task. If every worker can read the file itself, a task only names
    some of its rows; otherwise the task is a part.

    names : of the columns, if the pool has any.
    """

    names: list[str] | None = None

    def __iter__(self) -> Iterator[Part]:
        for task in self.tasks():
            yield from read(task)

    @abstractmethod
    def tasks(self) -> Iterator[ChunkTask]:
        """The tasks, which cover all rows of the pool in order."""


class ArrayChunks(Chunks):
    """An array or memory map in the memory of this process."""

    def __init__(self, X: np.ndarray, rows: int | None, names: list[str] | None = None):
        check_table(X.shape, X.dtype, "the pool")
        self.names = names
        self.X, self.rows = X, rows or rows_for(X.shape[1])

    def tasks(self) -> Iterator[Part]:
        for start in range(0, len(self.X), self.rows):
            yield start, finite_rows(self.X[start : start + self.rows], "the pool", start)
            drop_pages(self.X)


class NpyChunks(Chunks):
    """A .npy file."""

    def __init__(self, path: Path, rows: int | None):
        X = open_npy(path)
        self.path, self.length, self.rows = path.resolve(), len(X), rows or rows_for(X.shape[1])

    def tasks(self) -> Iterator[NpyRows]:
        for start in range(0, self.length, self.rows):
            yield NpyRows(self.path, start, min(start + self.rows, self.length))


class ParquetChunks(Chunks):
    """A Parquet file. Its row groups can be read independently, each in several parts."""

    def __init__(self, path: Path, rows: int | None):
        with open_parquet(path) as file:
            metadata = file.metadata
            groups = range(metadata.num_row_groups)
            self.lengths = [metadata.row_group(i).num_rows for i in groups]
            self.rows = rows or rows_for(metadata.num_columns)
            self.names = file.schema_arrow.names
        named_once(path, self.names)
        if not self.names or not sum(self.lengths):
            raise UserError(f"{path} holds no {'rows' if self.names else 'columns'}")
        self.path = path.resolve()

    def tasks(self) -> Iterator[RowGroup]:
        start = 0
        for group, length in enumerate(self.lengths):
            yield RowGroup(self.path, start, group, self.rows)
            start += length


class TextChunks(Chunks):
    """A CSV or TSV file. Its lines differ in length: this process reads them and sends the rows."""

    def __init__(self, path: Path, rows: int | None):
        self.path, self.kind = path, "tsv" if ".tsv" in path.name.lower() else "csv"
        with our_words(path, self.kind), open_text(path) as text:
            self.layout = find_layout(text, path, self.kind)
            self.header = header_of(text, self.layout)
        numbers = pd.to_numeric(pd.Series(self.header, dtype=object), errors="coerce").notna()
        if not any(name.strip() for name in self.header) or numbers.any():
            raise UserError(f"{path} has no names of columns in its first line: add them")
        named_once(path, self.header)
        # Names that are lacking at the end are separators at the end of every line.
        last = max(i for i, name in enumerate(self.header) if name.strip())
        self.names = self.header[: last + 1]
        for i, name in enumerate(self.names):
            if not name.strip():
                raise UserError(
                    f"{path}, line {self.layout.before + 1}: column {i + 1} has no name: name it; "
                    "or leave it out if it counts rows, as index=False does in pandas"
                )
        self.rows = rows or rows_for(len(self.names))

    def tasks(self) -> Iterator[Part]:
        start, width = 0, len(self.names or ())
        for frame in self._frames():
            truths = frame.columns[
                frame.dtypes.map(pd.api.types.is_bool_dtype)
            ]  # True is no number
            frame = frame.astype(dict.fromkeys(truths, str))
            beside = (frame.iloc[:, width:].astype(str) != "").to_numpy()
            if beside.any():
                raise UserError(
                    f"{self._line(start + beside.any(1).argmax())} has more cells than the header "
                    "has names: name this column, or mend the line"
                )
            frame = frame.iloc[:, :width]
            X = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
            if not np.isfinite(X).all():
                row, column = np.argwhere(~np.isfinite(X))[0]
                cell = str(frame.iat[row, column])
                hint = ": write it with a decimal point" if as_point(cell) else ""
                raise UserError(
                    f"{self._line(start + row)}, column {self.header[column]!r}: "
                    f"'{cell}' is not a number{hint}"
                )
            yield start, X
            start += len(X)
        if not start:
            raise UserError(f"{self.path} holds no rows")

    def _line(self, row: int) -> str:
        return f"{self.path}, line {self.layout.before + row + 2}"

    def _frames(self) -> Iterator[pd.DataFrame]:
        """The lines as pandas reads them, without dropping or filling a cell or skipping a line."""
        with our_words(self.path, self.kind), open_text(self.path) as text:
            for _ in range(self.layout.before):
                text.readline()
            try:
                reader = pd.read_csv(
                    text,
                    sep=self.layout.separator,
                    index_col=False,
                    keep_default_na=False,
                    skip_blank_lines=False,
                    float_precision="round_trip",  # older pandas would round the last bit wrongly
                    chunksize=self.rows,
                )
                yield from strictly(reader)
            except UnicodeError:
                raise
            except (ValueError, Warning) as error:
                fault = fault_of(text, self.path, self.layout, self.kind)
                raise UserError(fault) from error


def as_point(cell: str) -> bool:
    """Whether the text is a number with a decimal comma."""
    return cell.count(",") == 1 and cell.replace(",", "").lstrip("+-").isdecimal()
