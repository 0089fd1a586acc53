"""A zip of the archive: its files, unpacked within a limit of bytes."""

import gzip
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class TooLarge(ValueError):
    """A reply, or what it unpacks to, has more bytes than the data set can have."""


def at_most(stream: Any, most: int) -> bytes:
    """All bytes of a stream; raises TooLarge if there are more than ``most``."""
    content = stream.read(most + 1)
    if len(content) > most:
        raise TooLarge(f"more than {most:,} bytes, which this data set cannot have")
    return content


def unpack(
    packed: io.BytesIO, names: Sequence[str], folder: Path, most: int, depth: int = 3
) -> int:
    """Write the files ``names`` of a zip, at any depth, into ``folder``; .Z and .gz are undone.

    most : bytes that may come out in all; returns how many of them are left. depth : zips in zips.
    Raises TooLarge.
    """
    with zipfile.ZipFile(packed) as bundle:
        for member in bundle.infolist():
            base = member.filename.rsplit("/", 1)[-1]
            wanted = [name for name in names if base in (name, f"{name}.gz", f"{name}.Z")]
            if not wanted and not base.endswith(".zip"):
                continue
            with bundle.open(member) as stream:
                content = at_most(stream, most)
            most -= len(content)
            if not wanted and depth:
                most = unpack(io.BytesIO(content), names, folder, most, depth - 1)
            for name in wanted:
                content = _opened(content, base.removeprefix(name), most)
                most -= len(content)
                (folder / name).write_bytes(content)
    return most


def _opened(content: bytes, suffix: str, most: int) -> bytes:
    """A member of a zip without its own packing; raises TooLarge."""
    if suffix == ".gz":
        return at_most(gzip.GzipFile(fileobj=io.BytesIO(content)), most)
    if suffix == ".Z":
        from unlzw3 import unlzw

        content = unlzw(content)  # all at once: the memory of the process has a limit
    return at_most(io.BytesIO(content), most)
