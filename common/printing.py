"""Printing that costs no result: a stream that takes no more is noted, and the work goes on."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class CarefulStream:
    """A text stream that never raises because it is closed or full, or its reader is gone.

    failure : why the stream takes no more; None while it takes everything. What is written after
    a failure is lost.
    """

    def __init__(self, stream: Any):
        """stream : a text stream; None is a closed one."""
        self._closed = stream is None
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, open to the end
        self.failure: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if self._closed and text:
            self._note(os.strerror(errno.EBADF))
        if self.failure is None:
            with self._noted():
                return self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.failure is None:
            with self._noted():
                self._stream.flush()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._note(error.strerror or str(error))
        except ValueError as error:
            if not self._stream.closed:
                raise
            self._note(str(error))

    def _note(self, why: str) -> None:
        self.failure = self.failure or why
        # What is still in the buffer would fail again when the interpreter ends.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def careful_streams() -> Iterator[CarefulStream]:
    """Meanwhile, no failed print raises, on standard output or standard error; gives the first."""
    _open_descriptors()
    before = sys.stdout, sys.stderr
    out, err = CarefulStream(sys.stdout), CarefulStream(sys.stderr)
    for stream in (out, err):
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")  # a terminal that lacks ± still gets a table
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _open_descriptors() -> None:
    """Open what was closed of the first three descriptors.

    Otherwise a file of results would get such a number, and with it what a library in C prints.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
