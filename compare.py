"""Data sets × methods × seeds, and the report that an unfriendly reviewer would ask for.

python compare.py --datasets bank electric wine waveform --seeds 0-4 --jobs 2
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from cli import guarded, option, same

SHIPPED = ("bank", "electric", "wine", "waveform", "mnist:pca:50")


@dataclass(frozen=True)
class Comparison:
    """The options of compare.py; those it shares with the main scripts are the same."""

    about: ClassVar[str] = "Data sets × methods × paired seeds, and the report of them all."

    datasets: tuple[str, ...] = option(
        SHIPPED,
        "data sets, each with its features behind a colon if need be, or available, for all that "
        "need no network "
        f"(default: {' '.join(SHIPPED)})",
        nargs="+",
    )
    methods: tuple[str, ...] = same("methods")
    seeds: tuple[int, ...] = same("seeds")
    protocol: str = option(
        "strict", "paper or strict (default: strict)", choices=("paper", "strict")
    )
    model: str = same("model")
    rounds: int = same("rounds")
    budget: int = same("budget")
    jobs: int = same("jobs")
    dask: str | None = same("dask")
    device: str = same("device")
    data_dir: Path | None = same("data_dir")
    source: str = same("source")
    out: Path = option(
        Path("results/compare"), "folder for results (default: results/compare)", type=Path
    )
    quiet: bool = same("quiet")


def run(options: Comparison, given: dict) -> None:
    """Run the main job on every data set, then write what they say together."""
    import comparison  # not above: mistakes in options need not wait for it

    comparison.run(flattened(options))


def flattened(options: Comparison) -> Comparison:
    """Data sets separated by commas as well as by spaces."""
    tokens = (token for given in options.datasets for token in given.split(",") if token)
    return replace(options, datasets=tuple(dict.fromkeys(tokens)))


def main(argv: Sequence[str] | None = None) -> int:
    return guarded("compare.py", Comparison, argv, run)


if __name__ == "__main__":
    sys.exit(main())
