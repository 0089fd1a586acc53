"""A user's own table: read in chunks with its cells as they were written, and written whole."""

import codecs
import csv
import gzip
import io
import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from common.errors import UserError
from data_prep.cells import as_numbers, is_missing
from data_prep.reading import AS_FOUND, FileReading, is_place, with_places
from data_prep.text_tables import text_chunks
from data_prep.typed_tables import excel_chunks, json_chunks, parquet_chunks
from data_prep.unreadable import our_words

WRITTEN = ("csv", "tsv", "parquet")
FORMS = (*WRITTEN, "jsonl", "xlsx")
PACKED = ("csv", "tsv", "jsonl")  # the texts, which may end in .gz
CHUNK = 50_000  # rows held at once
SAVE_OR_NAME = "save it as UTF-8, or name its encoding, such as --encoding latin-1"
CODE = r"\s*(\+|-?0[0-9]|-?[0-9]{16})"  # digits that are a name, or too many for a float


def form_of(path: Path, forms: Collection[str] = FORMS) -> str:
    """The one of ``forms`` that the name ends in; UserError for any other."""
    name = path.name.lower()
    kind = name.removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in forms or (kind not in PACKED and name.endswith(".gz")):
        packed = ", ".join(f".{form}" for form in forms if form in PACKED)
        others = " or ".join(f".{form}" for form in forms if form not in PACKED)
        raise UserError(f"{path} should end in {packed} (each also with .gz), {others}")
    return kind


def read(path: Path, reading: FileReading = AS_FOUND) -> pd.DataFrame:
    """The whole table; raises what ``chunks`` does."""
    return pd.concat(chunks(path, reading))


def notes_of(frame: pd.DataFrame) -> list[str]:
    """What was decided about the file that ``read`` or ``chunks`` gave this frame of."""
    return list(frame.attrs.get("notes", ()))


def chunks(
    path: Path, reading: FileReading = AS_FOUND, rows: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """The table, ``rows`` rows at a time; the index counts the file's rows from 0.

    reading : the encoding of a text file, None for UTF-8, or UTF-16 if the file begins with its
    mark; and what separates its cells.
    A column without a name is called as ``reading.with_places`` does.

    Raises UserError if it does not exist, is damaged or in another encoding, names a column twice,
    has a row longer or shorter than its header, or no rows.
    """
    kind, start = form_of(path), 0
    with our_words(path, kind):
        try:
            for part in _parts(path, kind, reading, rows):
                part.columns = with_places([str(name) for name in part.columns])
                part.index = pd.RangeIndex(start, start + len(part))
                start += len(part)
                if len(part):
                    yield part
        except UnicodeError as error:
            place = "" if reading.encoding else _undecodable(path)
            encoding = reading.encoding or "UTF-8"
            raise UserError(f"{path}{place} is not in {encoding}: {SAVE_OR_NAME}") from error
    if start == 0:
        raise UserError(f"{path} holds no rows")


def _parts(path: Path, kind: str, reading: FileReading, rows: int) -> Iterator[pd.DataFrame]:
    if kind == "parquet":
        yield from parquet_chunks(path, rows)
    elif kind == "xlsx":
        yield from excel_chunks(path, rows)
    else:
        with open_text(path, reading.codec) as text:
            if kind == "jsonl":
                yield from json_chunks(text, path, rows)
            else:
                yield from text_chunks(text, path, kind, rows, reading.delimiter)


@contextmanager
def open_text(path: Path, encoding: str | None = None) -> Iterator[TextIO]:
    """A text file, unpacked; ``encoding`` as in ``chunks``."""
    with _open(path) as stream:
        marked = stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        stream.seek(0)
        encoding = encoding or ("utf-16" if marked else "utf-8-sig")
        yield io.TextIOWrapper(stream, encoding=encoding, newline="")


def _open(path: Path) -> BinaryIO:
    packed = path.name.lower().endswith(".gz")
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def _undecodable(path: Path) -> str:
    """The place of the first line that is not in UTF-8, such as ", line 3"; "" if all are.

    Raises one of BAD_PACKING if the file is damaged before that line ends.
    """
    with _open(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeError:
                return f", line {number}"
    return ""


def is_text(path: Path) -> bool:
    """Whether the file is of a form whose cells have no types: CSV or TSV."""
    return form_of(path) in ("csv", "tsv")


def below_each_other(parts: Sequence[pd.DataFrame], path: Path) -> pd.DataFrame:
    """Tables of the same columns as one, which is to be written to ``path``.

    For CSV and TSV all cells but numbers become texts, "" if they are missing, and numbers too if
    the parts have other types: 1 is to stay 1 also if it comes to lie above 1.5.
    """
    if is_text(path):
        parts = [part.copy(deep=False) for part in parts]
        for name in parts[0]:
            types = {part[name].dtype for part in parts}
            if len(types) > 1 or not pd.api.types.is_numeric_dtype(types.pop()):
                for part in parts:
                    part[name] = cell_texts(part[name])
    return pd.concat(parts, ignore_index=True)


def cell_texts(cells: pd.Series) -> pd.Series:
    """The cells as texts, lists as JSON; "" if they are missing."""
    missing = cells.isna()
    return cells.astype(object).where(~missing, "").map(_text)


def _text(cell: object) -> str:
    if isinstance(cell, (list, np.ndarray)):
        return json.dumps(cell, default=_plain, ensure_ascii=False)
    return str(cell)


def _plain(part: object) -> object:
    return part.tolist() if isinstance(part, (np.ndarray, np.generic)) else str(part)


def as_file(frame: pd.DataFrame, path: Path, numbers: Collection[str]) -> bytes:
    """A table that ``below_each_other`` made for this path, as a file of the form of its name.

    numbers : columns that become numbers in Parquet if they hold texts; see ``typed``.
    """
    kind, buffer = form_of(path, WRITTEN), io.BytesIO()
    if kind == "parquet":
        held = frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]
        made = {name: typed(frame[name], name in numbers) for name in held}
        frame.assign(**made).to_parquet(buffer, index=False)
        return buffer.getvalue()
    content = text_bytes(frame, path)
    return gzip.compress(content, mtime=0) if path.name.lower().endswith(".gz") else content


def text_bytes(frame: pd.DataFrame, path: Path, header: bool = True) -> bytes:
    """The frame as the lines of a CSV or TSV file, not packed; ``header`` : with the names."""
    kind = form_of(path, WRITTEN)
    frame = frame.set_axis(["" if is_place(name) else name for name in frame], axis=1)  # as read
    separator = "," if kind == "csv" else "\t"
    try:
        text = frame.to_csv(index=False, header=header, lineterminator="\n", sep=separator)
        if "\r" in text:  # Python quotes a cell that holds it only if a line ends in it too
            text = frame.to_csv(index=False, header=header, lineterminator="\r\n", sep=separator)
    except csv.Error as error:  # a null character, which Python 3.10 cannot write
        raise UserError(
            f"{path}: a cell holds a null character, which {kind} cannot: remove it"
        ) from error
    return text.encode("utf-8", errors="replace")


def typed(cells: pd.Series, numeric: bool) -> pd.Series:
    """The cells of one type, which a Parquet column has: as they are, numbers, or texts.

    numeric : they become numbers if no cell loses anything: "007", "+49" and words stay.
    """
    shown = cell_texts(cells)
    if numeric and not shown.str.match(CODE).any():
        numbers = as_numbers(cells)
        if (numbers.isna() == is_missing(cells)).all():
            return numbers
    kinds = set(cells.dropna().map(type)) - {list, np.ndarray}
    lists = len(kinds) < cells.dropna().map(type).nunique()
    one = len(kinds) + lists < 2 and _of_one_arrow_type(cells)
    return cells if one else shown.mask(cells.isna(), None)


def _of_one_arrow_type(cells: pd.Series) -> bool:
    """Whether Parquet has a type for the cells: it has none for whole numbers beyond 64 bits."""
    try:
        pa.array(cells, from_pandas=True)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return False
    return True
