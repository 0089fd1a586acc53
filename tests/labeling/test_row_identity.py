"""Rows keep their identity: where they came from, that they are known already, every cell."""

import csv

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from labeling import user_tables
from tests.helpers import error_of

pytestmark = pytest.mark.usefixtures("unmeasured")

ODD = [
    " lead", "trail ", 'q"uo"te', "new\nline", "cr\rcell", "both\r\n", "+49 171 12", "=1+1",
    "'x", "'=1+1", "''@x", "＝1", "ünï ☃", "007", "1.0", "1e5", "TRUE", "", "NA", "-5", "'",
    "\t=1", "a,b;c",
]  # fmt: skip
RUN_BY_A_SPREADSHEET = ["+49 171 12", "=1+1", "＝1", "\t=1"]


def written(path) -> pd.DataFrame:
    """All cells as texts, by Python's own reader: pandas would not tell all odd cells apart."""
    with path.open(newline="", encoding="utf-8") as stream:
        names, *rows = csv.reader(stream)
    return pd.DataFrame(rows, columns=names)


def at_their_sources(found: pd.DataFrame, **files: pd.DataFrame) -> pd.DataFrame:
    """For each row, the row that its source names. files : the table in each ``name.form``."""
    named = zip(found["source_file"], found["source_row"].astype(int), strict=True)
    return pd.DataFrame(
        [files[file.rsplit("/", 1)[-1].split(".")[0]].iloc[row] for file, row in named],
        index=found.index,
    )


@pytest.fixture
def odd(folder, cells):
    """The tables of ``folder`` with a column of odd cells, another of an odd name."""
    tables = {}
    for name in ("labeled", "pool", "validation"):
        frame = cells(folder / f"{name}.csv")
        tables[name] = frame.assign(odd=np.resize(np.array(ODD, object), len(frame)), **{"=n": "b"})
        tables[name].to_csv(folder / f"{name}.csv", index=False, lineterminator="\r\n")
    return tables


# --- cells ----------------------------------------------------------------------------------------


def test_every_cell_comes_out_as_it_went_in(folder, odd, capsys, run):
    assert run(folder, "--budget=30", "--method=pseudo", "--abstain=3.5") == 0
    told = capsys.readouterr().out
    for name in ("plus", "plus_left"):
        plus = written(folder / f"{name}.csv")
        assert len(plus) > 0
        own = list(odd["pool"])
        pd.testing.assert_frame_equal(plus[own], at_their_sources(plus, **odd)[own])
        count = plus["odd"].isin(RUN_BY_A_SPREADSHEET).sum() + 1  # and a name
        assert f"{name}.csv: a spreadsheet would run {count} of its cells as formulas" in told
        assert "--excel-safe" in told


def test_excel_safe_is_undone_when_the_file_is_read_again(folder, odd, run):
    assert run(folder, "--quiet", "--excel-safe") == 0
    safe = written(folder / "plus.csv")
    assert not {*safe, *safe["odd"]} & {*RUN_BY_A_SPREADSHEET, "=n"}
    assert "-5" in set(safe["odd"])  # a number stays one
    quoted = [*RUN_BY_A_SPREADSHEET, "'=1+1", "''@x"]
    was = at_their_sources(safe, **odd)
    assert (safe["quoted"].astype(int) == was["odd"].isin(quoted)).all()
    assert run(folder, "--quiet", f"--out={folder}/again.csv", labeled="plus.csv") == 0
    again = written(folder / "again.csv")
    own = list(odd["pool"])
    assert list(again) == [*odd["labeled"], *list(safe)[-8:-1]]
    pd.testing.assert_frame_equal(again[own], at_their_sources(again, **odd)[own])


@pytest.mark.parametrize("out", ["plus.parquet", "plus.csv"])
def test_typed_cells_keep_their_type_and_their_digits(out, folder, run):
    """Whole numbers stay whole beside missing ones and beside fractions in the other table."""
    rng, tables = np.random.default_rng(0), {}
    for name in ("labeled", "pool", "validation"):
        frame = pd.read_csv(folder / f"{name}.csv")
        size = len(frame)
        frame["whole"] = pd.array(rng.integers(0, 9, size), "Int64")
        if name == "pool":
            frame.loc[::3, "whole"] = None
        frame["zip"] = [f"{n:05d}" for n in rng.integers(0, 99, size)]
        frame["places"] = list(rng.normal(size=(size, 3)))
        frame["seen"] = pd.Timestamp("2024-05-01") + pd.to_timedelta(np.arange(size), "D")
        frame.to_parquet(folder / f"{name}.parquet")
        tables[name] = frame
    files = {name: f"{name}.parquet" for name in tables}
    assert run(folder, "--quiet", f"--out={folder / out}", "--budget=20", **files) == 0
    if out.endswith("csv"):
        plus = written(folder / out)
        assert set(plus["whole"]) == {*"012345678", ""}
        was = at_their_sources(plus, **tables)
        assert plus["zip"].tolist() == was["zip"].tolist()
        assert plus["places"].tolist() == [str(cell.tolist()) for cell in was["places"]]
        return
    plus = pd.read_parquet(folder / out)
    was = at_their_sources(plus, **tables)
    assert pd.api.types.is_datetime64_any_dtype(plus["seen"])
    assert pq.read_schema(folder / out).field("whole").type == "int64"
    assert plus["whole"].isna().any()
    assert (plus["whole"].fillna(-1).to_numpy() == was["whole"].fillna(-1).to_numpy()).all()
    for name in ("zip", "seen", "age"):
        pd.testing.assert_series_equal(plus[name], was[name], check_dtype=False)
    np.testing.assert_array_equal(np.stack(plus["places"]), np.stack(was["places"]))


def test_excel_cells_and_json_lines_come_out_as_texts_of_the_same_value(folder, run):
    for form in ("xlsx", "jsonl"):
        tables = {}
        for name in ("labeled", "pool", "validation"):
            frame = pd.read_csv(folder / f"{name}.csv")
            frame["code"] = np.resize(np.array(["007", "1e5", "=1+1"], object), len(frame))
            frame["rate"] = frame["age"] + (0.5 if name == "pool" else 0)
            tables[name] = frame
            if form == "xlsx":
                frame.to_excel(folder / f"{name}.xlsx", index=False)
            else:
                frame.to_json(folder / f"{name}.jsonl", orient="records", lines=True)
        files = {name: f"{name}.{form}" for name in tables}
        assert run(folder, "--quiet", "--force", **files) == 0
        plus = written(folder / "plus.csv")
        was = at_their_sources(plus, **tables)
        assert plus["age"].tolist() == was["age"].map(str).tolist()
        assert plus["rate"].tolist() == [f"{rate:g}" for rate in was["rate"]]
        if form == "jsonl":
            assert plus["code"].tolist() == was["code"].tolist()


# --- the same row in two tables -------------------------------------------------------------------


def add_to_pool(folder, cells, labeled=0, validation=0):
    parts = [cells(folder / "pool.csv")]
    for name, count in (("labeled", labeled), ("validation", validation)):
        parts.append(cells(folder / f"{name}.csv")[:count].drop(columns="y"))
    pd.concat(parts).to_csv(folder / "pool.csv", index=False)


@pytest.mark.parametrize("kept", [50_000, 100])
def test_known_rows_are_no_part_of_the_pool(kept, folder, capsys, run, cells, monkeypatch):
    """Also if the pool is larger than what is held: 100 rows then stand for 50,000."""
    monkeypatch.setattr(user_tables, "KEPT", kept)
    add_to_pool(folder, cells, labeled=12, validation=3)
    options = ["--budget=100", "--method=pseudo", "--unseen=other"]
    assert run(folder, *options) == 0
    told = capsys.readouterr().out
    assert (
        "12 pool rows equal a labeled row in every column used, 3 a validation row: they are left "
        "out of the pool"
    ) in told
    assert "120 labeled rows, 400 pool rows" in told
    rows = cells(folder / "plus.csv").query("round != '0'")["source_row"].astype(int)
    assert len(rows) > 50
    assert (rows < 400).all()
    monkeypatch.setattr(user_tables, "KEPT", 50_000)
    assert run(folder, "--budget=401", "--force") == 2
    assert "the pool has 400 rows, ask for fewer" in error_of(capsys)


def test_known_rows_of_one_file_and_a_pool_of_nothing_else(folder, capsys, run, cells):
    labeled = cells(folder / "labeled.csv")
    again = labeled[:20].assign(y="")
    both = pd.concat([labeled, again, cells(folder / "pool.csv").assign(y="")])
    both.to_csv(folder / "both.csv", index=False)
    assert run(folder, labeled="both.csv", pool=None, validation=None) == 0
    told = capsys.readouterr().out
    assert "20 pool rows equal a labeled row in every column used: they are left out" in told
    rows = cells(folder / "plus.csv").query("round != '0'")["source_row"].astype(int)
    assert (rows >= 140).all()
    pd.concat([labeled, again]).to_csv(folder / "both.csv", index=False)
    assert run(folder, "--force", "--unseen=other", labeled="both.csv", pool=None) == 2
    assert "each row of the pool" in error_of(capsys)


def test_rows_that_cannot_be_told_apart_stay_with_a_warning(folder, capsys, run, cells):
    few = ["marital", "housing", "loan", "y"]
    for name in ("labeled", "pool", "validation"):
        frame = cells(folder / f"{name}.csv")
        frame[[c for c in few if c in frame]].to_csv(folder / f"{name}.csv", index=False)
    labeled, pool, validation = (
        cells(folder / f"{n}.csv") for n in ("labeled", "pool", "validation")
    )
    of_labeled, of_validation = (
        len(pool.merge(known[few[:3]].drop_duplicates())) for known in (labeled, validation)
    )
    assert run(folder, "--dry-run", "--method=pseudo") == 0
    told = capsys.readouterr().out
    assert (
        f"warning: {of_labeled} pool rows equal a labeled row in every column used, "
        f"{of_validation} a validation row. They stay in the pool"
    ) in told
    assert "120 labeled rows, 400 pool rows" in told
    shared = len(validation.merge(labeled[few[:3]].drop_duplicates()))
    assert f"warning: {shared} validation rows equal a labeled row" in told


# --- an output read again -------------------------------------------------------------------------


def test_an_output_is_read_again_and_its_rows_keep_their_first_source(folder, capsys, run, cells):
    assert run(folder, "--abstain=3.5", "--budget=30", "--method=pseudo") == 0
    first, left = cells(folder / "plus.csv"), cells(folder / "plus_left.csv")
    assert len(left) > 6
    # someone adds a row by hand, without the added columns
    by_hand = cells(folder / "validation.csv")[-1:]
    pd.concat([first, by_hand]).to_csv(folder / "plus.csv", index=False)
    capsys.readouterr()
    out = folder / "again.csv"
    options = [f"--out={out}", "--unseen=other"]
    assert run(folder, *options, labeled="plus.csv", pool="plus_left.csv") == 0
    told = capsys.readouterr().out
    assert told.count("was written by label.py") == 2
    assert f"{len(first) + 1} labeled rows, {len(left)} pool rows; " in told
    assert " of 16 columns, 2 classes" in told
    again = cells(out)
    assert list(again) == list(first)
    sources = ["source_file", "source_row"]
    old = again[: len(first)]
    pd.testing.assert_frame_equal(old[sources], first[sources])
    assert again.loc[len(first), sources].tolist() == [str(folder / "plus.csv"), str(len(first))]
    assert set(again["source_row"][len(first) + 1 :]) <= set(left["source_row"])
    assert (again["source_file"][len(first) + 1 :] == str(folder / "pool.csv")).all()


def test_a_column_of_an_added_name_is_the_users(folder, capsys, run, cells):
    for name in ("labeled", "pool", "validation"):
        frame = cells(folder / f"{name}.csv").rename(columns={"age": "round", "job": "source_row"})
        frame.assign(quoted="1", row="2").to_csv(folder / f"{name}.csv", index=False)
    assert run(folder) == 0
    assert "ours begin with salutary_" in capsys.readouterr().out
    plus, labeled = cells(folder / "plus.csv"), cells(folder / "labeled.csv")
    assert list(plus)[: len(list(labeled))] == list(labeled)
    pd.testing.assert_frame_equal(plus[:120][list(labeled)], labeled)
    assert plus["salutary_round"].tolist() == ["0"] * 120 + list("123456")
    assert run(folder, f"--out={folder}/again.csv", "--excel-safe", labeled="plus.csv") == 0
    assert "48 features" in capsys.readouterr().out
    again = cells(folder / "again.csv")
    assert list(again) == [*plus, "salutary_quoted"]
    pd.testing.assert_frame_equal(again[:126][list(labeled)], plus[list(labeled)])
