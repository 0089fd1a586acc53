"""The share of each method in the seconds of a comparison.

python compare.py --datasets available --methods all --seeds 0-9 --jobs 2
python benchmarks/shares.py results/compare

Without a folder's name it reads results/compare. The seconds are those of curves.csv: what a method
took to choose l2, to pick and to fit, over all rounds and seeds.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from prettytable import PrettyTable

TOO_MUCH = 1 / 3  # of the whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("results/compare"))
    folder = parser.parse_args().folder
    found = {path.parent.name: pd.read_csv(path) for path in sorted(folder.glob("*/curves.csv"))}
    if not found:
        print(f"error: {folder} has no folder with a curves.csv: give --out of a comparison")
        return 2
    seconds = pd.DataFrame(
        {name: curves.groupby("method")["seconds"].sum() for name, curves in found.items()}
    ).fillna(0.0)
    seconds["all"] = seconds.sum(axis=1)
    seconds = seconds.sort_values("all", ascending=False)
    shown = PrettyTable(["method", *seconds.columns, "share of all, %"])
    for method, row in seconds.iterrows():
        share = row["all"] / seconds["all"].sum()
        mark = " !" if share > TOO_MUCH else ""
        shown.add_row([method, *(f"{value:.1f}" for value in row), f"{100 * share:.1f}{mark}"])
    print(shown)
    print("seconds; !: over a third of the whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
