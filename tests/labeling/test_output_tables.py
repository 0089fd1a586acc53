"""The tables that label.py writes: their cells, and what is never written over."""

import resource

import pandas as pd

from tests.helpers import error_of


def test_rows_left_for_a_person_lie_apart_most_useful_first(folder, run, cells):
    assert run(folder, "--abstain=1e9", "--budget=5") == 0
    left = pd.read_csv(folder / "plus_left.csv")
    assert len(left) == 5
    assert left["benefit"].is_monotonic_decreasing
    assert len(cells(folder / "plus.csv")) == 120


def test_its_own_input_is_never_written_over(folder, capsys, run):
    assert run(folder, f"--out={folder}/labeled.csv", "--force") == 2
    assert "is one of the tables to read" in error_of(capsys)


def test_a_disk_that_takes_no_more_ends_in_one_line_and_leaves_the_old_file(folder, capsys, run):
    (folder / "plus.csv").write_text("old")
    (folder / "plus.json").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # as a disk full after 2 kB
    try:
        assert run(folder, "--force", "--quiet") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large; nothing there was changed" in error_of(capsys)
    assert (folder / "plus.csv").read_text() == (folder / "plus.json").read_text() == "old"
    assert not list(folder.glob(".*"))
