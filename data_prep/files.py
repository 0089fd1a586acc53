"""The files of known data sets: what each must hold, and the check of every cell.

A file is read whole, hashed, parsed and checked cell by cell. An error names the file, the line and
the column.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import UserError
from common.files import display_path

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd


@dataclass(frozen=True)
class FileFacts:
    """What run.json records of a file that was read.

    sha256 : of the bytes on the disk. known_contents : whether the contents are those of the known
    file; None if no checksum is known. encoder_sha256 : of the text encoder that read the file, or
    "" if none did.
    """

    path: str
    rows: int
    sha256: str
    known_contents: bool | None = None
    encoder_sha256: str = ""

    def record(self) -> dict[str, Any]:
        """The facts as run.json has them."""
        facts = asdict(self)
        if not self.encoder_sha256:
            del facts["encoder_sha256"]
        return facts


def provenance_lines(
    name: str,
    place: str,
    files: Sequence[FileFacts],
    dropped: Sequence[tuple[int, str]],
    *,
    tried: Sequence[str] = (),
    unit: str = "rows",
) -> Iterator[str]:
    """Where the data set ``name`` was found, which files were read, and what was dropped.

    tried : of the places that did not have it, what is said.
    """
    yield f"{name}: {', '.join([*tried, f'found in {place}'])}"
    for file in files:
        yield f"read {file.path}: {file.rows:,} {unit}, sha256 {file.sha256[:12]}"
        if file.known_contents is False:
            yield "  note: it has the form of the known file, but not its contents"
    for count, reason in dropped or [(0, "all are used")]:
        yield f"dropped {count:,} {unit}: {reason}"


@dataclass(frozen=True)
class File:
    """A known file. Every column that is not in ``text`` must hold finite numbers.

    sha256 : of the contents, uncompressed; None if it is not known. The file on the disk may be
    compressed, with ``.gz`` or ``.xz`` at the end of its name. ``parse`` makes a frame of the
    contents if they are no plain table.
    """

    name: str
    rows: int
    columns: Sequence[str]
    sha256: str | None = None
    text: Sequence[str] = ()
    separator: str = ","
    header: bool = True
    parse: Callable[[bytes], pd.DataFrame] | None = None


UNPACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.decompress, ".xz": lzma.decompress}


def existing(place: Path, files: Sequence[File]) -> list[Path] | None:
    """The paths of ``files`` in ``place``, plain or packed, if all of them are there."""
    paths = []
    for file in files:
        forms = [place / f"{file.name}{end}" for end in ("", *UNPACK)]
        found = next((form for form in forms if form.is_file()), None)
        if found is None:
            return None
        paths.append(found)
    return paths


def contents(path: Path, stored: bytes) -> bytes:
    """The bytes that ``path`` stores, unpacked as the end of its name says."""
    return UNPACK.get(path.suffix, bytes)(stored)


def read_file(file: File, path: Path) -> tuple[pd.DataFrame, FileFacts]:
    """``path`` as a frame of numbers and, in its text columns, str; and its facts.

    Raises UserError if it is cut short or damaged, has other columns or another number of rows,
    or a cell does not hold what it should.
    """
    try:
        stored = path.read_bytes()
        content = contents(path, stored)
        frame = (file.parse or _parser(file))(content)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
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
    known = hashlib.sha256(content).hexdigest() == file.sha256 if file.sha256 else None
    return frame, FileFacts(
        display_path(path), len(frame), hashlib.sha256(stored).hexdigest(), known
    )


def _parser(file: File) -> Callable[[bytes], pd.DataFrame]:
    import pandas as pd

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
    import pandas as pd
    from scipy.io import arff

    return pd.DataFrame(arff.loadarff(io.StringIO(content.decode()))[0])


def parse_images(content: bytes) -> pd.DataFrame:
    """An .npz of X (n, pixels) and y (n,), as ``OpenML`` writes it, as one frame of bytes."""
    import pandas as pd

    try:
        with np.load(io.BytesIO(content)) as arrays:
            table = np.column_stack([arrays["X"], arrays["y"]])
    except zipfile.BadZipFile as error:
        raise ValueError(error) from error
    return pd.DataFrame(table, columns=pixel_columns(table.shape[1] - 1))


def parse_cifar(content: bytes) -> pd.DataFrame:
    """The tar of cifar-10-binary: six batches of rows, each a label and its pixels, as bytes."""
    import pandas as pd

    with tarfile.open(fileobj=io.BytesIO(content)) as bundle:
        batches = sorted(n for n in bundle.getnames() if "_batch" in n and n.endswith(".bin"))
        opened = (bundle.extractfile(name) for name in batches)
        rows = b"".join(file.read() for file in opened if file)
    table = np.frombuffer(rows, np.uint8).reshape(-1, 3073)
    return pd.DataFrame(np.roll(table, -1, axis=1), columns=pixel_columns(3072))


def pixel_columns(pixels: int) -> list[str]:
    return [*(f"pixel{i}" for i in range(pixels)), "label"]


def _check_cells(frame: pd.DataFrame, file: File, path: Path) -> None:
    """Make numbers float64, unless they are integers already, and refuse what is none."""
    import pandas as pd

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
