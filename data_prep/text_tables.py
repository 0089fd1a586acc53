"""A table in a text file: where it begins, what separates its columns, what it suffers from."""

import csv
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import pandas as pd

from common.errors import UserError
from data_prep.reading import BLANKS

SEPARATORS = {"csv": ",;\t|", "tsv": "\t"}
COMMENTS = ("#", "%", "//")
EXCEL_SAYS = re.compile(r'"?sep=([^\w\s"]|\t| )"?[\s;,]*$', re.IGNORECASE)
UNREADABLE = (
    ValueError, TypeError, LookupError, OverflowError, NotImplementedError, Warning, csv.Error,
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How to read the file: what separates columns, and how many lines precede the header."""

    separator: str
    before: int
    notes: tuple[str, ...] = ()


def text_chunks(
    text: TextIO, path: Path, kind: str, rows: int, separator: str | None = None
) -> Iterator[pd.DataFrame]:
    """The table, ``rows`` rows at a time, all cells as texts.

    text : the file, opened with newline="", which can seek. kind : csv or tsv. separator : a
    character or BLANKS; None if it is to be found. What was decided about the file is in
    ``attrs["notes"]`` of each part, a list of texts.

    Raises UserError, with the line, for a name given twice, a row longer or shorter than the
    header, a quotation mark that is not closed, a comment among the rows.
    """
    layout = find_layout(text, path, kind, separator)
    try:
        header = header_of(text, layout)
        named_once(path, header)
        yield from _checked(text, rows, header, path, layout)
    except (UnicodeError, UserError):
        raise
    except UNREADABLE as error:
        raise UserError(fault_of(text, path, layout, kind)) from error


def header_of(text: TextIO, layout: Layout) -> list[str]:
    """The names of the columns, as they are written."""
    return next(csv.reader(_from_header(text, layout), **_dialect(layout)), [])


def named_once(path: Path, names: list[str]) -> None:
    """Raise UserError if two columns have one name; several may have none."""
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1 and name.strip()]
    if twice:
        raise UserError(f"{path} has more than one column {twice[0]!r}: rename one of them")


def find_layout(text: TextIO, path: Path, kind: str, given: str | None = None) -> Layout:
    """Look at the file's first lines.

    given : the separator, if it is known. Blank lines and comments before the header are skipped,
    and so is Excel's ``sep=;``, which is followed if none is given. Otherwise the separator is the
    one that makes most columns of the header; or blanks, if none makes two, and the header and the
    first row, which has a number, have as many words.

    Raises UserError if the line of names might be a comment or a title, and for a separator that
    is no ASCII character.
    """
    before: list[str] = []
    lines: list[str] = []
    said = given
    text.seek(0)
    for line in iter(text.readline, ""):
        excel = None if lines else EXCEL_SAYS.match(line)
        said = excel.group(1) if excel and not given else said
        if not lines and (excel or not line.strip() or line.startswith(COMMENTS)):
            before.append(line)
        elif line.strip():
            lines.append(line)
        if len(lines) == 2:  # the header and a row
            break
    if said and not said.isascii():
        raise UserError(f"{path} says sep={said}: separate the cells by , or ;")
    if not lines:
        return Layout(said or SEPARATORS[kind][0], 0)
    last = max((k for k, line in enumerate(before) if line.startswith(COMMENTS)), default=None)
    if last is not None and _names_columns(before[last], lines, said, kind):
        if _separator(lines, kind, said) == BLANKS:
            raise UserError(
                f"{path}, line {last + 1} begins with {before[last][0]} and seems to name the "
                f"columns: remove the {before[last][0]} if it does, and the line if not"
            )
        lines, before = [before[last], *lines], before[:last]
    separator = _separator(lines, kind, said)
    if separator != said:
        _no_title(lines, separator, kind, f"{path}, line {len(before) + 1}")
    notes = ["its columns are apart by blanks"] if separator == BLANKS != said else []
    comments = [line.strip() for line in before if line.startswith(COMMENTS)]
    if comments:
        count = f"{len(comments)} comments" if len(comments) > 1 else "a comment"
        notes.append(f"{count} before the header left out: {comments[0][:60]!r}")
    return Layout(separator, len(before), tuple(f"{path}: {note}" for note in notes))


def _no_title(lines: list[str], separator: str, kind: str, place: str) -> None:
    """Raise UserError if the header holds one cell, but the first row several."""
    if len(lines) < 2 or len(_cells(lines[0], separator)) > 1:
        return
    for other in SEPARATORS[kind].replace(separator, ""):
        if (count := len(_cells(lines[1], other))) > 1:
            raise UserError(
                f"{place} holds one cell, but the next one {count} with {other!r} between them: "
                f"remove it if it is a title; if it names a single column, quote cells that hold "
                f"{other!r}"
            )


def _names_columns(comment: str, lines: list[str], said: str | None, kind: str) -> bool:
    """Whether a line that begins like a comment is the header: it has as many cells as a row."""
    separator = _separator(lines, kind, said)
    names = comment.lstrip("#%/")
    count = len(_cells(names, separator))
    if count < 2 or count != len(_cells(lines[0], separator)):
        return False
    return names[:1].strip() != "" or _has_number(_cells(lines[0], separator))


def _separator(lines: list[str], kind: str, said: str | None) -> str:
    if said:
        return said
    best = max(SEPARATORS[kind], key=lambda s: len(_cells(lines[0], s)))
    if len(_cells(lines[0], best)) > 1 or len(lines) < 2:
        return best
    names, row = _cells(lines[0], BLANKS), _cells(lines[1], BLANKS)
    # A table of one column may hold texts of two words, but hardly beside numbers.
    return BLANKS if len(names) == len(row) > 1 and _has_number(row) else best


def _cells(line: str, separator: str) -> list[str]:
    if separator == BLANKS:
        line = line.strip().replace("\t", " ")
    return next(csv.reader([line], **_dialect(Layout(separator, 0))), [])


def _dialect(layout: Layout) -> dict:
    blanks = layout.separator == BLANKS
    return {"delimiter": " " if blanks else layout.separator, "skipinitialspace": blanks}


def _has_number(cells: list[str]) -> bool:
    return bool(pd.to_numeric(pd.Series(cells, dtype=object), errors="coerce").notna().any())


def _from_header(text: TextIO, layout: Layout) -> Iterator[str]:
    """The lines from the header on; of columns apart by blanks, without blanks at their ends."""
    text.seek(0)
    lines = islice(iter(text.readline, ""), layout.before, None)
    if layout.separator != BLANKS:
        return lines
    return (line.strip().replace("\t", " ") + "\n" for line in lines)


def _parts(text: TextIO, layout: Layout, rows: int) -> Iterator[pd.DataFrame]:
    text.seek(0)
    for _ in range(layout.before):
        text.readline()
    reader = pd.read_csv(
        text,
        sep=layout.separator,
        index_col=False,
        dtype=str,
        na_filter=False,  # cells stay as they are; ``is_missing`` knows the empty ones
        chunksize=rows,
    )
    yield from strictly(reader)


def strictly(reader: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The parts of a reader of pandas. Raises ParserWarning for a row longer than the header."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            part = next(reader, None)
        if part is None:
            return
        yield part


def _checked(
    text: TextIO, rows: int, header: list[str], path: Path, layout: Layout
) -> Iterator[pd.DataFrame]:
    """The parts without the columns that a delimiter at the end of each line makes."""
    named = max((k for k, name in enumerate(header) if name.strip()), default=len(header) - 1) + 1
    notes, row, drops, suspects, gaps = list(layout.notes), 0, False, set[str](), False
    for part in _parts(text, layout, rows):
        if layout.separator == BLANKS and (part.iloc[:, -1] == "").any():
            raise UserError(_short_line(text, path, layout, len(header)))
        first, others = part.iloc[:, 0], part.iloc[:, 1:]
        if others.shape[1]:
            suspects.update(first[first.str.startswith(COMMENTS) & (others == "").all(axis=1)])
        extra = part.iloc[:, named:]
        empty = (extra.isna() | (extra == "")).all(axis=1).to_numpy()
        if row == 0 and extra.shape[1] and empty.all():
            drops = True
            notes.append(f"{path}: each line ends with a separator, which makes no column")
        elif drops and not empty.all():
            raise UserError(
                f"{path}, row {row + int(empty.argmin())} has a cell more than the header has "
                "names: name this column"
            )
        part = part.iloc[:, :named] if drops else part
        part.columns = header[: part.shape[1]]  # pandas gives names to those without
        part.attrs["notes"] = notes
        row += len(part)
        gaps = gaps or bool((part.iloc[:, -1] == "").any())
        yield part
    if suspects:
        _no_comments(suspects, text, path, layout)
    if gaps:
        _no_short_rows(text, path, layout, named if drops else len(header))


def _no_comments(suspects: set[str], text: TextIO, path: Path, layout: Layout) -> None:
    """Raise UserError for a line that is one of the texts and has no separator."""
    for number, line in enumerate(_from_header(text, layout), layout.before + 1):
        if line.rstrip("\r\n") in suspects:
            raise UserError(
                f"{path}, line {number} is a comment among the rows, {line.strip()[:30]!r}: "
                "remove it"
            )


def _no_short_rows(text: TextIO, path: Path, layout: Layout, width: int) -> None:
    """Raise UserError for a row of fewer cells than ``width``, which pandas fills up.

    Its last cells may be empty, but as well one before them may be missing, which shifts the rest.
    """
    limit = csv.field_size_limit(2**31 - 1)  # pandas has none
    try:
        reader = csv.reader(_from_header(text, layout), **_dialect(layout))
        header, start = 0, layout.before + 1
        for row in reader:
            if any(cell.strip() for cell in row) or len(row) > 1:  # not a blank line
                header = header or start
                if len(row) < width:
                    raise UserError(
                        f"{path}, line {start} has {len(row)} cell{'s' * (len(row) > 1)}, but the "
                        f"header in line {header} has {width}: add the missing cell; if it is an "
                        "empty one at the end, add its separator"
                    )
            start = layout.before + reader.line_num + 1
    finally:
        csv.field_size_limit(limit)


def _short_line(text: TextIO, path: Path, layout: Layout, width: int) -> str:
    """The first row with fewer cells than the header, of columns that blanks keep apart."""
    reader = csv.reader(_from_header(text, layout), **_dialect(layout))
    for row in reader:
        if row and (len(row) < width or not row[-1]):
            return (
                f"{path}, line {layout.before + reader.line_num} has fewer cells than the header, "
                f"which has {width} names apart by blanks: separate the cells by commas"
            )
    return f"{path} has an empty cell among columns apart by blanks: separate them by commas"


def fault_of(text: TextIO, path: Path, layout: Layout, kind: str) -> str:
    """Why the file cannot be read, with the line."""
    width, header, start, quotes = 0, 0, layout.before + 1, 0

    def counted() -> Iterator[str]:
        nonlocal quotes
        for line in _from_header(text, layout):
            quotes += line.count('"')
            yield line

    reader = csv.reader(counted(), **_dialect(layout))
    try:
        for row in reader:
            if len(row) > width > 0:
                if not any(cell.strip() for cell in row[width:]):
                    return (
                        f"{path}, line {start} ends with a separator, the header in line {header} "
                        "does not: remove it from the rows, or add it to the header"
                    )
                return (
                    f"{path}, line {start} has {len(row)} cells, but the header in line {header} "
                    f"has {width}: mend the line, quote a cell that holds a separator, or give "
                    f"--separator; if line {header} is not the header, remove it"
                )
            if row and not width:
                width, header = len(row), start
            unclosed, began = quotes % 2 == 1, start
            start, quotes = layout.before + reader.line_num + 1, 0
        if width and unclosed:
            return f"{path}, line {began}: a quotation mark is not closed in the rest of the file"
    except csv.Error:
        return (
            f"{path}, line {start}: a cell cannot be read: its quotation mark is not closed, or "
            "the file is no text"
        )
    if not width:
        return f"{path} holds no rows"
    return f"{path} cannot be read as {kind}: it is damaged, or no text; save it again"
