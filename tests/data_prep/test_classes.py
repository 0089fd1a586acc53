"""The classes of a user's table: cells without one, marks that are asked about, spellings."""

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from data_prep.classes import classes_of, has_no_class
from data_prep.reading import FileReading, TableReading
from data_utils import load
from tests.helpers import error_of

MINUS_ONE = TableReading(unlabeled_value=("-1",))


def column(*cells, dtype=object) -> pd.Series:
    return pd.Series(cells, dtype=dtype, name="y")


def table(path, classes, rows=60):
    """A file of ``rows`` rows with two columns of numbers, and the classes over and over."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=rows), "b": rng.normal(size=rows)})
    frame["y"] = pd.Series(np.resize(np.array(classes, object), rows))
    write = frame.to_parquet if path.suffix == ".parquet" else frame.to_csv
    write(path, index=False)
    return path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("yes", "YES"),
        ("Straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("type 1", "type1"),
        ("a  b", "a\u00a0b"),
        ("1", "01"),
        ("1", "1.0"),
        ("3", "+3e0"),
        ("9007199254740993", "9007199254740993.0"),
    ],
)
def test_spellings_of_one_class_are_shown_with_counts_and_files(one, other):
    cells = column(one, "else", one, other, one)
    with pytest.raises(UserError) as caught:
        classes_of(("l.csv", cells))
    assert f"{one!r} in 3 rows of l.csv" in str(caught.value)
    assert f"{other!r} in 1 row of l.csv" in str(caught.value)
    two = ("l.csv", column(one, "else", one)), ("v.csv", column("else", other, one))
    with pytest.raises(UserError, match="3 rows of l.csv|2 rows of l.csv and 1 row of v.csv"):
        classes_of(*two)


@pytest.mark.parametrize(
    "different",
    [
        ("9007199254740992", "9007199254740993"),  # one float64, two numbers
        ("1 11", "11 1"),
        ("1", "1a"),
        ("+", "-"),
        ("1e999999999999999999999", "x"),
    ],
)
def test_different_classes_stay_different(different):
    assert classes_of(("l.csv", column(*different))).tolist() == list(different)


@pytest.mark.parametrize("word", ["None", "none", "NA", "nan", "NULL", "n/a", "N/A", "?", "-1"])
@pytest.mark.parametrize("others", [("low", "high"), ("0", "1"), ("0", "2")])
def test_a_mark_beside_classes_is_asked_about_and_answered(word, others):
    cells = column(*others, word, f" {word} ", "", None)
    empty = has_no_class(cells)
    assert empty.tolist() == [False] * 4 + [True] * 2
    with pytest.raises(UserError) as caught:
        classes_of(("l.csv", cells[~empty]))
    assert f"'y' is '{word}' in 2 rows of l.csv" in str(caught.value)
    assert "--unlabeled-value" in str(caught.value)
    blank = has_no_class(cells, FileReading((word,)))
    assert blank.tolist() == [False] * 2 + [True] * 4
    classes = classes_of(("l.csv", cells[~blank]), reading=FileReading((word,)))
    assert classes.astype(str).tolist() == list(others)
    classes = classes_of(("l.csv", cells[~empty]), reading=FileReading(("",)))
    assert classes.astype(str).tolist() == [*others, word, word]


def test_minus_one_and_one_are_two_classes_in_any_type():
    for cells in (column("-1", "1", "+1")[:2], column(-1.0, 1.0, dtype="Float64"), column(-1, 1)):
        assert classes_of(("l.csv", cells)).tolist() == [-1, 1]
    for others in ((0,), (1, 0), (1, 2), ("spam", "ham"), ("1", "spam")):
        with pytest.raises(UserError, match="'y' is '-1' in 1 row of l.csv"):
            classes_of(("l.csv", column(-1, *others)))
    floats = column(-1.0, 0.0, np.nan, 1.0, dtype="float64")
    assert has_no_class(floats, MINUS_ONE).tolist() == [True, False, True, False]
    assert has_no_class(column("-1.0", "x1"), MINUS_ONE).tolist() == [True, False]
    with pytest.raises(UserError, match="--unlabeled-value -1 for no label"):
        classes_of(("l.parquet", floats.dropna()))


def test_a_second_mark_is_asked_about_after_the_first_is_answered():
    cells = column("a", "b", "NA")
    with pytest.raises(UserError, match="'NA' in 1 row"):
        classes_of(("l.csv", cells), reading=MINUS_ONE)


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_table_tells_what_it_left_out_and_stripped(end, tmp_path):
    path = table(tmp_path / f"mine.{end}", ["a", "b ", " a", "b", None, "-1"])
    data = load(str(path), target="y", reading=MINUS_ONE).data
    assert data.dropped == ((10, "no 'y'"), (10, "'y' is a mark of no label"))
    assert np.unique(data.y, return_counts=True)[1].tolist() == [20, 20]
    assert f"{path}: 20 cells of 'y' have blanks around the class, left out here" in data.notes


def test_the_option_is_for_own_tables():
    with pytest.raises(UserError, match="--unlabeled-value is for your own tables"):
        load("bank", reading=MINUS_ONE)


# --- label.py -------------------------------------------------------------------------------------


@pytest.fixture
def label(tmp_path, capsys):
    """label.py on one file of such classes: the exit code, what it said, the classes written."""
    import label as script

    def run(classes, *options):
        path, out = table(tmp_path / "one.csv", classes, rows=120), tmp_path / "out.csv"
        named = [f"--labeled={path}", "--target=y", f"--out={out}", "--budget=4", "--l2=1"]
        code = script.main([*named, "--anyway", "--force", *options])
        if code:
            return code, error_of(capsys), None
        written = pd.read_csv(out, keep_default_na=False, dtype=str)
        return code, capsys.readouterr().out, written["y"].value_counts().to_dict()

    return run


def test_no_row_moves_to_the_pool_because_of_a_word(label):
    code, error, _ = label(["low", "high", "None", ""])
    assert code == 2
    assert "'None' in 30 rows of" in error
    code, told, classes = label(["low", "high", "None", ""], "--unlabeled-value=")
    assert code == 0
    assert "90 labeled rows, 30 pool rows" in told
    assert set(classes) == {"low", "high", "None"}
    assert sum(classes.values()) == 94
    code, told, classes = label(["low", "high", "None", ""], "--unlabeled-value", "None")
    assert code == 0
    assert "60 labeled rows, 60 pool rows" in told
    assert set(classes) == {"low", "high"}


def test_minus_one_names_the_pool_if_the_option_says_so(label):
    code, error, _ = label([0, 1, -1])
    assert code == 2
    assert "'-1' in 40 rows of" in error
    code, told, classes = label([0, 1, -1], "--unlabeled-value", "-1")
    assert code == 0
    assert "80 labeled rows, 40 pool rows" in told
    assert set(classes) == {"0", "1"}


def test_written_classes_have_no_blanks_around_them(label):
    code, told, classes = label(["yes", "no ", "yes ", "no", " "])
    assert code == 0
    assert "48 cells of 'y' have blanks around the class" in told
    assert set(classes) == {"yes", "no"}
