"""What is read back from a disk is believed only if it is what was kept there."""

import gzip
import hashlib
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from common.cache import cached_array
from common.seal import sealed, unsealed
from data_prep.catalogue import DATASETS
from data_prep.download import cached
from data_prep.places import SHIPPED
from experiments.loop import PickRecord, RoundRecord, RunRecords
from experiments.store import Store, UnusableRun
from llm.finetuning import FineTuner, FinishedTraining
from tests.helpers import error_of, main

HERE = "experiment-a"


def flipped(content: bytes, place: int = -200) -> bytes:
    """The same with one bit changed."""
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


# --- kept runs -----------------------------------------------------------------------------------


def a_run(seed: int, method: str) -> RunRecords:
    """The records of a run of one round."""
    numbers = {name: 0.5 for name in RoundRecord.__dataclass_fields__}
    curve = RoundRecord(**numbers | {"method": method, "seed": seed, "round": 0})
    picks = {name: 0 for name in PickRecord.__dataclass_fields__}
    pick = PickRecord(**picks | {"method": method, "seed": seed, "benefits": {}})
    return RunRecords([curve], [pick])


@pytest.fixture
def store(tmp_path):
    (tmp_path / HERE).mkdir()
    made = Store(tmp_path / HERE, {"random": "code", "salutary": "code"})
    for seed, method in ((0, "random"), (1, "random"), (0, "salutary")):
        made.keep(seed, method, a_run(seed, method))
    return made


def edited(stored: bytes) -> bytes:
    """A score is changed, and the packing is right again."""
    return gzip.compress(gzip.decompress(stored).replace(b"0.5", b"0.9", 1))


def without_checksum(stored: bytes) -> bytes:
    return gzip.compress(gzip.decompress(stored).split(b"\n")[0])


@pytest.mark.parametrize("damage", [edited, without_checksum, flipped, lambda stored: stored[:40]])
def test_f3_a_kept_run_that_was_changed_is_not_believed(store, damage):
    """F3."""
    assert store.recall(0, "random") is not None
    path = store.folder / "random-0.json.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UnusableRun, match=r"random-0.json.gz is damaged"):
        store.recall(0, "random")
    assert store.recall(1, "random") is not None


@pytest.mark.parametrize("other", ["random-1", "salutary-0"])
def test_f3_the_file_of_another_run_is_not_believed(store, other):
    """F3: another seed, another method, and another experiment."""
    name = "random-0.json.gz"
    shutil.copy(store.folder / f"{other}.json.gz", store.folder / name)
    with pytest.raises(UnusableRun):
        store.recall(0, "random")
    elsewhere = Store(store.folder.parent / "experiment-b", store.codes)
    elsewhere.folder.mkdir()
    shutil.copy(store.folder / "random-1.json.gz", elsewhere.folder)
    with pytest.raises(UnusableRun):
        elsewhere.recall(1, "random")


def test_f3_strange_files_beside_the_runs_are_left_alone(store):
    """F3."""
    for name in ("notes.json.gz", "random-x.json.gz", "-.json.gz"):
        (store.folder / name).write_bytes(b"mine")
    assert list(store.runs()) == [(0, "random"), (0, "salutary"), (1, "random")]


# --- trainings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"[0, 1]", b"[1, 1]"),
        lambda text: b"[]",
        lambda text: json.dumps({"predicted": [0, 1], "parameters": 3, "seconds": 1.0}).encode(),
        lambda text: sealed(b'{"predicted": [0], "parameters": 3, "seconds": 1.0}', "tuned-k.json"),
        lambda text: sealed(text[:-66], "tuned-other.json"),
    ],
)
def test_f3_a_kept_training_that_was_changed_is_made_anew(monkeypatch, tmp_path, change):
    """F3: changed, of another form, unsealed, of too few texts, of another training."""
    monkeypatch.setattr(FineTuner, "_key", lambda *_: "k")
    made, said = [], []

    def tune(*_):
        made.append(1)
        return SimpleNamespace(predicted=np.array([0, 1]), parameters=3)

    class Tokens:
        def __getitem__(self, rows):
            return [{}] * len(rows)

    data = SimpleNamespace(classes=np.array(["a", "b"]), tokens=Tokens(), encoder=None)
    monkeypatch.setattr("llm.finetuning.tune", tune)
    tuner = FineTuner(data, None, tmp_path)
    split = SimpleNamespace(test=[4, 5])
    training = SimpleNamespace(labels=["a", "b"], rows=[0, 1])
    first = tuner.train(split, training, 0, said.append)
    assert (first.predicted, said) == ([0, 1], [])
    path = tmp_path / "tuned-k.json"
    path.write_bytes(change(path.read_bytes()))
    again = tuner.train(split, training, 0, said.append)
    assert isinstance(again, FinishedTraining)
    assert again.predicted == [0, 1]
    assert (len(made), said) == (2, ["note: tuned-k.json is damaged and is made anew"])
    tuner.train(split, training, 0, said.append)
    assert len(made) == 2


# --- features and embeddings ---------------------------------------------------------------------

TRUE = np.arange(12.0).reshape(6, 2)


def as_npy(array: np.ndarray, path) -> bytes:
    np.save(path, array)
    return path.with_name(f"{path.name}.npy").read_bytes()


@pytest.mark.parametrize(
    "poison",
    [
        lambda stored, make: flipped(stored, 150),
        lambda stored, make: stored[:-70],
        lambda stored, make: b"",
        lambda stored, make: make(TRUE * 0),
        lambda stored, make: sealed(make(TRUE * np.nan), "text-a"),
        lambda stored, make: sealed(make(TRUE[:5]), "text-a"),
        lambda stored, make: sealed(make(TRUE.ravel()), "text-a"),
        lambda stored, make: sealed(make(TRUE), "text-b"),
        lambda stored, make: sealed(b"no array", "text-a"),
    ],
)
def test_f11_a_poisoned_cache_of_features_is_made_anew(monkeypatch, tmp_path, poison):
    """F11: bits, a cut, zeros, NaN, another shape, another key."""
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    said = []
    path = tmp_path / "features/text-a.npy"
    for _ in range(2):  # made, then read back
        cached_array("text-a", 6, lambda: TRUE, said.append)
    assert said == []
    path.write_bytes(poison(path.read_bytes(), lambda array: as_npy(array, tmp_path / "other")))
    found = cached_array("text-a", 6, lambda: TRUE.copy(), said.append)
    np.testing.assert_array_equal(found, TRUE)
    assert len(said) == 1
    assert f"{path} is damaged" in said[0]
    np.testing.assert_array_equal(cached_array("text-a", 6, None), TRUE)


def test_a_seal_belongs_to_its_content_and_its_key():
    """F3, F11: no part of the key can be moved into the content."""
    assert unsealed(sealed(b"content", "key"), "key") == b"content"
    for stored, key in ((sealed(b"ycontent", "ke"), "key"), (b"", ""), (b"x" * 66, "")):
        with pytest.raises(ValueError, match="does not fit"):
            unsealed(stored, key)


# --- downloads -----------------------------------------------------------------------------------


def test_p18_the_known_sum_wins_over_the_one_beside_the_file(tmp_path):
    """P18: a file and its sha256.json are both changed, and agree."""
    files = next(v.files for v in DATASETS["wine"].versions if all(f.sha256 for f in v.files))
    for file in files:
        content = gzip.decompress((SHIPPED / f"wine/{file.name}.gz").read_bytes())
        (tmp_path / file.name).write_bytes(content)

    def write_sums():
        sums = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.glob("*.csv")}
        (tmp_path / "sha256.json").write_text(json.dumps(sums))

    write_sums()
    assert cached(tmp_path, files) == [tmp_path / file.name for file in files]
    path = tmp_path / files[0].name
    path.write_bytes(path.read_bytes().replace(b"7.4", b"7.5", 1))
    write_sums()
    assert cached(tmp_path, files) is None


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "{", "\xff", '{"uci-329.csv": 3}', "[[1]]"])
def test_f9_sums_that_are_no_object_mean_that_nothing_is_cached(tmp_path, text):
    """F9."""
    files = DATASETS["diabetes"].versions[-1].files
    for file in files:
        (tmp_path / file.name).write_text("x")
    (tmp_path / "sha256.json").write_bytes(text.encode("latin-1"))
    assert cached(tmp_path, files) is None


@pytest.mark.parametrize("name", ["messidor_features.arff", "uci-329.csv", "sha256.json"])
def test_a_damaged_download_that_cannot_be_fetched_again_is_told_as_such(
    name, tmp_path, monkeypatch, capsys
):
    """P18: it is there, so it is not said to be nowhere; by --list too."""
    monkeypatch.setenv("SALUTARY_ARCHIVE", "http://127.0.0.1:9")
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    (tmp_path / "diabetes").mkdir()
    (tmp_path / "diabetes" / name).write_text("cut")
    assert main("binary", ["--dataset", "diabetes", "--out", str(tmp_path / "out")]) == 2
    assert f"what the cache {tmp_path}/diabetes has is damaged; " in error_of(capsys)
    assert main("binary", ["--list"]) == 0
    (line,) = re.findall(r"^ +diabetes .*", capsys.readouterr().out, re.M)
    assert "the cache's is damaged" in line
