"""A user's own table: read in chunks, cells as they were written, and turned into numbers.

Text files give their cells as text, unchanged, so that they can be written out again; ``Columns``
decides what is a number. Parquet gives cells of its own types.
"""

import codecs
import csv
import gzip
import io
import warnings
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sources import UserError

FORMS = ("csv", "tsv", "parquet")
CHUNK = 50_000  # rows held at once
MOST_TEXTS = 100  # a text column with more different values names things, it does not sort them
# What pandas reads as missing, and the question mark of UCI's files.
MISSING = frozenset(
    ["", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"]
    + ["1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)
FORMULA = r"(?s)^[=+\-@\t\r\n].+"  # a cell that a spreadsheet would run, unless it is a number
UNREADABLE = (OSError, EOFError, ValueError, TypeError, LookupError, OverflowError, StopIteration)
UNREADABLE += (NotImplementedError, Warning, zlib.error, csv.Error, pa.ArrowException)


def form_of(path: Path) -> str:
    """csv, tsv or parquet, by the name's end; UserError for any other."""
    name = path.name.lower()
    kind = name.removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in FORMS or (kind == "parquet" and name.endswith(".gz")):
        raise UserError(f"{path} should end in .csv, .tsv (each also with .gz) or .parquet")
    return kind


def read(path: Path, encoding: str | None = None) -> pd.DataFrame:
    """The whole table; raises what ``chunks`` does."""
    return pd.concat(chunks(path, encoding))


def chunks(path: Path, encoding: str | None = None, rows: int = CHUNK) -> Iterator[pd.DataFrame]:
    """The table, ``rows`` rows at a time; the index counts the file's rows from 0.

    encoding : of a text file; None is UTF-8, or UTF-16 where the file begins with its mark.

    Raises UserError where it does not exist, is damaged, in another encoding, names a column twice,
    has a row longer than its header, or no rows.
    """
    kind, start = form_of(path), 0
    try:
        parts = _parquet(path, rows) if kind == "parquet" else _text(path, kind, encoding, rows)
        for part in parts:
            part.columns = part.columns.map(str)
            part.index = pd.RangeIndex(start, start + len(part))
            start += len(part)
            if len(part):
                yield part
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except UnicodeError as error:
        raise UserError(
            f"{path} is not in {encoding or 'UTF-8'}: name its encoding, such as "
            f"--encoding latin-1, or save it as UTF-8"
        ) from error
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} cannot be read as {kind}: {reason}") from error
    if start == 0:
        raise UserError(f"{path} holds no rows")


def _parquet(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        _named_once(path, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=rows):
            yield batch.to_pandas().reset_index(drop=True)


def _text(path: Path, kind: str, encoding: str | None, rows: int) -> Iterator[pd.DataFrame]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as stream:
        marked = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = encoding or ("utf-16" if marked else "utf-8-sig")
        stream.seek(0)
        text = io.TextIOWrapper(stream, encoding=encoding, newline="")
        first = text.readline()
        separator = "\t"
        if kind == "csv":  # the separator that makes most columns of the header
            separator = max(",;\t|", key=lambda s: len(next(csv.reader([first], delimiter=s), "")))
        text.seek(0)
        _named_once(path, next(csv.reader(text, delimiter=separator), []))
        text.seek(0)
        reader = pd.read_csv(
            text,
            sep=separator,
            index_col=False,
            dtype=str,
            na_filter=False,  # cells stay as they are; ``is_missing`` knows the empty ones
            chunksize=rows,
        )
        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)  # longer than the header
                part = next(reader, None)
            if part is None:
                return
            yield part


def _named_once(path: Path, names: list[str]) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1 and name.strip()]
    if twice:
        raise UserError(f"{path} has more than one column {twice[0]!r}: rename one of them")


def texts(cells: pd.Series) -> pd.Series:
    """The cells as text, None where they are missing."""
    missing = cells.isna()
    shown = cells.astype(object).where(~missing, "").map(str)
    return shown.mask(missing | shown.str.strip().isin(MISSING), None)


def is_missing(cells: pd.Series) -> pd.Series:
    return cells.isna() if _is_numeric(cells) else texts(cells).isna()


def as_numbers(cells: pd.Series) -> pd.Series:
    """The cells as float64, NaN where they are missing or no numbers."""
    if not _is_numeric(cells):
        cells = texts(cells)
    return pd.to_numeric(cells, errors="coerce").astype("Float64").astype(np.float64)


def _is_numeric(cells: pd.Series) -> bool:
    bools = pd.api.types.is_bool_dtype(cells)  # text of two values, which makes the same column
    return pd.api.types.is_numeric_dtype(cells) and not bools


def as_file(frame: pd.DataFrame, path: Path, numbers: Collection[str]) -> tuple[bytes, int]:
    """The table's bytes in the form that the name asks for, and how many cells were made harmless.

    In CSV and TSV a text that begins with = + - @ gets an apostrophe in front, unless it is a
    number: a spreadsheet would run it as a formula. Parquet keeps texts, and makes numbers of the
    columns ``numbers``.
    """
    kind, buffer, quoted = form_of(path), io.BytesIO(), 0
    frame = frame.copy()
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        if kind == "parquet":
            frame[name] = as_numbers(frame[name]) if name in numbers else plain(frame[name])
        else:
            cells = frame[name].astype(object).where(frame[name].notna(), "").map(str)
            frame[name], count = harmless(cells)
            quoted += count
    if kind == "parquet":
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue(), 0
    names, count = harmless(pd.Series(frame.columns, dtype=object))
    frame.columns = names
    try:
        text = frame.to_csv(index=False, lineterminator="\n", sep="," if kind == "csv" else "\t")
    except csv.Error as error:  # a null character, which Python 3.10 cannot write
        raise UserError(f"{path}: a cell cannot be written as {kind}: {error}") from error
    content = text.encode("utf-8", errors="replace")
    packed = path.name.lower().endswith(".gz")
    return gzip.compress(content, mtime=0) if packed else content, quoted + count


def harmless(cells: pd.Series) -> tuple[pd.Series, int]:
    """The texts with an apostrophe before those that would run, and how many these are."""
    runs = cells.str.contains(FORMULA) & pd.to_numeric(cells, errors="coerce").isna()
    return cells.mask(runs, "'" + cells), int(runs.sum())


def plain(cells: pd.Series) -> pd.Series:
    """The cells, as text if they are of several types, which Parquet has no column for."""
    return cells if cells.dropna().map(type).nunique() < 2 else texts(cells)


class Columns:
    """What makes numbers of a table's columns, decided once, by the frame it is fitted on.

    A column whose every cell reads as a number stays, NaN where cells are missing; others become
    indicators of their sorted values, one column where there are two. Columns that say nothing
    (constant, or text of over MOST_TEXTS values) are left out.

    Attributes: ``texts``, the values that are indicated for each column in use, None for numbers;
    ``missing``, how many cells of each column of numbers are; ``notes``, what a reader should know.
    """

    def fit(self, frame: pd.DataFrame, source: str = "the table") -> "Columns":
        """Raises UserError where a number is infinite or no column is left."""
        self.texts: dict[str, list[str] | None] = {}
        self.missing: dict[str, int] = {}
        self.notes: list[str] = []
        for name in frame:
            self._fit_column(frame[name], source)
        if not self.texts:
            raise UserError(f"{source} has no column to learn from beside the target")
        return self

    def _fit_column(self, cells: pd.Series, source: str) -> None:
        name, missing, numbers = cells.name, is_missing(cells), as_numbers(cells)
        infinite = np.isinf(numbers)
        values = texts(cells)[~missing]
        if missing.all() or values.nunique() < 2:
            self.notes.append(f"column {name!r} is left out: it is constant")
        elif (numbers.isna() == missing).all():
            if infinite.any():
                row = infinite.index[infinite.to_numpy().argmax()]
                raise UserError(f"{source}, row {row}, column {name!r} holds an infinite number")
            if numbers.nunique() < 2:  # 1 and 1.0
                self.notes.append(f"column {name!r} is left out: it is constant")
                return
            self.texts[name] = None
            self.missing[name] = int(missing.sum())
            if missing.any():
                self.notes.append(
                    f"column {name!r}: {missing.sum():,} missing numbers become the median of the "
                    "labeled set and the pool"
                )
        elif values.nunique() > MOST_TEXTS:
            odd = ""
            if numbers.notna().mean() > 0.5:  # a column of numbers, but for some cells
                odd = f", such as {values[numbers[~missing].isna()].iloc[0][:30]!r} among numbers"
            self.notes.append(
                f"column {name!r} is left out: {values.nunique():,} different texts{odd}"
            )
        else:
            every = sorted({*values, *(["(missing)"] if missing.any() else [])})
            self.texts[name] = every[1:] if len(every) == 2 else every

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Features (n, D); a text that was not there at ``fit`` is none of the indicated ones."""
        made = []
        for name, values in self.texts.items():
            if values is None:
                made.append(as_numbers(frame[name]))
            else:
                cells = texts(frame[name]).fillna("(missing)")
                made += [cells == value for value in values]
        return np.column_stack(made).astype(np.float64)

    @property
    def names(self) -> list[str]:
        """The column that each feature comes from, (D,)."""
        return [name for name, values in self.texts.items() for _ in values or [None]]

    @property
    def numbers(self) -> list[str]:
        """The columns of numbers."""
        return [name for name, values in self.texts.items() if values is None]
