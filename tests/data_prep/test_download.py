"""Downloads against a real server on loopback that misbehaves as the wild does."""

import contextlib
import gzip
import hashlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import compare
from common.errors import UserError
from data_prep.catalogue import DATASETS
from data_prep.places import SHIPPED
from data_utils import load
from experiments.data_sets import look_for, requests
from experiments.options import ComparisonOptions
from tests.helpers import ROOT
from tests.helpers.archive import in_place_of_uci


@pytest.fixture
def archive(monkeypatch, tmp_path):
    with in_place_of_uci(monkeypatch, tmp_path) as server:
        yield server


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def leftovers(cache):
    """Whatever lies in the cache beside finished files."""
    finished = {"lock", "sha256.json"}
    for sums in cache.glob("*/sha256.json"):
        finished |= set(json.loads(sums.read_text()))
    return [str(p) for p in cache.rglob("*") if p.is_file() and p.name not in finished] + [
        str(p) for p in cache.glob("*/fetch-*")
    ]


def quicker(monkeypatch, name, limit):
    """The registry's entry with another time limit."""
    dataset = DATASETS[name]
    versions = [
        replace(v, way=replace(v.way, limit=limit)) if v.way else v for v in dataset.versions
    ]
    monkeypatch.setitem(DATASETS, name, replace(dataset, versions=versions))


# --- what works ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["diabetes", "wine", "electric", "waveform"])
def test_ucis_client_gives_the_matrix_of_the_file(name, archive, shared_data):
    fetched = load(name, source="network")
    assert fetched.place == "the network"
    assert fetched.file_names == f"uci-{fetched.dataset.source[-3:]}.csv"
    local = load(name, shared_data)  # the ARFF, UCI's waveform; else what ships
    np.testing.assert_array_equal(fetched.data.y, local.data.y)
    np.testing.assert_allclose(fetched.data.X, local.data.X, rtol=1e-15)


def test_a_later_run_does_not_touch_the_network(archive, shared_data, cache):
    first = load("diabetes")
    assert first.tried == ("not in datasets/", "not in the cache")
    asked = len(archive.requests)
    again = load("diabetes")
    assert (again.place, len(archive.requests)) == ("the cache", asked)
    np.testing.assert_array_equal(again.data.X, first.data.X)
    assert leftovers(cache) == []


def test_compare_fetches_the_papers_bank_from_the_zip_in_the_zip(archive, shared_data, capsys):
    assert compare.main("--datasets bank electric --fetch".split()) == 0
    told = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert told == ["fetched: 41,188 rows", "here: 10,000 rows"]
    for group, rows in (("paper", 41_188), ("bank", 4_521)):  # a group takes all that is here
        asked = requests(ComparisonOptions(datasets=(group,)), lambda text: None)
        look_for([request for request in asked if request.name == "bank"], print)
        assert f"{rows:,} rows" in capsys.readouterr().out.split(";")[0]
    table = load("bank", source="network")
    assert table.data.X.shape == (30_488, 51)
    assert table.files[0].known_contents
    assert load("bank").data.X.shape == (4_521, 48)  # what ships is nearer than the cache


@pytest.mark.parametrize(
    ("name", "file"),
    [
        pytest.param("diabetes", "messidor_features.arff", marks=pytest.mark.slow),
        pytest.param("wine", "winequality-red.csv + winequality-white.csv", marks=pytest.mark.slow),
        ("waveform", "waveform-+noise.data"),  # packed as .Z
    ],
)
def test_where_the_client_fails_the_zip_serves(name, file, archive, shared_data):
    archive.faults["/api/"] = ["404"] * 3
    table = load(name, source="network")
    assert table.file_names == file
    np.testing.assert_array_equal(table.data.X, load(name, shared_data).data.X)


# --- what goes wrong -----------------------------------------------------------------------------


def test_502_twice_and_then_good(archive, shared_data, cache):
    archive.faults["/api/"] = ["502", "502"]
    assert load("diabetes").file_names == "uci-329.csv"
    assert sum("/api/" in path for path in archive.requests) == 3
    assert leftovers(cache) == []


FAULTS = {
    "metadata cut short": {"/api/": ["short"] * 3},
    "rows cut short": {"data.csv": ["short"] * 3},
    "metadata is a web page": {"/api/": ["html"] * 3},
    "rows are a web page": {"data.csv": ["html"] * 3},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_reply_is_asked_for_again_and_then_the_zip(fault, archive, shared_data, cache):
    archive.faults.update({piece: list(faults) for piece, faults in FAULTS[fault].items()})
    assert load("diabetes").file_names == "messidor_features.arff"
    assert leftovers(cache) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["502", "short", "html"])
def test_when_everything_fails_nothing_is_left_and_the_next_run_works(
    fault, archive, shared_data, cache
):
    archive.faults["/"] = [fault] * 6
    with pytest.raises(UserError) as caught:
        load("diabetes")
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        f"{archive.base}/api/dataset?id=329: ",
        f"{archive.base}/static/public/329/diabetic+retinopathy+debrecen.zip: ",
        "put messidor_features.arff (UCI 329) into ",
        "python main_binary.py --dataset diabetes --data-dir FOLDER",
    ):
        assert part in message
    assert leftovers(cache) == []
    assert not list(cache.glob("diabetes/sha256.json"))
    assert load("diabetes").data.X.shape == (1_151, 19)


@pytest.mark.slow
def test_a_hang_ends_at_the_time_limit(archive, shared_data, cache, monkeypatch):
    monkeypatch.setattr("data_prep.download.TRIES", 1)
    quicker(monkeypatch, "diabetes", 2.0)
    archive.faults["/"] = ["hang"] * 2
    start = time.monotonic()
    with pytest.raises(UserError, match=r"no answer within 2 s; .*no answer within 2 s"):
        load("diabetes")
    assert time.monotonic() - start < 30  # a slow machine's start is in it
    assert leftovers(cache) == []
    assert load("diabetes").place == "the network"


def test_a_wrong_checksum_is_refused(archive, shared_data, cache, monkeypatch):
    dataset = DATASETS["bank"]
    full = dataset.versions[0]
    wrong = replace(full, files=[replace(full.files[0], sha256="0" * 64)])
    monkeypatch.setitem(DATASETS, "bank", replace(dataset, versions=[wrong]))
    with pytest.raises(UserError, match="another checksum than the known file"):
        load("bank", source="network")
    assert len(archive.requests) == 3
    assert leftovers(cache) == []
    assert not list(cache.glob("bank/*.csv"))
    monkeypatch.setitem(DATASETS, "bank", dataset)
    assert load("bank", source="network").data.X.shape == (30_488, 51)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_cache_is_fetched_anew(damage, archive, shared_data, cache):
    expected = load("diabetes").data.X
    (path,) = cache.glob("diabetes/uci-329.csv")
    text = path.read_text()
    if damage == "gone":
        path.unlink()
    else:
        path.write_text(text[:20_000] if damage == "cut" else text.replace("22", "33", 1))
    again = load("diabetes")
    assert again.place == "the network"
    assert again.tried == ("not in datasets/", "damaged in the cache")
    np.testing.assert_array_equal(again.data.X, expected)
    assert load("diabetes").place == "the cache"


def _load_in_process(answers):
    table = load("diabetes")
    answers.put((table.place, float(table.data.X.sum())))


@pytest.mark.slow
def test_two_processes_at_once_fetch_once(archive, shared_data, cache):
    archive.faults["data.csv"] = ["slow"]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    both = [context.Process(target=_load_in_process, args=(answers,)) for _ in range(2)]
    for process in both:
        process.start()
    sums = [answers.get(timeout=60)[1] for _ in both]
    for process in both:
        process.join()
    assert sums[0] == sums[1]
    assert sum("data.csv" in path for path in archive.requests) == 1
    assert leftovers(cache) == []


@pytest.mark.slow
def test_a_run_killed_while_fetching_leaves_nothing_that_harms(archive, shared_data, cache):
    archive.faults["data.csv"] = ["hang"]
    command = [sys.executable, "main_binary.py", "--diabetes", "y", "--rounds", "1", "--no-plot"]
    run = subprocess.Popen(
        [*command, "--out", str(cache / "out")],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not any("data.csv" in path for path in archive.requests):
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (cache / "diabetes/sha256.json").exists()
    assert load("diabetes").place == "the network"
    assert leftovers(cache) == []


def test_ctrl_c_while_fetching_ends_in_one_line(archive, shared_data, cache):
    archive.faults["/"] = ["hang"]
    run = subprocess.Popen(
        [sys.executable, "main_binary.py", "--diabetes", "y", "--quiet"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while not archive.requests:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the child process too
    _, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert err.strip() == "stopped by Ctrl-C; no result was changed"
    assert leftovers(cache) == []


# --- offline and pinned --------------------------------------------------------------------------


@pytest.fixture
def deaf():
    """An address on loopback that never answers a call: its queue of callers is full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def offline(script, name, address, cache):
    """Run a script where the archive, and a proxy before all others, are at a dead address."""
    environment = {
        **os.environ,
        "SALUTARY_CACHE": str(cache),
        "SALUTARY_ARCHIVE": address,
        "https_proxy": address,
        "no_proxy": "",
    }
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, script, "--dataset", name],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert time.monotonic() - start < 30  # a try that waits for its answer takes 60 s or more
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"then: python {script} --dataset {name} --data-dir FOLDER" in done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "name", "file"),
    [
        ("main_binary.py", "diabetes", "messidor_features.arff"),
        ("main_binary.py", "celeba", "list_attr_celeba.txt"),
        ("main_multi.py", "cifar10", "cifar-10-binary.tar.gz"),
    ],
)
def test_offline_a_missing_set_ends_soon(script, name, file, tmp_path):
    error = offline(script, name, "http://127.0.0.1:9", tmp_path)
    assert f"put {file}" in error
    assert name == "celeba" or "cannot be reached" in error


@pytest.mark.slow
def test_where_no_answer_comes_at_all_too(deaf, tmp_path):
    assert f"{deaf}/api/dataset?id=329 cannot be reached" in offline(
        "main_binary.py", "diabetes", deaf, tmp_path
    )


def test_source_shipped_never_asks_the_network(archive, shared_data):
    assert load("wine", source="shipped").place == "datasets/"
    with pytest.raises(UserError, match="diabetes is not here: put messidor"):
        load("diabetes", source="shipped")
    assert archive.requests == []


def test_source_network_passes_what_ships_by(archive, shared_data):
    assert load("wine", source="network").place == "the network"
    assert load("wine").place == "datasets/"


def test_a_cache_that_cannot_be_written_ends_in_one_line(archive, shared_data, cache, monkeypatch):
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="set SALUTARY_CACHE to another folder"):
        load("diabetes")


# --- OpenML --------------------------------------------------------------------------------------


def openml_folder(folder, id, frame):
    """A cache of scikit-learn's own layout that holds ``frame``, its last column the target."""
    lines = [f"@ATTRIBUTE {name} REAL" for name in frame.columns[:-1]]
    classes = ",".join(map(str, sorted(frame.iloc[:, -1].unique())))
    head = ["@RELATION x", *lines, f"@ATTRIBUTE class {{{classes}}}", "@DATA"]
    arff = ("\n".join(head) + "\n" + frame.to_csv(index=False, header=False)).encode()
    feature = [
        {
            "index": str(i), "name": name, "is_ignore": "false", "is_row_identifier": "false",
            "data_type": "nominal" if name == "class" else "numeric",
            "is_target": str(name == "class").lower(), "number_of_missing_values": "0",
        }
        for i, name in enumerate(frame.columns)
    ]  # fmt: skip
    url = f"https://www.openml.org/data/v1/download/1/{id}.arff"
    description = {
        "id": str(id), "name": "x", "version": "1", "format": "ARFF", "status": "active",
        "default_target_attribute": "class", "file_id": "1", "url": url, "licence": "",
        "md5_checksum": hashlib.md5(arff).hexdigest(),
    }  # fmt: skip
    quality = [{"name": "NumberOfInstances", "value": f"{len(frame)}.0"}]
    replies = {
        f"api/v1/json/data/{id}": {"data_set_description": description},
        f"api/v1/json/data/features/{id}": {"data_features": {"feature": feature}},
        f"api/v1/json/data/qualities/{id}": {"data_qualities": {"quality": quality}},
        f"data/v1/download/1/{id}.arff": arff,
    }
    for path, reply in replies.items():
        place = folder / "openml/openml.org" / f"{path}.gz"
        place.parent.mkdir(parents=True, exist_ok=True)
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        place.write_bytes(gzip.compress(content))


def test_openml_gives_the_digits_as_they_are(monkeypatch, tmp_path):
    """300 real digits in scikit-learn's own cache stand for the 70,000, with no network."""
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    raw = pd.read_csv(SHIPPED / "mnist/mnist_5k.csv.gz", header=None).iloc[::17][:300]
    raw.columns = [*(f"pixel{i}" for i in range(1, 785)), "class"]
    openml_folder(tmp_path / "mnist", 554, raw)
    dataset = DATASETS["mnist"]
    first = dataset.versions[0]
    small = replace(first, files=[replace(first.files[0], rows=len(raw))])
    monkeypatch.setitem(DATASETS, "mnist", replace(dataset, versions=[small]))
    for place in ("the network", "the cache"):
        table = load("mnist", source="network")
        assert table.place == place
        np.testing.assert_array_equal(table.data.X * 255, raw.iloc[:, :-1])
        np.testing.assert_array_equal(table.data.y, raw["class"])
