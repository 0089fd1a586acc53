"""The network: files that are missing are fetched once, checked, and kept in the cache.

Every try runs in a child process, which can be stopped, and writes into a folder of its own. Its
files move into the cache only after they have been checked. A lock lets one run at a time write a
data set.
"""

import gzip
import hashlib
import importlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from common.cache import unwritable_cache
from common.errors import UserError
from data_prep.files import File, existing, read_file

TRIES, PAUSE = 3, 1.0  # seconds of pause before the second try, twice as many before the third
IDLE_LIMIT = 20.0  # seconds without a byte
PROBE_LIMIT = 1.5  # seconds to reach a host: without a network a script ends within ten


def cached(folder: Path, files: Sequence[File]) -> list[Path] | None:
    """The paths of ``files`` in the cache, or None unless all are there as they were fetched."""
    paths = existing(folder, files)
    try:
        sums = json.loads((folder / "sha256.json").read_text())
    except (OSError, ValueError):
        return None
    good = paths and all(sums.get(path.name) == _sha256(path) for path in paths)
    return paths if good else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def archive() -> str:
    """The UCI archive, or a mirror of it named by $SALUTARY_ARCHIVE."""
    return os.environ.get("SALUTARY_ARCHIVE", "https://archive.ics.uci.edu").rstrip("/")


@dataclass(frozen=True)
class Uci:
    """A data set by the archive's own client: the features and the target, as a CSV.

    id : its number in the archive. target : the column of the target, if there are several.
    limit : seconds for one try.
    """

    id: int
    target: str | None = None
    limit: float = 60.0

    @property
    def address(self) -> str:
        return f"{archive()}/api/dataset?id={self.id}"

    def fetch(self, folder: Path, names: Sequence[str]) -> None:
        client: Any = importlib.import_module("ucimlrepo.fetch")
        client.API_BASE_URL = f"{archive()}/api/dataset"
        data = client.fetch_ucirepo(id=self.id).data
        (target,) = [self.target] if self.target else data.targets.columns
        frame = data.features.drop(columns=data.targets.columns, errors="ignore")
        frame.columns = [f"x{i}" for i in range(1, frame.shape[1] + 1)]
        frame.assign(label=data.original[target]).to_csv(folder / names[0], index=False)


@dataclass(frozen=True)
class UciZip:
    """A data set's zip in the archive; its files may lie in another zip inside.

    id, name : its number and name in the archive. limit : seconds for one try.
    """

    id: int
    name: str
    limit: float = 300.0

    @property
    def address(self) -> str:
        return f"{archive()}/static/public/{self.id}/{self.name}.zip"

    def fetch(self, folder: Path, names: Sequence[str]) -> None:
        packed = folder / "download.zip"
        with _open(self.address) as reply, packed.open("wb") as out:
            shutil.copyfileobj(reply, out)
            length = reply.headers.get("Content-Length")
        if length and int(length) != packed.stat().st_size:
            raise ValueError(f"cut short: {packed.stat().st_size:,} of {int(length):,} bytes")
        unpack(packed, names, folder)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"the zip holds no {missing[0]}")


@dataclass(frozen=True)
class OpenML:
    """A data set of OpenML whose numbers are all from 0 to 255, as X and y in one .npz.

    id : its number there. limit : seconds for one try.
    """

    id: int
    limit: float = 3600.0  # the ARFF of CIFAR-10 alone is parsed for minutes
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


def unpack(packed: Path | io.BytesIO, names: Sequence[str], folder: Path) -> None:
    """Write the files ``names`` of a zip, at any depth, into ``folder``; .Z and .gz are undone."""
    from unlzw3 import unlzw

    openers = {"": bytes, ".gz": gzip.decompress, ".Z": unlzw}
    with zipfile.ZipFile(packed) as bundle:
        for member in bundle.namelist():
            base = member.rsplit("/", 1)[-1]
            for name in names:
                for suffix, opened in openers.items():
                    if base == name + suffix:
                        (folder / name).write_bytes(opened(bundle.read(member)))
            if base.endswith(".zip"):
                unpack(io.BytesIO(bundle.read(member)), names, folder)


Way = Uci | UciZip | OpenML


class Unreachable(ConnectionError):
    """The host takes no connection: there is no network, or none to it."""


def unreachable(address: str) -> str | None:
    """Why the host of ``address``, or the proxy before it, takes no connection; None if it does."""
    parts = urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    answer: list[str | None] = [f"no answer within {PROBE_LIMIT:g} s"]

    def probe() -> None:
        try:
            socket.create_connection((parts.hostname, port), PROBE_LIMIT).close()
            answer[0] = None
        except OSError as error:
            answer[0] = str(error)

    # in a thread, because looking up a name has no limit of its own
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_LIMIT + 0.2)
    return answer[0]


def out_of_reach(address: str) -> str | None:
    """As ``unreachable``, but asked a second time before the answer is believed."""
    return unreachable(address) and unreachable(address)


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
    tries fail, and UserError if the cache cannot be written to.
    """
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
    for attempt in range(tries):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        problem = _try(way, files, folder, quiet)
        if problem is None:
            return [folder / file.name for file in files]
    raise ConnectionError(problem)


def _try(way: Way, files: Sequence[File], folder: Path, quiet: bool) -> str | None:
    """One try: None if the files are in the cache now, or else what went wrong."""
    work = Path(tempfile.mkdtemp(prefix="fetch-", dir=folder))
    try:
        problem = _in_child(way, [file.name for file in files], work, quiet)
        if problem:
            return problem
        for file in files:
            _, facts = read_file(file, work / file.name)
            if file.sha256 and not facts.known_contents:
                return f"{file.name} has another checksum than the known file"
        sums = {file.name: _sha256(work / file.name) for file in files}
        for file in files:
            (work / file.name).replace(folder / file.name)
        (work / "sha256.json").write_text(json.dumps(sums))
        (work / "sha256.json").replace(folder / "sha256.json")  # last: it makes the rest valid
        return None
    except UserError as error:
        return str(error).replace(f"{work}/", "")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _in_child(way: Way, names: Sequence[str], work: Path, quiet: bool) -> str | None:
    """Run ``way.fetch`` in a process that is stopped at its time limit: None, or what went wrong.

    The bar shows the bytes on the disk.
    """
    child = multiprocessing.get_context("spawn").Process(
        target=_child, args=(way, names, work), daemon=True
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for this process to handle
    child.start()
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + way.limit
    start = _size(work.parent)
    try:
        label = f"fetching {way.address}"
        with tqdm(desc=label, unit="B", unit_scale=True, disable=quiet, leave=False) as bar:
            while child.is_alive() and time.monotonic() < deadline:
                child.join(0.1)
                bar.update(_size(work.parent) - start - bar.n)
        if child.is_alive():
            return f"no answer within {way.limit:g} s"
    finally:
        child.kill()
        child.join()
    error = work / "error"
    if error.is_file():
        return error.read_text()
    return None if child.exitcode == 0 else f"the download ended with code {child.exitcode}"


def _size(folder: Path) -> int:
    """Bytes in ``folder``, while another process writes there."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def _child(way: Way, names: Sequence[str], work: Path) -> None:
    socket.setdefaulttimeout(IDLE_LIMIT)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, warnings of libraries; open to the end
    try:
        way.fetch(work, names)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        (work / "error").write_text(text[:300])


def _open(url: str):
    import certifi

    secure = url.startswith("https")
    context = ssl.create_default_context(cafile=certifi.where()) if secure else None
    return urllib.request.urlopen(url, context=context)
