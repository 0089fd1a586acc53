"""label.py as a user runs it: what it writes and prints, and every kind of bad input."""

import io
import json
import sys

import pandas as pd
import pytest

from tests.helpers import error_of, shell

ADDED = ["benefit", "runner_up", "probability", "round", "source_file", "source_row", "labeled_by"]


def test_the_output_is_the_labeled_rows_and_the_chosen_ones_cell_for_cell(
    folder, capsys, run, cells
):
    assert run(folder) == 0
    printed = capsys.readouterr().out
    assert "120 labeled rows, 400 pool rows" in printed
    assert "do not use the labels" in printed or "use the labels" in printed
    assert "training on the validation labels instead" in printed
    plus, labeled, pool = (cells(folder / f"{name}.csv") for name in ("plus", "labeled", "pool"))
    assert list(plus) == [*labeled, *ADDED]
    pd.testing.assert_frame_equal(plus[:120][labeled.columns], labeled)
    assert (plus["round"][:120] == "0").all()
    chosen = plus[120:]
    assert len(chosen.merge(pool, on=list(pool))) == len(chosen) == 6
    assert set(chosen["y"]) <= {"yes", "no"}
    assert list(chosen["round"]) == list("123456")
    assert chosen["probability"].astype(float).between(0, 1).all()


def test_the_same_command_twice_gives_the_same_bytes_and_only_with_force(folder, capsys, run):
    assert run(folder, "--abstain=1", "--force") == 0
    files = [folder / name for name in ("plus.csv", "plus_left.csv", "plus.json")]
    first = [file.read_bytes() for file in files]
    capsys.readouterr()
    for file in files[:2]:
        file.unlink()
    assert run(folder, "--abstain=1") == 2  # the verdict alone is not written over either
    assert "plus.json exists: name another file with --out, or add --force" in error_of(capsys)
    assert run(folder, "--abstain=1", "--force") == 0
    assert [file.read_bytes() for file in files] == first


def test_the_files_are_whole_before_anything_of_the_answer_is_printed(folder, monkeypatch, run):
    was_there = []

    class Watched(io.StringIO):
        def write(self, text):
            was_there.append((folder / "plus_left.csv").is_file())
            was_there.append((folder / "plus.json").is_file())
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Watched())
    assert run(folder, "--abstain=1", "--quiet") == 0
    assert was_there
    assert all(was_there)


@pytest.mark.parametrize(
    "changed", ["--l2=30", "--seed=3", "--method=salutary", "--rounds=2", "--budget=8"]
)
def test_each_option_reaches_the_labels(changed, folder, run):
    """The split-off validation rows hang on --seed, so there is no validation table here."""
    assert run(folder, "--quiet", validation=None) == 0
    default = (folder / "plus.csv").read_bytes()
    assert run(folder, "--quiet", "--force", changed, validation=None) == 0
    assert (folder / "plus.csv").read_bytes() != default


def test_without_validation_a_part_is_split_off_and_its_cost_is_said(folder, capsys, run):
    assert run(folder, "--dry-run", validation=None) == 0
    printed = capsys.readouterr().out
    assert "validation: 30 of the 120 labeled rows are set aside" in printed
    assert "The fair alternative is the first column" in printed
    assert not (folder / "plus.csv").exists()


def test_too_few_rows_to_measure_is_said(folder, capsys, run, cells):
    frame = cells(folder / "labeled.csv")
    few = pd.concat([frame[frame["y"] == c][:4] for c in ("yes", "no")])
    few.to_csv(folder / "labeled.csv", index=False)
    assert run(folder, anyway=False) == 3
    printed = capsys.readouterr().out
    assert "not measured: no class has 10 labeled rows" in printed
    assert "do not use the labels" in printed
    assert not (folder / "plus.csv").exists()
    assert run(folder, "--l2=cv") == 0  # four folds
    found = json.loads((folder / "plus.json").read_text())
    assert found["measured"] is None
    assert found["use"] is False


def test_advised_against_nothing_is_written_unless_anyway(folder, capsys, run, cells):
    before = sorted(folder.iterdir())
    assert run(folder, "--dry-run", anyway=False) == 3
    dry = capsys.readouterr().out
    assert run(folder, anyway=False) == 3
    printed = capsys.readouterr().out
    assert printed == f"{dry}{folder}/plus.csv is not written: --anyway writes it\n"
    assert sorted(folder.iterdir()) == before
    assert run(folder) == 0
    assert capsys.readouterr().out.startswith(dry)
    found = json.loads((folder / "plus.json").read_text())
    assert (found["use"], found["options"]["anyway"]) == (False, True)
    assert f"answer: {found['reason']}: {found['answer']}." in dry
    given = cells(folder / "plus.csv")[120:]
    assert found["file"]["labels_given"] == {
        name: int((given["y"] == name).sum()) for name in ("no", "yes")
    }
    labeled = cells(folder / "labeled.csv")["y"].value_counts()
    assert {c["class"]: c["labeled_rows"] for c in found["classes"]} == labeled.to_dict()
    assert sum(c["predicted_in_the_pool"] for c in found["classes"]) == 400


def test_the_command_runs_as_a_shell_runs_it(folder):
    files = [f"--{o}={folder}/{n}.csv" for o, n in (("labeled", "labeled"), ("unlabeled", "pool"))]
    done = shell("label.py", *files, "--target", "y", "--budget", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --budget: '0' is not a whole number of 1 or more" in done.stderr


# --- bad input ------------------------------------------------------------------------------------

BAD = {
    "another target": ({"--target": "yy"}, {}, "unknown --target 'yy': did you mean 'y'"),
    "no target": ({}, {"labeled": lambda t: t.assign(y="")}, "has no row with a 'y'"),
    "constant target": ({}, {"labeled": lambda t: t.assign(y="no")}, "has 1 values"),
    "a column less": (
        {}, {"pool": lambda t: t.drop(columns="job")}, "pool.csv lacks 'job'",
    ),
    "a column more": (
        {}, {"pool": lambda t: t.assign(more=1)}, "labeled.csv lacks 'more'",
    ),
    "a class of validation": (
        {},
        {"validation": lambda t: t.assign(y=t["y"].where(t.index != 3, "maybe"))},
        "class 'maybe' is in",
    ),
    "a huge budget": ({"--budget": "50001"}, {}, "at most 50,000 rows can be picked at once"),
    "a big budget": ({"--budget": "401"}, {}, "the pool has 400 rows, ask for fewer"),
    "no method": ({"--method": "margin"}, {}, "unknown --method 'margin'"),
    "no encoding": ({"--encoding": "utf-99"}, {}, "--encoding 'utf-99' is unknown"),
    "no penalty": ({"--l2": "validation"}, {}, "'validation' is neither cv nor a number above 0"),
    "one row of a class": (
        {"--l2": "cv"},
        {"labeled": lambda t: t[(t["y"] == "no") | (t["y"] == "yes").cumsum().eq(1)]},
        "class yes has fewer than 2 rows to train on: label more rows, or give l2 as a number",
    ),
    "another form": ({"--out": "plus.xlsx"}, {}, "should end in .csv"),
    "an option of texts": (
        {"--out": "plus.parquet", "--excel-safe": None}, {}, "--excel-safe is for .csv and .tsv",
    ),
    "huge numbers": (
        {}, {"pool": lambda t: t.assign(age="1e300")}, "too large to standardise",
    ),
    "infinite in validation": (
        {}, {"validation": lambda t: t.assign(age="inf")}, "column 'age' holds an infinite number",
    ),
    "infinite numbers": ({}, {"pool": lambda t: t.assign(age="inf")}, "an infinite number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_ends_in_one_line(fault, folder, capsys, run, cells):
    options, spoilt, message = BAD[fault]
    for name, spoil in spoilt.items():
        spoil(cells(folder / f"{name}.csv")).to_csv(folder / f"{name}.csv", index=False)
    before = sorted(folder.iterdir())
    assert run(folder, *(f"{k}={v}" if v else k for k, v in options.items())) == 2
    assert message in error_of(capsys)
    assert sorted(folder.iterdir()) == before
