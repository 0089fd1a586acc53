"""A user's own arrays: features in an .npy or .npz file, and a file of labels beside them.

Nothing is unpickled. NumPy's and SciPy's messages are replaced by ours.
"""

import hashlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from common.errors import UserError
from common.files import display_path
from data_prep.files import FileFacts
from data_prep.reading import AS_FOUND, FileReading
from data_prep.tables import FORMS, SAVE_OR_NAME, form_of, read
from data_prep.unreadable import our_words

ARRAY_FORMS = (".npy", ".npz")
LABELS = "y"  # the labels in an .npz, and the column of a label file that names none
SPARSE = {"format", "shape", "data"}  # arrays that scipy.sparse.save_npz always writes
NUMBERS, TEXTS = "biuf", "US"  # kinds of NumPy's types
GIB = 2**30


def is_array_file(path: Path) -> bool:
    """Whether the name ends in .npy or .npz."""
    return path.suffix.lower() in ARRAY_FORMS


def read_features(path: Path, beside: Sequence[str] = ()) -> tuple[np.ndarray, pd.DataFrame]:
    """The features X (n, D), float64 and finite, of an .npy or .npz; and arrays beside them.

    An .npz holds the array X, a single array of any name, or a matrix of scipy.sparse.save_npz,
    which is made dense. beside : arrays (n,) to read from the .npz, if it has them.

    Raises UserError if the file cannot be read, is no table of finite real numbers, or takes more
    than a quarter of the machine's memory.
    """
    columns: dict[str, np.ndarray] = {}
    with our_words(path, path.suffix.lower()):
        if path.suffix.lower() == ".npy":
            return _features(_read_npy(path), path), pd.DataFrame()
        _check_memory(path, _unpacked_size(path))
        with np.load(path, allow_pickle=False) as archive:
            names = archive.files
            if set(names) >= SPARSE:
                return _features(_read_sparse(path), path), pd.DataFrame()
            if "X" not in names and len(names) != 1:
                raise UserError(
                    f"{path} holds {', '.join(names[:5]) or 'no array'}: name the array of "
                    f"features X, and that of labels {LABELS}"
                )
            X = _features(_member(archive, "X" if "X" in names else names[0]), path)
            for name in beside:
                if name in names and name != "X":
                    column = _column(_member(archive, name), f"{path}, array {name!r}")
                    check_lengths(len(X), f"{path}", len(column), f"its array {name!r}")
                    columns[name] = column
    return X, pd.DataFrame(columns)


def read_labels(path: Path, reading: FileReading = AS_FOUND) -> pd.DataFrame:
    """A table; or the labels in an .npy or a .txt, a label a line, as the column LABELS.

    Raises UserError if the file cannot be read or holds no labels.
    """
    end = path.suffix.lower()
    if end not in (".npy", ".txt"):
        _check_form(path)
        return read(path, reading)
    with our_words(path, path.suffix.lower(), SAVE_OR_NAME):
        if end == ".npy":
            labels = _column(_read_npy(path), str(path))
        else:
            lines = path.read_text(reading.codec or "utf-8-sig").split("\n")
            labels = np.array(lines if lines[-1] else lines[:-1])
    if not len(labels):
        raise UserError(f"{path} holds no labels")
    return pd.DataFrame({LABELS: labels})


def check_lengths(rows: int, path: str, labels: int, labels_path: str) -> None:
    """Raise UserError unless there is one label for each row."""
    if rows != labels:
        raise UserError(
            f"{path} has {rows:,} rows, {labels_path} has {labels:,}: there should be one label "
            "for each row, in the same order"
        )


def facts_of(path: Path, rows: int) -> FileFacts:
    """The facts of a file that was read; it is hashed piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return FileFacts(display_path(path), rows, digest.hexdigest())


def memory_limit() -> float:
    """Bytes that features may take: the loop needs up to four copies of them."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 4
    except (AttributeError, OSError, ValueError):  # not on every system
        return 4 * GIB


# --- reading --------------------------------------------------------------------------------------


def _read_npy(path: Path) -> np.ndarray:
    _check_memory(path, path.stat().st_size)
    with path.open("rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _member(archive: Mapping, name: str) -> np.ndarray:
    array = archive[name]
    if not isinstance(array, np.ndarray):  # NumPy gives a file of another kind as bytes
        raise ValueError(name)
    return array


def _unpacked_size(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def _read_sparse(path: Path) -> np.ndarray:
    """The matrix, dense."""
    matrix = sparse.load_npz(path)
    if matrix.ndim == 2:
        _check_kind(matrix.dtype, path)
        _check_memory(path, 8 * matrix.shape[0] * matrix.shape[1], matrix.shape)
        matrix = matrix.tocsr()
        matrix.check_format(full_check=True)  # a damaged index would be written out of bounds
    return matrix.toarray()


def _check_memory(path: Path, needed: int, shape: tuple[int, ...] | None = None) -> None:
    limit = memory_limit()
    if needed > limit:
        what = f"{path} as a dense table of {shape[0]:,} × {shape[1]:,}" if shape else str(path)
        raise UserError(
            f"{what} takes {needed / GIB:,.0f} GiB, a quarter of this machine's memory is "
            f"{limit / GIB:,.1f}: give fewer rows, or fewer columns by scikit-learn's TruncatedSVD"
        )


def _check_form(path: Path) -> None:
    try:
        form_of(path)
    except UserError as error:
        raise UserError(
            f"--labels {path} should end in {', '.join(f'.{form}' for form in FORMS)}, .npy or .txt"
        ) from error


# --- checks ---------------------------------------------------------------------------------------


def _check_kind(dtype: np.dtype, path: Path) -> None:
    if dtype.kind not in NUMBERS:
        kinds = {"c": "complex numbers", "U": "texts", "S": "texts", "M": "dates"}
        raise UserError(
            f"{path} holds {kinds.get(dtype.kind, f'cells of type {dtype}')}, but features are "
            "real numbers"
        )


def _features(array: np.ndarray, path: Path) -> np.ndarray:
    """The array as float64, (n, D), once it is a table of finite real numbers."""
    if array.ndim != 2:
        raise UserError(
            f"{path} has the shape {_shape(array)}: features are a table (rows, columns), with "
            "one row for each sample"
        )
    _check_kind(array.dtype, path)
    if not array.size:
        raise UserError(f"{path} is empty: it has the shape {_shape(array)}")
    _check_memory(path, 8 * array.size, array.shape)
    with np.errstate(over="ignore"):  # a longer float that overflows is reported as infinite
        X = np.array(array, np.float64, order="C", copy=None)
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.unravel_index(int(finite.argmin()), X.shape)
        raise UserError(
            f"{path}, row {row}, column {column} holds {X[row, column]}: features are finite "
            "numbers"
        )
    if not np.ptp(X, axis=0).any():
        raise UserError(f"{path} has no column to learn from: all its rows are equal")
    return X


def _column(array: np.ndarray, what: str) -> np.ndarray:
    """An array of labels, (n,)."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UserError(f"{what} has the shape {_shape(array)}: labels are one for each row, (n,)")
    if array.dtype.kind not in NUMBERS + TEXTS:
        raise UserError(f"{what} holds cells of type {array.dtype}: labels are integers or texts")
    return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array


def _shape(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))})"
