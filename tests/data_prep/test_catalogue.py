"""The data sets that ship, and those in ../shared/data: contents, sizes, encodings."""

import hashlib
import runpy

import numpy as np
import pandas as pd
import pytest

from data_prep.catalogue import DATASETS, SCRIPTS
from data_prep.places import SHIPPED
from data_utils import load
from tests.helpers import ROOT

SHIPPED_NAMES = ["bank", "electric", "wine", "waveform", "musk", "mnist"]


def test_what_ships_is_small():
    paths = [ROOT / file.path for name in SHIPPED_NAMES for file in load(name).files]
    assert sum(path.stat().st_size for path in paths) < 5_000_000


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_shipped_files_are_the_known_ones_and_the_readme_says_so(name):
    table = load(name)
    readme = (SHIPPED / "README.md").read_text()
    for file in table.files:
        path = ROOT / file.path
        assert file.known_contents
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        line = next(x for x in readme.splitlines() if x.startswith(f"| {name}/{path.name} "))
        assert file.sha256 in line
        assert f"| {file.rows:,} |" in line


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("bank", (4_521, 48), [0, 1]),
        ("electric", (10_000, 12), ["stable", "unstable"]),
        ("wine", (6_497, 11), [3, 4, 5, 6, 7, 8, 9]),
        ("waveform", (5_000, 40), [0, 1, 2]),
        ("musk", (6_598, 166), [0, 1]),
        ("mnist", (5_000, 784), list(range(10))),
    ],
)
def test_shipped_sets_have_their_shape_and_classes(name, shape, classes):
    data = load(name).data
    assert data.X.shape == shape
    assert np.unique(data.y).tolist() == classes
    assert np.isfinite(data.X).all()


def test_musk_is_ucis_and_the_number_of_the_molecule_is_no_feature():
    """UCI's page counts 39 musks among 102 molecules; the rows below are lines of clean2.data."""
    table = load("musk")
    raw = pd.read_csv(ROOT / table.files[0].path, header=None)
    molecules = raw.groupby(1)[0]
    assert (molecules.nunique() == 1).all()
    assert (len(molecules), molecules.first().sum(), raw[0].sum()) == (102, 39, 1_017)
    np.testing.assert_array_equal(table.data.X, raw.loc[:, 2:])
    np.testing.assert_array_equal(table.data.y, raw[0])
    for row, label, first, last in (
        (0, 1, [46, -108, -60, -69, -117, 49, 38], [126, 156, -50, -112, 96]),
        (4, 1, [41, -188, -145, 22, -117, -7, 57], [137, 168, -60, -135, 80]),
        (6_592, 0, [48, -162, -101, 29, -117, -86, 215], [131, 188, -72, -173, 13]),
        (6_597, 0, [51, -122, -23, -106, -117, 190, -161], [107, 171, -44, -115, 118]),
    ):
        assert table.data.y[row] == label
        assert table.data.X[row, :7].tolist() == first
        assert table.data.X[row, -5:].tolist() == last


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
    assert table.files[0].rows == 41_188
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


def test_the_documents_list_the_catalogue():
    document = (ROOT / "docs" / "options.md").read_text()
    rows = [line for line in document.splitlines() if line.count("|") == 5 and "`main_" in line]
    assert rows == [
        f"| {d.name} | `{SCRIPTS[d.task]}` | {d.title}, {d.classes} classes "
        f"| {d.source}, {d.licence} |"
        for d in DATASETS.values()
    ]
