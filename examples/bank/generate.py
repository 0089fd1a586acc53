"""A thousand rows of the shipped bank data, cut into the tables that label.py reads.

python examples/bank/generate.py [--seed 0] [--folder examples/bank]

The columns, cells and classes are those of datasets/bank/bank.csv.gz: calls of a Portuguese bank in
2008 to 2010, and whether the client then opened a deposit (y). Writes labeled.csv, pool.csv
(without y), val.csv, test.csv, and pool_truth.csv with the y of the rows of pool.csv.
"""

import argparse
import csv
import gzip
import random
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent.parent / "datasets" / "bank" / "bank.csv.gz"
PARTS = {"labeled": 100, "val": 300, "pool": 400, "test": 200}  # rows


def write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=HERE)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(SHIPPED, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    random.Random(chosen.seed).shuffle(rows)
    for part, count in PARTS.items():
        mine, rows = rows[:count], rows[count:]
        if part == "pool":
            write(chosen.folder / "pool.csv", header[:-1], [row[:-1] for row in mine])
            truth = [[str(number), row[-1]] for number, row in enumerate(mine)]
            write(chosen.folder / "pool_truth.csv", ["row", header[-1]], truth)
        else:
            write(chosen.folder / f"{part}.csv", header, mine)


if __name__ == "__main__":
    main()
