"""One function on many tasks: in this process, in several processes, or on a Dask cluster.

Results come in the order of the tasks, and a task gives the same bytes wherever it runs.
"""

import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from common.ctrl_c import for_this_process
from common.dask_cluster import run_on_cluster
from common.files import temporary_file
from common.plugins import Plugin, in_use, use
from common.processes import end_with_parent

# From this many numbers in the features on, torch's products are worth several threads.
MANY_ENTRIES = 20_000_000
LOOK_EVERY = 0.2  # seconds between two looks at the steps that other processes report

OnStep = Callable[[int], object]  # told the number of a task, once for each of its steps


@dataclass(frozen=True)
class Workers:
    """Who does the tasks.

    jobs : processes on this machine. dask : the address of a Dask scheduler, such as
    tcp://10.0.0.1:8786, whose workers do the tasks instead; "" for none.
    """

    jobs: int = 1
    dask: str = ""


@dataclass(frozen=True)
class _Work:
    """What a worker gets beside its task.

    plugins : the caller's. Pickle loads them first, then finds what ``function`` and ``shared``
    have of them.
    """

    plugins: tuple[Plugin, ...]
    function: Callable[..., Any]
    shared: Any


def _do(work: _Work, task: Any, *step: Callable[[], object]) -> Any:
    use(work.plugins)
    return work.function(work.shared, task, *step)


def spread(
    function: Callable[..., Any],
    shared: Any,
    tasks: Iterable[Any],
    workers: Workers = Workers(),  # noqa: B008, it is frozen
    on_step: OnStep | None = None,
) -> Iterator[Any]:
    """``function(shared, task)`` for every task, in order, each as soon as it is done.

    With several processes or a cluster, function, shared, tasks and results must be picklable.

    on_step : if it is given, the function is called as ``function(shared, task, step)``, and for
        each call of ``step()`` in it, on_step gets the number of the task, from 0, soon after. With
        several processes or a cluster it is called in another thread; on a cluster, a task whose
        worker dies reports its steps again.

    Raises whatever the function does, and UserError if the cluster cannot be used or is lost.
    """
    work = _Work(in_use(), function, shared)
    if workers.dask:
        yield from run_on_cluster(_do, work, tasks, workers.dask, on_step)
        return
    tasks = iter(tasks)
    first = list(islice(tasks, workers.jobs))  # no more processes than there are tasks
    tasks = chain(first, tasks)
    if len(first) > 1:
        run = Parallel(
            n_jobs=len(first),
            return_as="generator",
            initializer=_begin,
            initargs=(os.getpid(),),
        )
        if on_step is None:
            calls = (delayed(_do)(work, task) for task in tasks)
            with for_this_process():
                results = run(calls)
            yield from results
        else:
            with _steps_of_processes(on_step) as path:
                calls = (
                    delayed(_do)(work, task, partial(_write_step, path, number))
                    for number, task in enumerate(tasks)
                )
                with for_this_process():
                    results = run(calls)
                yield from results
    else:
        for number, task in enumerate(tasks):
            steps = () if on_step is None else (partial(on_step, number),)
            yield function(shared, task, *steps)


def _begin(parent: int) -> None:
    """In another process, at first; its warnings are as ``quiet_numbers`` has them."""
    end_with_parent(parent)
    warnings.simplefilter("ignore", RuntimeWarning)


def _write_step(path: Path, number: int) -> None:
    """In another process: append the number of the task. So short a line is written at once."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"{number}\n")


@contextmanager
def _steps_of_processes(on_step: OnStep) -> Iterator[Path]:
    """A file to which processes write their steps; a thread tells them to on_step."""
    done = threading.Event()

    def tell(path: Path) -> None:
        with path.open(encoding="ascii") as file:
            last = False
            while not last:
                last = done.wait(LOOK_EVERY)
                for line in file:
                    on_step(int(line))

    with temporary_file("salutary-steps-") as path:
        thread = threading.Thread(target=tell, args=(path,), daemon=True)
        thread.start()
        try:
            yield path
        finally:
            done.set()
            thread.join()


@contextmanager
def few_threads(entries: int) -> Iterator[None]:
    """Keep NumPy's BLAS to one thread, and torch too if it multiplies few numbers.

    entries : how many numbers the features hold.

    Two pools of threads compete for the same cores. On a few million numbers several threads gain
    nothing but wait for each other, many times as long if other processes run.
    """
    threads = torch.get_num_threads()
    with threadpool_limits(1, user_api="blas"):
        if entries < MANY_ENTRIES:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
