"""What killed runs of versions up to 0.5.1 left beside their results: the next run removes it.

They wrote ``.NAME.PID.part`` beside each file, a probe ``.probe.PID``, and the runs that were done
into a folder ``unfinished-HASH``. Files of other forms, and of processes that live, are left alone.
"""

import os
import re
import shutil
from collections.abc import Container
from contextlib import suppress
from pathlib import Path

OF_A_PROCESS = re.compile(r"(?P<name>.+?)\.(?P<pid>[0-9]{1,10})(?P<part>\.part)?")
STORE = re.compile(r"unfinished-[0-9a-f]{16}")
IN_A_STORE = re.compile(r"[a-z0-9_]+-[0-9]+\.json|tuned-[0-9a-f]{24}\.json|\..+\.[0-9]+(\.part)?")


def remove_leftovers(folder: Path, names: Container[str] = (), dot: str = ".") -> None:
    """Remove the probes in a folder, and the parts of the files ``names``.

    dot : what the names of the parts begin with.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            found = OF_A_PROCESS.fullmatch(path.name)
            if not found or not path.name.startswith(dot):
                continue
            name = found["name"].removeprefix(dot)
            ours = name in names if found["part"] else found["name"] == ".probe"
            if ours and path.is_file() and _has_ended(int(found["pid"])):
                path.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove the stores of unfinished runs in a folder of results, if they hold nothing else."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            if STORE.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                inside = list(path.iterdir())
                if all(IN_A_STORE.fullmatch(item.name) and item.is_file() for item in inside):
                    shutil.rmtree(path, ignore_errors=True)


def _has_ended(pid: int) -> bool:
    """Whether there is no such process here; False if the system cannot be asked."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
