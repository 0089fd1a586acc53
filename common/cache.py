"""The cache folder, and arrays that are computed once and kept there."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common.errors import UserError
from common.files import alone_in


def cache_folder(name: str) -> Path:
    """The cache's folder ``name``: below $SALUTARY_CACHE, or else below ~/.cache."""
    root = os.environ.get("SALUTARY_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "salutary-labeling") / name


def unwritable_cache(folder: Path, error: OSError) -> UserError:
    """The error to raise if the cache cannot be written to."""
    return UserError(
        f"cannot write to the cache {folder} ({error.strerror}): "
        "set SALUTARY_CACHE to another folder"
    )


def cached_array(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array kept in the cache as ``name``; if there is none, ``make()``, kept from now on."""
    folder = cache_folder("features")
    path = folder / f"{name}.npy"
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or cut short: it is made anew
        pass
    array = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{path.name}.part"  # that of a killed run is written over
        with alone_in(folder):
            with part.open("wb") as stream:
                np.save(stream, array)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
    except OSError as error:
        raise unwritable_cache(folder, error) from error
    return array
