"""compare.py and many seeds, by the shell: the report, parallel runs, and runs that were killed."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from matplotlib.mathtext import MathTextParser

import main_binary
from common.kinds import MetricName
from compare import main
from data_prep.catalogue import DATASETS
from experiments import report as report_module
from experiments import statistics
from experiments.metrics import ACCURACY, METRICS
from experiments.options import ExperimentOptions
from experiments.plots import Heading, curves_picture
from experiments.report import Comparison, latex_table
from experiments.settings import settle
from strategies.registry import titles
from tests.experiments.records import curves_frame
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
        "penalties.pdf", "figure.png", "figure.pdf",
    }  # fmt: skip
    for folder in ("electric-strict", "wine-strict"):
        names = {path.name for path in (report / folder).iterdir()}
        pictures = {"curves.png", "curves.pdf"}
        assert names == {"curves.csv", "picks.csv", "run.json", "runs", *pictures}
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


def test_the_heat_map_is_sorted_by_what_methods_suffer_and_leaves_zeros_blank():
    names = ["margin", "random", "salutary"]
    matrix = pd.DataFrame([[0, 1.5, 0], [0.25, 0, 0], [2, 1.75, 0]], names, names)
    axes = report_module.heat_map_figure(matrix, 2).axes[0]
    order = ["Salutary", "Margin", "Random"]  # column means 0, 0.75 and 1.08
    assert [label.get_text() for label in axes.get_xticklabels()] == order
    assert [label.get_text() for label in axes.get_yticklabels()][:3] == order
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(1, 0): "2.0", (2, 0): "1.8", (2, 1): "1.5", (1, 2): "0.2",
                     (1, 3): "0.8", (2, 3): "1.1"}  # fmt: skip
    assert axes.get_ylabel() == "the method of this row beats …"
    assert axes.figure.get_suptitle() == "How often a method beats another"


@pytest.fixture(scope="module")
def by_log_loss(tmp_path_factory):
    """One seed, of which no test can be made, and methods that pick the same rows."""
    out = tmp_path_factory.mktemp("log_loss")
    methods = "--methods margin,uncertainty,entropy,salutary,full_pool --metric log_loss"
    arguments = f"--datasets breast_cancer --seeds 0 {methods} --out {out}".split()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([*arguments, *QUICK]) == 0
    return out


def test_a_metric_decides_all_of_the_report(by_log_loss):
    """And none of scipy's warnings is raised, see ``by_log_loss``."""
    folder, metric = by_log_loss / "breast_cancer-tuned", METRICS[MetricName.LOG_LOSS]
    assert json.loads((folder / "run.json").read_text())["options"]["metric"] == "log_loss"
    curves, table = pd.read_csv(folder / "curves.csv"), pd.read_csv(by_log_loss / "table.csv")
    expected = statistics.summary(curves, {"full_pool"}, metric)
    np.testing.assert_allclose(table["aulc"], expected["aulc"])
    assert set(table["metric"]) == {"log_loss"}
    text = (by_log_loss / "report.md").read_text()
    assert "learning curve of the test log loss (smaller is better)" in text
    assert "| Salutary | 0.0" in text
    (setting,) = re.findall(r"\n(breast_cancer.*rows\): .*)\.\n", text.replace("\\", ""))
    picture = curves_picture(curves, Heading("Breast Cancer Wisconsin", setting), metric)
    assert (folder / "curves.png").read_bytes() == picture.png
    assert (folder / "curves.pdf").read_bytes() == picture.pdf
    assert "1 seed: the smallest p that 4 methods can reach is 1.000, so no ▲ or ▼ can" in text
    assert "% accuracy on the first seed's test set" in text


def latex_rows(path):
    """The cells of a LaTeX table, by the name of their row; rows are as long as the head."""
    text = path.read_text()
    assert text.isascii()
    assert text.count("{") == text.count("}")
    assert "\\usepackage{booktabs}" in text.splitlines()[0]
    body = re.search(r"\\toprule\n(.*)\\bottomrule\n\\end{tabular}\n\\end{table}", text, re.S)[1]
    lines = [line for line in body.splitlines() if line != "\\midrule"]
    assert all(line.endswith(" \\\\") for line in lines)
    rows = [[cell.strip() for cell in line.removesuffix("\\\\").split(" & ")] for line in lines]
    columns = re.search(r"\\begin{tabular}{(\w+)}", text)[1]
    assert {len(row) for row in rows} == {len(columns)}
    assert not re.search(r"(?<!\\)[%#_~^]", text.split("\n", 1)[1])  # all are escaped
    for formula in set(re.findall(r"\$[^$]*\$", text)):
        MathTextParser("path").parse(formula)  # matplotlib knows TeX's symbols
    return {row[0]: row[1:] for row in rows}


def test_the_latex_table_has_marks_bold_caption_and_label(report, by_log_loss, tmp_path):
    for out, name, digits, best in (
        (report, "electric", 2, max),
        (report, "wine", 2, max),
        (by_log_loss, "breast_cancer", 4, min),
    ):
        rows = latex_rows(out / "table.tex")
        place = rows[""].index(name.replace("_", r"\_"))
        table = pd.read_csv(out / "table.csv").query("dataset == @name").set_index("method")
        areas = table["aulc"].round(digits)
        for method, area in areas.items():
            assert f"{area:.{digits}f}" in rows[titles()[method]][place]
        areas = areas.drop("full_pool")
        bold = {row for row, cells in rows.items() if "textbf" in cells[place]}
        assert bold == {titles()[m] for m in areas.index[areas == best(areas)]}
    text = (by_log_loss / "table.tex").read_text()
    assert "\\label{tab:aulc-tuned-log-loss}" in text
    for part in ("test log loss (smaller is better)", "seed 0", "tuned protocol", "Wilcoxon"):
        assert part in re.search(r"\\caption{(.*)}\n", text)[1]
    if shutil.which("pdflatex"):
        page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}%s\\end{document}"
        (tmp_path / "page.tex").write_text(page % f"\n{text}\n")
        tex = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "page.tex"]
        assert subprocess.run(tex, cwd=tmp_path, stdout=subprocess.DEVNULL).returncode == 0


def test_verdicts_are_triangles_in_latex():
    """Of twelve seeds in which the second method is always above the first."""
    curves = curves_frame(seeds=range(12), methods=("random", "salutary"))
    curves["test_accuracy"] += np.where(curves["method"] == "salutary", 0.1, 0) * (
        1 + curves["seed"] / 100
    )
    summary = statistics.summary(curves)
    result = SimpleNamespace(
        curves=curves,
        metric=ACCURACY,
        settings=settle(ExperimentOptions(dataset="bank", protocol="strict"), {}, DATASETS["bank"]),
        table=SimpleNamespace(dataset=DATASETS["bank"]),
    )
    text = latex_table(Comparison([result], [summary]))
    assert re.search(r"\nRandom & [\d.]+ \$\\pm\$ [\d.]+ \$\\bigtriangledown\$ ", text)
    assert re.search(r"\nSalutary & \\textbf{[\d.]+} \$\\pm\$ [\d.]+ \$\\bigtriangleup\$ ", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--datasets electrik", "unknown data set 'electrik': did you mean 'electric'?"),
        ("--datasets mnist:pca:50 mnist", "names mnist twice"),
        ("--datasets bank --methods salutry", "did you mean 'salutary'?"),
        ("--datasets bank --metric f1", "invalid choice: 'f1' (choose from"),
        ("--datasets bank --jobs 0", "'0' is not a whole number of 1 or more"),
        ("--datasets bank:pca:x", "'pca:x' is neither efficientnet nor pca:N"),
        ("--datasets bank:squares", "'squares' is neither efficientnet nor pca:N"),
        ("--datasets bank --methods full_pool", "names references alone"),
        ("--datasets bank:efficientnet", "is for images, bank has none"),
    ],
)
def test_bad_input_ends_in_one_line(arguments, message, tmp_path, capsys):
    assert main([*arguments.split(), "--out", str(tmp_path), "--quiet"]) == 2
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert message in error


# --- many seeds ----------------------------------------------------------------------------------

MANY = (
    "--protocol strict --seeds 0-5 --methods random,qbc,salutary,salutary_plus --rounds 3 "
    "--budget 5 --no-plot --quiet --out"
).split()
RUNS = 6 * 4


@pytest.mark.slow
def test_a_run_killed_twice_ends_as_the_unbroken_one(tmp_path):
    """SIGKILL while runs finish: what is there is not computed again, and not a byte differs.

    The second kill is of a run that went on from what the first had left.
    """
    assert main_binary.main([*MANY, str(tmp_path / "unbroken")]) == 0
    unbroken, folder = (tmp_path / name / "bank-strict" for name in ("unbroken", "killed"))
    kept = 0
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "main_binary.py", *MANY, str(tmp_path / "killed")],
            cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # until this attempt, too, has finished some runs
            if len(list(folder.glob("runs/*/*.json.gz"))) > kept + 2:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not (folder / "picks.csv").exists()
        before, kept = kept, len(list(folder.glob("runs/*/*.json.gz")))
        assert before + 2 < kept < RUNS
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*.json.gz")}
    assert main_binary.main([*MANY, str(tmp_path / "killed")]) == 0
    assert len(list(folder.glob("runs/*/*.json.gz"))) == RUNS
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert (folder / "picks.csv").read_bytes() == (unbroken / "picks.csv").read_bytes()
    pd.testing.assert_frame_equal(without_seconds(folder), without_seconds(unbroken))
    assert {path.name for path in folder.iterdir()} == {
        "curves.csv", "picks.csv", "run.json", "runs",
    }  # fmt: skip
