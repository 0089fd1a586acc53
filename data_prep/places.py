"""The places where a data set may lie, in order: --data-dir, datasets/, the cache, the network."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from common.cache import cache_folder
from common.errors import UserError
from common.files import display_path
from common.kinds import Source
from common.plugins import plugin_with
from common.program import ROOT
from data_prep.addresses import out_of_reach
from data_prep.catalogue import SCRIPTS, Dataset, Version
from data_prep.download import Uci, Unreachable, cached, fetch
from data_prep.files import existing

SHIPPED = ROOT / "datasets"


@dataclass(frozen=True)
class Found:
    """The place that has a data set, and the version and the paths that are there.

    damaged : whether the cache had it, but not as it was fetched.
    """

    place: str
    version: Version
    paths: list[Path]
    damaged: bool = False

    @property
    def state(self) -> str:
        """Here, cached or fetched, and how many rows."""
        word = {"the cache": "cached", "the network": "fetched"}.get(self.place, "here")
        return f"{word}: {self.version.rows:,} rows"


def check_data_dir(data_dir: Path | None) -> None:
    """Raise UserError if --data-dir names no folder."""
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir} is not a folder")


def places(
    dataset: Dataset, data_dir: Path | None, source: Source
) -> dict[str, tuple[Callable, Path]]:
    """Where to look before the network, in order: name → how to look, and the folder."""
    order: dict[str, tuple[Callable, Path]] = {}
    if data_dir is not None:
        order["--data-dir"] = existing, data_dir
    plugin = plugin_with("DATASETS", dataset.name)
    if plugin:
        order["the plugin's folder"] = existing, Path(plugin.path).parent
    if source != Source.NETWORK:
        order["datasets/"] = existing, SHIPPED / dataset.name
    if source != Source.SHIPPED:
        with suppress(UserError):  # there is no home: what ships can be used without a cache
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


def cache_is_damaged(dataset: Dataset) -> bool:
    """Whether the cache has files of the data set, but no version of it as it was fetched."""
    folder = cache_folder(dataset.name)
    names = {"sha256.json", *(file.name for v in dataset.versions for file in v.files)}
    return any((folder / name).exists() for name in names) and not any(
        cached(folder, version.files) for version in dataset.versions
    )


def find_full(dataset: Dataset, data_dir: Path | None = None) -> Found | None:
    """The first version of the data set in the nearest place that has it, or None.

    The first version has the most rows: bank's is the paper's file, and only a smaller one ships.
    """
    return find(replace(dataset, versions=dataset.versions[:1]), data_dir)


def state(dataset: Dataset) -> str:
    """Whether a data set is here, cached or on the network, and how many rows of it."""
    if dataset.bundled:
        plugin = plugin_with("DATASETS", dataset.name)
        return f"here: in {plugin.name + '.py' if plugin else 'scikit-learn'}"
    if found := find(dataset):
        return found.state
    if any(version.way for version in dataset.versions):
        with suppress(UserError):  # there is no home
            return "network" + ", for the cache's is damaged" * cache_is_damaged(dataset)
        return "network"
    return f"--data-dir with {dataset.versions[0].files[0].name}"


class MissingData(UserError):
    """No place has a data set.

    files : the names of its files, as a phrase. reason : why the network did not bring them, or "".
    hint : where to put them.
    """

    def __init__(self, dataset: Dataset, problems: Sequence[str]):
        self.files = " and ".join(file.name for file in dataset.versions[0].files)
        self.reason = "; ".join([*problems, *([dataset.advice] if dataset.advice else [])])
        folder = display_path(SHIPPED / dataset.name)
        self.hint = f"put {self.files} ({dataset.source}) into {folder} or another FOLDER"
        again = f"{SCRIPTS[dataset.task]} --dataset {dataset.name} --data-dir FOLDER"
        reason = f" ({self.reason})" if self.reason else ""
        super().__init__(f"{dataset.name} is not here{reason}: {self.hint}, then: python {again}")


def fetch_dataset(
    dataset: Dataset,
    source: Source,
    quiet: bool,
    out_of_reach: Callable[[str], str | None] = out_of_reach,
) -> Found:
    """Fetch the data set into the cache: by the archive's client or, if that fails, by its zip.

    out_of_reach : see ``download.fetch``.
    Raises MissingData if no way brings it.
    """
    folder = cache_folder(dataset.name)
    damaged = source != Source.SHIPPED and cache_is_damaged(dataset)
    problems = [f"what the cache {folder} has is damaged"] if damaged else []
    if source != Source.SHIPPED:
        ways = [(version.way, version) for version in dataset.versions if version.way]
        for way, version in sorted(ways, key=lambda pair: not isinstance(pair[0], Uci)):
            try:
                paths = fetch(way, version.files, folder, quiet, out_of_reach)
                return Found("the network", version, paths, damaged)
            except Unreachable as error:
                problems.append(f"{way.address} cannot be reached ({error})")
                break  # nor can the other ways of the same host
            except ConnectionError as error:
                problems.append(f"{way.address}: {error}")
            except UserError as error:  # the cache cannot be written to
                problems.append(str(error))
                break
    raise MissingData(dataset, problems)
