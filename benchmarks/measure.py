"""Seconds, memory and errors of a contestant, measured in a process that does nothing else."""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch
from contestants import CONTESTANTS, FLOORS
from problems import Problem

TOP = 10


def measure(engine: str, path: Path, threads: int, repeats: int) -> dict:
    """Time, memory and errors of one contestant, in a process that does nothing else."""
    torch.set_num_threads(threads)
    contestant, problem = CONTESTANTS[engine][2], Problem.load(path)
    contestant(problem.tiny())
    before = peak_memory()
    answer = round_of(engine, contestant, problem)
    extra = peak_memory() - before
    seconds, calls = best_of(lambda: round_of(engine, contestant, problem), repeats)
    record = {"seconds": seconds, "calls": calls, "extra_mb": extra / 1e6}
    record["float"] = str(problem.X_pool.dtype).removeprefix("torch.")
    if engine not in FLOORS:
        scores, best = answer
        exact = problem.reference
        record["error"] = float((scores.double() - exact).abs().max() / exact.abs().max())
        record["same_top"] = sum(a == b for a, b in zip(best, top(exact), strict=True))
        record["float"] = str(scores.dtype).removeprefix("torch.")  # what it computed in
    return record


def round_of(engine: str, contestant: Callable, problem: Problem):
    scores = contestant(problem)
    return None if engine in FLOORS else (scores, top(scores))


def top(scores: torch.Tensor) -> list[tuple[int, int]]:
    """The best rows and their labels, best first."""
    rows = scores.amax(1).topk(min(TOP, len(scores))).indices
    return list(zip(rows.tolist(), scores[rows].argmax(1).tolist(), strict=True))


def best_of(action: Callable, repeats: int, least: float = 0.5, most: float = 30.0):
    """Seconds of the fastest call, and how many there were."""
    times: list[float] = []
    while (len(times) < repeats or sum(times) < least) and sum(times) < most:
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return min(times), len(times)


def peak_memory() -> int:
    """Largest size so far of this process in memory, in bytes.

    Linux's ru_maxrss begins at the size of the process that started this one; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
