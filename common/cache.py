"""The cache folder, and arrays that are computed once and kept there."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import alone_in
from common.leftovers import remove_leftovers
from common.seal import sealed, unsealed


def cache_folder(name: str) -> Path:
    """The cache's folder ``name``: below $SALUTARY_CACHE, or else below ~/.cache.

    Raises UserError if neither is known: this user has no home.
    """
    root = os.environ.get("SALUTARY_CACHE")
    try:
        return (Path(root) if root else Path.home() / ".cache" / "salutary-labeling") / name
    except RuntimeError as error:
        raise UserError(
            "there is no home folder for the cache: set SALUTARY_CACHE to a folder"
        ) from error


def unwritable_cache(folder: Path, error: OSError) -> UserError:
    """The error to raise if the cache cannot be written to."""
    return UserError(
        f"cannot write to the cache {folder} ({error.strerror}): "
        "set SALUTARY_CACHE to another folder"
    )


def cached_array(
    name: str,
    rows: int,
    make: Callable[[], np.ndarray],
    say: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """The array (rows, D) kept in the cache as ``name``; or ``make()``, kept from now on.

    What is kept is believed if its checksum, its name and its rows fit, and its numbers are finite.
    If it does not fit, ``say`` is told that it is made anew.
    Raises UserError if the cache cannot be written to.
    """
    folder = cache_folder("features")
    path = folder / f"{name}.npy"
    try:
        return _checked(path, rows)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError):
        say(f"note: {path} is damaged or of another version and is made anew")
    array, buffer = make(), io.BytesIO()
    np.save(buffer, array)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{path.name}.part"  # that of a killed run is written over
        with alone_in(folder):
            with part.open("wb") as stream:
                stream.write(sealed(buffer.getvalue(), name))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
            remove_leftovers(folder, {path.name}, dot="")
    except OSError as error:
        raise unwritable_cache(folder, error) from error
    return array


def _checked(path: Path, rows: int) -> np.ndarray:
    """The array of a file; raises OSError, ValueError or EOFError for one not to be believed."""
    content = unsealed(path.read_bytes(), path.stem)
    array = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    if array.ndim != 2 or len(array) != rows or not np.isfinite(array).all():
        raise ValueError(f"{array.shape} in place of {rows} rows of finite numbers")
    return array
