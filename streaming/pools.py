"""Pools of any length, a chunk of rows at a time: from arrays, memory maps and files.

An error in a file names the file, the row or line, and the column.
"""

import mmap
import warnings
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import scipy.sparse
import torch
from pyarrow import parquet

from common.errors import UserError
from influence import columns
from models import LogisticRegression
from numerics.validation import check_count, check_names, column_names, table

CHUNK_ENTRIES = 2_000_000  # numbers in a chunk: 16 MB in float64
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
    name = path.name.removesuffix(".gz")
    kinds: dict[str, Callable[[Path, int | None], Chunks]] = {
        ".npy": NpyChunks,
        ".parquet": ParquetChunks,
        ".csv": TextChunks,
        ".tsv": TextChunks,
    }
    kind = kinds.get(Path(name).suffix)
    if kind is None or (kind is not TextChunks and name != path.name):
        raise UserError(f"{path} is no pool: give a .npy, .parquet, .csv or .tsv file")
    if not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a pool")
    return kind(path, rows)


def pool_array(source: Any) -> np.ndarray:
    """The pool as an array (n, D). Raises UserError unless it is a table of numbers."""
    if isinstance(source, np.ndarray) and source.dtype.kind not in "OUS":
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
        with open_parquet(self.path) as file:
            try:
                for batch in file.iter_batches(
                    self.rows, row_groups=[self.group], use_threads=False
                ):
                    yield start, self._features(batch, start)
                    start += len(batch)
            except pyarrow.ArrowException as error:
                raise UserError(f"{self.path} is no whole Parquet file: {error}") from error

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
        self.path = path.resolve()

    def tasks(self) -> Iterator[RowGroup]:
        start = 0
        for group, length in enumerate(self.lengths):
            yield RowGroup(self.path, start, group, self.rows)
            start += length


class TextChunks(Chunks):
    """A CSV or TSV file. Its lines differ in length: this process reads them and sends the rows."""

    def __init__(self, path: Path, rows: int | None):
        self.path, self.separator = path, "\t" if ".tsv" in path.suffixes else ","
        (empty,) = self._frames(nrows=0)
        names = empty.columns
        self.names = list(names)
        self.rows = rows or rows_for(len(names))
        if len(names) == 0 or not pd.to_numeric(names, errors="coerce").isna().all():
            raise UserError(f"{path} has no names of columns in its first line: add them")

    def tasks(self) -> Iterator[Part]:
        start = 0
        for frame in self._frames(chunksize=self.rows):
            truths = frame.select_dtypes("bool").columns  # True is no number
            frame = frame.astype(dict.fromkeys(truths, str))
            X = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
            if not np.isfinite(X).all():
                row, column = np.argwhere(~np.isfinite(X))[0]
                raise UserError(
                    f"{self.path}, line {start + row + 2}, column {frame.columns[column]!r}: "
                    f"'{frame.iat[row, column]}' is not a number"
                )
            yield start, X
            start += len(X)

    def _frames(self, **options: Any) -> Iterator[pd.DataFrame]:
        """The lines as pandas reads them, without dropping or filling a cell or skipping a line."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a line is too long
                frames = pd.read_csv(
                    self.path,
                    sep=self.separator,
                    index_col=False,
                    keep_default_na=False,
                    skip_blank_lines=False,
                    float_precision="round_trip",  # older pandas would round the last bit wrongly
                    **options,
                )
                yield from [frames] if isinstance(frames, pd.DataFrame) else frames
        except (OSError, EOFError, zlib.error, ValueError, Warning) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.path} is no whole table: {reason}") from error


# --- files ----------------------------------------------------------------------------------------


def check_is_here(path: Path) -> None:
    """Raise UserError if this machine, perhaps a worker's, does not have the file."""
    if not path.is_file():
        raise UserError(
            f"{path} is not on {gethostname()}: put the pool where every worker sees it "
            "under the same path"
        )


def open_npy(path: Path) -> np.memmap:
    """The file as a memory map (n, D). Raises UserError unless it is a table of numbers."""
    try:
        X = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no whole .npy file of numbers: {error}") from error
    check_table(X.shape, X.dtype, str(path))
    return X


def open_parquet(path: Path) -> parquet.ParquetFile:
    """The file, open. Raises UserError unless it is a Parquet file whose columns are numbers."""
    try:  # with a small buffer: otherwise all columns of a row group would be in memory at once
        file = parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} is no whole Parquet file: {error}") from error
    types = pyarrow.types
    for column in file.schema_arrow:
        kind = column.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            file.close()
            raise UserError(f"{path}, column {column.name!r}: {kind} is no type of number")
    return file


# --- rows -----------------------------------------------------------------------------------------


def rows_for(columns: int) -> int:
    """How many rows of so many columns make a chunk."""
    return max(1, CHUNK_ENTRIES // max(1, columns))


def check_table(shape: tuple[int, ...], dtype: np.dtype, place: str) -> None:
    """Raise UserError unless an array of this shape and type is a table of numbers."""
    if len(shape) != 2 or 0 in shape:
        raise UserError(f"{place} should have rows and columns, its shape is {shape}")
    if dtype.kind not in "fiub":
        raise UserError(f"{place} should hold numbers, its type is {dtype}")


def finite_rows(
    X: np.ndarray, place: str, start: int, names: Sequence[str] | None = None
) -> np.ndarray:
    """X (m, D) in this machine's byte order. Raises UserError unless all its numbers are finite.

    place, start, names : for the message: the pool, the position of the first row in it, and the
    names of the columns.
    """
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        name = repr(names[column]) if names else column
        raise UserError(
            f"{place}, row {start + row}, column {name}: {X[row, column]} is not a finite number"
        )
    return X.astype(X.dtype.newbyteorder("="), copy=False)


def drop_pages(X: np.ndarray) -> None:
    """Release the pages of a memory map, or of the one that X is a view of.

    Pages that were read would stay in memory, and count as memory used.
    """
    array: Any = X
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and array.mode != "c":
            mapped: Any = getattr(array, "_mmap", None)  # NumPy's stubs do not name it
            if hasattr(mapped, "madvise"):
                mapped.madvise(mmap.MADV_DONTNEED)
                return
        array = array.base
