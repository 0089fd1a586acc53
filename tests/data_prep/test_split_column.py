"""--split-column: a column of the user's own table says which part each row is in."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from data_utils import load, make_split
from experiments.options import ExperimentOptions
from experiments.settings import settle
from experiments.store import store_key
from tests.helpers import error_of, main, split_of

CANCER = load("breast_cancer").data
PARTS = ("labeled", "pool", "validation", "test")


@pytest.fixture
def frame():
    """Breast cancer with its features, its class, and the parts of the strict split of seed 0."""
    split = split_of("breast_cancer")
    frame = pd.DataFrame(CANCER.X[:, :6], columns=list("abcdef"))
    frame["class"] = np.where(CANCER.y == 1, "benign", "malignant")
    frame["part"] = ""
    for part, word in zip(PARTS, (" Train", "unlabeled", "dev", "TEST"), strict=True):
        frame.loc[getattr(split, part), "part"] = word
    return frame


def saved(frame, folder):
    path = folder / "own.csv"
    frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("protocol", ["paper", "strict", "tuned"])
def test_every_protocol_and_seed_has_the_split_of_the_column(protocol, frame, tmp_path):
    table = load(saved(frame, tmp_path), target="class", split_column="part")
    given = split_of("breast_cancer")
    for seed in (0, 3):
        split = make_split(table, protocol, table.dataset.init, seed)
        for part in PARTS:
            np.testing.assert_array_equal(getattr(split, part), np.sort(getattr(given, part)))
        seen = CANCER.X[np.concatenate([split.labeled, split.pool]), :6]
        expected = (CANCER.X[:, :6] - seen.mean(0)) / seen.std(0)
        np.testing.assert_allclose(split.X, expected)  # the column itself is no feature


def test_rows_of_the_pool_without_a_class_are_left_out(frame, tmp_path):
    pool = np.flatnonzero(frame["part"] == "unlabeled")
    frame.loc[pool[::3], "class"] = None
    data = load(saved(frame, tmp_path), target="class", split_column="part").data
    assert data.dropped == ((len(pool[::3]), "no 'class'"),)
    kept = np.setdiff1d(np.arange(len(frame)), pool[::3])
    np.testing.assert_array_equal(data.rows, kept)
    assert (data.parts == "pool").sum() == len(pool) - len(pool[::3])


def test_finished_runs_of_another_split_are_not_taken(frame, tmp_path):
    keys = set()
    for _ in range(2):
        table = load(saved(frame, tmp_path), target="class", split_column="part")
        options = ExperimentOptions(
            "own.csv", target="class", split_column="part", protocol="strict"
        )
        keys.add(store_key(settle(options, {}, table.dataset), table))
        first = [frame.index[frame["part"] == word][0] for word in ("dev", "unlabeled")]
        frame.loc[first, "part"] = ["unlabeled", "dev"]
    assert len(keys) == 2


def renamed(word, other):
    return lambda f: f.assign(part=f["part"].replace(word, other))


SPOILT = {
    "an unknown word": (
        lambda f: f.assign(part=f["part"].mask(f.index == 7, "tset")),
        "row 7, --split-column 'part': 'tset' is no part of a split; the words are labeled, train,",
    ),
    "no word": (
        lambda f: f.assign(part=f["part"].mask(f.index == 7, None)),
        "row 7, --split-column 'part': '' is no part",
    ),
    "no validation set": (
        renamed("dev", "test"),
        "has no row for the part 'validation': --split-column 'part' should say validation or val",
    ),
    "a test row without a class": (
        lambda f: f.assign(**{"class": f["class"].mask(f["part"] == "TEST", None)}),
        "is in the test set by --split-column 'part' but has no class",
    ),
    "no such column": (lambda f: f.rename(columns={"part": "prat"}), "did you mean 'prat'"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_split_is_refused_in_one_line(fault, frame, tmp_path):
    spoil, message = SPOILT[fault]
    with pytest.raises(UserError) as caught:
        load(saved(spoil(frame), tmp_path), target="class", split_column="part")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_no_labeled_row_has_is_refused(frame, tmp_path):
    frame.loc[(frame["part"] == " Train"), "class"] = "benign"
    table = load(saved(frame, tmp_path), target="class", split_column="part")
    with pytest.raises(UserError, match="no row of class malignant: put some of its rows there"):
        make_split(table, "strict", table.dataset.init, 0)
    with pytest.raises(UserError, match="puts 100 rows .* so it cannot have 50"):
        make_split(table, "strict", 50, 0)


def test_numbers_that_overflow_are_refused(frame, tmp_path):
    frame["d"] *= 1e300
    table = load(saved(frame, tmp_path), target="class", split_column="part")
    with pytest.raises(UserError, match="feature 3 has numbers too large to standardise"):
        make_split(table, "strict", table.dataset.init, 0)


def test_a_run_on_embeddings_records_both_files_and_the_split(frame, tmp_path, capsys):
    features, labels = tmp_path / "embeddings.npy", tmp_path / "labels.csv"
    np.save(features, CANCER.X[:, :6].astype(np.float32))
    frame[["class", "part"]].to_csv(labels, index=False)
    arguments = ["--dataset", str(features), "--labels", str(labels), "--split-column", "part"]
    short = ["--rounds", "1", "--methods", "random,salutary", "--no-plot", "--out", str(tmp_path)]
    assert main("binary", [*arguments, *short, "--seeds", "0,1"]) == 0
    assert "every seed has the split of --split-column" in capsys.readouterr().out
    (folder,) = tmp_path.glob("own-embeddings-tuned*/")
    record = json.loads((folder / "run.json").read_text())
    assert record["options"]["labels"] == str(labels)
    assert record["options"]["split_column"] == "part"
    assert record["options"]["init"] == record["split"]["labeled"] == 100
    for path, facts in zip((features, labels), record["data"]["files"], strict=True):
        assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert facts["rows"] == len(frame)
    picks = pd.read_csv(folder / "picks.csv")
    assert set(frame.loc[picks["row"], "part"]) == {"unlabeled"}
    assert (frame.loc[picks["row"], "class"].to_numpy() == picks["true_label"]).all()
    by_seed = picks.groupby(["method", "seed"])["row"].apply(list)
    assert by_seed["salutary", 0] == by_seed["salutary", 1]
    assert by_seed["random", 0] != by_seed["random", 1]
    assert main("binary", [*arguments, "--init", "50"]) == 2
    assert "--init and --split-column exclude each other" in error_of(capsys)
