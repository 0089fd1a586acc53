"""Ctrl-C: never lost in this process, and never a matter of its child processes."""

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOST_AFTER = 0.3  # seconds between two looks whether a Ctrl-C still ends the work
_came = threading.Event()


def _interrupt(*_: object) -> None:
    _came.set()
    raise KeyboardInterrupt


def may_be_handled() -> bool:
    """Whether Ctrl-C is Python's or ours to handle: nobody chose to ignore it or to catch it."""
    return signal.getsignal(signal.SIGINT) in (signal.default_int_handler, _interrupt)


@contextmanager
def ctrl_c_again() -> Iterator[None]:
    """Meanwhile, a Ctrl-C that gets lost comes again, until it ends the work inside.

    Python drops what is raised in a destructor and in a function that C code calls, such as the one
    with which threadpoolctl looks for libraries. A library's bare ``except`` drops it, too.
    """
    here = threading.current_thread()
    standard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if here is not threading.main_thread() or not standard:
        yield
        return
    report, over = sys.unraisablehook, threading.Event()

    def hook(dropped: Any) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            report(dropped)

    def watch() -> None:
        _came.wait()
        while not over.wait(LOST_AFTER):
            if not _on_its_way_out(here):
                _thread.interrupt_main()

    _came.clear()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        over.set()
        _came.set()
        watcher.join()
        sys.unraisablehook = report
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _on_its_way_out(thread: threading.Thread) -> bool:
    """Whether a thread handles a KeyboardInterrupt now, perhaps after other errors in clean-ups."""
    found: Any = sys._current_exceptions().get(thread.ident or 0)
    error = found[1] if isinstance(found, tuple) else found  # a tuple before Python 3.12
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


@contextmanager
def for_this_process() -> Iterator[None]:
    """Child processes that start meanwhile never get a Ctrl-C: whoever starts them ends them.

    A terminal sends it to the children, too; while they load, it would print a traceback for each.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    from multiprocessing import resource_tracker  # slow to import, and few commands need it

    resource_tracker.ensure_running()  # if it started later, it would let Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
