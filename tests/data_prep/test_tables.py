"""A user's own table, in every form in which users bring them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from common.errors import UserError
from data_prep.places import SHIPPED
from data_utils import load, make_split
from tests.helpers import main


@pytest.fixture
def bank():
    return pd.read_csv(SHIPPED / "bank/bank.csv.gz")


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
    assert (table.dataset.task, table.place) == ("binary", "your own table")
    assert len(table.files[0].sha256) == 64


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
    arguments += ["--methods", "salutary"]
    assert main("multi", [*arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "found in your own table" in printed
    assert "own-wines (wines.tsv, 6,497 rows)" in printed
    assert (tmp_path / "own-wines-tuned/curves.csv").is_file()
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
