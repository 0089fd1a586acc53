"""Worker processes: no more than tasks, and none outlives the process that started it."""

import os
import subprocess
import sys
import time

import pytest

from common.parallel import Workers, spread
from tests.helpers import ROOT
from tests.helpers.processes import alive_in, assert_ends_with, ended

PARENT = """
import time
from common.parallel import Workers, spread
if __name__ == "__main__":
    list(spread(max, 60, [1, 2, 3, 4], Workers(2)))
    print("ready", flush=True)
    from tests.reliability.test_processes import sleep
    list(spread(sleep, None, [60, 60], Workers(2)))
"""


def sleep(shared, seconds):
    time.sleep(seconds)


@pytest.mark.parametrize("tasks", [1, 2])
def test_p6_there_are_no_more_processes_than_tasks(tasks, monkeypatch):
    """P6: twelve were asked for; a single task is done in this process."""
    asked = []

    class Counted:
        def __init__(self, n_jobs, **_):
            asked.append(n_jobs)

        def __call__(self, calls):
            return (function(*words) for function, words, _ in calls)

    monkeypatch.setattr("common.parallel.Parallel", Counted)
    assert list(spread(max, 5, iter(range(tasks)), Workers(12))) == [5] * tasks
    assert asked == [2] * (tasks > 1)


@pytest.mark.slow
def test_p1_workers_end_with_a_parent_that_is_killed(tmp_path):
    """P1: they are in the middle of a task that would take a minute."""
    (tmp_path / "parent.py").write_text(PARENT)
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    with ended(run.pid):
        assert run.stdout.readline() == "ready\n"
        time.sleep(0.5)
        assert len(alive_in(run.pid)) >= 3  # the parent and two workers
        assert_ends_with(run.pid)
    run.wait()
