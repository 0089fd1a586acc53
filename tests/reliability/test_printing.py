"""A failed print costs no result, and never looks like success (rows F1, F8, P9 and P12)."""

import os
import subprocess
import sys

import pytest

import compare
import explore
from common.cli import run_command, shortage
from labeling.options import LabelOptions
from tests.helpers import ROOT, error_of, main

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
}
FAILED = "error: standard output did not take the whole answer"


def shell_line(line: str, **options) -> subprocess.CompletedProcess:
    """A line of the shell in the root; PY is this interpreter."""
    line = "set -o pipefail; " + line.replace("PY", sys.executable)
    return subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, **options)


def test_a_reader_that_leaves_early_is_told():
    """F1."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "main_binary.py", "--list"],
        cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 2
    assert "did not take the whole answer (Broken pipe)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_full_disk_under_standard_output_ends_in_one_line():
    """F8."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "main_binary.py", "--list"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert "did not take the whole answer (No space left on device)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves_costs_no_result(tmp_path):
    """F1."""
    done = shell_line(f"PY main_binary.py {SCRIPTS['main_binary.py']} {tmp_path} | head -n 1")
    assert done.returncode == 2, done.stderr
    assert f"{FAILED} (Broken pipe)" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / LAST["main_binary.py"]).stat().st_size


@pytest.mark.parametrize("script", [compare, explore])
def test_a_reader_that_has_left_costs_no_result(script, tmp_path, monkeypatch, capsys):
    """F1: in this process, which has the libraries."""
    reader, writer = os.pipe()
    os.close(reader)
    name = f"{script.__name__}.py"
    with open(writer, "w") as gone, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", gone)
        assert script.main([*SCRIPTS[name].split(), str(tmp_path)]) == 2
    assert f"{FAILED} (Broken pipe)" in capsys.readouterr().err
    assert (tmp_path / LAST[name]).stat().st_size


@pytest.mark.parametrize(("redirection", "code"), [(">&-", 2), ("2>/dev/full", 0)])
def test_a_stream_that_is_closed_or_full_costs_no_result(redirection, code, tmp_path):
    """F8."""
    done = shell_line(f"PY main_binary.py {SCRIPTS['main_binary.py']} {tmp_path} {redirection}")
    assert done.returncode == code, done.stderr
    assert (FAILED in done.stderr) == (code == 2)
    assert "Traceback" not in done.stderr
    assert ("random" in done.stdout.lower()) == (code == 0)
    assert (tmp_path / LAST["main_binary.py"]).stat().st_size


@pytest.mark.parametrize(("answer", "code"), [(None, 2), (3, 3)])
def test_the_code_of_an_answer_stays(answer, code, monkeypatch, capsys):
    """F1: 3 is the answer of label.py."""

    def action(options, given):
        print("the answer " * 9999)
        return answer

    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
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


@pytest.mark.parametrize("option", ["--data-dir", "--plugin"])
def test_a_path_that_is_too_long_is_told_as_such(option, capsys):
    """P9."""
    assert main("binary", [option, "/" + "a" * 5000 + ".py"]) == 2
    told = error_of(capsys)
    assert "File name too long" in told
    assert "standard output" not in told
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
    done = shell_line("ulimit -v 300000; OPENBLAS_NUM_THREADS=1 PY main_binary.py --list")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: there is too little memory")
    assert "Traceback" not in done.stderr
