"""report.py: tables say what the numbers say, and files are written whole or not at all."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from matplotlib.image import imread

import report
import stats
from sources import UserError

NAMES = {"a": "Method A", "b": "Method B"}


def records(rounds=2, seeds=(0,)):
    accuracy = {"a": [0.5, 0.6, 0.7], "b": [0.5, 0.65, 0.6]}
    return [
        {
            "method": method,
            "seed": seed,
            "round": r,
            "test_accuracy": accuracy[method][r % 3] + 0.02 * seed,
            "validation_accuracy": 0.5,
            "validation_loss": 1.0,
            "labels_bought": 10 * r if method == "a" else 0,
            "seconds": 0.5 if method == "a" else 0.25,
            "labels_initial": 30,
            "labels_validation": 40 if method == "b" and r else 0,
            "wrong_share": np.nan,
            "pick_norm": np.nan,
            "gap": 0.0,
            "condition": 10.0,
        }
        for method in "ab"
        for seed in seeds
        for r in range(rounds + 1)
    ]


def rows(text):
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def test_table_shows_rounds_gain_mean_and_marks_the_best():
    shown = rows(report.table(report.curves_frame(records(), "x", "paper"), "title", NAMES))
    assert shown["method"] == [*"012", *"gain mean initial bought valid. seconds".split()]
    assert shown["Method A"] == "50.0 60.0 70.0* +20.0* 60.0* 30 20 0 1.50".split()
    assert shown["Method B"] == "50.0 65.0* 60.0 +10.0 58.3 30 0* 40 0.75*".split()


def test_table_over_seeds_shows_means_and_deviations():
    curves = report.curves_frame(records(seeds=(0, 1)), "x", "paper")
    shown = rows(report.table(curves, "title", NAMES))
    assert shown["Method A"][:5] == ["51.0", "61.0", "71.0*", "+20.0* ± 0.0", "61.0* ± 1.4"]


def test_long_runs_show_eleven_rounds():
    curves = report.curves_frame(records(rounds=40), "x", "paper")
    header = rows(report.table(curves, "title", NAMES))["method"]
    assert header[:11] == [str(r) for r in range(0, 41, 4)]


def test_frames_have_the_promised_columns():
    curves = report.curves_frame(records(), "bank", "strict")
    assert ",".join(curves) == (
        "dataset,protocol,method,seed,round,test_accuracy,validation_accuracy,validation_loss,"
        "labels_bought,seconds,labels_initial,labels_validation,wrong_share,pick_norm,gap,condition"
    )
    columns = "method,seed,round,row,label,true_label,score,norm"
    assert ",".join(report.picks_frame([dict.fromkeys(columns.split(","), 1)])) == columns
    assert ",".join(report.picks_frame([])) == columns


def test_csv_keeps_every_digit():
    frame = pd.DataFrame({"x": [1 / 3, np.pi, 6098 / 7919]})
    assert (pd.read_csv(BytesIO(report.as_csv(frame)))["x"] == frame["x"]).all()


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_picture_is_a_png_with_something_on_it(seeds):
    curves = report.curves_frame(records(seeds=seeds), "x", "paper")
    image = imread(BytesIO(report.picture(curves, "title", NAMES, {"b"})))
    assert min(image.shape[:2]) > 500
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 50


# --- writing -------------------------------------------------------------------------------------


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_write_replaces_adds_and_removes(tmp_path):
    report.write(tmp_path, {"a.csv": b"old", "b.png": b"old"})
    report.write(tmp_path, {"a.csv": b"new", "b.png": None, "c.json": b"new"})
    assert contents(tmp_path) == {"a.csv": b"new", "c.json": b"new"}


def test_a_disk_that_takes_no_more_changes_nothing(tmp_path):
    """A real limit: the process may write no file of more than 10,000 bytes."""
    report.write(tmp_path, {"a.csv": b"old", "b.csv": b"old"})
    script = f"""
import resource
from pathlib import Path
import report
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    report.write(Path({str(tmp_path)!r}), {{"a.csv": b"new", "b.csv": b"n" * 20_000}})
except report.UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert "cannot write to" in done.stdout
    assert "File too large" in done.stdout
    assert contents(tmp_path) == {"a.csv": b"old", "b.csv": b"old"}


def test_ctrl_c_while_writing_leaves_the_old_files(tmp_path, monkeypatch):
    report.write(tmp_path, {"a.csv": b"old", "b.csv": b"old"})
    synced = []

    def interrupt(descriptor):
        synced.append(descriptor)
        if len(synced) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        report.write(tmp_path, {"a.csv": b"new", "b.csv": b"new"})
    assert contents(tmp_path) == {"a.csv": b"old", "b.csv": b"old"}


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        report.open_folder(tmp_path / "file" / "results")


def test_references_get_no_star():
    curves = report.curves_frame(records(), "x", "paper")
    shown = rows(report.table(curves, "title", NAMES, {"a"}))
    assert "*" not in "".join(shown["Method A"])
    assert shown["Method B"][3] == "+10.0*"


def test_statistics_of_a_single_seed_show_no_deviation():
    shown = report.statistics(stats.summary(report.curves_frame(records(), "x", "paper")), NAMES)
    assert shown.loc["Method A", ["final", "p", "against"]].tolist() == ["70.0", "", ""]
    several = report.curves_frame(records(seeds=(0, 1, 2)), "x", "paper")
    shown = report.statistics(stats.summary(several), NAMES)
    assert shown.loc["Method A", "final"] == "72.0 ± 2.0"
    assert shown.loc["Method B", "against"] == "Method A"
