"""The data sets that a comparison asks for, and where each of them is, before anything is computed.

A data set that is nowhere on this machine is fetched. If that fails, it is missing.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from common.errors import UserError, check_known
from common.escape import terminal
from common.kinds import Source
from data_prep.addresses import out_of_reach
from data_prep.catalogue import DATASETS, PAPER, Dataset, is_own_table
from data_prep.feature_choice import AS_THEY_ARE, split_token
from data_prep.places import Found, MissingData, check_data_dir, fetch_dataset, find, state
from data_prep.reading import TableReading, as_option, of_use
from data_utils import Table
from experiments.options import READING, ComparisonOptions, ExperimentOptions
from experiments.pipeline import open_table
from experiments.settings import check_options

GROUPS = ("paper", "available")
Say = Callable[[str], None]
Reach = Callable[[str], str | None]


@dataclass(frozen=True)
class Request:
    """A data set that a comparison asks for.

    options : of its experiment. named : whether the user named it; otherwise a group has it.
    table : an own table, which is read at once.
    """

    options: ExperimentOptions
    named: bool
    table: Table | None = None

    @property
    def name(self) -> str:
        """The data set's, as in the files of results."""
        return self.table.dataset.name if self.table else self.options.dataset

    def given(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Of the options that the user set, by name, those that this data set has as they are."""
        return {k: v for k, v in given.items() if getattr(self.options, k, v) == v}

    @property
    def dataset(self) -> Dataset:
        """Its entry, made of the table if it is an own one."""
        return self.table.dataset if self.table else DATASETS[self.options.dataset]


@dataclass(frozen=True)
class LeftOut:
    """Why a data set has no result.

    short : a few words, for its panel in the figure. sentence : for the report.
    """

    short: str
    sentence: str


# --- what is asked for ----------------------------------------------------------------------------


def requests(options: ComparisonOptions, say: Say) -> list[Request]:
    """What --datasets asks for, in order. Own tables are read, and ``say`` is told about them.

    Raises UserError for mistakes in the options, for a table that cannot be used, and for a data
    set that is unknown or named twice.
    """
    check_data_dir(options.data_dir)
    tokens = _tokens(options)
    named = [split_token(token, "--datasets") for token in tokens]
    reading = _reading_options([name for name, _ in named], options)
    fields_of_one = {item.name for item in fields(ExperimentOptions)}
    shared = {key: value for key, value in vars(options).items() if key in fields_of_one}
    asked = []
    for (name, features), read, by_user in zip(named, reading, tokens.values(), strict=True):
        chosen = options.features if features == AS_THEY_ARE else features
        one = ExperimentOptions(**shared | read | {"dataset": name, "features": chosen})
        asked.append(Request(check_options(one, task=None), by_user))
    _refuse_twins(asked)
    asked = [_with_own_table(request, say) for request in asked]
    _refuse_twins(asked)
    return asked


def _tokens(options: ComparisonOptions) -> dict[str, bool]:
    """Data sets with their features, groups spelled out: whether the user named each of them.

    They are separated by spaces or commas; a comma in the path of a file belongs to the path.
    """

    def is_file(given: str) -> bool:
        return Path(given).is_file() or Path(given.rpartition(":pca:")[0]).is_file()

    words = [
        word
        for given in options.datasets
        for word in ([given] if is_file(given) else given.split(","))
        if word
    ]
    tokens: dict[str, bool] = {}
    for word in words:
        name, _ = split_token(word, "--datasets")
        if not is_own_table(name):
            check_known("data set", name, [*DATASETS, *GROUPS])
        for token in _members(word, options):
            tokens[token] = tokens.get(token, False) or word not in GROUPS
    return tokens


def _members(word: str, options: ComparisonOptions) -> Sequence[str]:
    """The data sets of a group, large images as 50 principal components; else the word itself."""
    if word not in GROUPS:
        return [word]
    return [
        dataset.name + (":pca:50" if dataset.image and dataset.image[-1] > 8 else "")
        for dataset in (PAPER if word == "paper" else DATASETS.values())
        if word == "paper"
        or dataset.bundled
        or find(dataset, options.data_dir, Source(options.source))
    ]


def _reading_options(names: Sequence[str], options: ComparisonOptions) -> list[dict[str, Any]]:
    """The options that say how an own table is read, for each data set: None if not for it.

    Celeba takes --target too, if there is no own table.
    """
    usual = {item.name: item.default for item in fields(options)}
    given = [key for key in READING if getattr(options, key) != usual[key]]
    own = [name for name in names if is_own_table(name)]
    celeba = not own and any(DATASETS[name].target for name in names)
    for key in given:
        if not (own or (key == "target" and celeba)):
            takers = "celeba and your own tables" if key == "target" else "your own tables"
            raise UserError(f"{as_option(key)} is for {takers}, and --datasets has none of them")
    useful = {name: of_use(Path(name), options.labels) for name in own}
    if own:
        TableReading.of(options).check_use(*useful.values(), shown=", ".join(own))

    def takes(name: str, key: str) -> bool:
        if name not in useful:
            return key == "target" and celeba and bool(DATASETS[name].target)
        return key in ("target", "labels", "split_column") or key in useful[name]

    return [
        {key: getattr(options, key) if takes(name, key) else usual[key] for key in READING}
        for name in names
    ]


def _refuse_twins(asked: Sequence[Request]) -> None:
    """Raise UserError if the results of two data sets would share a folder."""
    for name, count in Counter(request.name for request in asked).items():
        if count > 1:
            raise UserError(f"--datasets names {name} twice: their results would share a folder")


def _with_own_table(request: Request, say: Say) -> Request:
    """The request; with its table, if it is for one of the user's own."""
    path = request.options.dataset
    if not is_own_table(path):
        return request
    try:
        return replace(request, table=open_table(request.options, None, say))
    except UserError as error:
        raise error if path in str(error) else UserError(f"{path}: {error}") from error


# --- where it is ----------------------------------------------------------------------------------


def look_for(asked: Sequence[Request], say: Say) -> tuple[list[Request], dict[str, LeftOut]]:
    """The requests whose data are on this machine now, and what is missing, by name.

    Every data set is looked for, fetched if need be, and told in a line. A data set of a group is
    taken from the cache if that has more rows of it than datasets/.

    Raises UserError that names all that is missing of what the user named.
    """
    reach = cache(out_of_reach)  # asks each host once
    here, missing, needed = [], {}, []
    for request in asked:
        tell = say
        try:
            found, where = _located(request, reach)
            here.append(found)
        except MissingData as error:
            where = _missing_words(error)
            missing[request.name] = LeftOut(f"needs {error.files}", where)
            if request.named:
                needed.append(f"{request.name} is {where}")
                where = "missing"  # the error says more
            else:
                tell = print  # with --quiet too: who did not name it may not notice
        tell(terminal(f"{request.name:14} {where}"))
    if needed:
        raise UserError("; ".join(needed))
    return here, missing


def _located(request: Request, reach: Reach) -> tuple[Request, str]:
    """The request, and where its data are, in words. Raises MissingData."""
    if where := _without_files(request):
        return request, where
    dataset, options = request.dataset, request.options
    found = _find_or_fetch(dataset, options, reach)
    fuller = find(dataset, options.data_dir, Source.NETWORK)  # datasets/ is passed by
    if options.source != Source.AUTO or not fuller or fuller.version.rows <= found.version.rows:
        return request, found.state
    if request.named:
        return request, f"{found.state}; --source network takes all {fuller.version.rows:,}"
    return replace(request, options=replace(options, source=Source.NETWORK)), fuller.state


def fetch_all(asked: Sequence[Request], say: Say) -> None:
    """Fetch every data set into the cache with all its rows, unless it is here; a line for each.

    Raises UserError if one is missing that the network has or that the user named.
    """
    reach = cache(out_of_reach)
    failed = []
    for request in asked:
        dataset, options = request.dataset, request.options
        most = max((version.rows for version in dataset.versions), default=0)
        versions = [version for version in dataset.versions if version.rows == most]
        try:
            whole = replace(dataset, versions=versions)
            where = _without_files(request) or _find_or_fetch(whole, options, reach).state
            say(terminal(f"{request.name:14} {where}"))
        except MissingData as error:
            part = find(dataset, options.data_dir, Source(options.source))
            before = f"{part.state}; all {most:,} are " if part else ""
            print(terminal(f"{request.name:14} {before}{_missing_words(error)}"))
            if request.named or any(version.way for version in versions):
                failed.append(request.name)
    if failed:
        raise UserError(
            f"{len(failed)} of {len(asked)} data sets could not be fetched: {', '.join(failed)}"
        )


def _find_or_fetch(dataset: Dataset, options: ExperimentOptions, reach: Reach) -> Found:
    source = Source(options.source)
    return find(dataset, options.data_dir, source) or fetch_dataset(
        dataset, source, options.quiet, reach
    )


def _without_files(request: Request) -> str:
    """Where the data are that have no files in the catalogue, in words, or ""."""
    if request.table:
        return f"here: {len(request.table.data.y):,} rows"
    return state(request.dataset) if request.dataset.bundled else ""


def _missing_words(error: MissingData) -> str:
    reason = f" ({error.reason})" if error.reason else ""
    return f"missing{reason}: {error.hint} that --data-dir names"
