"""The files of pools, opened; and the checks of their rows."""

import mmap
from collections.abc import Sequence
from pathlib import Path
from socket import gethostname
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from common.errors import UserError
from data_prep.unreadable import our_words
from numerics.validation import as_torch_takes

CHUNK_ENTRIES = 2_000_000  # numbers in a chunk: 16 MB in float64

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
    with our_words(path, ".npy"):
        X = np.lib.format.open_memmap(path, mode="r")
    check_table(X.shape, X.dtype, str(path))
    return X


def open_parquet(path: Path) -> parquet.ParquetFile:
    """The file, open. Raises UserError unless it is a Parquet file whose columns are numbers."""
    with our_words(path, "parquet"):
        # With a small buffer: otherwise all columns of a row group would be in memory at once.
        file = parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
    types = pyarrow.types
    for column in file.schema_arrow:
        kind = column.type
        if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
            file.close()
            raise UserError(
                f"{path}, column {column.name!r}: its cells are of type {kind}: save them as "
                "integers or floats, or leave the column out"
            )
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
    return as_torch_takes(X)


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
