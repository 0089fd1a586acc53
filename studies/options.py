"""The options of explore.py. Standard library only."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from common.cli import option, same_option, seed_list, whole_number
from common.kinds import Protocol
from data_prep.reading import TableReading
from experiments.options import ExperimentOptions

_same = partial(same_option, ExperimentOptions)


@dataclass(frozen=True)
class ExplorationOptions(TableReading):
    """The options of explore.py. An option that the main scripts have too means the same here."""

    about: ClassVar[str] = (
        "Studies of when and why salutary labels help: a picture and a table each."
    )

    studies: tuple[str, ...] = option(
        (), "studies, see --list, or all", flags=(), nargs="*", metavar="study"
    )
    dataset: str | None = option(
        None,
        "data set, with its features behind a colon if need be, as in mnist:pca:50, or your own "
        "table (default: the study's own, see --list)",
    )
    target: str | None = _same("target")
    labels: Path | None = _same("labels")
    split_column: str | None = _same("split_column")
    plugin: tuple[Path, ...] = _same("plugin")
    seeds: tuple[int, ...] = option(
        tuple(range(8)),
        "one seed, or several: 0-19 or 0,3,5 (default: 0-7)",
        type=seed_list,
        flags=("--seed", "--seeds"),
    )
    protocol: str = option(
        "tuned", "paper, strict or tuned (default: tuned)", choices=tuple(Protocol)
    )
    rounds: int = _same("rounds")
    budget: int = _same("budget")
    init: int | None = option(
        None,
        "labeled rows at the start (default: the study's or the data set's)",
        type=whole_number(2),
    )
    method: str = option(
        "salutary", "why: the strategy whose picks are explained (default: salutary)"
    )
    round: int = option(
        1, "why: the round whose picks are explained (default: 1)", type=whole_number(1)
    )
    picks: int | None = option(
        None, "why: how many picks are explained (default: 3)", type=whole_number(1)
    )
    jobs: int = option(2, "processes, a seed at a time each (default: 2)", type=whole_number(1))
    data_dir: Path | None = _same("data_dir")
    source: str = _same("source")
    out: Path = option(
        Path("results/explore"), "folder for results (default: results/explore)", type=Path
    )
    quiet: bool = option(False, "print nothing", action="store_true")
    list: bool = option(False, "list the studies, and stop", action="store_true")
