"""--model-out and --predictions: a Pipeline that loads alone, and the same numbers."""

import gzip
import json
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import data_prep.tables
from common.errors import UserError
from common.files import write_files
from tests.helpers import error_of

OURS = {"salutary", "labeling", "models", "data_prep", "common", "experiments", "numerics"}
pytestmark = pytest.mark.usefixtures("unmeasured")

ALONE = """
import sys
import joblib, pandas as pd
model = joblib.load(sys.argv[1])
frame = pd.read_csv(sys.argv[2])
P = pd.DataFrame(model.predict_proba(frame), columns=model.classes_)
P.to_csv(sys.argv[3], index=False, float_format="%.17g")
assert not {name.split(".")[0] for name in sys.modules} & {"labeling", "models", "torch"}
"""


def alone(folder, table="predictions.csv"):
    """The probabilities by a process that lacks this project, for a table as pandas reads it."""
    command = [sys.executable, "-I", "-c", ALONE]  # -I: neither the folder nor PYTHONPATH
    files = [str(folder / name) for name in ("model.joblib", table, "alone.csv")]
    done = subprocess.run([*command, *files], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "alone.csv")


@pytest.fixture
def mixed(folder):
    """Numbers with marks and gaps, codes, truth values, texts with blanks: what pandas rereads."""
    rng = np.random.default_rng(0)
    for name in ("labeled", "validation", "pool"):
        frame = pd.read_csv(folder / f"{name}.csv", dtype=str)
        n = len(frame)
        frame["balance"] = frame["balance"].where(
            rng.random(n) > 0.1, rng.choice(["", "?", "n/a"], n)
        )
        frame["age"] = frame["age"].where(rng.random(n) > 0.1, "")
        frame["zip"] = rng.choice(["01", "02", "10", ""], n)
        frame["vip"] = rng.choice(["TRUE", "FALSE"], n, p=[0.7, 0.3])
        frame["job"] = frame["job"].where(rng.random(n) > 0.1, " admin. ").replace("unknown", "")
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def outputs(folder, more=()):
    return (f"--model-out={folder}/model.joblib", f"--predictions={folder}/predictions.csv", *more)


def test_the_model_loads_without_this_project_and_says_the_same(mixed, capsys, run):
    assert run(mixed, *outputs(mixed)) == 0
    printed = capsys.readouterr().out
    assert "in place of" not in printed
    assert "probabilities for the other 394 rows of the pool" in printed
    told = pd.read_csv(mixed / "predictions.csv")
    found = alone(mixed)
    for name in ("no", "yes"):
        np.testing.assert_allclose(found[name], told[f"probability_{name}"], rtol=0, atol=1e-9)
    assert told["probability_yes"].std() > 0.05
    named = {
        str(arg).split()[0]
        for code, arg, _ in pickletools.genops((mixed / "model.joblib").read_bytes())
        if "UNICODE" in code.name
    }
    assert not {name.split(".")[0] for name in named} & OURS
    model = joblib.load(mixed / "model.joblib")
    row = pd.read_csv(mixed / "pool.csv")[:1]
    usual = model.predict_proba(row.assign(vip=True))  # most are TRUE, and none was missing
    np.testing.assert_array_equal(model.predict_proba(row.assign(vip=np.nan)), usual)
    assert (model.predict_proba(row.assign(vip=False)) != usual).any()
    with pytest.raises(ValueError, match="Unable to parse string"):
        model.predict_proba(row.assign(age="many"))


def test_predictions_are_the_rows_that_got_no_label_with_all_cells(folder, run, cells, monkeypatch):
    monkeypatch.setattr(data_prep.tables, "CHUNK", 150)
    pool = cells(folder / "pool.csv").assign(**{"source_file": "=1+1"})
    pool.to_csv(folder / "pool.csv", index=False)
    labeled = cells(folder / "labeled.csv").assign(source_file="x")
    labeled.to_csv(folder / "labeled.csv", index=False)
    packed = f"--predictions={folder}/rest.csv.gz"
    assert run(folder, packed, "--excel-safe", "--abstain=1", validation=None) == 0
    with gzip.open(folder / "rest.csv.gz", "rt") as stream:
        rest = pd.read_csv(stream, dtype=str, keep_default_na=False)
    given = cells(folder / "plus.csv")[120:]["salutary_source_row"].astype(int)
    assert len(rest) == 400 - len(given)  # the rows left for a person are among them
    kept = np.setdiff1d(np.arange(400), given)
    assert rest["salutary_source_row"].astype(int).tolist() == kept.tolist()
    assert set(rest["salutary_source_file"]) == {f"{folder}/pool.csv"}
    assert set(rest["source_file"]) == {"'=1+1"}
    assert set(rest["salutary_quoted"]) == {"1"}
    own = [name for name in pool if name != "source_file"]
    pd.testing.assert_frame_equal(rest[own], pool.iloc[kept][own].reset_index(drop=True))
    P = rest[["salutary_probability_no", "salutary_probability_yes"]].astype(float)
    np.testing.assert_allclose(P.sum(1), 1)


def test_a_column_that_scikit_learn_cannot_read_is_named_with_what_is_expected(folder, capsys, run):
    made = []
    for name in ("labeled", "validation", "pool"):
        frame = pd.read_csv(folder / f"{name}.csv", dtype=str)
        frame["day"] = pd.date_range("2024-01-01", periods=len(frame)).strftime("%d/%m/%Y")
        frame["price"] = [f"{k % 97},5" for k in range(len(frame))]
        frame.to_csv(folder / f"{name}.csv", index=False)
        made.append(frame)
    assert run(folder, *outputs(folder)) == 0
    printed = capsys.readouterr().out
    latest = "2025-02-03"  # of the 400 rows of the pool
    assert (
        "in place of 'day' it expects the numbers day.year, day.month, day.weekday, day.age_days, "
        f"age before {latest}"
    ) in printed
    assert "it expects 'price' as numbers" in printed
    told = pd.read_csv(folder / "predictions.csv", dtype={"price": str})
    day = pd.to_datetime(told["day"], format="%d/%m/%Y")
    ready = told.assign(
        price=told["price"].str.replace(",", ".").astype(float),
        **{
            "day.year": day.dt.year,
            "day.month": day.dt.month,
            "day.weekday": day.dt.weekday,
            "day.age_days": (pd.Timestamp(latest) - day).dt.days,
        },
    )
    ready.to_csv(folder / "ready.csv", index=False)
    found = alone(folder, "ready.csv")
    np.testing.assert_allclose(found["yes"], told["probability_yes"], rtol=0, atol=1e-9)
    record = json.loads((folder / "plus.json").read_text())["model"]
    assert record["expects_in_place_of_columns"]["price"] == ["price"]


@pytest.mark.slow
def test_three_classes_and_an_estimator_of_ones_own(folder, run):
    for name in ("labeled", "validation", "pool"):
        frame = pd.read_csv(folder / f"{name}.csv")
        target = "marital"
        frame.rename(columns={target: "grade"}).to_csv(folder / f"{name}.csv", index=False)
    for more in ((), ("--estimator=sklearn.tree.DecisionTreeClassifier",)):
        named = outputs(folder, ("--target=grade", "--force", *more))
        pool = pd.read_csv(folder / "pool.csv")
        if "y" not in pool:
            pool.assign(y="no").to_csv(folder / "pool.csv", index=False)
        assert run(folder, *named) == 0
        told, found = pd.read_csv(folder / "predictions.csv"), alone(folder)
        assert list(found) == ["divorced", "married", "single"]
        for name in found:
            np.testing.assert_allclose(found[name], told[f"probability_{name}"], rtol=0, atol=1e-9)
    assert isinstance(joblib.load(folder / "model.joblib")[-1], DecisionTreeClassifier)


PLUGIN = """
from sklearn.naive_bayes import GaussianNB
class Mine(GaussianNB):
    pass
"""


def test_bad_names_are_told_and_nothing_is_written(folder, capsys, run):
    (folder / "mine.py").write_text(PLUGIN)
    (folder / "there").mkdir()
    before = sorted(folder.iterdir())
    for options, told in (
        ((f"--model-out={folder}/model.pkl",), "should end in .joblib"),
        ((f"--predictions={folder}/rest.parquet",), "should end in .csv or .tsv"),
        ((f"--predictions={folder}/there/rest.csv",), f"name {folder}/rest.csv"),
        ((f"--predictions={folder}/plus.csv",), "is written for something else"),
        (
            (f"--model-out={folder}/m.joblib", f"--plugin={folder}/mine.py",
             "--estimator=mine.Mine"), "mine.py has a part of the model",
        ),
    ):  # fmt: skip
        assert run(folder, *options) == 2
        assert told in error_of(capsys)
        assert sorted(folder.iterdir()) == before


def test_a_stream_that_fails_leaves_nothing(tmp_path):
    def fails(stream):
        stream.write(b"half")
        raise UserError("a cell")

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(UserError, match="a cell"):
        write_files(tmp_path, {"a.txt": b"new", "b.txt": fails})
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"
    with pytest.raises(UserError, match="written by someone else"):
        write_files(tmp_path, {"a.txt": lambda s: s.write(b"new")}, overwrite=False)
    write_files(tmp_path, {"a.txt": lambda s: s.write(b"new")})
    assert (tmp_path / "a.txt").read_bytes() == b"new"
