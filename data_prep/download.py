"""The network: files that are missing are fetched once, checked, and kept in the cache.

Every try runs in a child process, which can be stopped, and writes into a folder of its own. Its
files move into the cache only after they have been checked. A lock lets one run at a time write a
data set. Time, bytes and memory have limits (``Way``), because a reply may be anything.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import json
import lzma
import multiprocessing
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from common.cache import unwritable_cache
from common.ctrl_c import for_this_process
from common.errors import UserError
from common.processes import end_with_parent, limit_memory
from data_prep.addresses import address_in, out_of_reach
from data_prep.files import File, contents, existing, read_file
from data_prep.unpacking import at_most, unpack

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd

TRIES, PAUSE = 3, 1.0  # seconds of pause before the second try, twice as many before the third
IDLE_LIMIT = 20.0  # seconds without a byte
MIB = 2**20
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def cached(folder: Path, files: Sequence[File]) -> list[Path] | None:
    """The paths of ``files`` in the cache, or None unless all are there as they were fetched.

    If the sha256 of a file's contents is known, it alone decides. Otherwise the sum that was
    written beside the file decides.
    """
    paths = existing(folder, files)
    try:
        sums = dict(json.loads((folder / "sha256.json").read_text("utf-8")))
        good = paths and all(_as_fetched(*pair, sums) for pair in zip(files, paths, strict=True))
    except (OSError, ValueError, TypeError, EOFError, zlib.error, lzma.LZMAError):
        return None
    return paths if good else None


def _as_fetched(file: File, path: Path, sums: dict[str, str]) -> bool:
    stored = path.read_bytes()
    if file.sha256:
        return hashlib.sha256(contents(path, stored)).hexdigest() == file.sha256
    return sums.get(path.name) == hashlib.sha256(stored).hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def archive() -> str:
    """The UCI archive, or a mirror of it named by $SALUTARY_ARCHIVE.

    Raises UserError if that is no address.
    """
    return address_in("SALUTARY_ARCHIVE", "https://archive.ics.uci.edu")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a way may take in all its tries. ``most`` counts bytes, fetched or unpacked.

    limit : seconds. memory : bytes, beside those of the program.
    """

    limit: float = 300.0
    most: int = 64 * MIB  # the largest file of the archive's data sets here has 6 MB
    memory: int = 2048 * MIB


@dataclass(frozen=True)
class Uci(Limits):
    """A data set by the archive's own client: the features and the target, as a CSV.

    id : its number in the archive. target : the column of the target, if there are several.
    """

    id: int
    target: str | None = None
    limit: float = field(default=60.0, kw_only=True)

    @property
    def address(self) -> str:
        return f"{archive()}/api/dataset?id={self.id}"

    def fetch(self, folder: Path, names: Sequence[str]) -> None:
        import pandas as pd

        client: Any = importlib.import_module("ucimlrepo.fetch")
        client.API_BASE_URL = f"{archive()}/api/dataset"
        # The reply says where the rows are. It could name a file of this machine.
        client.pd = SimpleNamespace(DataFrame=pd.DataFrame, read_csv=self._read_csv)
        data = client.fetch_ucirepo(id=self.id).data
        (target,) = [self.target] if self.target else data.targets.columns
        frame = data.features.drop(columns=data.targets.columns, errors="ignore")
        frame.columns = [f"x{i}" for i in range(1, frame.shape[1] + 1)]
        frame.assign(label=data.original[target]).to_csv(folder / names[0], index=False)

    def _read_csv(self, url: str) -> pd.DataFrame:
        import pandas as pd

        with _open(url) as reply:
            content, length = at_most(reply, self.most), reply.headers.get("Content-Length")
        _check_length(len(content), length)
        return pd.read_csv(io.BytesIO(content))


@dataclass(frozen=True)
class UciZip(Limits):
    """A data set's zip in the archive; its files may lie in another zip inside.

    id, name : its number and name in the archive.
    """

    id: int
    name: str

    @property
    def address(self) -> str:
        return f"{archive()}/static/public/{self.id}/{self.name}.zip"

    def fetch(self, folder: Path, names: Sequence[str]) -> None:
        with _open(self.address) as reply:
            packed, length = at_most(reply, self.most), reply.headers.get("Content-Length")
        _check_length(len(packed), length)
        unpack(io.BytesIO(packed), names, folder, self.most)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"the zip holds no {missing[0]}")


@dataclass(frozen=True)
class OpenML(Limits):
    """A data set of OpenML whose numbers are all from 0 to 255, as X and y in one .npz.

    id : its number there.
    """

    id: int
    # The ARFF of CIFAR-10 alone is parsed for minutes.
    limit: float = field(default=3600.0, kw_only=True)
    most: int = field(default=4096 * MIB, kw_only=True)
    memory: int = field(default=16_384 * MIB, kw_only=True)
    address = "https://www.openml.org"

    def fetch(self, folder: Path, names: Sequence[str]) -> None:
        from sklearn.datasets import fetch_openml

        X, y = fetch_openml(
            data_id=self.id,
            data_home=folder.parent,
            return_X_y=True,
            as_frame=False,
            parser="liac-arff",  # the pandas parser fails on labels that look like integers
            n_retries=1,
        )
        np.savez_compressed(folder / names[0], X=X.astype(np.uint8), y=y.astype(np.uint8))


def _check_length(found: int, promised: str | None) -> None:
    if promised and int(promised) != found:
        raise ValueError(f"cut short: {found:,} of {int(promised):,} bytes")


Way = Uci | UciZip | OpenML


class Unreachable(ConnectionError):
    """The host takes no connection: there is no network, or none to it."""


def fetch(
    way: Way,
    files: Sequence[File],
    folder: Path,
    quiet: bool,
    out_of_reach: Callable[[str], str | None] = out_of_reach,
) -> list[Path]:
    """Bring ``files`` into the cache ``folder``, unless they are there: their paths.

    out_of_reach : why a host, such as https://www.openml.org, takes no connection, or None.

    Raises Unreachable if the host takes no connection, ConnectionError with the last reason if all
    tries fail, and UserError if the cache cannot be written to or the way has no address.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        parts = urlsplit(way.address)
        problem = out_of_reach(f"{parts.scheme}://{parts.netloc}")
        # scikit-learn may have all it needs in a cache of its own
        if problem and not (folder / "openml").is_dir():
            raise Unreachable(problem)
        with FileLock(folder / "lock", timeout=way.limit):
            tries = 1 if problem else TRIES
            return cached(folder, files) or _fetch_in_tries(way, files, folder, quiet, tries)
    except Timeout as error:
        raise ConnectionError(f"another run has held {folder}/lock for long") from error
    except ConnectionError:
        raise
    except OSError as error:
        raise unwritable_cache(folder, error) from error


def _fetch_in_tries(
    way: Way, files: Sequence[File], folder: Path, quiet: bool, tries: int
) -> list[Path]:
    for leftover in folder.glob("fetch-*"):  # of a run that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    deadline = time.monotonic() + way.limit  # of all tries together
    for attempt in range(tries):
        pause = PAUSE * 2 ** (attempt - 1) if attempt else 0
        if attempt and time.monotonic() + pause >= deadline:
            break
        time.sleep(pause)
        problem = _try(way, files, folder, quiet, deadline)
        if problem is None:
            return [folder / file.name for file in files]
    raise ConnectionError(problem)


def _try(way: Way, files: Sequence[File], folder: Path, quiet: bool, deadline: float) -> str | None:
    """One try: None if the files are in the cache now, or else what went wrong."""
    work = Path(tempfile.mkdtemp(prefix="fetch-", dir=folder))
    try:
        problem = _in_child(way, [file.name for file in files], work, quiet, deadline)
        if problem:
            return problem
        for file in files:
            _, facts = read_file(file, work / file.name)
            if file.sha256 and not facts.known_contents:
                return f"{file.name} has another checksum than the known file"
        sums = {file.name: _sha256(work / file.name) for file in files}
        for file in files:
            (work / file.name).replace(folder / file.name)
        (work / "sha256.json").write_text(json.dumps(sums), "utf-8")
        (work / "sha256.json").replace(folder / "sha256.json")  # last: it makes the rest valid
        return None
    except UserError as error:
        return str(error).replace(f"{work}/", "")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _in_child(
    way: Way, names: Sequence[str], work: Path, quiet: bool, deadline: float
) -> str | None:
    """Run ``way.fetch`` in a process that is stopped at its limits: None, or what went wrong.

    The bar shows the bytes on the disk. Raises OSError if the disk does not take them.
    """
    from tqdm import tqdm

    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=_child, args=(way, names, work, sender, os.getpid()), daemon=True
    )
    with for_this_process():
        child.start()
    sender.close()  # the child's copy alone is open: it closes with the child
    start = _size(work.parent)
    try:
        label = f"fetching {way.address}"
        with tqdm(desc=label, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:
            while child.is_alive() and time.monotonic() < deadline:
                child.join(0.1)
                size = _size(work.parent) - start
                bar.update(size - bar.n)
                if size > 2 * way.most:  # fetched and unpacked
                    return f"more than {way.most:,} bytes, which this data set cannot have"
        if child.is_alive():
            return f"no answer within {way.limit:g} s"
    finally:
        child.kill()
        child.join()
    number, problem = _received(receiver) or (0, f"the download ended with code {child.exitcode}")
    if number in OF_THE_DISK:
        raise OSError(number, os.strerror(number))
    return problem or None


def _received(receiver: Connection) -> tuple[int, str] | None:
    """What the child said at its end: an errno or 0, and what went wrong or "". None: nothing."""
    with receiver, suppress(EOFError, OSError):
        return receiver.recv()
    return None


def _size(folder: Path) -> int:
    """Bytes in ``folder``, while another process writes there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _child(way: Way, names: Sequence[str], work: Path, sender: Connection, parent: int) -> None:
    end_with_parent(parent)
    socket.setdefaulttimeout(IDLE_LIMIT)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, warnings of libraries
    try:
        limit_memory(way.memory)
        way.fetch(work, names)
        sender.send((0, ""))
    except MemoryError:
        sender.send((0, f"it takes more than {way.memory // MIB:,} MiB of memory"))
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        sender.send((getattr(error, "errno", None) or 0, text[:300]))


def _open(url: str):
    """The reply of the network. Raises ValueError for an address that is not of the network."""
    import certifi

    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise ValueError(f"the reply names {scheme or 'a path'} in place of an address")
    context = ssl.create_default_context(cafile=certifi.where()) if scheme == "https" else None
    return urllib.request.urlopen(url, context=context)
