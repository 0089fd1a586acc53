"""Huge numbers in a user's tables, and two tables of one name."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import explore
import label
import main_binary
from experiments import runner
from labeling.known_content import row_hashes
from tests.helpers import error_of
from tests.helpers.own_table import label_words, own_table

SMALL = "--target y --init 30 --rounds 1 --budget 2 --quiet".split()


# --- P11 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e155, 1e300])
def test_p11_huge_numbers_are_one_line_of_ours(scale, tmp_path, capfd):
    """P11: in a table, through three scripts; warnings are shown as on a user's screen."""
    own, out = own_table(tmp_path, "own.csv", scale=scale), str(tmp_path / "out")
    pool = own_table(tmp_path, "pool.csv", scale=scale, seed=1)
    tables = ["--labeled", own, "--unlabeled", pool, "--target", "y", "--budget", "2", "--quiet"]
    for script, given in (
        (main_binary, ["--dataset", own, *SMALL, "--methods", "random,salutary", "--no-plot"]),
        (explore, ["boundary", "--dataset", own, *SMALL, "--seeds", "0"]),
        (label, [*tables, "--anyway"]),
    ):
        name = f"{out}/plus.csv" if script is label else out
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert script.main([*given, "--out", name]) == 2
        error_of(capfd)  # it is one line


@pytest.mark.parametrize("huge", [["1e200", "-1e200"], ["-1e308"]])
def test_p11_huge_numbers_in_the_pool_name_their_column(huge, tmp_path, capfd):
    """P11: also if they cancel each other in the mean, so that they can be standardised."""
    words = label_words(tmp_path)
    pool = pd.read_csv(tmp_path / "pool.csv", dtype=str)
    pool.loc[pool.index[: len(huge)], "b"] = huge
    pool.to_csv(tmp_path / "pool.csv", index=False)
    assert label.main([*words, "--anyway", "--quiet", f"--out={tmp_path}/plus.csv"]) == 2
    assert "column 'b' holds numbers too large" in error_of(capfd)


def test_p11_rows_of_huge_numbers_are_equal_only_if_they_are():
    """P11: rounding to nine decimals would make each of them infinite."""
    rows = np.array([[1e300, 0.1], [2e300, 0.1], [1e300, 0.1 + 1e-12], [-0.0, 1], [0.0, 1]])
    a, b, c, d, e = row_hashes(rows)
    assert a == c != b
    assert d == e


# --- P16 -----------------------------------------------------------------------------------------


def test_p16_two_tables_of_one_name_do_not_share_a_folder(tmp_path, monkeypatch, capsys):
    """P16: nor does either lose its folder when it is run again, from another folder too."""
    out = tmp_path / "out"
    paths = [tmp_path / name / "mine.csv" for name in "abc"]
    for seed, path in enumerate(paths[:2]):
        own_table(path.parent, path.name, seed=seed)
    paths[2].parent.mkdir()
    paths[2].write_bytes(paths[0].read_bytes())  # the first table, moved

    def run(path):
        given = ["--dataset", str(path), *SMALL, "--methods", "random", "--no-plot"]
        assert main_binary.main([*given, "--out", str(out)]) == 0
        return {
            run.parent.name: run.with_name("picks.csv").read_bytes()
            for run in out.glob("*/run.json")
        }

    (first,) = run(paths[0])
    both = run(paths[1])
    (second,) = set(both) - {first}
    assert (first, second[:9]) == ("own-mine-tuned", "own-mine-")
    assert both[first] != both[second]
    monkeypatch.chdir(tmp_path / "a")
    for path in ("../b/mine.csv", "./mine.csv", paths[2]):
        assert run(path) == both
    for name, path in ((first, paths[2]), (second, paths[1])):
        record = json.loads((out / name / "run.json").read_bytes())
        assert record["options"]["dataset"] in (str(path), "../b/mine.csv")
        assert len(list((out / name / "runs").iterdir())) == 1  # resumed, not made anew
    own_table(paths[2].parent, paths[2].name, seed=5)  # the same file, edited
    assert set(run(paths[2])) == {first, second}


def test_p16_two_such_tables_at_once_in_an_empty_folder(tmp_path, monkeypatch):
    """P16: the second run begins and ends while the first one has no results."""
    paths = [own_table(tmp_path / name, "mine.csv", seed=seed) for seed, name in enumerate("ab")]
    words = [*SMALL, "--methods", "random", "--no-plot", "--out", str(tmp_path / "out")]
    run = runner.run

    def another_first(*arguments, **options):
        monkeypatch.setattr(runner, "run", run)
        assert main_binary.main(["--dataset", paths[1], *words]) == 0
        return run(*arguments, **options)

    monkeypatch.setattr(runner, "run", another_first)
    assert main_binary.main(["--dataset", paths[0], *words]) == 0
    folders = sorted((tmp_path / "out").iterdir(), key=lambda folder: len(folder.name))
    records = [json.loads((folder / "run.json").read_bytes()) for folder in folders]
    assert [record["options"]["dataset"] for record in records] == paths
    assert all(
        (folder / "picks.csv").is_file() and record["finished"]
        for folder, record in zip(folders, records, strict=True)
    )
