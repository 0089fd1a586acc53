"""How the time of this engine's round grows with the rows, the columns and the classes."""

import argparse
from dataclasses import replace

import numpy as np
import torch
from contestants import CONTESTANTS
from measure import best_of, top
from prettytable import PrettyTable
from problems import Problem

ROWS = (10_000, 31_623, 100_000, 316_228, 1_000_000)
D, K = 64, 10  # while n grows
COLUMNS = [(D, K) for D in (16, 64, 256) for K in (4, 16, 64)]
MIDDLE = 100_000  # rows while D and K grow
LABELED, VALIDATION = 300, 1_000
FEW = 100  # rows of a pool that costs nothing


def times(options: argparse.Namespace) -> list[dict]:
    """Seconds of the whole round, and of the pool's part in it, by size.

    The pool's part is what a round takes above one with FEW rows: the gradient, H and the solve do
    not depend on n, and at 10⁴ rows they are most of it.
    """
    torch.set_num_threads(options.threads)
    sizes = [(n, D, K, "n") for n in ROWS] + [(MIDDLE, *pair, "D, K") for pair in COLUMNS]
    return [measured(n // options.shrink, *rest, options) for n, *rest in sizes]


def measured(n: int, D: int, K: int, series: str, options: argparse.Namespace) -> dict:
    problem = random_problem(n, D, K, options.float)
    few = replace(problem, X_pool=problem.X_pool[:FEW])
    whole, fixed = (
        best_of(lambda p=p: top(CONTESTANTS["auto"][2](p)), options.repeats + 1)[0]
        for p in (problem, few)
    )
    return {"series": series, "n": n, "D": D, "K": K, "round": whole, "pool": whole - fixed}


def random_problem(n: int, D: int, K: int, float_name: str) -> Problem:
    """Random rows, and weights that nobody fitted: how good they are changes no time."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape, dtype=float_name))

    return Problem(
        X_pool=normal(n, D),
        X_labeled=normal(LABELED, D),
        y_labeled=torch.arange(LABELED) % K,
        X_validation=normal(VALIDATION, D),
        y_validation=torch.arange(VALIDATION) % K,
        theta=normal(K, D) / D**0.5,
    )


def exponents(points: list[dict], part: str) -> dict[str, float]:
    """Slopes of log seconds over log sizes, by least squares: in n, in D and K, and in D·K."""
    rows = [p for p in points if p["series"] == "n"]
    columns = [p for p in points if p["series"] != "n"]
    (in_n,) = slopes(rows, part, lambda p: [p["n"]])
    in_D, in_K = slopes(columns, part, lambda p: [p["D"], p["K"]])
    (in_DK,) = slopes(columns, part, lambda p: [p["D"] * p["K"]])
    return {"n": in_n, "D": in_D, "K": in_K, "D·K": in_DK}


def slopes(points: list[dict], part: str, sizes) -> list[float]:
    logs = np.log([sizes(p) for p in points])
    seconds = np.log([max(p[part], 1e-9) for p in points])
    fitted, *_ = np.linalg.lstsq(np.column_stack([logs, np.ones(len(logs))]), seconds, rcond=None)
    return fitted[:-1].tolist()


def table(points: list[dict] | dict) -> str:
    """Seconds by size, and the exponents under them."""
    if "status" in points:
        return f"growth of this engine's round: {points['status']}"
    shown = PrettyTable(["n", "D", "K", "round, s", "pool's part, s"], align="r")
    shown.title = f"growth of this engine ({LABELED} labeled, {VALIDATION:,} validation)"
    for i, p in enumerate(points):
        last = i + 1 == len(points) or points[i + 1]["series"] != p["series"]
        cells = [f"{p['n']:,}", p["D"], p["K"], f"{p['round']:.2g}", f"{p['pool']:.2g}"]
        shown.add_row(cells, divider=last)
    fitted = {part: exponents(points, part) for part in ("round", "pool")}
    for name in fitted["round"]:
        cells = [f"exponent in {name}", "", "", *(f"{fitted[p][name]:.2f}" for p in fitted)]
        shown.add_row(cells)
    return f"{shown}\npool's part: what the round takes above that of a pool of {FEW} rows"
