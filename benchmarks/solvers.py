"""Time one solve with a Hessian by conjugate gradients and by a Cholesky factor, by size.

python benchmarks/solvers.py [--rows 5000] [--classes 2 10] [--device cuda] [--dtype float32]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from device import add_device, check_device, computer, machine, seconds_of, told
from prettytable import PrettyTable
from sklearn.datasets import make_classification

import influence
from common.cli import whole_number
from models import LogisticRegression
from numerics.limits import DENSE_PARAMETERS, SOFTMAX_DENSE_PARAMETERS

REPEATS = 3
FEATURES = {2: (50, 200, 500, 1_000, 1_500, 2_000), 10: (10, 30, 60, 100, 150, 200, 300)}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--rows", type=whole_number(100), default=5_000, help="rows that H sums over"
    )
    parser.add_argument(
        "--classes",
        type=int,
        nargs="+",
        default=list(FEATURES),
        choices=list(FEATURES),
        help="how many classes",
    )
    add_device(parser, dtype="float64")
    options = parser.parse_args(argv)
    return told(lambda: compare(options))


def compare(options: argparse.Namespace) -> int:
    """Print the table. Raises UserError if there is no such device."""
    check_device(options.device)
    print(computer(machine(options.device)))
    shown = PrettyTable(["classes", "features", "parameters", "Cholesky, ms", "CG, ms", "faster"])
    shown.align = "r"
    for classes in options.classes:
        for features in FEATURES[classes]:
            H, G = problem(options.rows, features, classes, options.device, options.dtype)
            times = {s: 1_000 * best(H, G, s, options.device) for s in ("cholesky", "cg")}
            cells = [f"{t:.1f}" for t in times.values()]
            shown.add_row([classes, features, f"{G.numel():,}", *cells, min(times, key=times.get)])
    threads = torch.get_num_threads()
    print(f"{options.rows:,} rows, {options.dtype}, {threads} threads; auto takes Cholesky")
    print(f"up to {DENSE_PARAMETERS:,} parameters, of a softmax {SOFTMAX_DENSE_PARAMETERS:,}")
    print(shown)
    return 0


def problem(
    rows: int, features: int, classes: int, device: str, dtype: str
) -> tuple[influence.Hessian, torch.Tensor]:
    """H over ``rows`` rows at their fit, and the gradient of as many validation rows."""
    X, y = make_classification(
        2 * rows, features, n_informative=max(5, features // 2), n_classes=classes, random_state=0
    )
    model = LogisticRegression(1.0, True, device=device, dtype=dtype).fit(X[:rows], y[:rows])
    return influence.hessian(model, X[:rows]), influence.gradient(model, X[rows:], y[rows:])


def best(H: influence.Hessian, G: torch.Tensor, solver: str, device: str) -> float:
    """Seconds of the fastest solve. Each one factors H again."""
    times = []
    for _ in range(REPEATS):
        H._factored = None  # else only the first solve would factor
        times.append(seconds_of(lambda: H.solve(G, solver=solver), device))
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
