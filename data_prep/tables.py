"""A user's own table: read in chunks with its cells as they were written, and written whole."""

import codecs
import csv
import gzip
import io
import warnings
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import UserError
from data_prep.columns import as_numbers, texts

FORMS = ("csv", "tsv", "parquet")
CHUNK = 50_000  # rows held at once
FORMULA = r"(?s)^[=+\-@\t\r\n].+"  # a cell that a spreadsheet would run, unless it is a number
UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, LookupError, OverflowError, StopIteration,
    NotImplementedError, Warning, zlib.error, csv.Error, pa.ArrowException,
)  # fmt: skip


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

    encoding : of a text file; None is UTF-8, or UTF-16 if the file begins with its mark.

    Raises UserError if it does not exist, is damaged, in another encoding, names a column twice,
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


def as_file(frame: pd.DataFrame, path: Path, numbers: Collection[str]) -> tuple[bytes, int]:
    """The table as a file of the form that its name ends in, and how many cells were quoted.

    In CSV and TSV a text that begins with = + - @ gets an apostrophe in front unless it is a
    number, because a spreadsheet would run it as a formula. Parquet keeps texts, and the columns
    ``numbers`` become numbers.
    """
    kind, buffer, quoted = form_of(path), io.BytesIO(), 0
    frame = frame.copy()
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        if kind == "parquet":
            frame[name] = as_numbers(frame[name]) if name in numbers else of_one_type(frame[name])
        else:
            cells = frame[name].astype(object).where(frame[name].notna(), "").map(str)
            frame[name], count = quote_formulas(cells)
            quoted += count
    if kind == "parquet":
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue(), 0
    names, count = quote_formulas(pd.Series(frame.columns, dtype=object))
    frame.columns = names
    try:
        text = frame.to_csv(index=False, lineterminator="\n", sep="," if kind == "csv" else "\t")
    except csv.Error as error:  # a null character, which Python 3.10 cannot write
        raise UserError(f"{path}: a cell cannot be written as {kind}: {error}") from error
    content = text.encode("utf-8", errors="replace")
    packed = path.name.lower().endswith(".gz")
    return gzip.compress(content, mtime=0) if packed else content, quoted + count


def quote_formulas(cells: pd.Series) -> tuple[pd.Series, int]:
    """The texts, formulas with an apostrophe in front, and how many formulas there are."""
    runs = cells.str.contains(FORMULA) & pd.to_numeric(cells, errors="coerce").isna()
    return cells.mask(runs, "'" + cells), int(runs.sum())


def of_one_type(cells: pd.Series) -> pd.Series:
    """The cells; as text if they have several types, because a Parquet column has one type."""
    return cells if cells.dropna().map(type).nunique() < 2 else texts(cells)
