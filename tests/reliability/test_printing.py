"""A failed print costs no result, and never looks like success (rows F1, F8, P9 and P12)."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

import compare
import explore
import label
from common.cli import run_command, shortage
from labeling.options import LabelOptions
from tests.helpers import ROOT, error_of, main
from tests.helpers.own_table import label_words

EXPERIMENT = "--rounds 1 --budget 3 --methods random,entropy --seeds 0"
SCRIPTS = {
    "main_binary.py": f"--dataset breast_cancer --no-plot {EXPERIMENT} --out",
    "compare.py": f"--datasets breast_cancer {EXPERIMENT} --out",
    "explore.py": "boundary --dataset breast_cancer --protocol strict --seeds 0 --rounds 2 "
    "--budget 3 --out",
}
LAST = {  # the file that each writes last
    "main_binary.py": "breast_cancer-paper/picks.csv",
    "compare.py": "report.md",
    "explore.py": "boundary.csv",
    "label.py": "plus.csv",
}
FAILED = "error: standard output did not take the whole answer"


@contextmanager
def stream(kind):
    """A standard stream: None is closed, and what takes nothing is a full disk or a lost reader."""
    if kind == "closed":
        yield None
        return
    if kind == "full":
        with open("/dev/full", "w") as file:
            yield file
        return
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as file:
        yield file


def shell_line(line: str, **options) -> subprocess.CompletedProcess:
    """A line of the shell in the root; PY is this interpreter."""
    line = "set -o pipefail; " + line.replace("PY", sys.executable)
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, **options)


@pytest.mark.slow
def test_a_reader_that_leaves_costs_no_result(tmp_path):
    """F1."""
    done = shell_line(f"PY main_binary.py {SCRIPTS['main_binary.py']} {tmp_path} | head -n 1")
    assert done.returncode == 2, done.stderr
    assert f"{FAILED} (Broken pipe)" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / LAST["main_binary.py"]).stat().st_size


@pytest.mark.parametrize("script", [compare, explore, label])
def test_a_reader_that_has_left_costs_no_result(script, tmp_path, monkeypatch, capsys):
    """F1: in this process, which has the libraries."""
    name = f"{script.__name__}.py"
    words = f"{SCRIPTS[name]} {tmp_path}".split() if script is not label else label_words(tmp_path)
    if script is label:
        words += ["--anyway", f"--out={tmp_path}/plus.csv"]
    with stream("gone") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        assert script.main(words) == 2
    assert f"{FAILED} (Broken pipe)" in capsys.readouterr().err
    assert (tmp_path / LAST[name]).stat().st_size


@pytest.mark.parametrize(
    ("out", "err", "code"),
    [
        ("closed", "", 2), ("full", "", 2), ("", "closed", 0), ("", "full", 0), ("", "gone", 0),
        ("full", "full", 2), ("gone", "closed", 2), ("closed", "closed", 2),
    ],
)  # fmt: skip
def test_a_stream_that_is_closed_or_full_costs_no_result(
    out, err, code, tmp_path, monkeypatch, capsys
):
    """F8: main_multi.py has a bar on standard error; in this process, which has the libraries."""
    words = f"--dataset wine --no-plot {EXPERIMENT} --out {tmp_path}".split()
    with stream(out) as o, stream(err) as e, monkeypatch.context() as patch:
        for name, taken in (
            (("stdout"), o if out else sys.stdout),
            ("stderr", e if err else sys.stderr),
        ):
            patch.setattr(sys, name, taken)
        assert main("multi", words) == code
    told = capsys.readouterr()
    assert (FAILED in told.err) == (code == 2 and not err)
    assert ("random" in told.out.lower()) == (not out)
    assert (tmp_path / "wine-paper/picks.csv").stat().st_size


@pytest.mark.parametrize(("answer", "code"), [(None, 2), (3, 3)])
def test_the_code_of_an_answer_stays(answer, code, monkeypatch, capsys):
    """F1: 3 is the answer of label.py."""

    def action(options, given):
        print("the answer " * 9999)
        return answer

    with stream("full") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        assert run_command("label.py", LabelOptions(), action, []) == code
    assert f"{FAILED} (No space left on device)" in error_of(capsys)


def test_with_every_stream_closed_no_file_gets_what_is_printed(tmp_path):
    """F8: a file that is opened then would get the number of standard output."""
    arguments = f"{SCRIPTS['main_binary.py']} {tmp_path} --seeds 0,1"
    assert shell_line(f"PY main_binary.py {arguments} <&- >&- 2>&-").returncode == 2
    folder = tmp_path / "breast_cancer-paper"
    assert (folder / "curves.csv").read_text().startswith("dataset,protocol,")
    assert len(list(folder.rglob("*.json.gz"))) == 4


@pytest.mark.parametrize("option", ["--data-dir", "--plugin", "--dataset", "--out"])
def test_a_path_that_is_too_long_is_told_as_such(option, capsys):
    """P9."""
    ending = ".py" if option == "--plugin" else ".csv"
    assert main("binary", [option, "/" + "a" * 5000 + ending, "--quiet"]) == 2
    told = error_of(capsys)
    assert re.search(r"/aaa.* … .*aaa.*: .*File name too long", told), told
    assert "print" not in told
    assert len(told) < 6000


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("Unable to allocate 3 EiB"), "too little memory"),
        (OSError(12, "Cannot allocate memory"), "too little memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("can't start new thread"), "too little memory"),
        (ImportError("x.so: failed to map segment from shared object"), "too little memory"),
        (OSError(24, "Too many open files", "a.csv"), "ulimit -n"),
        (OSError(36, "File name too long", "a" * 999), "File name too long"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ""),
        (ImportError("No module named 'x'"), ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_what_the_system_refuses_is_told_in_a_line(error, said):
    """P12; a mistake of ours keeps its traceback."""
    assert said in shortage(error)
    assert bool(shortage(error)) == bool(said)
    assert len(shortage(error)) < 500


def test_too_little_memory_ends_in_one_line():
    """P12: a real limit, which is met while the libraries load."""
    done = shell_line("ulimit -v 300000; OPENBLAS_NUM_THREADS=1 PY main_binary.py --quiet")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: there is too little memory")
    assert "Traceback" not in done.stderr
