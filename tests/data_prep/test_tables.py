"""A user's own table, in every form in which users bring them."""

import gzip

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from common.errors import UserError
from data_prep.places import SHIPPED
from data_prep.tables import chunks, notes_of, read
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
    assert [d.missing for d in table.data.columns if d.column == "balance"] == [missing]
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
    left = [(d.column, d.why) for d in table.data.columns if d.read_as == "left out"]
    assert left == [
        ("same", "it is constant"),
        ("empty", "it is empty"),
        ("name", "an id: a different text in every row"),
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


ROWS = [["70", "3,5", "clerk"], ["57", "4,25", "cook at sea"], ["", "5", "?"]]
NAMES = ["age", "income", "job"]


def lines_of(separator, end="\n", more=""):
    return "".join(separator.join(row) + more + end for row in [NAMES, *ROWS])


READ = {
    "Excel's first line": ("sep=;\r\n" + lines_of(";", "\r\n"), 0),
    "Excel's first line with a mark": ("\ufeffSEP=\t\r\n" + lines_of("\t"), 0),
    "a separator that only Excel's line names": ('"sep=^"\n' + lines_of("^"), 0),
    "a comment": ("# exported, 2024\n" + lines_of(";"), 1),
    "a comment of as many cells": ("# by; Ann; May\n" + lines_of(";"), 1),
    "comments of another mark": ("\n% a\n%\n\n" + lines_of("\t", "\r"), 1),
    "separators at the end": (lines_of(";", more=";;"), 1),
    "all of them": ("sep=|\n// x\n" + lines_of("|", more="|"), 2),
}


@pytest.mark.parametrize("name", READ)
def test_what_programs_write_around_a_table_is_no_part_of_it(name, tmp_path):
    content, notes = READ[name]
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode())
    frame = read(path)
    assert frame.to_numpy().tolist() == ROWS
    assert list(frame) == NAMES
    assert len(notes_of(frame)) == notes
    assert all(note.startswith(f"{path}: ") for note in notes_of(frame))


@pytest.mark.parametrize("form", ["csv", "tsv.gz"])
def test_blanks_keep_columns_apart_where_nothing_else_does(form, tmp_path):
    path = tmp_path / f"t.{form}"
    content = b'# UCI\n  mpg  weight name\n 18.0   3504.\t"a car"  \n\n9 12 b\n'
    path.write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    frame = read(path)
    assert frame.to_dict("list") == {
        "mpg": ["18.0", "9"],
        "weight": ["3504.", "12"],
        "name": ["a car", "b"],
    }
    assert notes_of(frame)[0] == f"{path}: its columns are apart by blanks"


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("#id,y\n1,2\n", ["#id", "y"]),  # a header, for all its mark
        ("my label\nvery good\n", ["my label"]),  # one column of texts
        ("text,y\n#love,\n", ["text", "y"]),  # a cell like a comment
        (
            ",a,\n1,2,x\n",
            ["(column 1, no name)", "a", "(column 3, no name)"],
        ),  # nameless, but not empty
    ],
)
def test_what_only_looks_like_a_comment_or_a_blank_is_kept(content, names, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    frame = read(tmp_path / "t.csv")
    assert (list(frame), notes_of(frame), len(frame)) == (names, [], 1)


LIBRARIES = ("index_col", "tokenizing", "usecols", "pandas", "arrow", "codec", "openpyxl", "EOF")
LIBRARIES += ("Expecting", "delimiter", "Errno", "magic", "thrift", "zip file", "field")
BROKEN = {
    "long": ("t.csv", "# x\na,b\n1,2\n1,2,3\n", "line 4 has 3 cells, but the header in line 2"),
    "title": (
        "t.csv",
        "May\n\na;b\n1;2\n",
        "line 1 holds one cell, .*remove it if it is a title",
    ),
    "title, comma": (
        "t.csv",
        "May\n\na,b\n1,2\n",
        "line 3 has 2 cells.*if line 1 is not the header",
    ),
    "newline": ("t.csv", 'a,b\n"1\n\n",2\n1,2,3\n', "line 5 has 3 cells"),
    "end": ("t.csv", "a,b\n1,2,\n3,4,\n", "line 2 ends with a separator"),
    "quote": ("t.csv", 'a,b\n1,2\n3,"x\n5,6\n', "line 3: a quotation mark is not closed"),
    "far quote": ("t.csv", 'a,b\n3,"x\n' + "5,6\n" * 50_000, "line 2: .* mark is not closed"),
    "comment": ("t.csv", "a,b\n1,2\n# total 3\n", "line 3 is a comment among the rows"),
    "savetxt": ("t.csv", "# a b\n1 2\n3 4\n", "line 1 begins with # and seems to name"),
    "short": ("t.csv", "# x\n\na,b,c\n1,2,3\n\n4,5\n", "line 6 has 2 cells, .* line 3 has 3"),
    "short after a newline": ("t.tsv", 'a\tb\n"1\n"\t2\n3\n', "line 4 has 1 cell, but"),
    "all short": ("t.csv", "a;b;c\n1;2\n3;4\n", "line 2 has 2 cells"),
    "short and long": ("t.csv", "a;b;c;;\n1;2;3\n4;5\n", "line 3 has 2 cells, .* has 3"),
    "short and far": ("t.csv", "a,b\n" + "1,2\n" * 60_000 + "3\n", "line 60002 has 1 cell"),
    "ragged": ("t.csv", "a b c\n1 2 3\n4 5\n", "line 3 has fewer cells than the header"),
    "latin": ("t.csv", "a,b\n1,2\né,3\n".encode("latin-1"), "t.csv, line 3 is not in UTF-8"),
    "empty": ("t.csv", "", "holds no rows"),
    "cut": ("t.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "is damaged or cut short"),
    "cut, and no text": (
        "t.csv.gz",
        b"\x1f\x8b\x08\x00e \x08k\x02\xffch\x00\x00\xdf\x91a\xac\x02\x00",
        "is damaged or cut short",
    ),
    "not packed": ("t.tsv.gz", "a\tb\n1\t2\n", "not packed by gzip"),
    "parquet": ("t.parquet", "PAR1 and more PAR1", "damaged, cut short, or no parquet file"),
    "no xlsx": ("t.xlsx", "PK", "damaged, cut short, or no xlsx file"),
    "no json": ("t.jsonl", '{"a": 1}\n\n{"a": \n', "line 3 is no JSON"),
    "json array": ("t.jsonl", "[1]\n", "line 1 is no JSON object"),
    "json nested": ("t.jsonl", '{"a": {"b": 1}}\n', "line 1, key 'a' holds an object"),
    "json twice": ("t.jsonl", '{"a": 1, "a": 2}\n', "line 1 has a key twice"),
    "half": ("t.jsonl", '{"a": "\\ud800"}\n', "line 1 holds half of a character"),
    "folder": ("", "", "should end in .csv"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_refused_in_our_words_with_its_line(fault, tmp_path):
    name, content, message = BROKEN[fault]
    path = tmp_path / name if name else tmp_path
    if name:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as caught:
        read(path)
    said = str(caught.value).replace(str(path), "")
    assert str(path) in str(caught.value)
    assert not [word for word in LIBRARIES if word in said]


@pytest.mark.parametrize("index", ["texts", "numbers", "range", "two levels"])
def test_a_named_index_of_parquet_is_a_column_again(index, tmp_path):
    frame = pd.DataFrame({"a": range(5), "y": list("vwxyz")})
    levels = {
        "texts": pd.Index(list("klmno"), name="id"),
        "numbers": pd.Index([9, 7, 5, 3, 1], name="id"),
        "range": pd.RangeIndex(30, 0, -6, name="id"),
        "two levels": pd.MultiIndex.from_arrays([list("klmno"), range(5)], names=["id", None]),
    }
    frame.index = levels[index]
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    found = pd.concat(chunks(path, rows=2))
    assert list(found) == ["id", "a", "y"]
    assert found["id"].tolist() == frame.index.get_level_values("id").tolist()
    assert notes_of(found) == [f"{path}: the index 'id' is read as a column"]
    frame.rename_axis([None] * frame.index.nlevels).to_parquet(path)
    assert list(read(path)) == ["a", "y"]


def test_an_index_named_like_a_column_is_refused(tmp_path):
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index([3, 4], name="a"))
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match="more than one column 'a'"):
        read(tmp_path / "t.parquet")


def test_a_sheet_and_lines_of_json_give_the_cells_as_they_are(tmp_path):
    frame = pd.DataFrame({"n": [1, None, 3], "x": [0.5, 2, 3], "y": ["a", None, "b"]}, dtype=object)
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False, startrow=2, startcol=1)
        frame.to_excel(book, sheet_name="second")
    frame.to_json(tmp_path / "t.jsonl.gz", orient="records", lines=True)
    sheet, lines = read(tmp_path / "t.xlsx"), read(tmp_path / "t.jsonl.gz")
    assert sheet.map(str).to_numpy().tolist() == [
        ["1", "0.5", "a"],
        ["", "2.0", ""],
        ["3", "3.0", "b"],
    ]
    assert lines.where(lines.notna(), "").map(str).equals(sheet.map(str))
    assert "the first of 2 sheets, 'first'" in notes_of(sheet)[0]


@pytest.mark.parametrize("form", ["xlsx", "jsonl", "blanks", "comment"])
def test_a_script_reads_every_form_alike(form, tmp_path, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 2)).round(3), columns=["a", "b"])
    frame["y"] = np.where(frame["a"] > 0, "yes", "no")
    text = frame.to_csv(index=False, sep=" " if form == "blanks" else ",")
    path = tmp_path / f"t.{form if form in ('xlsx', 'jsonl') else 'csv'}"
    path.write_text("# made in May\n" * (form == "comment") + text)
    if form == "xlsx":
        frame.to_excel(path, index=False)
    if form == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    table = load(str(path), target="y")
    np.testing.assert_array_equal(table.data.X, frame[["a", "b"]])
    assert len(table.data.notes) == (form in ("blanks", "comment"))
    arguments = ["--dataset", str(path), "--target", "y", "--rounds", "1", "--budget", "2"]
    arguments += ["--methods", "random", "--no-plot", "--out", str(tmp_path)]
    assert main("binary", arguments) == 0
    assert ("apart by blanks" in capsys.readouterr().out) == (form == "blanks")
