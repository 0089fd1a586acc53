"""Time picking 100 rows from pools of three lengths, in .npy and Parquet files; and its memory.

python benchmarks/pool_streaming.py [--rows 10000000] [--features 64] [--folder DISK]
    [--dask ADDRESS] [--device cuda] [--dtype float32]

The pools are in float32, in a folder that is removed in the end. A new process reads each pool. Its
memory is its peak, or that of the card, less the peak before it opened the pool.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
from device import add_device, check_device, computer, machine, peak_memory, seconds_of, told
from prettytable import PrettyTable
from pyarrow import parquet

from common.cli import whole_number
from influence import Influence
from models import LogisticRegression
from streaming.hessian import pool_hessian
from streaming.pools import chunks
from streaming.scoring import best

BLOCK = 100_000  # rows drawn at once


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--rows", type=whole_number(10_000), default=10_000_000, help="of the longest pool")
    add("--features", type=whole_number(2), default=64, help="columns of each pool")
    add("--folder", type=Path, default=None, help="where to make the pools")
    add("--jobs", type=whole_number(1), default=1, help="processes that score")
    add("--dask", default=None, help="address of a scheduler, see docs/scale.md")
    add("--measure", type=Path, help=argparse.SUPPRESS)  # this is the new process
    add_device(parser, dtype="float64")
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure(options)))
        return 0
    return told(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Measure in a new folder. Raises UserError if there is no such device."""
    check_device(options.device)
    print(computer(machine(options.device)))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        size = options.rows * options.features * 4
        free = shutil.disk_usage(folder).free
        if free < 2.5 * size:
            sys.exit(f"{folder} has {free / 1e9:.1f} GB free, {2.5 * size / 1e9:.1f} are needed")
        compare(Path(folder), options)
    return 0


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Make and measure each pool, and print a table and the growth of the seconds."""
    table = PrettyTable(
        ["rows", "file", "MB", "Hessian, s", "score, s", "rows/s scored", "MB above baseline"]
    )
    lengths = [options.rows // 100, options.rows // 10, options.rows]
    seconds = []
    for length in lengths:
        for make in (make_npy, make_parquet):
            path = make(folder, length, options.features)
            found = measured(path)
            table.add_row(
                [
                    f"{length:,}",
                    path.suffix,
                    f"{path.stat().st_size / 1e6:,.0f}",
                    f"{found['hessian']:.2f}",
                    f"{found['score']:.2f}",
                    f"{length / found['score']:,.0f}",
                    f"{found['memory']:.0f}",
                ]
            )
            if make is make_npy:
                seconds.append((found["hessian"], found["score"]))
            path.unlink()
    print(table)
    growth = np.diff(np.log(seconds), axis=0) / np.diff(np.log(lengths))[:, None]
    for (of_hessian, of_score), small, large in zip(growth, lengths, lengths[1:], strict=False):
        print(
            f"seconds grow as n^x from {small:,} to {large:,} rows of .npy: "
            f"x = {of_hessian:.2f} (Hessian), {of_score:.2f} (score)"
        )


def make_npy(folder: Path, length: int, features: int) -> Path:
    """The path of a new .npy file."""
    path = folder / "pool.npy"
    header = {"descr": "<f4", "fortran_order": False, "shape": (length, features)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for X in blocks(length, features):
            file.write(X.data)
    return path


def make_parquet(folder: Path, length: int, features: int) -> Path:
    """The path of a new Parquet file with the same rows."""
    path = folder / "pool.parquet"
    names = [f"f{i}" for i in range(features)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for X in blocks(length, features):
            writer.write_table(pa.table(list(X.T), names=names))
    return path


def blocks(length: int, features: int) -> Iterator[np.ndarray]:
    """Random rows, ``BLOCK`` rows at a time; the same rows in every call."""
    rng = np.random.default_rng(0)
    for start in range(0, length, BLOCK):
        yield rng.standard_normal((min(BLOCK, length - start), features), dtype=np.float32)


def measured(path: Path) -> dict[str, float]:
    """What ``measure`` returns in a new process."""
    arguments = [sys.executable, __file__, *sys.argv[1:], "--measure", str(path)]
    return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of the Hessian and of the scores over the pool --measure, and the memory in MB."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((10_000, options.features))
    y = (X @ rng.standard_normal(options.features) + rng.standard_normal(10_000) > 0).astype(int)
    labeled, validation = slice(0, 5_000), slice(5_000, None)
    kind = {"device": options.device, "dtype": options.dtype}
    model = LogisticRegression(1.0, True, **kind).fit(X[labeled], y[labeled])
    best(
        Influence(model, X[labeled], X[validation], y[validation]), chunks(X), 100
    )  # loads libraries
    before, how = peak_memory(options.device), {"jobs": options.jobs, "dask": options.dask}
    solved = []

    def solve() -> None:
        H = pool_hessian(model, chunks(options.measure), **how)
        solved.append(Influence(model, H, X[validation], y[validation]))
        solved[0].solution  # noqa: B018, it is solved here

    def score() -> None:
        best(solved[0], chunks(options.measure), 100, **how)

    return {
        "hessian": seconds_of(solve, options.device),
        "score": seconds_of(score, options.device),
        "memory": (peak_memory(options.device) - before) / 1e6,
    }


if __name__ == "__main__":
    sys.exit(main())
