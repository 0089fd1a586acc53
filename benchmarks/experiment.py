"""The whole Bank experiment, the paper's seven methods of ten rounds each, in seconds of compute.

python benchmarks/experiment.py [--data-dir FOLDER with bank-additional-full.csv] [--repeats 5]

Timed from the loaded table on: splits, fits, scores, picks and the measures of every round.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
from prettytable import PrettyTable

from cli import PROTOCOLS, whole
from data_utils import load
from experiment import Settings, run_all
from sources import UserError
from splits import make_split
from strategies import PAPER, STRATEGIES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder looked into before datasets/")
    parser.add_argument("--repeats", type=whole(1), default=5, help="runs, the fastest counts")
    parser.add_argument("--protocol", choices=list(PROTOCOLS), default="paper")
    options = parser.parse_args()
    try:
        print(timed(options))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def timed(options: argparse.Namespace) -> str:
    """Run it so many times and show the fastest run, with each method's share."""
    table = load("bank", options.data_dir)
    values = PROTOCOLS[options.protocol]
    settings = Settings(
        **values | {"fit": values["fit"] or table.dataset.paper_fit},
        legacy_generator=options.protocol == "paper",
    )
    split_for = partial(make_split, table, options.protocol, table.dataset.init)
    runs = []
    for _ in range(options.repeats):
        start = perf_counter()
        curves, _ = run_all(split_for, [0], PAPER, settings)
        runs.append((perf_counter() - start, curves))
    seconds, curves = min(runs, key=lambda run: run[0])
    shares = pd.DataFrame(curves).groupby("method", sort=False)["seconds"].sum()
    shown = PrettyTable(["method", "seconds"], align="r")
    shown.align["method"] = "l"
    for method, share in shares.items():
        shown.add_row([STRATEGIES[method].title, f"{share:.3f}"], divider=method == PAPER[-1])
    shown.add_row(["measures of every round, splits", f"{seconds - shares.sum():.3f}"])
    shown.add_row(["whole experiment", f"{seconds:.3f}"])
    slowest = max(run[0] for run in runs)
    return (
        f"bank ({table.file_names}, pool {len(split_for(0).pool):,}), {options.protocol} protocol, "
        f"{settings.rounds} rounds of {settings.budget}\n{shown}\n"
        f"fastest of {options.repeats} runs; the slowest took {slowest:.3f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
