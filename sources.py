"""Files: where a data set's files are, and what each must hold before anything is computed from it.

A file is read whole, hashed, parsed and checked cell by cell; what is wrong is said with the file,
the line and the column.
"""

import difflib
import gzip
import hashlib
import io
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import arff


class UserError(ValueError):
    """A mistake that the user can mend: one full sentence, printed alone, exit code 2."""


def choose(kind: str, name: str, known: Sequence[str]) -> None:
    """Raise UserError unless ``name`` is one of ``known``, with the nearest name as a hint."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(known)}")


@dataclass(frozen=True)
class File:
    """A known file. Every column that is not in ``text`` must hold finite numbers.

    sha256 is that of the contents, uncompressed; the file may lie there with or without ``.gz``.
    """

    name: str
    rows: int
    sha256: str
    columns: Sequence[str]
    text: Sequence[str] = ()
    separator: str = ","
    header: bool = True


def shown(path: Path) -> str:
    """``path`` as a person would write it: from the current folder where it lies below that."""
    inside = path.resolve().is_relative_to(Path.cwd())
    return str(path.resolve().relative_to(Path.cwd()) if inside else path)


def existing(places: Sequence[Path], files: Sequence[File]) -> list[Path] | None:
    """The paths of ``files`` in the first of ``places`` that holds them all, plain or with .gz."""
    for place in places:
        paths = [
            next((p for p in (place / f.name, place / f"{f.name}.gz") if p.is_file()), None)
            for f in files
        ]
        if all(paths):
            return paths
    return None


def read_file(file: File, path: Path) -> tuple[pd.DataFrame, dict]:
    """``path`` as a frame, numbers as float64 and text as str, with its facts for run.json."""
    try:
        stored = path.read_bytes()
        content = gzip.decompress(stored) if path.suffix == ".gz" else stored
        frame = _parse(file, content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read, get it again: {error}") from error
    except (ValueError, LookupError, StopIteration, NotImplementedError, Warning) as error:
        reason = " ".join(str(error).split()) or "no table in it"
        raise UserError(f"{path} is cut short or damaged, get it again: {reason}") from error
    if list(frame.columns) != list(file.columns):
        odd = sorted(set(frame.columns) ^ set(file.columns)) or ["the order"]
        raise UserError(
            f"{path} should have the {len(file.columns)} columns of {file.name}; what differs: "
            + ", ".join(f"{name}"[:30] for name in odd[:5])
        )
    frame = _checked(frame, file, path)
    if len(frame) != file.rows:
        state = "is cut short" if len(frame) < file.rows else "has too many rows"
        raise UserError(
            f"{path} {state}, get it again: {len(frame):,} rows, {file.name} has {file.rows:,}"
        )
    return frame, {
        "path": shown(path),
        "rows": len(frame),
        "sha256": hashlib.sha256(stored).hexdigest(),
        "known_contents": hashlib.sha256(content).hexdigest() == file.sha256,
    }


def _parse(file: File, content: bytes) -> pd.DataFrame:
    if file.name.endswith(".arff"):
        records, _ = arff.loadarff(io.StringIO(content.decode()))
        return pd.DataFrame(records)
    names = {} if file.header else {"header": None, "names": file.columns}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header
        return pd.read_csv(
            io.BytesIO(content),
            sep=file.separator,
            index_col=False,
            keep_default_na=False,  # an empty cell must not pass for a number
            dtype=dict.fromkeys(file.text, str),
            low_memory=False,
            **names,
        )


def _checked(frame: pd.DataFrame, file: File, path: Path) -> pd.DataFrame:
    first_line = 2 if file.header else 1
    for column in file.columns:
        cells = frame[column]
        if column in file.text:
            bad = cells.isna() | (cells == "")
            wanted = "text"
        else:
            frame[column] = pd.to_numeric(cells, errors="coerce").astype(np.float64)
            bad = ~np.isfinite(frame[column])
            wanted = "a number"
        if bad.any():
            row = int(bad.to_numpy().argmax())
            where = f"row {row}" if file.name.endswith(".arff") else f"line {row + first_line}"
            raise UserError(f"{path}, {where}, column {column!r}: '{cells[row]}' is not {wanted}")
    return frame
