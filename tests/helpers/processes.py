"""Processes that a test starts, looks at and ends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil


def alive_in(session: int) -> list[int]:
    """The processes of a session that are no zombies."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != "zombie":
                found.append(process.pid)
        except OSError:
            continue
    return found


@contextmanager
def ended(session: int) -> Iterator[None]:
    """Kill what is left of a session at the end, whatever happens."""
    try:
        yield
    finally:
        for pid in alive_in(session):
            os.kill(pid, signal.SIGKILL)


def assert_ends_with(parent: int, seconds: float = 10) -> None:
    """Kill ``parent`` alone, which leads a session: all others of it end within ``seconds``."""
    assert len(alive_in(parent)) > 1
    os.kill(parent, signal.SIGKILL)
    deadline = time.monotonic() + seconds
    while alive_in(parent) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive_in(parent) == []


def fork(action: Callable[[], object]) -> int:
    """Start a copy of this process that does ``action`` and ends: its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    """Wait for a process that ``fork`` started: -9 if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forked(action: Callable[[], object]) -> int:
    """Do ``action`` in a copy of this process: its exit code."""
    return exit_code(fork(action))
