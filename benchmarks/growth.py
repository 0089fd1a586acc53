"""How the time of a round of this engine grows with the rows n, the columns D and the classes K."""

import argparse
from itertools import product

import numpy as np
import torch
from contestants import fitted
from measure import best_of, top
from prettytable import PrettyTable
from problems import Problem

from influence import Influence

ROWS = (10_000, 31_623, 100_000, 316_228, 1_000_000)
D, K = 64, 10  # if n grows
COLUMNS = {  # if D and K grow
    "narrow": [*product((16, 64, 256), (4, 16, 64))],
    "wide": [*product((256, 512, 1024), (32, 64, 128))],
}
MIDDLE = 100_000  # n if D and K grow
LABELED, VALIDATION = 300, 1_000


def times(options: argparse.Namespace) -> list[dict]:
    """For each size, the seconds of the two parts of a round.

    "solve" computes the gradient, H and the solution, and does not depend on n. "pool" scores every
    row and finds the best. options : of engine.py.
    """
    torch.set_num_threads(options.threads)
    sizes = [(n, D, K, "n") for n in ROWS]
    sizes += [(MIDDLE, *pair, series) for series, pairs in COLUMNS.items() for pair in pairs]
    return [measured(n // options.shrink, *rest, options) for n, *rest in sizes]


def measured(n: int, D: int, K: int, series: str, options: argparse.Namespace) -> dict:
    """The seconds of both parts at one size."""
    problem = random_problem(n, D, K, options.dtype, options.device)

    def solved() -> Influence:
        known = problem.X_labeled, problem.X_validation, problem.y_validation
        influence = Influence(fitted(problem), *known)
        influence.solution  # noqa: B018, it is computed when it is first read
        return influence

    def scored() -> object:
        return top(ready.first(problem.X_pool))

    ready = solved()
    seconds = {
        "solve": best_of(solved, options.repeats, options.device)[0],
        "pool": best_of(scored, options.repeats + 1, options.device)[0],
    }
    return {"series": series, "n": n, "D": D, "K": K, **seconds}


def random_problem(n: int, D: int, K: int, dtype: str, device: str) -> Problem:
    """Random rows and random weights: a fit would take time and change no time of a round."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape, dtype=dtype))

    problem = Problem(
        X_pool=normal(n, D),
        X_labeled=normal(LABELED, D),
        y_labeled=torch.arange(LABELED) % K,
        X_validation=normal(VALIDATION, D),
        y_validation=torch.arange(VALIDATION) % K,
        theta=normal(K, D) / D**0.5,
    )
    return problem.to(device)


def exponents(points: list[dict]) -> dict[str, float]:
    """For each series, the exponent with which the seconds of "pool" grow with the size.

    It is the slope of log seconds over log sizes, by least squares.
    """
    slopes = {}
    for series in ("n", *COLUMNS):
        points_of = [p for p in points if p["series"] == series]
        sizes = [p["n"] if series == "n" else p["D"] * p["K"] for p in points_of]
        seconds = [p["pool"] for p in points_of]
        slopes[series] = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    return slopes


def table(points: list[dict] | dict) -> str:
    """A table of the seconds by size, and the exponents below it."""
    if "status" in points:
        return f"growth of the time of a round: {points['status']}"
    shown = PrettyTable(["n", "D", "K", "solve, s", "pool's part, s"], align="r")
    shown.title = f"growth of this engine ({LABELED} labeled, {VALIDATION:,} validation)"
    for i, p in enumerate(points):
        last = i + 1 == len(points) or points[i + 1]["series"] != p["series"]
        cells = [f"{p['n']:,}", p["D"], p["K"], f"{p['solve']:.2g}", f"{p['pool']:.2g}"]
        shown.add_row(cells, divider=last)
    for series, slope in exponents(points).items():
        name = "n" if series == "n" else f"D·K, {series}"
        shown.add_row([f"exponent in {name}", "", "", "", f"{slope:.2f}"])
    return f"{shown}\npool's part: scoring all rows of the pool and finding the best"
