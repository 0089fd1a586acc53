"""A small server that speaks as the UCI archive does: metadata JSON, data CSV, static zip.

It serves real rows, and on demand what goes wrong in the wild: ``faults`` holds, per part of a
path, the faults of the next replies.
"""

import gzip
import io
import json
import threading
import time
import zipfile
from collections import defaultdict
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd

SHIPPED = Path(__file__).resolve().parent.parent.parent / "datasets"
SHARED = SHIPPED.parent.parent / "shared" / "data"


def unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def compressed(content: bytes) -> bytes:
    """``content`` as Unix compress (.Z) would read it: single bytes as codes of nine bits.

    Code 256 empties the decoder's table before it outgrows nine bits; 248 codes fill whole bytes.
    """
    out = bytearray(b"\x1f\x9d\x90")
    for start in range(0, len(content), 247):
        codes = [*content[start : start + 247], 256]
        bits = sum(code << (9 * i) for i, code in enumerate(codes))
        out += bits.to_bytes((9 * len(codes) + 7) // 8, "little")
    return bytes(out)


@cache
def table(id: int) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The archive's CSV of data set ``id``: the frame, its targets, its columns of other roles."""
    if id == 329:
        text = (SHARED / "messidor_features.arff").read_text().split("@data\n")[1]
        names = [*(f"ma{i}" for i in range(19)), "Class"]
        return pd.read_csv(io.StringIO(text), header=None, names=names), ["Class"], []
    if id == 186:
        parts = [
            pd.read_csv(SHIPPED / f"wine/winequality-{colour}.csv.gz", sep=";").assign(color=colour)
            for colour in ("red", "white")
        ]
        return pd.concat(parts), ["quality"], ["color"]
    if id == 471:
        return pd.read_csv(SHIPPED / "electric/Data_for_UCI_named.csv.gz"), ["stab", "stabf"], []
    names = [*(f"Attribute{i}" for i in range(1, 41)), "class"]
    frame = pd.read_csv(SHARED / "waveform-v2.data.gz", header=None, names=names)
    return frame, ["class"], []


def metadata(id: int, base: str) -> bytes:
    frame, targets, others = table(id)
    roles = dict.fromkeys(targets, "Target") | dict.fromkeys(others, "Other")
    data = {
        "uci_id": id,
        "name": f"data set {id}",
        "data_url": f"{base}/static/public/{id}/data.csv",
        "variables": [{"name": name, "role": roles.get(name, "Feature")} for name in frame],
        "additional_info": None,
        "intro_paper": None,
    }
    return json.dumps({"status": 200, "data": data}).encode()


@cache
def bundle(name: str) -> bytes:
    """The static zip ``name``, packed as the archive packs it."""
    if name == "bank+marketing":
        full = unpacked(SHARED / "bank-additional-full.csv.gz")
        inner = zipped(**{"bank-additional/bank-additional-full.csv": full})
        return zipped(**{"bank.zip": zipped(readme=b""), "bank-additional.zip": inner})
    if name == "diabetic+retinopathy+debrecen":
        return zipped(**{"messidor_features.arff": unpacked(SHARED / "messidor_features.arff")})
    if name == "waveform+database+generator+version+2":
        rows = unpacked(SHARED / "waveform-v2.data.gz")
        return zipped(**{"waveform-+noise.data.Z": compressed(rows)})
    if name == "wine+quality":
        files = (f"winequality-{colour}.csv" for colour in ("red", "white"))
        return zipped(**{name: unpacked(SHIPPED / "wine" / f"{name}.gz") for name in files})
    raise KeyError(name)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        parts = urlsplit(self.path)
        fault = next(
            (
                faults.pop(0)
                for piece, faults in self.server.faults.items()
                if piece in self.path and faults
            ),
            None,
        )
        try:
            if parts.path == "/api/dataset":
                body = metadata(int(parse_qs(parts.query)["id"][0]), self.server.base)
            elif parts.path.endswith("/data.csv"):
                body = table(int(parts.path.split("/")[3]))[0].to_csv(index=False).encode()
            else:
                body = bundle(parts.path.rsplit("/", 1)[1].removesuffix(".zip"))
        except KeyError:
            fault = "404"
        self.answer(fault, body if fault != "404" else b"")

    def answer(self, fault: str | None, body: bytes):
        if fault in ("404", "502"):
            self.send_error(int(fault))
            return
        if fault == "hang":
            time.sleep(30)
            return
        if fault == "html":
            body = b"<html><body>Be right back</body></html>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "short":
            body = body[: len(body) // 2]
        if fault == "slow":
            time.sleep(3)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Archive(ThreadingHTTPServer):
    """``with Archive() as archive``: a server on loopback at ``archive.base``."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.requests: list[str] = []
        self.faults: dict[str, list[str]] = defaultdict(list)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@contextmanager
def in_place_of_uci(monkeypatch, folder: Path):
    """A server in place of the UCI archive, an empty cache in ``folder``, short pauses."""
    monkeypatch.setenv("SALUTARY_CACHE", str(folder / "cache"))
    monkeypatch.setattr("data_prep.download.PAUSE", 0.05)
    with Archive() as server:
        monkeypatch.setenv("SALUTARY_ARCHIVE", server.base)
        yield server
