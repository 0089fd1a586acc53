"""A real Dask cluster for tests: scheduler and workers, processes of their own on loopback.

It is started by the commands of docs/scale.md.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def documented(name: str) -> list[str]:
    """The arguments of the command ``dask NAME`` in docs/scale.md."""
    (line,) = re.findall(rf"^dask ({name} .*)$", (ROOT / "docs/scale.md").read_text(), re.M)
    return shlex.split(line, comments=True)


def documented_environment() -> dict[str, str]:
    """What docs/scale.md exports before the commands, for this folder."""
    lines = re.findall(r"^export (\w+)=(\S+)", (ROOT / "docs/scale.md").read_text(), re.M)
    return {name: value.replace("/path/to/this/folder", str(ROOT)) for name, value in lines}


@dataclass
class Cluster:
    """``address`` of the scheduler, and its processes; ``end`` kills all that still run."""

    folder: Path
    address: str = ""
    workers: list[subprocess.Popen] = field(default_factory=list)
    started: list[subprocess.Popen] = field(default_factory=list)

    def scheduler(self, **environment: str) -> None:
        arguments = [*documented("scheduler"), "--host", "127.0.0.1", "--port", "0"]
        log = self._start("scheduler.log", arguments, environment)
        self.address = _awaited(log, r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")

    def worker(self, *extra: str, **environment: str) -> subprocess.Popen:
        arguments = documented("worker")
        arguments[arguments.index("--nworkers") + 1] = "1"
        arguments[1] = self.address
        arguments += ["--host", "127.0.0.1", "--no-nanny", "--local-directory", str(self.folder)]
        name = f"worker{len(self.workers)}.log"
        log = self._start(name, [*arguments, *extra], environment)
        _awaited(log, "Registered to:")
        self.workers.append(self.started[-1])
        return self.started[-1]

    def end(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()

    def _start(self, name: str, arguments: list[str], environment=None) -> Path:
        log = self.folder / name
        # What `dask scheduler` and `dask worker` run; the program lies elsewhere than they start.
        code = "import sys; from dask.__main__ import main; sys.argv[0] = 'dask'; main()"
        settings = documented_environment() | {"OMP_NUM_THREADS": "1"} | (environment or {})
        with log.open("wb") as file:
            self.started.append(
                subprocess.Popen(
                    [sys.executable, "-c", code, *arguments],
                    cwd=self.folder,
                    stdout=file,
                    stderr=file,
                    env=os.environ | settings,
                )  # fmt: skip
            )
        return log


def _awaited(log: Path, pattern: str) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found[found.lastindex or 0]
        time.sleep(0.05)
    raise AssertionError(f"{log.name} does not say {pattern!r}:\n{log.read_text()}")


@contextmanager
def cluster(folder: Path, workers: int = 2, **environment: str):
    """A running cluster, all of whose processes are ended afterwards, whatever happens.

    environment : of the scheduler.
    """
    made = Cluster(folder)
    try:
        made.scheduler(**environment)
        for _ in range(workers):
            made.worker()
        yield made
    finally:
        made.end()
