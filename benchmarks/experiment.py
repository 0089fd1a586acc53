"""Time the whole Bank experiment: the paper's seven methods, ten rounds each.

python benchmarks/experiment.py [--data-dir FOLDER with bank-additional-full.csv] [--repeats 5]
    [--device cuda] [--dtype float32]

The time includes splits, fits, scores, picks and the measures of every round. It does not include
loading the table.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from device import add_device, check_device, computer, machine, peak_memory, synchronize, told
from prettytable import PrettyTable

from common.cli import whole_number
from common.kinds import Protocol
from data_utils import load, make_split
from experiments.options import ExperimentOptions
from experiments.results import curves_frame
from experiments.runner import Plan, run_methods
from experiments.settings import settle
from strategies.registry import PAPER, STRATEGIES


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder looked into before datasets/")
    parser.add_argument(
        "--repeats", type=whole_number(1), default=5, help="how many runs, the fastest counts"
    )
    parser.add_argument("--protocol", choices=list(map(str, Protocol)), default="paper")
    add_device(parser, dtype="float64")
    options = parser.parse_args(argv)
    return told(lambda: measure(options))


def measure(options: argparse.Namespace) -> int:
    """Print what ``timed`` says. Raises UserError if there is no such device, or no table."""
    check_device(options.device)
    print(f"{computer(machine(options.device))}, {options.dtype}")
    print(timed(options))
    print(f"peak memory: {peak_memory(options.device) / 1e6:,.0f} MB")
    return 0


def timed(options: argparse.Namespace) -> str:
    """Run the experiment ``--repeats`` times; a table of the fastest run, by method."""
    protocol, repeats = options.protocol, options.repeats
    table = load("bank", options.data_dir)
    wanted = ExperimentOptions(protocol=protocol, device=options.device, dtype=options.dtype)
    # L-BFGS, which the paper's protocol fits with, does not reach its tolerance in float32.
    given = {"fit": "newton"} if options.dtype == "float32" else {}
    settings = settle(wanted, given, table.dataset)
    split_of = partial(make_split, table, protocol, table.dataset.init)
    plan = Plan(split_of, settings.loop, PAPER)
    runs = []
    for _ in range(repeats):
        start = perf_counter()
        records = run_methods(plan, [0])
        synchronize(options.device)
        runs.append((perf_counter() - start, records))
    seconds, records = min(runs, key=lambda run: run[0])
    curves = curves_frame(records.curve, "bank", protocol)
    shares = curves.groupby("method", sort=False)["seconds"].sum()
    shown = PrettyTable(["method", "seconds"], align="r")
    shown.align["method"] = "l"
    for method, share in shares.items():
        shown.add_row([STRATEGIES[method].title, f"{share:.3f}"], divider=method == PAPER[-1])
    shown.add_row(["measures of every round, splits", f"{seconds - shares.sum():.3f}"])
    shown.add_row(["whole experiment", f"{seconds:.3f}"])
    slowest = max(run[0] for run in runs)
    loop = settings.loop
    return (
        f"bank ({table.file_names}, pool {len(split_of(0).pool):,}), {protocol} protocol, "
        f"{loop.rounds} rounds of {loop.budget}\n{shown}\n"
        f"fastest of {repeats} runs; the slowest took {slowest:.3f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
