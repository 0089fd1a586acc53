"""Files: what each file of a data set must hold before anything is computed from it.

A file is read whole, hashed, parsed and checked cell by cell; what is wrong is said with the file,
the line and the column.
"""

import difflib
import gzip
import hashlib
import io
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
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


def shown(path: Path) -> str:
    """``path`` as a person would write it: from the current folder where it lies below that."""
    inside = path.resolve().is_relative_to(Path.cwd())
    return str(path.resolve().relative_to(Path.cwd()) if inside else path)


@dataclass(frozen=True)
class File:
    """A known file. Every column that is not in ``text`` must hold finite numbers.

    sha256 is that of the contents, uncompressed, None where it is not known; the file may lie there
    with or without ``.gz``. ``parse`` makes a frame of the contents where it is no plain table.
    """

    name: str
    rows: int
    columns: Sequence[str]
    sha256: str | None = None
    text: Sequence[str] = ()
    separator: str = ","
    header: bool = True
    parse: Callable[[bytes], pd.DataFrame] | None = None


def existing(place: Path, files: Sequence[File]) -> list[Path] | None:
    """The paths of ``files`` in ``place``, plain or with .gz, if all of them are there."""
    paths = [
        next((p for p in (place / f.name, place / f"{f.name}.gz") if p.is_file()), None)
        for f in files
    ]
    return paths if all(paths) else None


def read_file(file: File, path: Path) -> tuple[pd.DataFrame, dict]:
    """``path`` as a frame of numbers and, in its text columns, str, with its facts for run.json.

    Raises UserError where it is cut short or damaged, has other columns or another number of rows,
    or a cell does not hold what it should.
    """
    try:
        stored = path.read_bytes()
        content = gzip.decompress(stored) if path.suffix == ".gz" else stored
        frame = (file.parse or _parser(file))(content)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
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
    _check_cells(frame, file, path)
    if len(frame) != file.rows:
        state = "is cut short" if len(frame) < file.rows else "has too many rows"
        raise UserError(
            f"{path} {state}, get it again: {len(frame):,} rows, {file.name} has {file.rows:,}"
        )
    return frame, {
        "path": shown(path),
        "rows": len(frame),
        "sha256": hashlib.sha256(stored).hexdigest(),
        "known_contents": file.sha256 and hashlib.sha256(content).hexdigest() == file.sha256,
    }


def _parser(file: File) -> Callable[[bytes], pd.DataFrame]:
    def parse_csv(content: bytes) -> pd.DataFrame:
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

    return parse_csv


def parse_arff(content: bytes) -> pd.DataFrame:
    return pd.DataFrame(arff.loadarff(io.StringIO(content.decode()))[0])


def parse_images(content: bytes) -> pd.DataFrame:
    """An .npz of X (n, pixels) and y (n,), as ``OpenML`` writes it, as one frame of bytes."""
    try:
        with np.load(io.BytesIO(content)) as arrays:
            table = np.column_stack([arrays["X"], arrays["y"]])
    except zipfile.BadZipFile as error:
        raise ValueError(error) from error
    return pd.DataFrame(table, columns=pixel_columns(table.shape[1] - 1))


def parse_cifar(content: bytes) -> pd.DataFrame:
    """The tar of cifar-10-binary: six batches of rows, each a label and its pixels, as bytes."""
    with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
        batches = sorted(n for n in bundle.getnames() if "_batch" in n and n.endswith(".bin"))
        rows = b"".join(bundle.extractfile(name).read() for name in batches)
    table = np.frombuffer(rows, np.uint8).reshape(-1, 3073)
    return pd.DataFrame(np.roll(table, -1, axis=1), columns=pixel_columns(3072))


def pixel_columns(pixels: int) -> list[str]:
    return [*(f"pixel{i}" for i in range(pixels)), "label"]


def _check_cells(frame: pd.DataFrame, file: File, path: Path) -> None:
    """Make numbers float64, unless they are integers already, and refuse what is none."""
    for column in file.columns:
        cells = frame[column]
        if column in file.text:
            bad, wanted = cells.isna() | (cells == ""), "text"
        elif pd.api.types.is_integer_dtype(cells):
            continue
        else:
            frame[column] = pd.to_numeric(cells, errors="coerce").astype(np.float64)
            bad, wanted = ~np.isfinite(frame[column]), "a number"
        if bad.any():
            row = int(bad.to_numpy().argmax())
            where = f"line {row + 1 + file.header}" if file.parse is None else f"row {row}"
            raise UserError(f"{path}, {where}, column {column!r}: '{cells[row]}' is not {wanted}")
