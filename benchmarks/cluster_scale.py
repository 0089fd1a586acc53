"""What a pool of 10⁹ rows costs on a cluster: measured chunks, a measured scheduler, a simulation.

python benchmarks/cluster_scale.py [--features 768] [--rows 65536] [--folder DISK] [--out scale.csv]

1. One process scores chunks of a .npy file that lies in the system's memory: seconds of a chunk.
2. A real cluster of two workers on this machine scores 2,000 chunks of a few rows. A worker hardly
   computes, so this is what a task costs the scheduler and the calling process.
3. The same cluster scores 2,000 chunks of 500 rows, and the simulation says how long that takes.
4. The simulation for 10⁹ rows and more workers: the seconds of each chunk are drawn from those
   measured, and tasks are handed out one after another, at most three for each worker at a time.
"""

import argparse
import heapq
import os
import shutil
import sys
import tempfile
from itertools import chain, islice
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
# ruff: noqa: E402
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTHONPATH"] = str(ROOT)  # of the workers

import numpy as np
import pandas as pd
from device import told
from distributed import LocalCluster
from pool_streaming import make_npy
from prettytable import PrettyTable

from common.cli import whole_number
from common.dask_cluster import AHEAD
from common.errors import UserError
from common.files import csv_bytes
from common.parallel import few_threads
from influence import Influence
from models import LogisticRegression
from streaming.pools import Chunks, chunks
from streaming.scoring import Scorer, best, nominate

POOL = 1_000_000_000  # rows
TASKS = 2_000
BUDGET = 100
CHUNKS = 12  # that one process scores
LOCAL = 2  # workers of the real cluster
WORKERS = (1, 8, 64, 256, 1_024)
TINY, SMALL = 16, 500  # rows of a chunk that costs a worker little, and of one that costs it most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--features", type=whole_number(2), default=768, help="columns of the pool")
    add("--rows", type=whole_number(100), default=65_536, help="of a chunk of the long pool")
    add("--folder", type=Path, help="where to make the files")
    add("--out", type=Path, help="write the table into this CSV too")
    options = parser.parse_args()
    return told(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure in a new folder. Raises UserError if there is no room for it."""
    check_room(options)
    influence = some_influence(options.features)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:

        def pool(rows: int, chunk: int) -> Chunks:
            return chunks(make_npy(Path(folder), rows, options.features), chunk)

        large = seconds_of_chunks(influence, pool(CHUNKS * options.rows, options.rows))
        with LocalCluster(LOCAL, threads_per_worker=1, dashboard_address=None) as cluster:
            address = cluster.scheduler_address
            one = call(influence, pool(BUDGET, BUDGET), address)
            handed = call(influence, pool(TASKS * TINY, TINY), address)
            small_pool = pool(TASKS * SMALL, SMALL)
            small = seconds_of_chunks(influence, small_pool)
            real = call(influence, small_pool, address)
    task = (handed - one) / TASKS
    rng = np.random.default_rng(0)
    simulated = one + simulate(small, task, TASKS, LOCAL, rng)
    print(f"a call with one task: {one:.2f} s; {TASKS:,} tasks of {TINY} rows: {handed:.2f} s")
    print(
        f"{TASKS:,} tasks of {SMALL} rows on {LOCAL} workers, each {1e3 * small.mean():.1f} ms of"
    )
    print(f"computing: {real:.2f} s; the simulation says {simulated:.2f} s")
    found = forecast(large, task, options, rng)
    shown = PrettyTable(list(found), align="r")
    shown.add_rows([[f"{cell:,.4g}" for cell in row] for row in found.to_numpy()])
    print(shown)
    if options.out:
        options.out.write_bytes(csv_bytes(found))
    return 0


def check_room(options: argparse.Namespace) -> None:
    """Raise UserError if --folder is no folder, or its disk has no room for the longest file."""
    if options.folder and not options.folder.is_dir():
        raise UserError(f"--folder {options.folder} is not a folder: make it first")
    needed = max(CHUNKS * options.rows, TASKS * SMALL) * options.features * 4
    free = shutil.disk_usage(options.folder or tempfile.gettempdir()).free
    if free < needed:
        raise UserError(
            f"--folder: {free / 1e9:.1f} GB are free and {needed / 1e9:.1f} are needed: name a "
            "folder of a larger disk"
        )


def some_influence(features: int) -> Influence:
    """The influence of a model on random rows of two classes."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((2_000, features))
    y = (X @ rng.standard_normal(features) + rng.standard_normal(2_000) > 0).astype(int)
    model = LogisticRegression(1.0, True).fit(X[:1_000], y[:1_000])
    return Influence(model, X[:1_000], X[1_000:], y[1_000:])


def seconds_of_chunks(influence: Influence, pool: Chunks) -> np.ndarray:
    """What each chunk costs a worker, (c,): reading it from the system's memory, and scoring it."""
    scorer, seconds = Scorer(influence.without_rows(), False, BUDGET), []
    with few_threads(1):
        for task in chain(islice(pool.tasks(), 2), pool.tasks()):  # the first two only warm up
            start = perf_counter()
            nominate(scorer, task)
            seconds.append(perf_counter() - start)
    return np.array(seconds[2:])


def call(influence: Influence, pool: Chunks, address: str) -> float:
    """Seconds of a whole call on the cluster."""
    start = perf_counter()
    best(influence, pool, BUDGET, dask=address)
    return perf_counter() - start


def simulate(
    seconds: np.ndarray, task: float, tasks: int, workers: int, rng: np.random.Generator
) -> float:
    """Seconds for so many tasks, the start of the call not counted.

    seconds (c,) : of chunks, from which each task's are drawn. task : of the caller and the
    scheduler for each task. A task is handed out once fewer than AHEAD for each worker are open and
    the caller is free; the worker that is free first takes it.
    """
    free = [0.0] * workers  # when each worker is free, a heap
    ends: list[float] = []  # of the open tasks, a heap
    caller = last = 0.0
    for cost in rng.choice(seconds, tasks):
        if len(ends) == AHEAD * workers:
            caller = max(caller, heapq.heappop(ends))
        caller += task
        end = max(caller, free[0]) + cost
        heapq.heapreplace(free, end)
        heapq.heappush(ends, end)
        last = max(last, end)
    return last


def forecast(
    seconds: np.ndarray, task: float, options: argparse.Namespace, rng: np.random.Generator
) -> pd.DataFrame:
    """For each number of workers: seconds, how busy they are, and the bytes/s that they read."""
    tasks = -(-POOL // options.rows)
    rows = []
    for workers in WORKERS:
        wall = simulate(seconds, task, tasks, workers, rng)
        busy = tasks * seconds.mean() / (wall * workers)
        rows.append([workers, tasks, wall, 100 * busy, POOL * options.features * 4 / wall / 1e9])
    return pd.DataFrame(rows, columns=["workers", "tasks", "seconds", "busy, %", "GB/s read"])


if __name__ == "__main__":
    sys.exit(main())
