"""Pools of any length: rows of features from arrays, memory maps and files, a chunk at a time.

What is wrong in a file is said with the file, the row or line, and the column.
"""

import mmap
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from sources import UserError

CHUNK_ENTRIES = 2_000_000  # numbers in a chunk: 16 MB as float64

Part = tuple[int, np.ndarray]  # position of the first row in the pool, and the rows (m, D)


@dataclass(frozen=True)
class Span:
    """Rows from ``start`` on of a file, as a task that travels light: ``read`` gives the rows.

    what : the stop of a .npy, or the number of a Parquet file's row group.
    """

    path: Path
    start: int
    what: int
    rows: int

    def read(self) -> Iterator[Part]:
        if not self.path.is_file():
            raise UserError(
                f"{self.path} is not on {gethostname()}: put the pool where every worker sees it "
                "under the same path"
            )
        if self.path.suffix == ".npy":
            yield self.start, checked(self._rows(), str(self.path), self.start)
        else:
            yield from _read_group(self)

    def _rows(self) -> np.ndarray:
        X = open_npy(self.path)
        if not X.flags.c_contiguous:
            return np.array(X[self.start : self.what])
        # Not from the map: its pages would count as memory used beside the copy.
        (_, D), begin = X.shape, X.offset + self.start * X.strides[0]
        return np.fromfile(self.path, X.dtype, (self.what - self.start) * D, offset=begin).reshape(
            -1, D
        )


def chunks(source, rows: int | None = None) -> "Chunks":
    """The pool as something to iterate over, as often as needed: parts (start, X (m, D)).

    source : NumPy array or memory map (n, D), or the path of a .npy, .parquet, .csv, .tsv, .csv.gz
    or .tsv.gz file, all of whose columns are features; text files begin with a line of names.
    rows : of a chunk, at most; without it, as many as make CHUNK_ENTRIES numbers.

    Raises UserError, now or while iterating, where the source cannot be read or holds anything but
    finite numbers, with the file, the row (from 0) or line, and the column.
    """
    if isinstance(source, np.ndarray):
        return Array(source, rows)
    path = Path(source)
    name = path.name.removesuffix(".gz")
    kinds = {".npy": Npy, ".parquet": Parquet, ".csv": Text, ".tsv": Text}
    kind = kinds.get(Path(name).suffix)
    if kind is None or (kind is not Text and name != path.name):
        raise UserError(f"{path} is no pool: give a .npy, .parquet, .csv or .tsv file")
    if not path.is_file():
        raise UserError(f"{path} is not a file: give the path of a pool")
    return kind(path, rows)


class Chunks:
    """A pool in parts. ``tasks`` are what travels: each gives its parts by ``read``."""

    def __iter__(self) -> Iterator[Part]:
        for task in self.tasks():
            yield from read(task)

    def tasks(self) -> Iterator:
        raise NotImplementedError


class Array(Chunks):
    def __init__(self, X: np.ndarray, rows: int | None):
        check_shape(X.shape, X.dtype, "the pool")
        self.X, self.rows = X, rows or rows_for(X.shape[1])

    def tasks(self) -> Iterator[Part]:
        for start in range(0, len(self.X), self.rows):
            yield start, checked(self.X[start : start + self.rows], "the pool", start)
            drop_pages(self.X)


class Npy(Chunks):
    def __init__(self, path: Path, rows: int | None):
        X = open_npy(path)
        self.path, self.length, self.rows = path.resolve(), len(X), rows or rows_for(X.shape[1])

    def tasks(self) -> Iterator[Span]:
        for start in range(0, self.length, self.rows):
            yield Span(self.path, start, min(start + self.rows, self.length), self.rows)


class Parquet(Chunks):
    """Row groups are the parts that can be read alone; each is read in batches of ``rows``."""

    def __init__(self, path: Path, rows: int | None):
        with open_parquet(path) as file:
            meta = file.metadata
            self.lengths = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
            self.rows = rows or rows_for(meta.num_columns)
        self.path = path.resolve()

    def tasks(self) -> Iterator[Span]:
        start = 0
        for group, length in enumerate(self.lengths):
            yield Span(self.path, start, group, self.rows)
            start += length


class Text(Chunks):
    """CSV or TSV: lines have no fixed length, so one process reads and the parts travel."""

    def __init__(self, path: Path, rows: int | None):
        self.path, self.separator = path, "\t" if ".tsv" in path.suffixes else ","
        (names,) = self._frames(nrows=0)
        self.rows = rows or rows_for(len(names.columns))
        if (
            len(names.columns) == 0
            or not pd.to_numeric(names.columns, errors="coerce").isna().all()
        ):
            raise UserError(f"{path} has no names of columns in its first line: add them")

    def tasks(self) -> Iterator[Part]:
        start = 0
        for frame in self._frames(chunksize=self.rows):
            words = frame.select_dtypes("bool").columns  # True is no number
            frame = frame.astype(dict.fromkeys(words, str))
            X = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
            if not np.isfinite(X).all():
                row, column = np.argwhere(~np.isfinite(X))[0]
                raise UserError(
                    f"{self.path}, line {start + row + 2}, column {frame.columns[column]!r}: "
                    f"'{frame.iat[row, column]}' is not a number"
                )
            yield start, X
            start += len(X)

    def _frames(self, **how) -> Iterator[pd.DataFrame]:
        """What pandas reads: no cell is dropped or filled, and no line skipped."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # a row that is too long
                frames = pd.read_csv(
                    self.path,
                    sep=self.separator,
                    index_col=False,
                    keep_default_na=False,
                    skip_blank_lines=False,
                    float_precision="round_trip",  # else older pandas is off in the last bit
                    **how,
                )
                yield from [frames] if isinstance(frames, pd.DataFrame) else frames
        except (OSError, EOFError, zlib.error, ValueError, Warning) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{self.path} is no whole table: {reason}") from error


def read(task) -> Iterator[Part]:
    """The parts of a task: a file's rows from where they lie, or the rows that came along."""
    return task.read() if isinstance(task, Span) else iter([task])


def rows_for(columns: int) -> int:
    return max(1, CHUNK_ENTRIES // max(1, columns))


def drop_pages(X: np.ndarray) -> None:
    """Let go of the pages of a memory map: what was read would stay and count as memory used."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap) and X.mode != "c" and hasattr(X._mmap, "madvise"):
            X._mmap.madvise(mmap.MADV_DONTNEED)
            return
        X = X.base


# --- files ---------------------------------------------------------------------------------------


def open_npy(path: Path) -> np.ndarray:
    try:
        X = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is no whole .npy file of numbers: {error}") from error
    check_shape(X.shape, X.dtype, str(path))
    return X


def open_parquet(path: Path):
    """The file as pyarrow has it; its columns are numbers."""
    try:  # a buffer: else a row group's columns would be in memory whole
        file = parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path} is no whole Parquet file: {error}") from error
    for column in file.schema_arrow:
        kind = column.type
        if not (
            pyarrow.types.is_integer(kind)
            or pyarrow.types.is_floating(kind)
            or pyarrow.types.is_boolean(kind)
        ):
            file.close()
            raise UserError(f"{path}, column {column.name!r}: {kind} is no type of number")
    return file


def _read_group(span: Span) -> Iterator[Part]:
    start = span.start
    with open_parquet(span.path) as file:
        try:
            for batch in file.iter_batches(span.rows, row_groups=[span.what], use_threads=False):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    if column.null_count:
                        row = start + column.is_null().to_numpy(zero_copy_only=False).argmax()
                        raise UserError(f"{span.path}, row {row}, column {name!r}: it is missing")
                columns = [c.to_numpy(zero_copy_only=False) for c in batch.columns]
                X = np.empty((len(batch), len(columns)), np.result_type(*columns))
                for j, column in enumerate(columns):
                    X[:, j] = column
                yield start, checked(X, str(span.path), start, batch.schema.names)
                start += len(X)
        except pyarrow.ArrowException as error:
            raise UserError(f"{span.path} is no whole Parquet file: {error}") from error


def check_shape(shape: tuple, dtype: np.dtype, place: str) -> None:
    if len(shape) != 2 or 0 in shape:
        raise UserError(f"{place} should have rows and columns, its shape is {shape}")
    if dtype.kind not in "fiub":
        raise UserError(f"{place} should hold numbers, its type is {dtype}")


def checked(X: np.ndarray, place: str, start: int, names=None) -> np.ndarray:
    """X, whose first row is at ``start``, in this machine's order of bytes, if all is finite."""
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        name = repr(names[column]) if names else column
        raise UserError(
            f"{place}, row {start + row}, column {name}: {X[row, column]} is not a finite number"
        )
    return X.astype(X.dtype.newbyteorder("="), copy=False)
