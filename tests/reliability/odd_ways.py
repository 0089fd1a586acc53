"""A download that goes wrong; a module of its own, so that its process need not load torch."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from data_prep.download import MIB, Limits


@dataclass(frozen=True)
class Odd(Limits):
    """A way whose fetch does something odd, by name."""

    what: str
    address = "http://127.0.0.1:9/odd"

    def fetch(self, folder: Path, names: list[str]) -> None:
        if self.what == "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.what == "memory":
            bytearray(4096 * MIB)
        if self.what == "hang":
            time.sleep(60)
        if self.what == "fail":
            time.sleep(0.3)
            raise ValueError("no")
        if self.what == "bytes":
            with (folder / "rows.csv").open("wb") as file:
                while True:
                    file.write(bytes(MIB))
                    file.flush()
                    time.sleep(0.01)
        if self.what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
