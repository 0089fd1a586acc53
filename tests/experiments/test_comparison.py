"""compare.py and many seeds, by the shell: the report, parallel runs, and runs that were killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from compare import main
from experiments import statistics
from experiments.comparison import available
from tests.helpers import ROOT

QUICK = "--rounds 2 --budget 3".split()


def without_seconds(folder):
    return pd.read_csv(folder / "curves.csv", dtype=str).drop(columns="seconds")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare")
    methods = ["--methods", "random,entropy,salutary,salutary_plus,full_pool"]
    which = "--datasets electric wine --protocol strict --seeds 0-3".split()
    arguments = [*which, *methods, *QUICK]
    assert main([*arguments, "--out", str(out), "--quiet"]) == 0
    return out


def test_compare_writes_a_folder_per_data_set_and_the_report(report):
    assert {path.name for path in report.iterdir()} == {
        "electric-strict", "wine-strict", "report.md", "table.csv", "table.tex", "penalties.png",
    }  # fmt: skip
    for folder in ("electric-strict", "wine-strict"):
        names = {path.name for path in (report / folder).iterdir()}
        assert names == {"curves.csv", "picks.csv", "run.json", "curves.png"}
    assert imread(report / "penalties.png").shape[0] > 300


def test_table_holds_the_statistics_of_the_curves(report):
    table = pd.read_csv(report / "table.csv")
    assert len(table) == 2 * 5
    for name in ("electric", "wine"):
        expected = statistics.summary(
            pd.read_csv(report / f"{name}-strict/curves.csv"), {"full_pool"}
        )
        found = table[table["dataset"] == name].set_index("method")
        for column in ("final", "final_sd", "aulc", "aulc_sd", "p"):
            np.testing.assert_allclose(found[column], expected[column])
    labels = table[table["dataset"] == "electric"].set_index("method")
    assert labels.loc[
        "random", ["labels_initial", "labels_bought", "labels_validation"]
    ].tolist() == [
        300,
        6,
        0,
    ]
    assert labels.loc["salutary_plus", "labels_bought"] == 0
    assert labels.loc["salutary_plus", "labels_validation"] == 2_000
    assert labels.loc["full_pool", "labels_bought"] == 5_700


def test_report_shows_every_data_set_method_and_picture(report):
    text = (report / "report.md").read_text()
    for name in ("Random", "Entropy", "Salutary", "Salutary plus"):
        assert text.count(f"| {name} |") >= 4  # AULC, penalties, and a table per data set
    for picture in ("penalties.png", "electric-strict/curves.png", "wine-strict/curves.png"):
        assert f"]({picture})" in text
        assert (report / picture).is_file()
    assert "strict protocol: l2 1, intercept, Hessian over the labeled set" in text
    assert "electric: Salutary plus" in text  # the audit
    assert "Labels that Salutary plus gave (rows) against the true ones (columns):" in text
    penalties = text.split("## Penalties")[1].split("##")[0]
    assert "Full pool" not in penalties
    tex = (report / "table.tex").read_text()
    assert "Salutary plus &" in tex
    assert "$\\pm$" in tex


def test_available_names_what_needs_no_network(shared_data):
    assert set(available(None)) >= {
        "electric",
        "bank",
        "wine",
        "waveform",
        "mnist:pca:50",
        "digits",
    }
    assert "celeba" not in available(None)
    assert "diabetes" in available(shared_data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--datasets electrik", "unknown data set 'electrik': did you mean 'electric'?"),
        ("--datasets mnist:pca:50 mnist", "names mnist twice"),
        ("--datasets bank --methods salutry", "did you mean 'salutary'?"),
        ("--datasets bank --jobs 0", "'0' is not a whole number of 1 or more"),
        ("--datasets bank:pca:x", "'pca:x' is neither efficientnet nor pca:N"),
        ("--datasets bank:squares", "'squares' is neither efficientnet nor pca:N"),
        ("--datasets bank --methods full_pool", "names references alone"),
        ("--datasets bank:efficientnet", "is for images, bank has none"),
        ("--datasets bank --l2 3", "unrecognized arguments: --l2 3"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, tmp_path, capsys):
    assert main([*arguments.split(), "--out", str(tmp_path), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert message in error


# --- many seeds ----------------------------------------------------------------------------------

MANY = (
    "main_binary.py --protocol strict --seeds 0-7 --methods random,qbc,salutary,salutary_plus "
    "--rounds 4 --no-plot --quiet --out"
).split()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    out = tmp_path_factory.mktemp("unbroken")
    subprocess.run(
        [sys.executable, *MANY, str(out)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    return out / "bank-strict"


def test_two_jobs_give_the_records_of_one(unbroken, tmp_path):
    """Called by its absolute path, from another folder."""
    script, *arguments = MANY
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments, str(tmp_path), "--jobs", "2"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "bank-strict"
    one, two = (pd.read_csv(f / "picks.csv") for f in (unbroken, folder))
    pd.testing.assert_frame_equal(one, two)  # scores to 1e-5: threads round in another order
    one, two = (without_seconds(f)["test_accuracy"] for f in (unbroken, folder))
    pd.testing.assert_series_equal(one, two)


def test_a_run_killed_three_times_ends_as_the_unbroken_one(unbroken, tmp_path):
    """SIGKILL while runs finish: what is there is not computed again, and not a byte differs."""
    folder, kept, kills = tmp_path / "bank-strict", 0, 0
    while kills < 3:
        process = subprocess.Popen(
            [sys.executable, *MANY, str(tmp_path)],
            cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # until this attempt, too, has finished some runs
            done = len(list(folder.glob("unfinished-*/*.json")))
            if done > kept + 2:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (folder / "curves.csv").exists()
        kills, kept = kills + 1, len(list(folder.glob("unfinished-*/*.json")))
    assert kept < 8 * 4
    stamps = {p.name: p.stat().st_mtime_ns for p in folder.glob("unfinished-*/*.json")}
    process = subprocess.Popen(
        [sys.executable, *MANY, str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    while process.poll() is None:
        for path in folder.glob("unfinished-*/*.json"):
            if path.name in stamps and path.exists():
                assert path.stat().st_mtime_ns == stamps[path.name]
        time.sleep(0.05)
    assert process.returncode == 0
    assert (folder / "picks.csv").read_bytes() == (unbroken / "picks.csv").read_bytes()
    pd.testing.assert_frame_equal(without_seconds(folder), without_seconds(unbroken))
    assert {path.name for path in folder.iterdir()} == {"curves.csv", "picks.csv", "run.json"}
