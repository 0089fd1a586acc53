"""main_llm.py with the real encoder on 200 real texts, by the shell and as parts."""

import hashlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT, shell
from matplotlib.image import imread

import encoder as encoders
from data_utils import SHIPPED
from encoder import Recipe, embed, open_encoder, tune
from main_llm import main
from texts import TASKS, load

# not imported: Hugging Face's libraries read their settings when they are, see _no_hub
pytestmark = pytest.mark.skipif(
    not (find_spec("peft") and find_spec(encoders.WHEEL)), reason="make llm was not run"
)
NOWHERE = "http://127.0.0.1:9"  # no test may ask a real hub
RUN = (
    "main_llm.py --task tweets --texts 200 --init 40 --rounds 2 --budget 8 --epochs 1 --seeds 0 "
    "--methods random,salutary,salutary_plus --tune-every --out"
).split()
FILES = {
    "curves.csv", "picks.csv", "run.json", "curves.png", "tuned.csv", "tuned.png", "fidelity.png",
    "gallery.csv", "report.md",
}  # fmt: skip
QUICK = "--init 20 --rounds 1 --budget 2 --epochs 1 --methods salutary --no-plot --quiet".split()


@pytest.fixture(autouse=True, scope="module")
def _no_hub(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", NOWHERE)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("SALUTARY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def minilm():
    return open_encoder()


@pytest.fixture(scope="module")
def tweets(minilm):
    """200 tweets, and these as the encoder reads them."""
    some = load("tweets", most=200)
    return some, minilm.tokens(some.columns)


@pytest.fixture(scope="module")
def done(tmp_path_factory, no_network):
    """A run with a network that refuses every connection."""
    out = tmp_path_factory.mktemp("out")
    ran = shell(*RUN, str(out), PYTHONPATH=no_network, HF_HUB_OFFLINE=None)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, out / "tweets-strict"


# --- the run -------------------------------------------------------------------------------------


def test_without_a_network_the_tables_and_all_files_appear(done):
    printed, folder = done
    assert {path.name for path in folder.iterdir()} == FILES
    assert "dropped 768 texts: rated nearer to 0 than 0.5" in printed
    assert "strict protocol but for l2: l2 200, intercept, Hessian over the labeled set" in printed
    assert "lora, 74,498 trainable parameters, 1 epoch)" in printed
    for row in ("No added labels", "Random", "Salutary", "Salutary plus"):
        assert re.search(rf"\| {row} +\|", printed.split("fine-tuned (lora")[1])
    assert re.search(r"agree on \d+\.\d % .* correlate over 3 strategies: Pearson -?\d", printed)
    for name in ("curves.png", "tuned.png", "fidelity.png"):
        assert imread(folder / name).std() > 0.05
    told = json.loads((folder / "run.json").read_text())["language"]
    assert told["encoder"] == "all-MiniLM-L6-v2"
    assert told["recipe"]["tune"] == "lora"


def test_every_round_is_tuned_and_beside_the_stand_ins_own_record(done):
    _, folder = done
    tuned, curves = (pd.read_csv(folder / f"{name}.csv") for name in ("tuned", "curves"))
    assert len(tuned) == 1 + 3 * 2
    for row in tuned[tuned["method"] != "none"].itertuples():
        same = curves[(curves["method"] == row.method) & (curves["round"] == row.round)].iloc[0]
        assert row.stand_in == pytest.approx(same["test_accuracy"])  # refitted: the same model
        assert row.texts == 40 + 8 * row.round
    start = tuned[tuned["method"] == "none"].iloc[0]
    assert start["stand_in"] == pytest.approx(curves["test_accuracy"][0])
    assert (tuned["tuned"] > 0.55).all()
    # two models differ no more than their errors: |a - b| <= 1 - agreement
    assert ((tuned["tuned"] - tuned["stand_in"]).abs() <= 1 - tuned["agreement"] + 1e-9).all()


def test_the_gallery_shows_the_texts_of_highest_benefit(done):
    _, folder = done
    picks, shown = pd.read_csv(folder / "picks.csv"), pd.read_csv(folder / "gallery.csv")
    source = pd.read_csv(SHIPPED / "text/tweets.csv.gz", keep_default_na=False)
    assert set(shown["method"]) == {"salutary", "salutary_plus"}
    for method, rows in shown.groupby("method"):
        scores = picks[picks["method"] == method]["score"].nlargest(len(rows))
        np.testing.assert_allclose(rows["benefit"], scores, rtol=1e-6)
    assert (source["text"].iloc[shown["row"]].to_numpy() == shown["text"]).all()
    signs = np.where(source["rating"].iloc[shown["row"]] > 0, "positive", "negative")
    assert (shown["true_label"] == signs).all()
    assert set(shown["own_label"]) <= {"positive", "negative"}
    report = (folder / "report.md").read_text()
    assert report.count("\n| 1 | ") == 2
    assert " ".join(shown["text"][0].split())[:20].replace("&", "&amp;") in report


def test_a_killed_run_goes_on_and_ends_as_the_unbroken_one(done, tmp_path):
    """SIGKILL during the fine-tuning: the trainings that were done are not done again."""
    _, unbroken = done
    process = subprocess.Popen(
        [sys.executable, *RUN, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    folder, deadline = tmp_path / "tweets-strict", time.monotonic() + 120
    while len(list(folder.glob("unfinished-*/tuned-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("unfinished-*/tuned-*.json")}
    assert 3 <= len(kept) < 7
    assert not (folder / "tuned.csv").exists()
    marked = json.loads(next(iter(kept)).read_text())
    next(iter(kept)).write_text(json.dumps(marked | {"seconds": 12345.0}))
    assert main([*RUN[1:], str(tmp_path)]) == 0
    once, twice = (pd.read_csv(f / "tuned.csv") for f in (unbroken, folder))
    assert 12345.0 in twice["seconds"].to_numpy()
    pd.testing.assert_frame_equal(once.drop(columns="seconds"), twice.drop(columns="seconds"))
    for name in ("picks.csv", "gallery.csv"):
        assert (unbroken / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in folder.iterdir()} == FILES


def test_references_print_three_ways_to_use_all_labels(capsys, tmp_path):
    arguments = "--task tweets --texts 200 --references --epochs 1 --tune head --quiet --out"
    assert main([*arguments.split(), str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "tweets: all 160 true labels, 40 test texts" in table
    accuracies = [float(line.split("|")[2]) for line in table.splitlines() if "." in line]
    assert len(accuracies) == 4
    assert accuracies[2] > accuracies[0]  # the embeddings know more than the commonest class
    assert not list(tmp_path.iterdir())


def test_list_names_tasks_and_strategies(capsys):
    assert main(["--list"]) == 0
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {*TASKS, "salutary_plus", "random", "full_pool"} <= set(lines)


# --- the texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "positive", "negative", "neutral"),
    [
        ("movies", 4_996, 5_076, 533),
        ("tweets", 2_345, 1_087, 768),
        ("reviews", 1_750, 1_235, 723),
        ("editorials", 1_187, 1_783, 2_220),
    ],
)
def test_shipped_texts_are_the_rated_snippets_less_the_neutral_ones(
    name, positive, negative, neutral
):
    """Counts of the published files, taken with awk; contents by their checksum."""
    some = load(name)
    assert some.facts[0]["known_contents"]
    assert dict(zip(*np.unique(some.y, return_counts=True), strict=True)) == {
        "positive": positive, "negative": negative,
    }  # fmt: skip
    assert some.dropped == ((neutral, "rated nearer to 0 than 0.5"),)


def test_a_part_of_the_texts_keeps_the_classes_and_is_always_the_same():
    whole, part, again = load("tweets"), load("tweets", most=500), load("tweets", most=500)
    assert abs((part.y == "positive").mean() - (whole.y == "positive").mean()) < 0.005
    np.testing.assert_array_equal(part.rows, again.rows)
    assert part.dropped[-1][0] == len(whole.y) - 500


@pytest.fixture
def glue(tmp_path):
    """A small GLUE in the hub's own layout: movie snippets as sst2, pairs of them as mrpc."""
    from datasets import ClassLabel, Dataset, Features, Value

    some = load("movies", most=300)
    for task, columns in (("sst2", ["sentence"]), ("mrpc", ["sentence1", "sentence2"])):
        names = ["no", "yes"]
        schema = Features(
            dict.fromkeys(columns, Value("string"))
            | {"label": ClassLabel(names=names), "idx": Value("int32")}
        )
        for part, rows in (("train", range(0, 240)), ("validation", range(240, 300))):
            data = {c: [some.columns[0][r - i] for r in rows] for i, c in enumerate(columns)}
            data |= {"label": [int(some.y[r] == "positive") for r in rows], "idx": list(rows)}
            path = tmp_path / task / f"{part}-00000-of-00001.parquet"
            Dataset.from_dict(data, schema).to_parquet(path)
    return tmp_path


def test_glue_is_read_from_the_hubs_layout_with_its_own_test_set(glue, capsys, tmp_path):
    some = load("mrpc", glue)
    movies = load("movies", most=300)
    np.testing.assert_array_equal(some.columns[0], movies.columns[0])
    np.testing.assert_array_equal(some.columns[1][1:], movies.columns[0][:-1])
    np.testing.assert_array_equal(some.y, np.where(movies.y == "positive", "yes", "no"))
    np.testing.assert_array_equal(some.test, np.arange(240, 300))
    out = tmp_path / "out"
    arguments = ["--task", "sst2", "--data-dir", str(glue), *QUICK, "--out", str(out)]
    assert main(arguments) == 0
    told = json.loads((out / "sst2-strict/run.json").read_text())
    assert told["split"] == {"labeled": 20, "pool": 172, "validation": 48, "test": 60}
    assert len(load("mrpc", glue, most=100).test) == 60


def test_a_damaged_glue_file_is_refused_in_one_line(glue, capsys):
    path = glue / "sst2/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    assert main(["--task", "sst2", "--data-dir", str(glue)]) == 2
    assert "sst2 of GLUE cannot be loaded" in only_line(capsys)


# --- the encoder ---------------------------------------------------------------------------------


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

    monkeypatch.setattr(encoders.Encoder, "body", body)
    np.testing.assert_array_equal(embed(minilm, tokens), first)
    for other in (open_encoder(most_tokens=8), minilm):
        one = [np.array(["another text, of more than eight tokens in all"], object)]
        with pytest.raises(AssertionError, match="not from the cache"):
            embed(other, other.tokens(one))


def test_tuning_is_repeatable_leaves_the_random_state_alone_and_learns(minilm, tweets):
    some, tokens = tweets
    codes = (some.y == "positive").astype(int)
    train, test = np.arange(120), np.arange(120, 200)
    state = torch.random.get_rng_state()

    def predicted(labels, size, epochs):
        recipe = Recipe("lora", epochs=epochs)
        given = tune(minilm, tokens[train[:size]], labels[:size], 2, tokens[test], recipe, 0)
        return given.predicted

    first = predicted(codes, 24, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    np.testing.assert_array_equal(first, predicted(codes, 24, 1))
    learned, swapped = (predicted(labels, 120, 2) for labels in (codes, 1 - codes))
    assert (learned == codes[120:]).mean() > 0.7  # the most frequent class has 0.68 of all tweets
    assert (swapped == codes[120:]).mean() < 0.4  # it learned the labels that it was given


@pytest.mark.parametrize(("kind", "count"), [("lora", 73_728), ("full", 22_565_376), ("head", 0)])
def test_each_way_of_tuning_trains_the_weights_it_says(kind, count, minilm, tweets):
    """22,713,216 weights of the published model less its pooler of 384 · 385, which is not used."""
    some, tokens = tweets
    tuned = tune(
        minilm, tokens[range(16)], np.arange(16) % 3, 3, tokens[range(4)], Recipe(kind, epochs=1), 0
    )
    assert tuned.parameters == count + 385 * 3
    assert set(tuned.predicted) <= {0, 1, 2}


# --- what goes wrong -----------------------------------------------------------------------------


def only_line(capsys) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def table(tmp_path):
    """Tweets as a person may keep them, and the options that name its columns."""
    frame = pd.read_csv(SHIPPED / "text/tweets.csv.gz", keep_default_na=False).head(120)
    frame["mood"] = np.where(frame["rating"] > 0, "up", "down")

    def write(**changes):
        frame.assign(**changes).to_csv(tmp_path / "mine.csv", index=False)
        return ["--dataset", str(tmp_path / "mine.csv"), "--text-column", "text"]

    write.texts = frame["text"]
    return write


def test_odd_texts_of_an_own_table_are_told_and_run(table, capsys, tmp_path):
    odd = table.texts.copy()
    odd[[3, 7]], odd[5], odd[9], odd[11] = ["", "  "], "word " * 10_000, "fine 😀🚀", "NA"
    arguments = [*table(text=odd), "--target", "mood", "--out", str(tmp_path)]
    assert main([*arguments, *[q for q in QUICK if q != "--quiet"]]) == 0
    printed = capsys.readouterr().out
    assert "dropped 2 texts: the text is empty" in printed
    assert "1 texts are cut to 128 tokens" in printed
    assert "1 texts hold signs that all-MiniLM-L6-v2 does not know" in printed
    assert (tmp_path / "own-mine-strict/report.md").is_file()


BAD = {
    "one class": ({"mood": "up"}, ["--target", "mood"], "'mood' has 1 values"),
    "empty": ({"text": ""}, ["--target", "mood"], "has no text that is not empty"),
    "no target": ({}, [], "--target is missing"),
    "a number": ({}, ["--target", "rating"], "'rating' holds fractions"),
    "unknown column": ({}, ["--target", "moot"], "did you mean 'mood'"),
    "too few": ({}, ["--target", "mood", "--init", "119"], "cannot be split with --init 119"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_spoilt_own_table_is_refused(fault, table, capsys, tmp_path):
    changes, options, message = BAD[fault]
    assert main([*table(**changes), *options, "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert message in only_line(capsys)
    assert not [path for path in tmp_path.glob("out/**/*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--task moviez", "unknown task 'moviez': did you mean 'movies'"),
        ("--dataset movies", "is no table"),
        ("--dataset none.csv --text-column a --target b", "none.csv does not exist"),
        ("--dataset datasets/text/tweets.csv.gz", "--text-column: name the column"),
        ("--target mood", "are for a table of your own"),
        ("--methods none", "name a method to compare"),
        ("--methods salutry", "did you mean 'salutary'"),
        ("--encoder ./nothing", "./nothing is not a folder"),
        ("--encoder datasets", "datasets holds no encoder"),
        ("--encoder roberta-base", "put config.json, model.safetensors and the tokenizer's files"),
        ("--task sst2", "put the files sst2/train-*.parquet"),
        ("--max-tokens 513", "reads at most 512"),
        ("--tune lorra", "invalid choice: 'lorra'"),
        ("--texts 60 --init 2 --rounds 30", "the pool has"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main([*arguments.split(), "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert message in only_line(capsys)
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("name", ["transformers", "peft", "datasets"])
def test_a_missing_package_names_make_llm(name, capsys, monkeypatch, glue):
    monkeypatch.setitem(sys.modules, name, None)
    task = ["--task", "sst2", "--data-dir", str(glue)] if name == "datasets" else ["--texts", "50"]
    assert main([*task, *QUICK, "--out", str(glue / "out")]) == 2
    assert "is missing: make llm installs" in only_line(capsys)


def test_an_encoder_that_was_cut_short_is_refused(minilm, capsys, tmp_path):
    for path in minilm.folder.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "vocab.txt").write_bytes((minilm.folder / "vocab.txt").read_bytes())
    weights = (minilm.folder / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    arguments = ["--task", "tweets", "--texts", "60", "--encoder", str(tmp_path)]
    assert main([*arguments, *QUICK, "--out", str(tmp_path / "out")]) == 2
    assert "cannot be loaded" in only_line(capsys)


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


def test_too_little_memory_is_one_line(tmp_path):
    """1.5 GB of addresses: enough for the libraries, too little for the encoder."""
    limit = 3 * 2**29
    ran = subprocess.run(
        [sys.executable, *"main_llm.py --task tweets --texts 60 --tune full".split(), *QUICK,
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
