"""The places where a data set may lie, in order: --data-dir, datasets/, the cache, the network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from common.cache import cache_folder
from common.errors import UserError
from common.files import display_path
from common.kinds import Source
from common.program import ROOT
from data_prep.catalogue import SCRIPTS, Dataset, Version
from data_prep.download import Uci, Unreachable, cached, fetch
from data_prep.files import existing

SHIPPED = ROOT / "datasets"


@dataclass(frozen=True)
class Found:
    """The place that has a data set, and the version and the paths that are there."""

    place: str
    version: Version
    paths: list[Path]


def places(
    dataset: Dataset, data_dir: Path | None, source: Source
) -> dict[str, tuple[Callable, Path]]:
    """Where to look before the network, in order: name → how to look, and the folder."""
    order: dict[str, tuple[Callable, Path]] = {}
    if data_dir is not None:
        order["--data-dir"] = existing, data_dir
    if source != Source.NETWORK:
        order["datasets/"] = existing, SHIPPED / dataset.name
    if source != Source.SHIPPED:
        order["the cache"] = cached, cache_folder(dataset.name)
    return order


def find(
    dataset: Dataset, data_dir: Path | None = None, source: Source = Source.AUTO
) -> Found | None:
    """The data set in the nearest place that has it, or None. The network is not asked."""
    for place, (look, folder) in places(dataset, data_dir, source).items():
        for version in dataset.versions:
            paths = look(folder, version.files)
            if paths:
                return Found(place, version, paths)
    return None


def find_full(dataset: Dataset, data_dir: Path | None = None) -> Found | None:
    """The first version of the data set in the nearest place that has it, or None.

    The first version has the most rows: bank's is the paper's file, and only a smaller one ships.
    """
    return find(replace(dataset, versions=dataset.versions[:1]), data_dir)


def state(dataset: Dataset) -> str:
    """Whether a data set is here, cached or on the network, and how many rows of it."""
    if dataset.bundled:
        return "here: in scikit-learn"
    found = find(dataset)
    if found:
        word = "cached" if found.place == "the cache" else "here"
        return f"{word}: {sum(file.rows for file in found.version.files):,} rows"
    if any(version.way for version in dataset.versions):
        return "network"
    return f"--data-dir with {dataset.versions[0].files[0].name}"


def fetch_dataset(dataset: Dataset, source: Source, quiet: bool) -> Found:
    """Fetch the data set into the cache: by the archive's client or, if that fails, by its zip.

    Raises UserError if no way brings it; it says which file to put where.
    """
    folder = cache_folder(dataset.name)
    problems = []
    if source != Source.SHIPPED:
        ways = [(version.way, version) for version in dataset.versions if version.way]
        for way, version in sorted(ways, key=lambda pair: not isinstance(pair[0], Uci)):
            try:
                paths = fetch(way, version.files, folder, quiet)
                return Found("the network", version, paths)
            except Unreachable as error:
                problems.append(f"{way.address} cannot be reached ({error})")
                break  # nor can the other ways of the same host
            except ConnectionError as error:
                problems.append(f"{way.address}: {error}")
    wanted = " and ".join(file.name for file in dataset.versions[0].files)
    again = f"{SCRIPTS[dataset.task]} --dataset {dataset.name} --data-dir FOLDER"
    reasons = "; ".join([*problems, *([dataset.advice] if dataset.advice else [])])
    raise UserError(
        f"{dataset.name} is not here{f' ({reasons})' if reasons else ''}: put {wanted} "
        f"({dataset.source}) into {display_path(SHIPPED / dataset.name)} or another FOLDER, "
        f"then: python {again}"
    )
