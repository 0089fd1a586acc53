"""Processes that this program starts: they end with the process that started them."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

LOOK_EVERY = 0.5  # seconds between two looks whether the parent lives


def end_with_parent(parent: int) -> None:
    """In a child process: end on the spot once ``parent``, its process id, is gone.

    A parent that is killed cannot end its children itself. They notice that they have another
    parent now.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def limit_memory(most: int) -> None:
    """Let this process take ``most`` bytes more; beyond them it gets a MemoryError.

    Only Linux says how much the process has by now. Elsewhere there is no limit.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        soft = pages * resource.getpagesize() + most
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
