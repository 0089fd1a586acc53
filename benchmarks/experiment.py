"""Time the whole Bank experiment: the paper's seven methods, ten rounds each.

python benchmarks/experiment.py [--data-dir FOLDER with bank-additional-full.csv] [--repeats 5]

The time includes splits, fits, scores, picks and the measures of every round. It does not include
loading the table.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from prettytable import PrettyTable

from common.cli import whole_number
from common.errors import UserError
from common.kinds import Protocol
from data_utils import load, make_split
from experiments.options import ExperimentOptions
from experiments.results import curves_frame
from experiments.runner import Plan, run_methods
from experiments.settings import settle
from strategies.registry import PAPER, STRATEGIES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder looked into before datasets/")
    parser.add_argument(
        "--repeats", type=whole_number(1), default=5, help="how many runs, the fastest counts"
    )
    parser.add_argument("--protocol", choices=list(map(str, Protocol)), default="paper")
    options = parser.parse_args()
    try:
        print(timed(options.data_dir, options.protocol, options.repeats))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def timed(data_dir: Path | None, protocol: str, repeats: int) -> str:
    """Run the experiment ``repeats`` times; a table of the fastest run, by method."""
    table = load("bank", data_dir)
    settings = settle(ExperimentOptions(protocol=protocol, device="cpu"), {}, table.dataset)
    split_of = partial(make_split, table, protocol, table.dataset.init)
    plan = Plan(split_of, settings.loop, PAPER)
    runs = []
    for _ in range(repeats):
        start = perf_counter()
        records = run_methods(plan, [0])
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
