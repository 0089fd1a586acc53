"""The loop of a person and label.py: ask, give, review, merge, through the command line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import label
from data_prep.places import SHIPPED
from tests.helpers import error_of

pytestmark = pytest.mark.usefixtures("unmeasured")

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


@pytest.mark.slow
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


# --- whose label counts ---------------------------------------------------------------------------


def labels_of(path, cells) -> dict[str, tuple[str, str]]:
    """Class and giver of each row of the pool, by its row."""
    table = cells(path).query("source_file == 'pool.csv'")
    return dict(
        zip(table["source_row"], zip(table["class"], table["labeled_by"], strict=True), strict=True)
    )


def test_a_person_wins_over_label_py_and_what_is_rejected_goes_back(waves, capsys, cells):
    an_output(waves, rows=(3, 4, 5, 6), labels="0000")
    an_output(waves, "page.csv", rows=(3, 4, 5), labels="120", decision=["correct", "reject", ""])
    pool = cells("pool.csv")
    pool.drop(index=4).to_csv("left.csv", index=False)  # row 4 is in no pool any more
    options = {"pool": "left.csv", "pool_out": "rest.csv"}
    for words in (("plus.csv", "page.csv"), ("page.csv", "plus.csv")):
        assert merge("labeled.csv", *words, "--force", **options) == 0
        told = capsys.readouterr().out
        assert "63 labeled rows, 61 by a person, 2 by label.py" in told
        assert "a person's label won over a given one in 2 rows" in told
        expected = {"3": ("1", "person"), "5": ("0", "salutary"), "6": ("0", "salutary")}
        assert labels_of("table.csv", cells) == expected
        back = cells("rest.csv").iloc[-1]
        assert (back["source_file"], back["source_row"], back["class"]) == ("pool.csv", "4", "")
        assert back["x1"] == pool["x1"][4]


def test_what_nobody_decided_on_is_no_label(waves, capsys, cells):
    """Rows left for a person on a page count only if the person has decided."""
    an_output(waves, "left.csv", rows=(3, 4), labels="00", labeled_by="", decision=["accept", ""])
    assert merge("labeled.csv", "left.csv") == 0
    told = capsys.readouterr().out
    assert labels_of("table.csv", cells) == {"3": ("0", "person")}
    assert "left.csv: 1 rows left for a person have no decision yet" in told
    assert "1 rows without a label are left out: --pool-out keeps them" in told


def test_a_proposal_that_is_still_there_gives_way_to_a_person(waves, cells):
    """As with a page's sheet beside the file of rows that are left, which nobody edited."""
    an_output(waves, "left.csv", rows=(3, 4, 5), labels="000", labeled_by="")
    an_output(waves, "page.csv", rows=(3, 4), labels="12", decision=["correct", "reject"])
    for words in (("left.csv", "page.csv"), ("page.csv", "left.csv")):
        assert merge("labeled.csv", *words, "--force") == 0
        assert labels_of("table.csv", cells) == {"3": ("1", "person"), "5": ("0", "person")}


def test_who_labeled_a_row_is_known_after_the_next_call_too(waves, cells):
    an_output(waves)
    assert merge("labeled.csv", "plus.csv", pool="pool.csv", pool_out="rest.csv") == 0
    files = ["--labeled=table.csv", "--unlabeled=rest.csv", "--validation=validation.csv"]
    give = ["--target=class", "--budget=2", "--method=pseudo", "--l2=10", "--anyway", "--quiet"]
    assert label.main([*files, *give, "--out=again.csv"]) == 0
    again = cells("again.csv")
    assert again["labeled_by"].tolist() == ["person"] * 60 + ["salutary"] * 4
    a_sheet(waves, rows=(3,), labels=["2"])
    assert merge("again.csv", "sheet.csv", out="last.csv") == 0
    assert labels_of("last.csv", cells)["3"] == ("2", "person")


def test_persons_who_disagree_are_named_or_the_newest_is_taken(waves, capsys, cells):
    a_sheet(waves, "a.csv", labels=["0", "1", "2"])
    a_sheet(waves, "b.csv", labels=["0", "2", "2"])
    assert merge("labeled.csv", "a.csv", "b.csv") == 2
    told = error_of(capsys)
    assert "persons' labels differ in 1 rows: row 7 of pool.csv is '1' (a.csv, row 1)" in told
    assert "'2' (b.csv, row 1)" in told
    assert merge("labeled.csv", "a.csv", "b.csv", "--newest") == 0
    assert labels_of("table.csv", cells)["7"] == ("2", "person")
    assert merge("labeled.csv", "b.csv", "a.csv", "--newest", "--force") == 0
    assert labels_of("table.csv", cells)["7"] == ("1", "person")


def test_pool_rows_are_found_by_their_cells_if_the_files_moved(waves, capsys, cells):
    a_sheet(waves, source_file="elsewhere/pool.csv")
    assert merge("labeled.csv", "sheet.csv", pool="pool.csv", pool_out="rest.csv") == 0
    told = capsys.readouterr().out
    assert "3 of the pool have one now, 3 of them found by their cells" in told
    assert "elsewhere/pool.csv, the source of 3 rows, is not there: cells are not compared" in told
    assert not {"3", "7", "11"} & set(cells("rest.csv")["source_row"])


# --- wrong sheets ---------------------------------------------------------------------------------


def edited(**cells_of_row):
    """A sheet whose row 1 has these cells."""

    def make(truth):
        sheet = a_sheet(truth)
        for name, cell in cells_of_row.items():
            sheet[name] = sheet[name].astype(object)
            sheet.iloc[1, sheet.columns.get_loc(name)] = cell
        sheet.to_csv("sheet.csv", index=False)

    return make


def without(column):
    return lambda truth: a_sheet(truth).drop(columns=column).to_csv("sheet.csv", index=False)


def doubled(truth):
    sheet = a_sheet(truth, labels=["0", "1", "2"])
    pd.concat([sheet, sheet[:1].assign(**{"class": "1"})]).to_csv("sheet.csv", index=False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (edited(**{"class": "l"}), "sheet.csv, row 1: 'l' is no known class (1 such labels): "),
        (edited(x3="9.5"), "1 cells are not what they were, such as sheet.csv, row 1, column 'x3'"),
        (edited(source_row=8), "cells are not what they were, such as sheet.csv, row 1, column"),
        (edited(source_row=900), "its source is row 900 of "),
        (edited(labeled_by="anna"), "sheet.csv, row 1: labeled_by is 'anna': write person, "),
        (without("x3"), "the columns differ: sheet.csv lacks 'x3'"),
        (without("class"), "unknown --target 'class'"),
        (doubled, "row 3 of pool.csv is '0' (sheet.csv, row 0) and '1' (sheet.csv, row 3)"),
        (
            lambda truth: an_output(truth, "sheet.csv", decision=["", "maybe"]),
            "sheet.csv, row 1: decision is 'maybe': write accept, correct, reject or nothing",
        ),
        (
            lambda truth: an_output(truth, "sheet.csv", labels=("0", ""), decision="accept"),
            "sheet.csv, row 1: decision is 'accept', but 'class' is empty: give the class",
        ),
    ],
)
def test_a_wrong_sheet_is_an_error_of_one_line_and_nothing_is_written(make, said, waves, capsys):
    make(waves)
    assert merge("labeled.csv", "sheet.csv", pool="pool.csv", pool_out="rest.csv") == 2
    assert said in error_of(capsys)
    assert not [name for name in ("table.csv", "rest.csv") if Path(name).exists()]


def test_a_sheet_that_a_spreadsheet_saved_is_taken_as_it_was(waves, capsys, cells):
    """Numbers in another form, rows in another order, blanks, a missing row, a remark."""
    sheet = a_sheet(waves, rows=(3, 7, 11, 20))
    own = [name for name in waves if name != "class"]
    sheet[own] = sheet[own].astype(float).map("{:.6f}".format)
    sheet["class"] = [f" {text} " for text in sheet["class"]]
    sheet.loc[20, "class"] = ""
    sheet[::-1][:3].assign(remark="hm").to_csv("sheet.csv", index=False, sep=";")
    assert merge("labeled.csv", "sheet.csv", pool="pool.csv", pool_out="rest.csv") == 0
    told = capsys.readouterr().out
    assert "sheet.csv: 1 of the 4 rows asked for are missing" in told
    assert "sheet.csv: 1 rows have no label yet" in told
    assert "sheet.csv: not in labeled.csv and so left out: 'remark'" in told
    table = cells("table.csv")
    assert table["source_row"][60:].tolist() == ["11", "7"]
    pd.testing.assert_frame_equal(
        table[60:][own].reset_index(drop=True), waves.iloc[[11, 7]][own].reset_index(drop=True)
    )
    assert {"3", "20"} <= set(cells("rest.csv")["source_row"])


def test_changed_cells_can_be_restored_and_a_class_added(waves, capsys, cells):
    edited(x3="9.5", **{"class": "odd"})(waves)
    assert merge("labeled.csv", "sheet.csv", "--restore", "--new-class=odd") == 0
    assert "1 cells are not what they were" in capsys.readouterr().out
    row = cells("table.csv").iloc[61]
    assert (row["class"], row["x3"]) == ("odd", waves["x3"][7])


@pytest.mark.parametrize("labels", ["labeled.csv", "labeled.parquet"])
def test_parquet_keeps_numbers_beside_cells_of_a_text_file(labels, waves):
    pd.read_csv("labeled.csv").to_parquet("labeled.parquet")
    a_sheet(waves)
    assert merge(labels, "sheet.csv", out="table.parquet") == 0
    table, was = pd.read_parquet("table.parquet"), pd.read_csv("labeled.csv")
    pd.testing.assert_frame_equal(table[:60][list(was)], was, check_dtype=False)
    assert all(map(pd.api.types.is_numeric_dtype, table[list(was)].dtypes))


# --- ask ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["badge", "isal", "margin+validation", "coreset"])
def test_every_method_that_buys_labels_can_ask(method, waves, cells):
    files = ["--labeled=labeled.csv", "--unlabeled=pool.csv", "--validation=validation.csv"]
    words = [*files, "--target=class", "--l2=10", "--n=4", f"--method={method}", "--out=s.csv"]
    assert label.main(["ask", *words, "--quiet"]) == 0
    sheet = cells("s.csv")
    assert list(sheet)[:2] == ["source_file", "source_row"]
    assert set(sheet["class"]) == {""}
    assert sheet["source_row"].is_unique
    own = [name for name in waves if name != "class"]
    was = waves.iloc[sheet["source_row"].astype(int)].reset_index(drop=True)
    pd.testing.assert_frame_equal(sheet[own], was[own])
    assert (sheet["guess"] != sheet["second_guess"]).all()
    assert sheet["probability"].astype(float).between(1 / 3, 1).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method=salutary"], "--method salutary gives labels itself and asks nobody"),
        (["--method=margn"], "did you mean 'margin'?"),
        (["--n=301"], "--n 301: the pool has 300 rows, ask for fewer"),
        (["--out=labeled.csv"], "is one of the tables to read"),
        (["--nn=3"], "label.py ask --help lists the options"),
    ],
)
def test_a_wrong_question_is_an_error_of_one_line(words, said, waves, capsys):
    files = ["--labeled=labeled.csv", "--unlabeled=pool.csv", "--target=class", "--l2=10"]
    assert label.main(["ask", *files, "--out=s.csv", "--quiet", *words]) == 2
    assert said in error_of(capsys)
