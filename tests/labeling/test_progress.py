"""The bar of label.py: one for the whole command, with the time left, on a terminal only."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from labeling.progress import Progress
from tests.helpers import ROOT


def shown_on_a_terminal(folder, *flags) -> str:
    """What label.py writes to standard error if that is a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    tables = [f"--{k}={folder / f}.csv" for k, f in (("labeled", "labeled"), ("unlabeled", "pool"))]
    command = [sys.executable, "label.py", *tables, "--target=y", "--budget=4", "--l2=1"]
    command += [f"--validation={folder / 'validation.csv'}", "--dry-run", *flags]
    done = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not read:
            break
        shown += read
    done.wait()
    os.close(ours)
    return shown.decode()


@pytest.mark.slow
def test_a_terminal_shows_one_bar_with_the_time_left_and_quiet_shows_none(folder):
    shown = shown_on_a_terminal(folder)
    assert "labeling:   0%" in shown
    assert "left]" in shown
    assert "labeling" not in shown_on_a_terminal(folder, "--quiet")


def test_a_part_that_picks_less_than_its_budget_counts_as_whole():
    with Progress(3, 10) as progress:
        progress.picked(4)
        progress.part_done()
        assert progress.done == 10
        progress.picked(10)
        progress.part_done()
        assert progress.done == 20
