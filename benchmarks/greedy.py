"""What one round of each salutary strategy costs beside the paper's rule, all in one run.

python benchmarks/greedy.py [--data-dir FOLDER with bank-additional-full.csv]
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from prettytable import PrettyTable

from cli import PROTOCOLS
from data_utils import load
from experiment import Settings, run_seed
from splits import make_split

METHODS = ("salutary", "salutary_expected", "salutary_greedy", "salutary_plus")
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=None)
    table = load("bank", parser.parse_args().data_dir)
    shown = PrettyTable(["protocol", "pool", *(f"{method}, ms a round" for method in METHODS)])
    for protocol, values in PROTOCOLS.items():
        split = make_split(table, protocol, 300, 0)
        settings = Settings(**values | {"fit": "newton"}, legacy_generator=False)
        times = []
        for _ in range(REPEATS):
            runs = run_seed(partial(make_split, table, protocol, 300), 0, METHODS, settings)
            times.append([sum(r["seconds"] for r in curve[1:]) / 10 for curve, _ in runs])
        median = np.median(times, axis=0)
        shown.add_row(
            [protocol, f"{len(split.pool):,}"]
            + [f"{1000 * t:.1f} ({t / median[0]:.1f} ×)" for t in median]
        )
    print(shown)


if __name__ == "__main__":
    main()
