"""The time, the memory and the errors of one contestant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from contestants import CONTESTANTS, FLOORS
from device import peak_memory, seconds_of
from problems import Problem

TOP = 10


def measure(
    engine: str, path: Path, threads: int, repeats: int, device: str = "cpu"
) -> dict[str, Any]:
    """Time, memory and errors of one contestant, in a process that does nothing else.

    path : of a saved Problem. repeats : the fewest timed calls.
    """
    torch.set_num_threads(threads)
    contestant, problem = CONTESTANTS[engine].round, Problem.load(path).to(device)
    contestant(problem.tiny())
    before = peak_memory(device)
    scores, best = one_round(engine, contestant, problem)
    extra = peak_memory(device) - before
    seconds, calls = best_of(lambda: one_round(engine, contestant, problem), repeats, device)
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
    action: Callable[[], object],
    repeats: int,
    device: str = "cpu",
    least: float = 0.5,
    most: float = 30.0,
) -> tuple[float, int]:
    """The seconds of the fastest call, and the number of calls.

    There are at least ``repeats`` calls of ``least`` seconds in all, but no further call once
    ``most`` seconds have passed.
    """
    times: list[float] = []
    while (len(times) < repeats or sum(times) < least) and sum(times) < most:
        times.append(seconds_of(action, device))
    return min(times), len(times)
