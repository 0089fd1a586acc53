"""Tasks on a Dask cluster; docs/scale.md says how to start one.

What all tasks share travels once to each worker. If a worker dies, the scheduler gives its tasks to
the others.
"""

import asyncio
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from platform import python_version
from typing import Any
from uuid import uuid4

from common.errors import UserError
from common.plugins import Plugin, check_loaded, in_use
from common.program import PROGRAM_HASH, library_versions

PATIENCE = 5  # seconds to wait for an answer, and between two looks whether any worker is left
AHEAD = 3  # tasks at most in the cluster's hands for each worker: arrays in them take memory


def run_on_cluster(
    function: Callable,
    shared: Any,
    tasks: Iterable,
    address: str,
    on_step: Callable[[int], object] | None = None,
) -> Iterator:
    """``function(shared, task)`` for every task, in order, by the workers of a scheduler.

    on_step : as of ``spread`` in parallel.py.
    Raises UserError if the cluster cannot be used or is lost.
    """
    with _connected(address) as client:
        from distributed import KilledWorker

        try:
            tasks = iter(tasks)
            if on_step is not None:
                topic = f"steps-{uuid4()}"
                client.subscribe_topic(topic, lambda event: on_step(event[1]))
                function, tasks = partial(_with_steps, function, topic), enumerate(tasks)
            running: deque[tuple[Any, Any]] = deque()  # (task, future), in order
            held = _share(client, shared)
            while True:
                free = max(0, AHEAD * len(client.nthreads()) - len(running))
                for task in islice(tasks, free):
                    running.append((task, _submit(client, function, held, task)))
                if not running:
                    return
                try:
                    result = _wait(client, running[0][1])
                except CancelledError:  # all that held the shared object died: share it again
                    held = _share(client, shared)
                    running = deque((t, _submit(client, function, held, t)) for t, _ in running)
                    continue
                running.popleft()
                yield result
        except ImportError as error:  # on a worker that has joined since
            raise UserError(_cannot_run(address, "a worker", error)) from error
        except KilledWorker as error:
            raise UserError(
                f"--dask {address}: one task ended several workers, maybe for want of memory: "
                "give them more, or run without --dask"
            ) from error
        except (OSError, asyncio.TimeoutError, RuntimeError) as error:
            if client.status == "running" and not isinstance(error, OSError):
                raise  # the function's own
            raise UserError(
                f"--dask {address}: the scheduler or its workers were lost: start them again and "
                "repeat the call, runs that were finished are kept"
            ) from error


def _with_steps(function: Callable, topic: str, shared, numbered: tuple[int, Any]):
    """On a worker: tell the caller each step of the task."""
    from distributed import get_worker

    number, task = numbered
    return function(shared, task, partial(get_worker().log_event, topic, number))


def _share(client, shared):
    # In a list: scatter would take a list or a dict apart. No hash: a key must not be used twice.
    (held,) = client.scatter([shared], broadcast=True, hash=False)
    return held


def _submit(client, function, held, task):
    with warnings.catch_warnings():  # a chunk of a pool in memory is as large as it is
        warnings.filterwarnings("ignore", message="Sending large graph")
        return client.submit(_run, _describe(()), function, held, task, pure=False)


def _run(expected: dict[str, str], function: Callable, shared, task):
    """On a worker, which may have joined after the others were checked."""
    from distributed import get_worker

    worker = get_worker()
    problem = _threads_problem(worker.state.nthreads) or _difference(_describe(()), expected)
    if problem:
        raise UserError(f"worker {worker.address} {problem}")
    return function(shared, task)


def _wait(client, future):
    """The future's result; ConnectionError if no worker is left that could give it."""
    while True:
        try:
            return future.result(timeout=PATIENCE)
        except (TimeoutError, asyncio.TimeoutError):
            if future.done():
                raise  # the function's own
            if not client.nthreads():
                raise ConnectionError("no worker is left") from None


@contextmanager
def _connected(address: str):
    """A client of a cluster whose workers run this program with these packages, a task each."""
    try:
        from distributed import Client
    except ImportError as error:
        raise UserError("--dask needs distributed: pip install -r requirements.txt") from error
    except Exception as error:  # it reads files and variables of the user's
        raise UserError(
            "Dask does not load with its settings: mend the files of $DASK_CONFIG or "
            "~/.config/dask, and the variables DASK_…"
        ) from error
    try:
        with ThreadPoolExecutor(1) as thread:  # in a notebook this one has a running event loop
            known = thread.submit(asyncio.run, _identity(address)).result()
        if known["type"] != "Scheduler":
            raise UserError(f"--dask {address} is a {known['type']}: give the scheduler's address")
    except UserError:
        raise
    except Exception as error:  # whatever answers there may make distributed raise anything
        raise UserError(
            f"--dask {address}: no Dask scheduler answers there: see docs/scale.md for how to "
            "start one"
        ) from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters becomes a UserError
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="distributed")  # of versions
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    with client:
        _check_workers(client, address)
        yield client


async def _identity(address: str) -> dict:
    # Not by a Client: one that finds no scheduler waits long, and complains when it is deleted.
    from distributed.core import rpc
    from distributed.security import Security

    arguments = Security().get_connection_args("client")
    async with rpc(address, timeout=PATIENCE, connection_args=arguments) as scheduler:
        return await asyncio.wait_for(scheduler.identity(), PATIENCE)


def _check_workers(client, address: str) -> None:
    """Raise UserError unless every worker would give the results of this process."""
    threads = client.nthreads()
    if not threads:
        raise UserError(f"--dask {address} has no workers: see docs/scale.md for how to start them")
    for worker, count in threads.items():
        if problem := _threads_problem(count):
            raise UserError(f"--dask {address}: worker {worker} {problem}")
    try:
        client.run_on_scheduler(_describe, ())  # it reads the head of every task
    except Exception as error:
        raise UserError(_cannot_run(address, "the scheduler", error)) from error
    own = _describe(in_use())
    for worker, found in client.run(_describe, in_use(), on_error="return").items():
        if isinstance(found, UserError):
            raise UserError(f"--dask {address}: worker {worker}: {found}")
        if isinstance(found, Exception):
            raise UserError(_cannot_run(address, f"worker {worker}", found))
        if problem := _difference(found, own):
            raise UserError(f"--dask {address}: worker {worker} {problem}")


def _cannot_run(address: str, who: str, error: Exception) -> str:
    return (
        f"--dask {address}: {who} cannot run this program ({error}): start it with PYTHONPATH set "
        "to a copy of this folder"
    )


def _threads_problem(count: int) -> str:
    """What is wrong with a worker of so many threads, or ""."""
    if count == 1:
        return ""
    # torch's number of threads, which decides its rounding, is one per process
    return (
        f"runs {count} tasks at once in one process: start workers with --nthreads 1, and "
        f"--nworkers {count} for {count} of them"
    )


def _difference(found: dict[str, str], own: dict[str, str]) -> str:
    """What a worker has in another version than the process that called, or ""."""
    for name, value in own.items():
        if found[name] != value:
            told = "another text" if name == "program" else f"{found[name]}, not {value}"
            return f"has another {name} than the caller ({told}): give it the same and restart it"
    return ""


@cache
def _describe(plugins: tuple[Plugin, ...]) -> dict[str, str]:
    """What a result depends on beside its task; builds of one version, +cpu or +cu130, pass.

    Raises UserError if a plugin cannot be loaded here.
    """
    check_loaded(plugins)
    minor = ".".join(python_version().split(".")[:2])
    libraries = {name: text.split("+")[0] for name, text in library_versions().items()}
    return {"program": PROGRAM_HASH, "Python": minor} | libraries
