"""Every method on every seed: in this process, in several, or on a cluster; finished runs are kept.

So a call that was killed goes on where it stopped, and a method or a seed can be added later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from socket import gethostname
from threading import Lock
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch

from common.cli import told_if_stopped
from common.errors import UserError
from common.files import prepare_folder
from common.leftovers import remove_unfinished
from common.parallel import Workers, few_threads, spread
from data_utils import Split, Table
from experiments.loop import Features, RunRecords, check_pool, run
from experiments.penalty import PenaltyError
from experiments.progress import Bar, growing
from experiments.results import (
    Result,
    claimed_folder,
    curves_frame,
    folder_of,
    other_contents,
    picks_frame,
)
from experiments.settings import LoopSettings, Settings
from experiments.store import Store, UnusableRun, as_plain, from_plain

SplitOf = Callable[[int], Split]  # the split of a seed
OnRounds = Callable[[int], object]  # told how many rounds were done


def run_experiment(
    table: Table,
    split_of: SplitOf,
    settings: Settings,
    say: Callable[[str], None] = lambda text: None,
    label: str = "",
) -> Result:
    """Every method on every seed's split of a table; runs that the store has are not made again.

    say : prints a remark. label : of the progress bar.
    Raises UserError if the folder of results cannot be written to, or as ``run_methods`` does.
    """
    folder = folder_of(settings, table)
    prepare_folder(folder)
    remove_unfinished(folder)
    split = split_of(settings.seeds[0])  # the splits of all seeds have the same sizes
    check_pool(split, settings.loop)
    folder = claimed_folder(settings, table)
    store = Store.of(folder, settings, table)
    if other_contents(folder, store):
        say(
            f"note: the tables in {folder} were made with other settings, data or code, and are "
            "replaced; their runs stay in its folder runs"
        )
    plan = Plan(split_of, settings.loop, settings.methods, store)
    kept = kept_runs(plan, settings.seeds, say)
    start = perf_counter()
    bar = Bar(len(kept), len(settings.methods) * len(settings.seeds), settings, label)
    with told_if_stopped(lambda: kept_words(store)), bar, growing(folder, store, table, settings):
        records = run_methods(plan, settings.seeds, settings.workers, bar.add, kept)
    return Result(
        settings=settings,
        table=table,
        split=split,
        curves=curves_frame(records.curve, table.dataset.name, settings.protocol),
        picks=picks_frame(records.picks),
        seconds=perf_counter() - start,
        folder=folder,
        store=store,
    )


def kept_words(store: Store) -> str:
    """What Ctrl-C says of finished runs; "" if there are none."""
    return "finished runs are kept, the same command goes on" if any(store.runs()) else ""


class Task(NamedTuple):
    """What one process does at a time: methods on the split of one seed."""

    seed: int
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is run on each seed.

    store : of this machine, for finished runs; or None.
    """

    split_of: SplitOf
    settings: LoopSettings
    methods: Sequence[str]
    store: Store | None = None

    def tasks(self, seeds: Sequence[int], done: "Runs", one_by_one: bool) -> list[Task]:
        """The tasks that make the runs that are not ``done``.

        one_by_one : whether each task has one method, not all of a seed.
        """
        tasks = []
        for seed in seeds:
            missing = tuple(method for method in self.methods if (seed, method) not in done)
            parts = [(method,) for method in missing] if one_by_one else [missing]
            tasks += [Task(seed, part) for part in parts if part]
        return tasks


# The finished runs that are there already, by seed and method.
Runs = dict[tuple[int, str], RunRecords]


def kept_runs(
    plan: Plan, seeds: Sequence[int], say: Callable[[str], None] = lambda text: None
) -> Runs:
    """The runs of the plan that its store has; ``say`` is told of each that cannot be used."""
    kept: Runs = {}
    if plan.store:
        for pair in ((seed, method) for seed in seeds for method in plan.methods):
            try:
                records = plan.store.recall(*pair)
            except UnusableRun as reason:
                say(f"note: {reason} and is made anew")
            else:
                if records:
                    kept[pair] = records
    return kept


def run_methods(
    plan: Plan,
    seeds: Sequence[int],
    workers: Workers = Workers(),  # noqa: B008, it is frozen
    on_rounds: OnRounds = lambda rounds: None,
    kept: Runs | None = None,
) -> RunRecords:
    """All records of every method on every seed; all methods of a seed share its split.

    Several processes get a seed at a time, a cluster's workers a method and a seed. The records are
    the same in every case.

    on_rounds : told the rounds that are done here, in this thread or in another.
    kept : ``kept_runs``, if they are read already. They are not run again.

    Raises UserError if a fit or a solve fails in arithmetic, or as ``run`` and ``spread`` do.
    """
    done = dict(kept_runs(plan, seeds) if kept is None else kept)
    tasks = plan.tasks(seeds, done, one_by_one=bool(workers.dask))
    steps = _Steps([len(task.methods) * (plan.settings.rounds + 1) for task in tasks], on_rounds)
    # The store stays on this machine: a cluster's workers cannot write to it.
    there = replace(plan, store=None) if workers.dask else plan
    results = spread(_run_task, there, tasks, workers, steps.step)
    for number, (task, records) in enumerate(zip(tasks, results, strict=True)):
        steps.finish(number)
        for method, of in zip(task.methods, records, strict=True):
            done[task.seed, method] = of
            if plan.store and workers.dask:
                plan.store.keep(task.seed, method, of)
    ordered = [done[seed, method] for seed in seeds for method in plan.methods]
    return RunRecords(
        [record for of in ordered for record in of.curve],
        [pick for of in ordered for pick in of.picks],
    )


class _Steps:
    """Counts the rounds that tasks report, each once.

    totals : the rounds of each task. A task that a cluster begins again reports its rounds again,
    and a report may come after the result; both are not told.
    """

    def __init__(self, totals: Sequence[int], on_rounds: OnRounds):
        self.left = list(totals)
        self.on_rounds = on_rounds
        self.lock = Lock()

    def step(self, task: int) -> None:
        self._tell(task, 1)

    def finish(self, task: int) -> None:
        self._tell(task, self.left[task])

    def _tell(self, task: int, rounds: int) -> None:
        with self.lock:
            told = min(rounds, self.left[task])
            self.left[task] -= told
            if told:
                self.on_rounds(told)


def _run_task(plan: Plan, task: Task, step: Callable[[], object]) -> list[RunRecords]:
    """The records of a task's methods, in their order."""
    if plan.settings.device == "cuda" and not torch.cuda.is_available():  # the worker's own
        raise UserError(f"--device cuda: torch finds no CUDA device on {gethostname()}")
    split = _last_split(plan.split_of, task.seed)
    with few_threads(split.X.size):
        features = Features.of(split, plan.settings, task.seed)
        return [_run_one(plan, split, method, task.seed, step, features) for method in task.methods]


@lru_cache(maxsize=1)
def _last_split(split_of: SplitOf, seed: int) -> Split:
    """A worker gets the methods of a seed one by one; principal components take seconds."""
    return split_of(seed)


def _run_one(
    plan: Plan,
    split: Split,
    method: str,
    seed: int,
    step: Callable[[], object],
    features: Features,
) -> RunRecords:
    """One run, as the store gives it back: with numbers of Python's types."""
    try:
        records = run(split, method, plan.settings, seed, step, features)
    except (np.linalg.LinAlgError, PenaltyError) as error:
        raise UserError(f"{method}, seed {seed}: {error}") from error
    if plan.store:
        plan.store.keep(seed, method, records)
    return from_plain(as_plain(records))
