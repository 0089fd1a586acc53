"""Long work shows itself: a bar that moves with every round, and a curves.csv that grows."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from common.errors import UserError
from common.files import csv_bytes, json_bytes, write_files
from data_utils import Table
from experiments.loop import RoundRecord
from experiments.results import CURVES, RUN, curves_frame, first_record
from experiments.settings import Settings
from experiments.store import Store, UnusableRun

EVERY = 2.0  # seconds between two looks at the store
WITHOUT_TIME_LEFT = "{l_bar}{bar}| {n_fmt}/{total_fmt} rounds [{elapsed}]"
WITH_TIME_LEFT = "{l_bar}{bar}| {n_fmt}/{total_fmt} rounds [{elapsed}, {remaining} left]"


class Bar:
    """A progress bar of all rounds of an experiment; use it as a context.

    Methods differ in their time, and all methods of a seed run one after the other. So the time
    left is shown only once a whole seed is done, and rounds that were kept do not count in it.
    """

    def __init__(self, kept: int, runs: int, settings: Settings, label: str = ""):
        """kept, runs : how many runs the store has, and how many are wanted."""
        rounds = settings.loop.rounds + 1
        self.first_seed = (runs - kept) * rounds / len(settings.seeds) * settings.workers.jobs
        self.done = 0
        self.bar = tqdm(
            initial=kept * rounds,
            total=runs * rounds,
            desc=label or None,
            bar_format=WITHOUT_TIME_LEFT,
            smoothing=0,
            disable=settings.quiet,
            leave=False,
        )

    def __enter__(self) -> "Bar":
        self.bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.__exit__(*error)

    def add(self, rounds: int) -> None:
        """So many more rounds are done."""
        self.done += rounds
        if self.done >= self.first_seed:
            self.bar.bar_format = WITH_TIME_LEFT
        self.bar.update(rounds)


@contextmanager
def growing(folder: Path, store: Store, table: Table, settings: Settings) -> Iterator[None]:
    """Meanwhile, write the curves of all finished runs into the folder every few seconds."""
    done = threading.Event()
    record = json_bytes(first_record(settings, store, table))
    curves: dict[tuple[int, str], list[RoundRecord]] = {}

    def write() -> None:
        while not done.wait(EVERY):
            new = [run for run in store.runs() if run not in curves]
            for run in new:
                curves[run] = []
                with suppress(UnusableRun):
                    records = store.recall(*run)
                    curves[run] = records.curve if records else []
            if any(curves[run] for run in new):
                rows = [row for run in sorted(curves) for row in curves[run]]
                content = csv_bytes(curves_frame(rows, table.dataset.name, settings.protocol))
                with suppress(UserError):  # the files at the end will say so
                    write_files(folder, {CURVES: content, RUN: record})

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
