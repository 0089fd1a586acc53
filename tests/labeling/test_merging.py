"""The loop of a person and label.py: ask, give, review, merge, through the command line."""

import numpy as np
import pandas as pd
import pytest

import label
from data_prep.places import SHIPPED
from tests.helpers import error_of

POOL = 300


def merge(*words, out="table.csv", **options) -> int:
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return label.main(["merge", *words, "--target=class", f"--out={out}", *named])


@pytest.fixture
def waves(tmp_path, monkeypatch, cells):
    """Tables of the shipped waveform in the current folder; gives the pool with true classes."""
    monkeypatch.chdir(tmp_path)
    frame = pd.read_csv(SHIPPED / "waveform/waveform.csv.gz", dtype=str)
    frame = frame.sample(frac=1, random_state=0)
    frame[:60].to_csv("labeled.csv", index=False)
    frame[60:160].to_csv("validation.csv", index=False)
    truth = frame[160 : 160 + POOL].reset_index(drop=True)
    truth.drop(columns="class").to_csv("pool.csv", index=False)
    return truth


def fill(path, truth, cells, rows=None) -> pd.DataFrame:
    """A person labels these rows of a sheet, or all, as they truly are."""
    sheet = cells(path)
    rows = np.arange(len(sheet)) if rows is None else np.asarray(rows)
    true = truth["class"].iloc[sheet["source_row"].astype(int)].to_numpy()
    sheet.loc[rows, "class"] = true[rows]
    sheet.to_csv(path, index=False)
    return sheet


def a_sheet(truth, name="sheet.csv", rows=(3, 7, 11), labels=None, **columns) -> pd.DataFrame:
    """A sheet of ``ask`` without a run of it: the columns that make it one."""
    rows = list(rows)
    asked = [f"{k} of {len(rows)}" for k, _ in enumerate(rows, 1)]
    sheet = truth.iloc[rows].assign(**{"class": labels or truth["class"].iloc[rows].to_list()})
    sheet = sheet.assign(
        guess="0", probability=0.5, second_guess="1", why="", source_file="pool.csv",
        source_row=rows, labeled_by="", asked=asked,
    ).assign(**columns)  # fmt: skip
    sheet.to_csv(name, index=False)
    return sheet


def an_output(truth, name="plus.csv", rows=(3, 4), labels=("0", "1"), **columns) -> None:
    """An output of label.py without a run of it."""
    output = truth.iloc[list(rows)].assign(
        benefit=1.0, runner_up=0.5, probability=0.9, round=1, source_file="pool.csv",
        source_row=list(rows), labeled_by="salutary",
    )  # fmt: skip
    output.assign(**{"class": list(labels)}, **columns).to_csv(name, index=False)


# --- the loop -------------------------------------------------------------------------------------


def test_three_rounds_of_give_review_merge_ask_merge(waves, cells):
    files = ["--validation=validation.csv", "--target=class", "--l2=10"]
    labeled, pool, asked_before = "labeled.csv", "pool.csv", set()
    for k in range(3):
        tables = [f"--labeled={labeled}", f"--unlabeled={pool}", *files]
        give = ["--budget=10", "--rounds=2", "--method=salutary", "--abstain=1", "--anyway"]
        assert label.main([*tables, *give, f"--out=plus{k}.csv"]) == 0
        left = fill(f"plus{k}_left.csv", waves, cells)
        assert set(left["labeled_by"]) <= {""}
        given = cells(f"plus{k}.csv").query("round != '0'")
        assert set(given["labeled_by"]) <= {"salutary"}
        assert len(left) + len(given) == 10
        words = [labeled, f"plus{k}.csv", f"plus{k}_left.csv"]
        assert merge(*words, out=f"m{k}.csv", pool=pool, pool_out=f"p{k}.csv") == 0
        files_now = [f"--labeled=m{k}.csv", f"--unlabeled=p{k}.csv"]
        assert label.main(["ask", *files_now, *files, "--n=5", f"--out=s{k}.csv"]) == 0
        sheet = fill(f"s{k}.csv", waves, cells)
        margins = [float(why.split()[1]) for why in sheet["why"]]
        assert margins == sorted(margins)
        rows = set(sheet["source_row"])
        assert not rows & asked_before
        asked_before |= rows | set(given["source_row"]) | set(left["source_row"])
        labeled, old, pool = f"t{k}.csv", pool, f"r{k}.csv"
        assert merge(f"m{k}.csv", f"s{k}.csv", out=labeled, pool=old, pool_out=pool) == 0
        table, rest = cells(labeled), cells(pool)
        assert len(table) == 60 + 15 * (k + 1)
        assert len(rest) == POOL - 15 * (k + 1)
        of_pool = table[table["source_file"] == "pool.csv"]
        assert set(of_pool["source_row"]) == asked_before
        assert set(of_pool["source_row"]) | set(rest["source_row"]) == {*map(str, range(POOL))}
        true = waves.iloc[of_pool["source_row"].astype(int)].reset_index(drop=True)
        own = [name for name in waves if name != "class"]
        pd.testing.assert_frame_equal(of_pool[own].reset_index(drop=True), true[own])
        by_person = (of_pool["labeled_by"] == "person").to_numpy()
        assert (of_pool["class"].to_numpy() == true["class"])[by_person].all()
        assert by_person.sum() >= 5 * (k + 1)
