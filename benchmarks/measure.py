"""The time, the memory and the errors of one contestant."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from contestants import CONTESTANTS, FLOORS
from problems import Problem

TOP = 10


def measure(engine: str, path: Path, threads: int, repeats: int) -> dict[str, Any]:
    """Time, memory and errors of one contestant, in a process that does nothing else.

    path : of a saved Problem. repeats : the fewest timed calls.
    """
    torch.set_num_threads(threads)
    contestant, problem = CONTESTANTS[engine].round, Problem.load(path)
    contestant(problem.tiny())
    before = peak_memory()
    scores, best = one_round(engine, contestant, problem)
    extra = peak_memory() - before
    seconds, calls = best_of(lambda: one_round(engine, contestant, problem), repeats)
    record = {"seconds": seconds, "calls": calls, "extra_mb": extra / 1e6}
    record["float"] = str(problem.X_pool.dtype).removeprefix("torch.")
    if engine not in FLOORS:
        exact = problem.reference
        record["error"] = float((scores.double() - exact).abs().max() / exact.abs().max())
        record["same_top"] = sum(a == b for a, b in zip(best, top(exact), strict=True))
        record["float"] = str(scores.dtype).removeprefix("torch.")  # the type it computed in
    return record


def one_round(
    engine: str, contestant: Callable[[Problem], torch.Tensor], problem: Problem
) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """The scores, and the best rows with their labels; a floor has no best rows."""
    scores = contestant(problem)
    return scores, [] if engine in FLOORS else top(scores)


def top(scores: torch.Tensor) -> list[tuple[int, int]]:
    """The ``TOP`` best rows of scores (n, K) and their labels, best first."""
    rows = scores.amax(1).topk(min(TOP, len(scores))).indices
    return list(zip(rows.tolist(), scores[rows].argmax(1).tolist(), strict=True))


def best_of(
    action: Callable[[], object], repeats: int, least: float = 0.5, most: float = 30.0
) -> tuple[float, int]:
    """The seconds of the fastest call, and the number of calls.

    There are at least ``repeats`` calls of ``least`` seconds in all, but no further call once
    ``most`` seconds have passed.
    """
    times: list[float] = []
    while (len(times) < repeats or sum(times) < least) and sum(times) < most:
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return min(times), len(times)


def peak_memory() -> int:
    """The largest memory of this process so far, in bytes.

    Linux counts the memory of the process that started this one in ru_maxrss, but not in VmHWM.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text("utf-8").splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # Unix only

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
