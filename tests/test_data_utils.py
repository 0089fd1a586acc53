"""data_utils.py and sources.py on the real files, whole and spoilt."""

import gzip
import hashlib
import runpy

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, split_of

from data_utils import DATASETS, SCRIPTS, SHIPPED, load
from sources import UserError
from splits import make_split

SHIPPED_NAMES = ["bank", "electric", "wine", "waveform", "mnist"]


def test_what_ships_is_small():
    paths = [ROOT / file["path"] for name in SHIPPED_NAMES for file in load(name).files]
    assert sum(path.stat().st_size for path in paths) < 5_000_000


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_shipped_files_are_the_known_ones_and_the_readme_says_so(name):
    table = load(name)
    readme = (SHIPPED / "README.md").read_text()
    for file in table.files:
        path = ROOT / file["path"]
        assert file["known_contents"]
        assert file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        line = next(x for x in readme.splitlines() if x.startswith(f"| {name}/{path.name} "))
        assert file["sha256"] in line
        assert f"| {file['rows']:,} |" in line


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("bank", (4_521, 48), [0, 1]),
        ("electric", (10_000, 12), ["stable", "unstable"]),
        ("wine", (6_497, 11), [3, 4, 5, 6, 7, 8, 9]),
        ("waveform", (5_000, 40), [0, 1, 2]),
        ("mnist", (5_000, 784), list(range(10))),
    ],
)
def test_shipped_sets_have_their_shape_and_classes(name, shape, classes):
    data = load(name).data
    assert data.X.shape == shape
    assert np.unique(data.y).tolist() == classes
    assert np.isfinite(data.X).all()


def test_small_bank_encodes_every_column_once():
    data = load("bank").data
    raw = pd.read_csv(SHIPPED / "bank/bank.csv.gz", keep_default_na=False)
    assert raw.shape[1] == 17  # the wheel's id column is gone
    dummies = [raw.loc[:, :"y"][c].nunique() for c in raw.columns[:-1] if raw[c].dtype != np.int64]
    numbers = [c for c in raw.columns if raw[c].dtype == np.int64]
    assert data.X.shape[1] == len(numbers) + sum(1 if n == 2 else n for n in dummies)
    assert (data.X[:, 0] == raw["age"]).all()
    assert (data.y == (raw["y"] == "yes")).all()


def test_full_bank_is_the_papers(shared_data):
    """51 columns in the protocol's order, against pandas' own dummies."""
    table = load("bank", shared_data)
    data = table.data
    assert table.files[0]["rows"] == 41_188
    assert data.X.shape == (30_488, 51)
    assert data.dropped[0][0] == 10_700
    assert data.y.mean() == pytest.approx(0.1266, abs=5e-5)
    raw = pd.read_csv(shared_data / "bank-additional-full.csv.gz", sep=";").loc[data.rows]
    assert not (raw == "unknown").any().any()
    assert (np.diff(data.rows) > 0).all()
    np.testing.assert_array_equal(data.X[:, 0], raw["duration"])
    np.testing.assert_array_equal(data.X[:, 8], raw["nr.employed"])
    np.testing.assert_array_equal(data.X[:, 9:20].sum(1), 1)  # the eleven jobs
    np.testing.assert_array_equal(data.X[:, 9], raw["job"] == "housemaid")
    np.testing.assert_array_equal(data.X[:, 19], raw["job"] == "self-employed")
    np.testing.assert_array_equal(data.X[:, 20], raw["marital"] == "married")
    np.testing.assert_array_equal(data.X[:, 31], raw["contact"] == "cellular")
    np.testing.assert_array_equal(data.X[:, 32], raw["month"] == "may")
    np.testing.assert_array_equal(data.X[:, 46], raw["day_of_week"] == "fri")
    np.testing.assert_array_equal(data.X[:, 49], raw["poutcome"] == "success")
    np.testing.assert_array_equal(data.X[:, 50], raw["age"] <= 36)


def test_diabetes_reads_the_arff(shared_data):
    data = load("diabetes", shared_data).data
    assert data.X.shape == (1_151, 19)
    assert data.X[0, 8] == 49.895756
    assert np.bincount(data.y).tolist() == [540, 611]


def test_waveform_is_its_generators_and_agrees_with_uci(shared_data):
    generator = runpy.run_path(str(SHIPPED / "waveform/generate.py"))
    shipped = load("waveform").data
    X, y = generator["generate"](generator["ROWS"], np.random.default_rng(generator["SEED"]))
    np.testing.assert_array_equal(shipped.y, y)
    np.testing.assert_allclose(shipped.X, X, atol=0.005 + 1e-9)  # written with two decimals
    uci = pd.read_csv(shared_data / "waveform-v2.data.gz", header=None).to_numpy()
    for c in range(3):
        ours, theirs = shipped.X[shipped.y == c], uci[uci[:, 40] == c, :40]
        error = np.sqrt(ours.var(0) / len(ours) + theirs.var(0) / len(theirs))
        assert (abs(ours.mean(0) - theirs.mean(0)) < 4 * error).all()
        assert (abs(ours.std(0) / theirs.std(0) - 1) < 0.1).all()


def test_readme_lists_the_registry():
    readme = (ROOT / "README.md").read_text()
    rows = [line for line in readme.splitlines() if line.count("|") == 5 and "`main_" in line]
    assert rows == [
        f"| {d.name} | `{SCRIPTS[d.kind]}` | {d.title}, {d.classes} classes "
        f"| {d.source}, {d.licence} |"
        for d in DATASETS.values()
    ]


# --- splits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["paper", "strict"])
@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_parts_cover_the_rows_once_and_hold_every_class(name, protocol):
    split = split_of(name, protocol)
    parts = split.labeled, split.pool, split.validation, split.test
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(split.y)))
    for part in parts:
        assert set(split.y[part]) == set(split.y)
    shares = [pd.Series(split.y[part]).value_counts(normalize=True).sort_index() for part in parts]
    for share in shares[1:]:
        assert abs(share - shares[0]).max() < 0.03


def test_published_sizes(shared_data):
    bank = make_split(load("bank", shared_data), "paper", 300, 0)
    sizes = len(bank.labeled), len(bank.pool), len(bank.validation), len(bank.test)
    assert sizes == (300, 17_992, 6_098, 6_098)
    wine = split_of("wine", "paper")
    sizes = len(wine.labeled), len(wine.pool), len(wine.validation), len(wine.test)
    assert sizes == (301, 3_596, 1_300, 1_300)
    assert [(wine.y[p] == 9).sum() for p in (wine.labeled, wine.pool)] == [1, 2]
    np.testing.assert_array_equal(wine.X, load("wine").data.X)  # unscaled


def test_strict_features_are_standardised_without_validation_and_test():
    split = split_of("electric")
    seen = split.X[np.concatenate([split.labeled, split.pool])]
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-10)
    assert abs(split.X[split.test].mean(0)).max() > 1e-4


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_seeds_draw_other_splits_and_the_same_seed_the_same(protocol):
    table = load("bank")
    first, again, other = (make_split(table, protocol, 300, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.labeled, again.labeled)
    assert set(first.labeled) != set(other.labeled)
    assert set(first.test) != set(other.test)


def test_a_split_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        split_of("bank").y[0] = 1


@pytest.mark.parametrize(
    ("name", "init", "message"),
    [
        ("bank", 5_000, "cannot be split with --init 5000"),
        ("wine", 8, "has no row of class 3: give a larger --init"),
        ("wine", 3, "cannot be split with --init 3"),
    ],
)
def test_impossible_splits_are_refused(name, init, message):
    with pytest.raises(UserError, match=message):
        make_split(load(name), "strict", init, 0)


# --- spoilt files --------------------------------------------------------------------------------

BANK = "bank-additional-full.csv"


def edited(text: str, line: int, old: str, new: str) -> str:
    lines = text.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return "\n".join(lines)


SPOILT = {
    "cut mid-line": (lambda t: t[:1_000_003], "cut short or damaged"),
    "cut at a line": (lambda t: t[: t.index("\n", 10**6) + 1], "is cut short"),
    "empty": (lambda t: "", "cut short or damaged"),
    "a web page": (lambda t: "<html><body>502</body></html>", "21 columns"),
    "NaN": (lambda t: edited(t, 6, ";307;", ";NaN;"), "line 6, column 'duration': 'NaN' is not a"),
    "blank": (lambda t: edited(t, 6, ";307;", ";;"), "line 6, column 'duration': '' is not a num"),
    "text": (lambda t: edited(t, 6, ";307;", ";abc;"), "line 6, column 'duration': 'abc' is not"),
    "infinite": (lambda t: edited(t, 6, ";307;", ";inf;"), "line 6, column 'duration': 'inf' is"),
    "a field more": (lambda t: edited(t, 6, ";307;", ";307;1;"), "line 6"),
    "a field less": (lambda t: edited(t, 6, ";307;", ";"), "line 6"),
    "a new category": (lambda t: edited(t, 6, "services", "astronaut"), "'astronaut' is none of"),
    "a renamed column": (lambda t: edited(t, 1, "campaign", "campaing"), "campaign, campaing"),
    "rows twice": (lambda t: t + t[t.index("\n") + 1 :], "too many rows"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_table_is_refused_with_the_place(fault, shared_data, tmp_path):
    spoil, message = SPOILT[fault]
    text = gzip.decompress((shared_data / f"{BANK}.gz").read_bytes()).decode()
    (tmp_path / BANK).write_text(spoil(text))
    with pytest.raises(UserError) as caught:
        load("bank", tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_archive_is_refused(shared_data, tmp_path):
    packed = (shared_data / f"{BANK}.gz").read_bytes()
    (tmp_path / f"{BANK}.gz").write_bytes(packed[:100_000])
    with pytest.raises(UserError, match="cannot be read, get it again"):
        load("bank", tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t[:50_000], "cut short or damaged"),
        (lambda t: "", "cut short or damaged"),
        (lambda t: t.replace("49.895756", "?"), "row 0, column '8': 'nan' is not a number"),
        (lambda t: t.replace("0.100025,1,0", "0.100025,1,2"), "has 2 classes, its file here 3"),
        (lambda t: t.replace("0.100025,1,0", "0.100025,1,0.5"), "should be a whole number"),
    ],
)
def test_a_spoilt_arff_is_refused(spoil, message, shared_data, tmp_path):
    text = (shared_data / "messidor_features.arff").read_text()
    (tmp_path / "messidor_features.arff").write_text(spoil(text))
    with pytest.raises(UserError, match=message):
        load("diabetes", tmp_path)


def test_a_known_table_with_other_line_ends_is_read_and_noted(shared_data, tmp_path):
    text = gzip.decompress((shared_data / f"{BANK}.gz").read_bytes()).decode()
    (tmp_path / BANK).write_bytes(text.replace("\n", "\r\n").encode())
    table = load("bank", tmp_path)
    assert not table.files[0]["known_contents"]
    np.testing.assert_array_equal(table.data.X, load("bank", shared_data).data.X)


def test_a_missing_set_says_which_file_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setattr("data_utils.SHIPPED", tmp_path)  # someone may have put it into datasets/
    with pytest.raises(UserError, match=r"put messidor_features.arff .* into .*/diabetes or"):
        load("diabetes", source="shipped")


def test_an_unknown_set_is_answered_with_the_nearest_name():
    with pytest.raises(UserError, match="unknown data set 'wnie': did you mean 'wine'"):
        load("wnie")
