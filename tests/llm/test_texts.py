"""The texts: what ships, GLUE from files, and tables of the user's own."""

import json

import numpy as np
import pytest

from llm.texts import load
from main_llm import main
from tests.helpers import error_of, shell


@pytest.mark.parametrize(
    ("name", "positive", "negative", "neutral"),
    [
        ("movies", 4_996, 5_076, 533),
        ("tweets", 2_345, 1_087, 768),
        ("reviews", 1_750, 1_235, 723),
        ("editorials", 1_187, 1_783, 2_220),
    ],
)
def test_shipped_texts_are_the_rated_snippets_less_the_neutral_ones(
    name, positive, negative, neutral
):
    """Counts of the published files, taken with awk; contents by their checksum."""
    some = load(name)
    assert some.files[0].known_contents
    assert dict(zip(*np.unique(some.y, return_counts=True), strict=True)) == {
        "positive": positive, "negative": negative,
    }  # fmt: skip
    assert some.dropped == ((neutral, "rated nearer to 0 than 0.5"),)


def test_a_part_of_the_texts_keeps_the_classes_and_is_always_the_same():
    whole, part, again = load("tweets"), load("tweets", most=500), load("tweets", most=500)
    assert abs((part.y == "positive").mean() - (whole.y == "positive").mean()) < 0.005
    np.testing.assert_array_equal(part.rows, again.rows)
    assert part.dropped[-1][0] == len(whole.y) - 500


@pytest.mark.slow
def test_glue_is_read_from_the_hubs_layout_with_its_own_test_set(glue, tmp_path, quick):
    some = load("mrpc", glue)
    movies = load("movies", most=300)
    np.testing.assert_array_equal(some.columns[0], movies.columns[0])
    np.testing.assert_array_equal(some.columns[1][1:], movies.columns[0][:-1])
    np.testing.assert_array_equal(some.y, np.where(movies.y == "positive", "yes", "no"))
    np.testing.assert_array_equal(some.test, np.arange(240, 300))
    out = tmp_path / "out"
    arguments = ["--task", "sst2", "--data-dir", str(glue), *quick, "--out", str(out)]
    assert main(arguments) == 0
    told = json.loads((out / "sst2-tuned/run.json").read_text())
    assert told["split"] == {"labeled": 20, "pool": 172, "validation": 48, "test": 60}
    assert len(load("mrpc", glue, most=100).test) == 60


def test_a_damaged_glue_file_is_refused_in_one_line(glue, capsys):
    path = glue / "sst2/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:2000])
    assert main(["--task", "sst2", "--data-dir", str(glue)]) == 2
    assert "sst2 of GLUE cannot be loaded" in error_of(capsys)
    ran = shell("main_llm.py", "--task", "sst2", "--data-dir", str(glue))
    (line,) = ran.stderr.strip().splitlines()  # the library's own logger says nothing
    assert "sst2 of GLUE cannot be loaded" in line


def test_odd_texts_of_an_own_table_are_told_and_run(table, capsys, tmp_path, quick):
    odd = table.texts.copy()
    odd[[3, 7]], odd[5], odd[9], odd[11] = ["", "  "], "word " * 10_000, "fine 😀🚀", "NA"
    arguments = [*table(text=odd), "--target", "mood", "--out", str(tmp_path)]
    own = tmp_path / "mine.csv"
    own.write_text("# made in May\n" + own.read_text())
    arguments += ["--unlabeled-value", "unsure"]
    assert main([*arguments, *[q for q in quick if q != "--quiet"]]) == 0
    printed = capsys.readouterr().out
    assert "dropped 2 texts: the text is empty" in printed
    assert f"{own}: a comment before the header left out: '# made in May'" in printed
    assert f"{own}: no cell of 'mood' is 'unsure', which --unlabeled-value names" in printed
    assert "1 texts are cut to 128 tokens" in printed
    assert "1 texts hold signs that all-MiniLM-L6-v2 does not know" in printed
    assert list(tmp_path.glob("own-mine-tuned*/report.md"))


BAD = {
    "one class": ({"mood": "up"}, ["--target", "mood"], "'mood' has 1 values"),
    "empty": ({"text": ""}, ["--target", "mood"], "has no text that is not empty"),
    "no target": ({}, [], "--target is missing"),
    "a number": ({}, ["--target", "rating"], "'rating' holds fractions"),
    "unknown column": ({}, ["--target", "moot"], "did you mean 'mood'"),
    "too few": ({}, ["--target", "mood", "--init", "119"], "cannot be split with --init 119"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_spoilt_own_table_is_refused(fault, table, capsys, tmp_path):
    changes, options, message = BAD[fault]
    assert main([*table(**changes), *options, "--quiet", "--out", str(tmp_path / "out")]) == 2
    assert message in error_of(capsys)
    assert not [path for path in tmp_path.glob("out/**/*") if path.is_file()]


@pytest.mark.parametrize("column", ["mood", "txt"])
def test_a_text_column_is_a_column_other_than_the_target(column, table, capsys, tmp_path):
    table()
    own = ["--dataset", str(tmp_path / "mine.csv"), "--target", "mood", "--text-column", column]
    assert main([*own, "--quiet", "--out", str(tmp_path / "out")]) == 2
    message = {"mood": "--target and --text-column both name 'mood'", "txt": "did you mean 'text'"}
    assert message[column] in error_of(capsys)
