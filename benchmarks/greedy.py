"""Time a round of each salutary strategy, on bank and on mnist in pixels, beside simpler ones.

python benchmarks/greedy.py [--data-dir FOLDER with bank-additional-full.csv] [--device cuda]
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from device import add_device, check_device, computer, machine, peak_memory, told
from prettytable import PrettyTable

from common.kinds import Protocol
from data_utils import Table, load, make_split
from experiments.options import ExperimentOptions
from experiments.runner import Plan, run_methods
from experiments.settings import settle

METHODS = ("salutary", "salutary_expected", "salutary_greedy", "salutary_plus")
WIDE = ("random", "salutary", "salutary_greedy", "salutary_plus")  # random: ten refits, no more
REPEATS = 3


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder looked into before datasets/")
    add_device(parser, dtype="float64")
    options = parser.parse_args(argv)
    return told(lambda: compare(options))


def compare(options: argparse.Namespace) -> int:
    """Print both tables. Raises UserError if there is no such device, or no table of bank."""
    check_device(options.device)
    kind = {"device": options.device, "dtype": options.dtype}
    table = load("bank", options.data_dir)
    print(f"{computer(machine(options.device))}, {options.dtype}")
    shown = PrettyTable(["bank", "pool", *(f"{method}, ms a round" for method in METHODS)])
    for protocol in Protocol:
        pool, median = seconds_per_round(table, protocol, METHODS, kind)
        times = [f"{1000 * t:.1f} ({t / median[0]:.1f} ×)" for t in median]
        shown.add_row([protocol, f"{pool:,}", *times])
    print(shown)
    images = load("mnist", options.data_dir)
    wide = PrettyTable(
        ["mnist in pixels", "pool", *(f"{method}, s of ten rounds" for method in WIDE)]
    )
    for protocol in Protocol:
        pool, median = seconds_per_round(images, protocol, WIDE, kind)
        times = [f"{10 * t:.2f} ({t / median[0]:.1f} ×)" for t in median]
        wide.add_row([protocol, f"{pool:,}", *times])
    print(wide)
    print(f"peak memory: {peak_memory(options.device) / 1e6:,.0f} MB")
    return 0


def seconds_per_round(
    table: Table, protocol: Protocol, methods: Sequence[str], kind: dict[str, str]
) -> tuple[int, np.ndarray]:
    """The size of the pool, and the median seconds of a round of each method.

    kind : the device and the dtype. A fit and a pick end with numbers on the CPU, so that the
    seconds of a round end when a card has done its work.
    """
    split_of = partial(make_split, table, protocol, table.dataset.init)
    options = ExperimentOptions(protocol=protocol, **kind)
    settings = settle(options, {"fit": "newton"}, table.dataset).loop
    plan = Plan(split_of, replace(settings, legacy_generator=False), methods)
    times = []
    for _ in range(REPEATS):
        curve = run_methods(plan, [0]).curve
        seconds = [sum(r.seconds for r in curve if r.method == m and r.round) for m in methods]
        times.append([s / settings.rounds for s in seconds])
    return len(split_of(0).pool), np.median(times, axis=0)


if __name__ == "__main__":
    sys.exit(main())
