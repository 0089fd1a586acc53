"""Kill four commands at random moments, run them again until they end, and compare their files.

python benchmarks/soak.py --minutes 5

Each command is forked from this process, which has loaded the libraries, so that most kills hit the
work and not the loading. SIGKILL goes to the whole process group, with all worker processes.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402
os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries load: a fork keeps no other thread

import pandas as pd
from prettytable import PrettyTable

import compare
import explore
import label
import main_binary
from common.files import STAGE
from experiments import comparison, pipeline  # noqa: F401, loaded before the forks
from labeling import command as _label  # noqa: F401
from studies import command as _explore  # noqa: F401

SCRIPTS = {script.__name__: script for script in (main_binary, compare, label, explore)}
RUNS = "--rounds 2 --budget 5 --quiet --out out"
COMMANDS = {
    "main_binary": f"--dataset bank --methods random,entropy,salutary --seeds 0-3 --jobs 2 {RUNS}",
    "compare": f"--datasets breast_cancer --methods random,salutary --seeds 0-3 {RUNS}",
    "label": (
        "--labeled ../labeled.csv --validation ../validation.csv --unlabeled ../pool.csv --target y"
        " --budget 10 --rounds 2 --anyway --force --quiet --out out/plus.csv"
    ),
    "explore": f"boundary --dataset breast_cancer --seeds 0-3 {RUNS}",
}
# What may differ between two runs: when they ran, and how long.
TIMINGS = {"date", "seconds", "compute_seconds", "method_seconds"}
MOST_KILLS = 6  # of one command before it may end
POLL = 0.002  # seconds between two looks at the folder


@dataclass
class Tally:
    """What happened to one command.

    seconds : of the undisturbed run. rounds : how often it was killed and resumed until it ended.
    staged : kills that left a file half written or renames half done.
    """

    seconds: float
    rounds: int = 0
    kills: int = 0
    staged: int = 0
    resumes: int = 0
    differences: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="of kills and resumes")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="salutary-soak-") as folder:
        tallies = soak(Path(folder), options.minutes, random.Random(options.seed))
    table = PrettyTable(["command", "undisturbed", "ended", "kills", "of them while writing",
                         "resumes", "differences", "leftovers"])  # fmt: skip
    for name, t in tallies.items():
        table.add_row([name, f"{t.seconds:.1f} s", t.rounds, t.kills, t.staged, t.resumes,
                       len(t.differences), len(t.leftovers)])  # fmt: skip
    print(table)
    wrong = [f"{name}: {line}" for name, t in tallies.items() for line in t.differences]
    wrong += [f"{name}: left over: {line}" for name, t in tallies.items() for line in t.leftovers]
    print("\n".join(wrong) or "no difference, nothing left over")
    return 1 if wrong else 0


def soak(folder: Path, minutes: float, rng: random.Random) -> dict[str, Tally]:
    """Run each command undisturbed, then kill one after the other for so many minutes."""
    write_tables(folder)
    tallies = {}
    for name in COMMANDS:
        began = time.monotonic()
        run = Run(name, folder / name)
        if run.end() != 0:
            raise SystemExit(f"{name} failed: {(folder / name / 'log.txt').read_text('utf-8')}")
        tallies[name] = Tally(time.monotonic() - began)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for name, tally in tallies.items():
            if time.monotonic() < end:
                disturbed(name, folder / "disturbed", tally, rng)
                note_differences(folder / name, folder / "disturbed", tally)
                shutil.rmtree(folder / "disturbed")
    return tallies


def write_tables(folder: Path) -> None:
    """The tables of label.py: rows of Bank."""
    rows = pd.read_csv(ROOT / "datasets/bank/bank.csv.gz").sample(frac=1, random_state=0)
    rows[:80].to_csv(folder / "labeled.csv", index=False)
    rows[80:200].to_csv(folder / "validation.csv", index=False)
    rows[200:400].drop(columns="y").to_csv(folder / "pool.csv", index=False)


class Run:
    """A command in a process group of its own; its files are in ``folder``/out."""

    def __init__(self, name: str, folder: Path):
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        self.code: int | None = None  # the exit code, once it has ended
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setsid()
                code = _in_child(name, folder)
            finally:
                os._exit(code)

    def end(self) -> int:
        """Wait for its end, end its worker processes, and return its exit code."""
        self.ended(0)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return self.code or 0

    def ended(self, options: int = os.WNOHANG) -> bool:
        """Whether it has ended; it is waited for if ``options`` is 0."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, options)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def kill(self) -> None:
        """End it and its worker processes on the spot."""
        os.killpg(self.pid, signal.SIGKILL)
        self.end()


def _in_child(name: str, folder: Path) -> int:
    """Run the command to its end, as a fresh process would, and return its exit code."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    code = SCRIPTS[name].main(COMMANDS[name].split())
    sys.stdout.flush()
    return code


def disturbed(name: str, folder: Path, tally: Tally, rng: random.Random) -> None:
    """Kill a command up to MOST_KILLS times, then let it end.

    Every second kill comes at any moment of the run, the others just after a name in its folder
    appeared or went, because a moment drawn at random is seldom one of writing.
    """
    kills = rng.randint(1, MOST_KILLS)
    for number in range(kills):
        run = Run(name, folder)
        tally.resumes += number > 0
        if number % 2:
            wait_for_writing(run, folder, rng.randint(1, 12), rng.uniform(0, 0.01))
        else:
            wait(run, rng.uniform(0, tally.seconds))
        if run.ended():
            break
        run.kill()
        tally.kills += 1
        tally.staged += any(STAGE in path for path in names(folder / "out"))
    else:
        run = Run(name, folder)
        tally.resumes += 1
    tally.rounds += 1
    if run.end() != 0:
        text = (folder / "log.txt").read_text("utf-8", errors="replace").strip()
        tally.differences.append(f"exit code {run.code}: {text[-300:]}")


def wait(run: Run, seconds: float) -> None:
    """Wait for the end of the run, ``seconds`` at most."""
    end = time.monotonic() + seconds
    while not run.ended() and time.monotonic() < end:
        time.sleep(POLL)


def wait_for_writing(run: Run, folder: Path, changes: int, more: float) -> None:
    """Wait until the names in out/ have changed ``changes`` times, and ``more`` seconds."""
    before = names(folder / "out")
    while changes and not run.ended():
        time.sleep(POLL)
        now = names(folder / "out")
        changes -= now != before
        before = now
    wait(run, more)


def names(folder: Path) -> set[str]:
    """The paths of all files below a folder, which may change meanwhile."""
    return {os.path.join(at, name) for at, _, files in os.walk(folder) for name in files}


def note_differences(undisturbed: Path, other: Path, tally: Tally) -> None:
    """Note the files of ``other`` that differ, that are missing, and that should not be there."""
    kept = {
        folder: {
            str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()
        }
        for folder in (undisturbed, other)
    }
    for name, path in kept[undisturbed].items():
        if name == "log.txt":
            continue
        if name not in kept[other]:
            tally.differences.append(f"{name} is missing")
        elif without_timings(path) != without_timings(kept[other][name]):
            tally.differences.append(f"{name} differs")
    tally.leftovers += sorted(set(kept[other]) - set(kept[undisturbed]))


def without_timings(path: Path) -> Any:
    """The bytes of a file; of tables and JSON files all but the values named in TIMINGS."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".csv":
        header, *rows = csv.reader(io.StringIO(content.decode()))
        keep = [i for i, column in enumerate(header) if column not in TIMINGS]
        return [[row[i] for i in keep] for row in (header, *rows)]
    if ".json" in path.suffixes:
        # A kept run has its checksum behind it, which its seconds change.
        return _pruned(json.JSONDecoder().raw_decode(content.decode())[0])
    return content


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items() if key not in TIMINGS}
    return [_pruned(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
