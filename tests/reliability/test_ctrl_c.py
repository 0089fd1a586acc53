"""No Ctrl-C is lost (row P13)."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.cli import run_command
from experiments.options import ExperimentOptions
from tests.helpers import ROOT


def in_a_function_that_c_calls():
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    @order
    def compare(*_):
        signal.raise_signal(signal.SIGINT)
        return 0

    ctypes.CDLL(None).qsort((ctypes.c_int * 2)(2, 1), 2, 4, compare)


def in_a_destructor():
    class Freed:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    Freed()


def under_a_bare_except():
    try:  # noqa: SIM105
        signal.raise_signal(signal.SIGINT)
    except:  # noqa: E722, as some libraries have it
        pass


def under_a_bare_except_in_a_clean_up():
    try:
        raise KeyError("an error of the work")
    except KeyError:
        under_a_bare_except()


@pytest.mark.parametrize(
    "where",
    [
        in_a_function_that_c_calls,
        in_a_destructor,
        under_a_bare_except,
        under_a_bare_except_in_a_clean_up,
    ],
)
def test_a_ctrl_c_that_is_dropped_comes_again(where, capsys):
    """P13: the work would go on for five seconds."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it

    def action(options, given):
        where()
        for _ in range(500):
            time.sleep(0.01)

    start = time.monotonic()
    try:
        assert run_command("main_binary.py", ExperimentOptions(), action, []) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 4
    assert capsys.readouterr().err == "\nstopped by Ctrl-C; no result was changed\n"


def test_a_clean_up_is_not_interrupted_again(capsys):
    """P13: it takes four times as long as a lost Ctrl-C needs to come again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = []

    def action(options, given):
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            for _ in range(120):
                time.sleep(0.01)
            ended.append(True)

    try:
        assert run_command("main_binary.py", ExperimentOptions(), action, []) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
def test_a_ctrl_c_while_workers_load_is_one_line(seconds, tmp_path):
    """P13: the terminal sends it to the workers, too, which would print a traceback each."""
    command = "main_binary.py --methods random --seeds 0-999 --jobs 2 --quiet --out".split()
    run = subprocess.Popen(
        [sys.executable, *command, str(tmp_path)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list the children of a process")
    while len(children.read_text("ascii").split()) < 2:
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert err.startswith("\nstopped by Ctrl-C; ")
    assert err.count("\n") == 2, err
