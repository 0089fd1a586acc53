"""Every method on every seed: in this process, in several, or on a cluster; finished runs are kept.

A finished run is kept in a folder, the store, until the results of all runs are written. So a call
that was killed goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from socket import gethostname
from time import perf_counter

import numpy as np
import torch
from tqdm import tqdm

from common.errors import UserError
from common.files import prepare_folder, write_files
from common.parallel import Workers, few_threads, spread
from common.program import PROGRAM_HASH
from data_utils import Split, Table
from experiments.loop import (
    Features,
    PickRecord,
    RoundRecord,
    RunRecords,
    check_pool,
    run,
)
from experiments.penalty import PenaltyError
from experiments.results import Result, curves_frame, picks_frame
from experiments.settings import LoopSettings, Settings

SplitOf = Callable[[int], Split]  # the split of a seed
OnRounds = Callable[[int], object]  # told how many rounds were done


def run_experiment(
    table: Table,
    split_of: SplitOf,
    settings: Settings,
    on_rounds: OnRounds | None = None,
) -> Result:
    """Every method on every seed's split of a table.

    on_rounds : told of all rounds as they are done, in place of a progress bar.
    Raises UserError if the folder of results cannot be written to, or as ``run_methods`` does.
    """
    folder = settings.out / f"{table.dataset.name}-{settings.protocol}"
    prepare_folder(folder)
    split = split_of(settings.seeds[0])  # the splits of all seeds have the same sizes
    check_pool(split, settings.loop)
    store = folder / f"unfinished-{store_key(settings, table)}"
    prepare_folder(store)
    rounds = len(settings.methods) * len(settings.seeds) * (settings.loop.rounds + 1)
    no_bar = settings.quiet or on_rounds is not None
    start = perf_counter()
    with (
        _removed_if_empty(store),
        tqdm(total=rounds, unit="round", disable=no_bar, leave=False) as bar,
    ):
        plan = Plan(split_of, settings.loop, settings.methods, store)
        records = run_methods(plan, settings.seeds, settings.workers, on_rounds or bar.update)
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


def store_key(settings: Settings, table: Table) -> str:
    """A name for all that a finished run depends on: settings, data and this program's own text."""
    depends = [
        settings.protocol,
        str(settings.features),
        settings.init,
        settings.target,
        asdict(settings.loop),
        [file.record() for file in table.files],
        # Options of main_llm.py choose texts and columns of the same files.
        hashlib.sha256(np.ascontiguousarray(table.data.X).data).hexdigest(),
        hashlib.sha256(repr(table.data.y.tolist()).encode()).hexdigest(),
        PROGRAM_HASH,
    ]
    return hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:16]


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):  # it holds something
            folder.rmdir()


@dataclass(frozen=True)
class Plan:
    """What is run on each seed.

    store : a folder on this machine that keeps finished runs, or None.
    """

    split_of: SplitOf
    settings: LoopSettings
    methods: Sequence[str]
    store: Path | None = None


def run_methods(
    plan: Plan,
    seeds: Sequence[int],
    workers: Workers = Workers(),  # noqa: B008, it is frozen
    on_rounds: OnRounds = lambda rounds: None,
) -> RunRecords:
    """All records of every method on every seed; all methods of a seed share its split.

    Several processes get a seed at a time, a cluster's workers a method and a seed. The records are
    the same in every case.
    Raises UserError if a fit or a solve fails in arithmetic, or as ``run`` and ``spread`` do.
    """
    if workers.dask:
        done = _run_on_cluster(plan, seeds, workers, on_rounds)
    else:
        here = workers.only_this_process  # a callback cannot cross to another process
        shared = plan, on_rounds if here else _no_callback
        done = {}
        results = spread(_run_task, shared, [(seed, plan.methods) for seed in seeds], workers)
        for seed, records in zip(seeds, results, strict=True):
            done |= {(seed, method): of for method, of in zip(plan.methods, records, strict=True)}
            if not here:
                on_rounds(sum(len(of.curve) for of in records))
    ordered = [done[seed, method] for seed in seeds for method in plan.methods]
    return RunRecords(
        [record for of in ordered for record in of.curve],
        [pick for of in ordered for pick in of.picks],
    )


def _run_on_cluster(
    plan: Plan, seeds: Sequence[int], workers: Workers, on_rounds: OnRounds
) -> dict[tuple[int, str], RunRecords]:
    """The store stays on this machine: what it holds is not sent, and what comes back is kept."""
    runs = [(seed, method) for seed in seeds for method in plan.methods]
    done = {key: kept for key in runs if (kept := recall(plan.store, *key))}
    on_rounds(sum(len(kept.curve) for kept in done.values()))
    missing = [key for key in runs if key not in done]
    there = Plan(partial(_last_split, plan.split_of), plan.settings, plan.methods)
    tasks = [(seed, (method,)) for seed, method in missing]
    results = spread(_run_task, (there, _no_callback), tasks, workers)
    for (seed, method), (records,) in zip(missing, results, strict=True):
        on_rounds(len(records.curve))
        done[seed, method] = records
        keep(plan.store, seed, method, as_text(records))
    return done


def _run_task(shared: tuple[Plan, OnRounds], task: tuple[int, Sequence[str]]) -> list[RunRecords]:
    plan, on_rounds = shared
    if plan.settings.device == "cuda" and not torch.cuda.is_available():  # the worker's own
        raise UserError(f"--device cuda: torch finds no CUDA device on {gethostname()}")
    seed, methods = task
    return run_seed(plan, seed, methods, on_rounds)


@lru_cache(maxsize=1)
def _last_split(split_of: SplitOf, seed: int) -> Split:
    """A worker gets the methods of a seed one by one; principal components take seconds."""
    return split_of(seed)


def _no_callback(rounds: int) -> None:
    """Picklable no-op callback."""


def run_seed(
    plan: Plan,
    seed: int,
    methods: Sequence[str],
    on_rounds: OnRounds = lambda rounds: None,
) -> list[RunRecords]:
    """The records of these methods on one seed's split, from the store if they are there."""
    split = plan.split_of(seed)
    features = cache(lambda: Features.of(split, plan.settings, seed))  # if the store lacks a run
    results = []
    with few_threads(split.X.size):
        for method in methods:
            records = recall(plan.store, seed, method)
            if records:
                on_rounds(len(records.curve))
            else:
                try:
                    records = run(
                        split, method, plan.settings, seed, lambda: on_rounds(1), features()
                    )
                except (np.linalg.LinAlgError, PenaltyError) as error:
                    raise UserError(f"{method}, seed {seed}: {error}") from error
                text = as_text(records)
                keep(plan.store, seed, method, text)
                records = from_text(text)
            results.append(records)
    return results


# --- the store ------------------------------------------------------------------------------------


def as_text(records: RunRecords) -> str:
    """The records as JSON."""
    plain = [[asdict(record) for record in part] for part in records]
    return json.dumps(plain, default=lambda number: number.item())


def from_text(text: str) -> RunRecords:
    """The records that ``as_text`` wrote."""
    curve, picks = json.loads(text)
    return RunRecords([RoundRecord(**r) for r in curve], [PickRecord(**p) for p in picks])


def recall(store: Path | None, seed: int, method: str) -> RunRecords | None:
    """A finished run from the store, or None."""
    path = store and store / f"{method}-{seed}.json"
    return from_text(path.read_text()) if path and path.is_file() else None


def keep(store: Path | None, seed: int, method: str, text: str) -> None:
    """Put a finished run into the store, if there is one."""
    if store:
        write_files(store, {f"{method}-{seed}.json": text.encode()})
