"""Huge numbers in a user's tables, and two tables of one name."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import explore
import label
import main_binary
from labeling.known_content import row_hashes
from tests.helpers import error_of

SMALL = "--target y --init 30 --rounds 1 --budget 2 --quiet".split()


def write_table(path: Path, scale: float = 1.0, seed: int = 0) -> str:
    """A table of two columns of numbers and two classes."""
    path.parent.mkdir(exist_ok=True)
    X = np.random.default_rng(seed).normal(size=(90, 2)).clip(-1, 1)
    frame = pd.DataFrame(X * scale, columns=["a", "b"])
    frame.assign(y=np.where(X[:, 0] > 0, "yes", "no")).to_csv(path, index=False)
    return str(path)


# --- P11 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e155, 1e300])
def test_p11_huge_numbers_are_one_line_of_ours(scale, tmp_path, capfd):
    """P11: in a table, through three scripts; warnings are shown as on a user's screen."""
    own, out = write_table(tmp_path / "own.csv", scale), str(tmp_path / "out")
    pool = write_table(tmp_path / "pool.csv", scale, seed=1)
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


@pytest.mark.parametrize("option", ["--l2 1e300", "--damping 1e300", "--l2 1e308 --damping 1e308"])
def test_p11_huge_options_are_one_line_or_nothing(option, tmp_path, capfd):
    """P11."""
    given = ["--dataset", write_table(tmp_path / "own.csv"), *SMALL, "--no-plot", *option.split()]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code = main_binary.main([*given, "--methods", "random,salutary", "--out", str(tmp_path)])
    told = capfd.readouterr().err
    assert (code == 0 and told == "") or (code == 2 and told.startswith("error: "))
    assert told.count("\n") == (code == 2)


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
        write_table(path, seed=seed)
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
    write_table(paths[2], seed=5)  # the same file, edited
    assert set(run(paths[2])) == {first, second}
