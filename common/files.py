"""Files of results: written whole or not at all."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import UserError


def display_path(path: Path) -> str:
    """``path`` as a person would write it: relative if it lies below the current folder."""
    inside = path.resolve().is_relative_to(Path.cwd())
    return str(path.resolve().relative_to(Path.cwd()) if inside else path)


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as a CSV file in UTF-8, without its index."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def json_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The mapping as an indented JSON file in UTF-8."""
    return (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` and check that files can be written there, before anything is computed.

    Raises UserError if they cannot.
    """
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_files(folder: Path, files: Mapping[str, bytes | None]) -> None:
    """Write ``files``, content by name, into ``folder``; None removes an old file.

    Every file is first written beside its place. Only when all of them are on the disk are they
    renamed, so that an old file stays until its successor is whole.

    Raises UserError if the disk does not take them.
    """
    parts = {name: folder / f".{name}.{os.getpid()}.part" for name in files}
    try:
        for name, content in files.items():
            if content is not None:
                with parts[name].open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        for name, content in files.items():
            if content is None:
                (folder / name).unlink(missing_ok=True)
            else:
                parts[name].replace(folder / name)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write to {folder}: {error.strerror}; nothing there was changed, "
        "make room or name another folder with --out"
    )
