"""One function on many tasks: in this process, in several processes, or on a Dask cluster.

Results come in the order of the tasks, and a task gives the same bytes wherever it runs.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from common.dask_cluster import run_on_cluster

# From this many numbers in the features on, torch's products are worth several threads.
MANY_ENTRIES = 20_000_000


@dataclass(frozen=True)
class Workers:
    """Who does the tasks.

    jobs : processes on this machine. dask : the address of a Dask scheduler, such as
    tcp://10.0.0.1:8786, whose workers do the tasks instead; "" for none.
    """

    jobs: int = 1
    dask: str = ""

    @property
    def only_this_process(self) -> bool:
        return self.jobs == 1 and not self.dask


def spread(
    function: Callable[[Any, Any], Any],
    shared: Any,
    tasks: Iterable[Any],
    workers: Workers = Workers(),  # noqa: B008, it is frozen
) -> Iterator[Any]:
    """``function(shared, task)`` for every task, in order, each as soon as it is done.

    With several processes or a cluster, function, shared, tasks and results must be picklable.
    Raises whatever the function does, and UserError if the cluster cannot be used or is lost.
    """
    if workers.dask:
        yield from run_on_cluster(function, shared, tasks, workers.dask)
    elif workers.jobs > 1:
        calls = (delayed(function)(shared, task) for task in tasks)
        yield from Parallel(n_jobs=workers.jobs, return_as="generator")(calls)
    else:
        for task in tasks:
            yield function(shared, task)


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
