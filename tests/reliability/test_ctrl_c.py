"""No Ctrl-C is lost (row P13)."""

import ctypes
import signal
import time

import pytest

from common.cli import run_command
from experiments.options import ExperimentOptions


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


@pytest.mark.parametrize("where", [in_a_function_that_c_calls, in_a_destructor])
def test_a_ctrl_c_that_python_drops_comes_again(where, capsys):
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
