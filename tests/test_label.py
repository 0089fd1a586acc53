"""label.py as a user runs it: what it writes, what it advises, and every kind of bad input."""

import csv
import gzip
import resource
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, shell
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as draw
from test_cli import error_of

import evidence
import label
import labeling
import tables
from data_utils import SHIPPED

sys.path.append(str(ROOT / "benchmarks"))
import labels as benchmark

ADDED = ["benefit", "runner_up", "probability", "round"]


@pytest.fixture
def folder(tmp_path):
    """Tables of the shipped bank: 120 labeled, 300 validation, 400 pool rows."""
    bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(frac=1, random_state=0)
    bank[:120].to_csv(tmp_path / "labeled.csv", index=False)
    bank[120:420].to_csv(tmp_path / "validation.csv", index=False)
    bank[420:820].drop(columns="y").to_csv(tmp_path / "pool.csv", index=False)
    return tmp_path


def run(folder, *options, labeled="labeled.csv", pool="pool.csv", validation="validation.csv"):
    """label.py on the tables in ``folder``, six labels in all unless the options say more."""
    files = {"labeled": labeled, "unlabeled": pool, "validation": validation}
    named = [f"--{option}={folder / name}" for option, name in files.items() if name]
    chosen = dict(option.split("=") for option in options if "=" in option)
    defaults = {"--target": "y", "--budget": "6", "--out": str(folder / "plus.csv")}
    kept = [f"{name}={value}" for name, value in (defaults | chosen).items()]
    return label.main([*named, *kept, *(option for option in options if "=" not in option)])


def cells(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


# --- what it writes -------------------------------------------------------------------------------


def test_the_output_is_the_labeled_rows_and_the_chosen_ones_cell_for_cell(folder, capsys):
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


def test_the_same_command_twice_gives_the_same_bytes_and_only_with_force(folder, capsys):
    assert run(folder, "--abstain=1") == 0
    files = [folder / "plus.csv", folder / "plus_left.csv"]
    first = [file.read_bytes() for file in files]
    capsys.readouterr()
    assert run(folder, "--abstain=1") == 2
    assert "exists: name another file with --out, or add --force" in error_of(capsys)
    assert run(folder, "--abstain=1", "--force") == 0
    assert [file.read_bytes() for file in files] == first


def test_rows_left_for_a_person_lie_apart_most_useful_first(folder):
    assert run(folder, "--abstain=1e9", "--budget=5") == 0
    left = pd.read_csv(folder / "plus_left.csv")
    assert len(left) == 5
    assert left["benefit"].is_monotonic_decreasing
    assert len(cells(folder / "plus.csv")) == 120


@pytest.mark.parametrize("form", ["tsv", "csv.gz", "parquet", "semicolons", "utf-16", "latin-1"])
def test_every_form_and_encoding_gives_the_same_picks(form, folder):
    assert run(folder, "--quiet") == 0
    expected = pd.read_csv(folder / "plus.csv")
    suffix = form if form in ("tsv", "csv.gz", "parquet") else "csv"
    for name in ("labeled", "pool", "validation"):
        frame = pd.read_csv(folder / f"{name}.csv")
        if form == "parquet":
            frame.to_parquet(folder / f"{name}2.parquet")
        else:
            separator = {"tsv": "\t", "semicolons": ";"}.get(form, ",")
            encoding = form if form in ("utf-16", "latin-1") else "utf-8"
            path = folder / f"{name}2.{suffix}"
            frame.to_csv(path, index=False, sep=separator, encoding=encoding)
    names = {name: f"{name}2.{suffix}" for name in ("labeled", "pool", "validation")}
    options = ["--encoding=latin-1"] if form == "latin-1" else []
    assert run(folder, f"--out={folder}/other.{suffix}", "--quiet", *options, **names) == 0
    if suffix == "parquet":
        found = pd.read_parquet(folder / "other.parquet")
    else:
        found = pd.read_csv(folder / f"other.{suffix}", sep="\t" if suffix == "tsv" else ",")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_one_file_with_blank_targets_is_labeled_rows_and_pool(folder, capsys):
    both = pd.concat([cells(folder / f"{name}.csv") for name in ("labeled", "pool")])
    both.fillna("").to_csv(folder / "both.csv", index=False)
    assert run(folder, "--quiet") == 0
    assert run(folder, f"--out={folder}/other.csv", "--quiet", labeled="both.csv", pool=None) == 0
    assert (folder / "other.csv").read_bytes() == (folder / "plus.csv").read_bytes()
    assert run(folder, f"--out={folder}/third.csv", pool=None) == 2
    assert "no row with a blank 'y'" in error_of(capsys)


def test_without_validation_a_part_is_split_off_and_its_cost_is_said(folder, capsys):
    assert run(folder, "--dry-run", validation=None) == 0
    printed = capsys.readouterr().out
    assert "validation: 30 of the 120 labeled rows are set aside" in printed
    assert "The fair alternative is the first row" in printed
    assert not (folder / "plus.csv").exists()


def test_chunks_change_nothing_and_a_short_list_is_said(folder, monkeypatch, capsys):
    assert run(folder, "--quiet") == 0
    whole = (folder / "plus.csv").read_bytes()
    read = tables.chunks
    monkeypatch.setattr(tables, "chunks", lambda path, encoding=None: read(path, encoding, rows=37))
    assert run(folder, "--quiet", "--force") == 0
    assert (folder / "plus.csv").read_bytes() == whole
    monkeypatch.setattr(labeling, "KEPT", 60)
    assert run(folder, "--force") == 0
    assert "picking from the 60 pool rows of largest first-order benefit" in capsys.readouterr().out
    assert len(cells(folder / "plus.csv")) > 120


def test_the_running_best_is_that_of_all_rows_at_once():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 1_000)  # with ties
    frame = pd.DataFrame({"row": np.arange(1_000)})
    parts = ((scores[i : i + 70], frame[i : i + 70]) for i in range(0, 1_000, 70))
    expected = np.sort(np.argsort(-scores, kind="stable")[:90])
    np.testing.assert_array_equal(labeling.best(parts, 90)["row"], expected)


def test_formulas_are_kept_as_text_and_never_written_to_run(folder, capsys):
    for name in ("labeled", "pool", "validation"):
        frame = cells(folder / f"{name}.csv")
        frame["job"] = frame["job"].replace({"management": "=1+1", "technician": "@SUM(A1)"})
        frame.to_csv(folder / f"{name}.csv", index=False)
    assert run(folder) == 0
    assert "cells that a spreadsheet would run begin with ' there" in capsys.readouterr().out
    plus = cells(folder / "plus.csv")
    assert {"'=1+1", "'@SUM(A1)"} <= set(plus["job"])
    assert plus["pdays"].str.startswith("-1").any()  # a number stays one
    risky = plus.map(lambda cell: cell[:1] in "=+-@" and cell != "")
    assert pd.to_numeric(plus.to_numpy()[risky.to_numpy()], errors="coerce").size
    assert not np.isnan(pd.to_numeric(plus.to_numpy()[risky.to_numpy()], errors="coerce")).any()


# --- what it advises ------------------------------------------------------------------------------


def test_a_gain_is_clear_only_with_the_corrected_variance():
    """Nadeau and Bengio's t statistic, by hand, for ten differences over five folds."""
    differences = np.array([3, 1, 2, 4, 0, 2, 3, 1, 2, 2]) / 100
    gain = evidence.paired(differences)
    assert gain.mean == pytest.approx(0.02)
    assert gain.half == pytest.approx(2.2622 * np.std(differences, ddof=1) * 0.35**0.5, rel=1e-4)
    assert not evidence.paired(differences - 0.008).clear
    assert evidence.paired(differences).clear


def test_every_row_is_held_out_once_and_rare_classes_never():
    y = np.repeat([0, 1, 2], [60, 13, 9])
    parts = evidence.deal(y, np.random.default_rng(0))
    assert (parts[y == 2] == -1).all()
    assert set(np.bincount(parts[y < 2])) <= {14, 15}
    assert [set(np.bincount(parts[y == c])) for c in (0, 1)] == [{12}, {2, 3}]


def test_random_labels_are_advised_against_and_true_ones_lose_nothing(tmp_path):
    """benchmarks/labels.py with fewer seeds and labels; its ten seeds are in the README."""
    for kind in benchmark.KINDS[1:]:
        assert not benchmark.trial(tmp_path, 0, kind, "--budget=40")["uses"]
    result = benchmark.trial(tmp_path, 1, "true", "--budget=40")
    assert not result["uses"] or result["with"] >= result["without"]


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
    "another form": ({"--out": "plus.xlsx"}, {}, "should end in .csv"),
    "an added column": (
        {}, {"labeled": lambda t: t.assign(benefit=1)}, "which label.py adds: rename it",
    ),
    "huge numbers": (
        {}, {"pool": lambda t: t.assign(age="1e300")}, "too large to standardise",
    ),
    "infinite in validation": (
        {}, {"validation": lambda t: t.assign(age="inf")}, "column 'age' holds infinite numbers",
    ),
    "infinite numbers": ({}, {"pool": lambda t: t.assign(age="inf")}, "an infinite number"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_input_ends_in_one_line(fault, folder, capsys):
    options, spoilt, message = BAD[fault]
    for name, spoil in spoilt.items():
        spoil(cells(folder / f"{name}.csv")).to_csv(folder / f"{name}.csv", index=False)
    before = sorted(folder.iterdir())
    assert run(folder, *(f"{k}={v}" for k, v in options.items())) == 2
    assert message in error_of(capsys)
    assert sorted(folder.iterdir()) == before


def test_another_encoding_is_told_with_the_way_out(folder, capsys):
    text = (folder / "pool.csv").read_text().replace("management", "Geschäftsführung")
    (folder / "pool.csv").write_bytes(text.encode("latin-1"))
    assert run(folder) == 2
    assert "is not in UTF-8: name its encoding, such as --encoding latin-1" in error_of(capsys)
    assert run(folder, "--encoding=latin-1", "--quiet") == 0


def test_rows_in_pool_and_validation_are_counted_not_refused(folder, capsys):
    validation, pool = cells(folder / "validation.csv"), cells(folder / "pool.csv")
    pd.concat([pool, validation[:7].drop(columns="y")]).to_csv(folder / "pool.csv", index=False)
    assert run(folder, "--dry-run") == 0
    assert "warning: 7 pool rows equal a validation row" in capsys.readouterr().out


def test_its_own_input_is_never_written_over(folder, capsys):
    assert run(folder, f"--out={folder}/labeled.csv", "--force") == 2
    assert "is one of the tables to read" in error_of(capsys)


def test_a_disk_that_takes_no_more_ends_in_one_line_and_leaves_the_old_file(folder, capsys):
    (folder / "plus.csv").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # as a disk full after 2 kB
    try:
        assert run(folder, "--force", "--quiet") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large; nothing there was changed" in error_of(capsys)
    assert (folder / "plus.csv").read_text() == "old"
    assert not list(folder.glob(".*"))


def test_too_few_rows_to_measure_is_said(folder, capsys):
    frame = cells(folder / "labeled.csv")
    few = pd.concat([frame[frame["y"] == c][:4] for c in ("yes", "no")])
    few.to_csv(folder / "labeled.csv", index=False)
    assert run(folder) == 0
    printed = capsys.readouterr().out
    assert "not measured: no class has 10 labeled rows" in printed
    assert "do not use the labels" in printed


def test_the_command_runs_as_a_shell_runs_it(folder):
    files = [f"--{o}={folder}/{n}.csv" for o, n in (("labeled", "labeled"), ("unlabeled", "pool"))]
    done = shell("label.py", *files, "--target", "y", "--budget", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: argument --budget: '0' is not a whole number of 1 or more" in done.stderr


# --- 500 malformed tables -------------------------------------------------------------------------

CELL = draw.one_of(
    draw.sampled_from(
        ["", "?", "NA", "1", "0", "-2.5", "yes", "no", "=1+1", "inf", "1e308", "1e999"]
    ),
    draw.integers(-3, 3).map(str),
    draw.text(max_size=4),
)
ROWS = draw.lists(draw.lists(CELL, min_size=1, max_size=4), max_size=16)
SEPARATOR = draw.sampled_from([",", ",", ",", ";", "\t"])
HEADER = draw.sampled_from([["a", "b", "y"], ["a", "y"], ["y"], ["a", "a", "y"], ["", "b", "y"]])
ENCODING = draw.sampled_from(["utf-8", "utf-8", "utf-16", "utf-8-sig", "latin-1"])


@draw.composite
def files(a_draw):
    """A table's bytes: a header, rows of any length, in any encoding, or no table at all."""
    if a_draw(draw.integers(0, 9)) == 0:
        content = a_draw(draw.binary(max_size=200))
        return content if a_draw(draw.booleans()) else gzip.compress(content)[:-2]
    separator, header = a_draw(SEPARATOR), a_draw(HEADER)
    width = len(header)
    rows = a_draw(ROWS)
    if a_draw(draw.booleans()):  # most tables are whole, so that the later steps see some
        rows = [(row + ["1", "2", "3"])[:width] for row in rows]
    lines = "\n".join(separator.join(row) for row in [header, *rows])
    return lines.encode(a_draw(ENCODING), errors="replace")


FORMS = draw.sampled_from(["csv", "csv", "csv", "tsv", "csv.gz", "parquet"])
QUIETLY = dict(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@settings(max_examples=350, **QUIETLY)
@given(content=files(), form=FORMS)
def test_a_malformed_table_is_read_or_refused(content, form):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mine.{form}"
        path.write_bytes(content)
        with suppress(tables.UserError):  # any other exception fails
            tables.Columns().fit(tables.read(path))


@draw.composite
def pairs(a_draw):
    """Two tables of odd cells that fit together, so that the later steps are reached."""
    names = a_draw(
        draw.lists(draw.text("abc=,\"'é ", max_size=3), min_size=1, max_size=3, unique=True)
    )
    size, column = a_draw(draw.integers(8, 40)), draw.lists(CELL, min_size=1, max_size=6)
    label_cell = draw.sampled_from(["yes", "no", "", "-1", "=x"])
    tables_made = []
    for classes in (a_draw(draw.lists(label_cell, min_size=2, max_size=6)), [""]):
        made = {name: np.resize(np.array(a_draw(column), object), size) for name in names}
        frame = pd.DataFrame(made | {"y": np.resize(np.array(classes, object), size)})
        try:
            text = frame.to_csv(index=False)
        except csv.Error:  # Python 3.10 writes no null character
            reject()
        tables_made.append(text.encode(a_draw(ENCODING), errors="replace"))
    return tables_made


BOTH = draw.one_of(draw.tuples(files(), files()), pairs())


@settings(max_examples=150, **QUIETLY)
@given(both=BOTH, form=FORMS, blank=draw.booleans())
def test_label_py_ends_in_no_traceback_on_malformed_tables(both, form, blank):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in zip(("labeled", "pool"), both, strict=True):
            (Path(folder) / f"{name}.{form}").write_bytes(content)
        code = run(
            Path(folder),
            "--budget=1",
            "--quiet",
            labeled=f"labeled.{form}",
            pool=None if blank else f"pool.{form}",
            validation=None,
        )
    assert code in (0, 2)
