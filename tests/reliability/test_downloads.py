"""What a reply of the network may do: nothing beyond its limits of bytes, memory and seconds."""

import gzip
import io
import multiprocessing
import os
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import main_binary
from data_prep.catalogue import DATASETS
from data_prep.download import MIB, Uci, UciZip, fetch
from data_prep.files import File
from data_prep.unpacking import TooLarge, unpack
from tests.helpers import ROOT, error_of
from tests.helpers.archive import compressed, in_place_of_uci
from tests.helpers.processes import assert_ends_with, ended
from tests.reliability.odd_ways import Odd

FILES = [File("rows.csv", 3, ["x"])]


def tried(what: str, folder: Path, monkeypatch, **limits) -> str:
    """What ``fetch`` says of this way; its process is a copy of this one, which starts at once."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr("data_prep.download.multiprocessing.get_context", lambda kind: context)
    monkeypatch.setattr("data_prep.download.PAUSE", 0.01)
    monkeypatch.setattr("data_prep.download.TRIES", limits.pop("tries", 1))
    with pytest.raises(Exception, match=".") as caught:
        fetch(Odd(what, **limits), FILES, folder, True, lambda address: None)
    assert not list(folder.glob("fetch-*"))
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(
    ("what", "limits", "told"),
    [
        ("disk", {}, r"UserError: cannot write to the cache .*No space left"),
        ("memory", {"memory": 512 * MIB}, "takes more than 512 MiB of memory"),
        ("bytes", {"most": 5 * MIB}, "more than 5,242,880 bytes"),
        ("killed", {}, "ended with code -9"),
    ],
    ids=["P4 disk", "P3 memory", "P3 bytes", "killed"],
)
def test_a_download_beyond_its_limits_is_stopped_and_told(
    what, limits, told, tmp_path, monkeypatch
):
    """P3, P4."""
    assert re.search(told, tried(what, tmp_path, monkeypatch, **limits))


def test_p5_the_time_limit_holds_for_all_tries_together(tmp_path, monkeypatch):
    """P5: the first try takes all of it, so there is no second one."""
    start = time.monotonic()
    assert "no answer within 2 s" in tried("hang", tmp_path, monkeypatch, limit=2.0, tries=5)
    assert time.monotonic() - start < 2 + 2


def packed(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


SIZE = MIB // 4
BOMBS = {
    "plain": lambda: packed(rows__csv=bytes(SIZE)),
    "zip in a zip": lambda: packed(a__zip=packed(rows__csv=bytes(SIZE))),
    "gzip": lambda: packed(rows__csv__gz=gzip.compress(bytes(SIZE))),
    "compress": lambda: packed(rows__csv__Z=compressed(bytes(SIZE))),
    "many": lambda: packed(**{f"{n}__zip": packed(rows__csv=bytes(SIZE // 3)) for n in range(4)}),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_p3_what_is_unpacked_has_a_limit(bomb, tmp_path):
    """P3: of all members together; nothing larger comes onto the disk."""
    content = BOMBS[bomb]()
    with pytest.raises(TooLarge, match="more than"):
        unpack(io.BytesIO(content), ["rows.csv"], tmp_path, SIZE // 2)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= SIZE // 2
    assert unpack(io.BytesIO(content), ["rows.csv"], tmp_path, 32 * MIB) > 0


def test_p3_every_way_of_the_catalogue_has_limits():
    """P3: and the archive's are near to what its files have."""
    ways = [version.way for entry in DATASETS.values() for version in entry.versions]
    assert all(way.most <= 64 * MIB for way in ways if isinstance(way, Uci | UciZip))
    assert all(way.memory > 0 and way.limit <= 3600 for way in ways if way)


# --- an archive that means harm ------------------------------------------------------------------


@pytest.fixture
def archive(monkeypatch, tmp_path):
    monkeypatch.setattr("data_prep.download.TRIES", 1)
    with in_place_of_uci(monkeypatch, tmp_path) as server:
        yield server


def test_p19_a_reply_cannot_name_a_file_of_this_machine(archive, tmp_path, monkeypatch):
    """P19: the file that it names would do very well."""
    import tests.helpers.archive as helper

    frame, _, _ = helper.table(471)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    real = helper.metadata
    version = next(v for v in DATASETS["electric"].versions if isinstance(v.way, Uci))
    for where in (f"file://{tmp_path}/mine.csv", f"{tmp_path}/mine.csv"):
        url = b'"data_url": "' + where.encode() + b'"'
        changed = lambda id, base, url=url: re.sub(rb'"data_url": "[^"]*"', url, real(id, base))  # noqa: E731
        monkeypatch.setattr(helper, "metadata", changed)
        with pytest.raises(ConnectionError, match="in place of an address"):
            fetch(version.way, version.files, tmp_path / "cache", True)


def test_p3_rows_beyond_the_limit_are_not_read(archive, tmp_path):
    """P3: by the archive's client."""
    version = next(v for v in DATASETS["electric"].versions if isinstance(v.way, Uci))
    with pytest.raises(ConnectionError, match="more than 1,000 bytes"):
        fetch(replace(version.way, most=1000), version.files, tmp_path / "cache", True)


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("SALUTARY_ARCHIVE", "http://[::1"),
        ("SALUTARY_ARCHIVE", "http://host:port"),
        ("SALUTARY_ARCHIVE", "nonsense"),
        ("SALUTARY_ARCHIVE", "file:///etc"),
        ("SALUTARY_ARCHIVE", "http://user:s3cret@127.0.0.1:9"),
        ("SALUTARY_ARCHIVE", "http://" + "a" * 300),
        ("http_proxy", "http://[bad"),
        ("http_proxy", "http://me:s3cret@[bad"),
    ],
)
def test_f9_an_address_that_is_none_is_one_line(variable, address, monkeypatch, tmp_path, capsys):
    """F9, and the password that was printed."""
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    monkeypatch.setenv("SALUTARY_ARCHIVE", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv(variable, address)
    assert main_binary.main(["--dataset", "diabetes", "--out", str(tmp_path / "out")]) == 2
    error = error_of(capsys)
    assert "s3cret" not in error
    assert "address" in error or "cannot be reached" in error


DOWNLOADING = """
from data_prep.catalogue import DATASETS
from data_prep.places import fetch_dataset
if __name__ == "__main__":
    fetch_dataset(DATASETS["diabetes"], "auto", True)
"""


def test_p2_a_download_ends_with_its_parent(archive, tmp_path):
    """P2: SIGKILL for the run alone, while its download waits for an answer."""
    archive.faults["/"] = ["hang"] * 9
    (tmp_path / "parent.py").write_text(DOWNLOADING)
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    with ended(run.pid):
        deadline = time.monotonic() + 30
        while not archive.requests and time.monotonic() < deadline:
            time.sleep(0.05)
        assert_ends_with(run.pid)
    run.wait()
