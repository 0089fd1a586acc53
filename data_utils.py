"""Load a data set, and split it for one experiment: ``load`` gives a Table, ``make_split`` a Split.

data_prep/catalogue.py lists the data sets, data_prep/split_rules.py the published splits.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from common.errors import UserError, check_known
from common.kinds import Protocol, Source
from common.plugins import Plugin, blamed, breach, plugin_with
from data_prep.catalogue import DATASETS, Dataset, is_own_table, own_dataset
from data_prep.column_kinds import ColumnDecision
from data_prep.features import Prepared, principal_components, weigh_texts
from data_prep.files import FileFacts, read_file
from data_prep.own_tables import own_table
from data_prep.places import check_data_dir, fetch_dataset, find, places
from data_prep.reading import AS_FOUND, TableReading, as_option
from data_prep.split_rules import Parts, given_parts, standard_parts


@dataclass(frozen=True)
class Table:
    """A loaded data set, its files, and the place it came from.

    tried : of the places that did not have it, what is said, such as "not in datasets/".
    """

    dataset: Dataset
    data: Prepared
    files: tuple[FileFacts, ...]
    place: str
    tried: tuple[str, ...] = ()

    @property
    def file_names(self) -> str:
        return " + ".join(Path(file.path).name for file in self.files)


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    source: str = Source.AUTO,
    target: str | None = None,
    labels: Path | None = None,
    split_column: str | None = None,
    reading: TableReading = AS_FOUND,
    quiet: bool = True,
) -> Table:
    """Find or fetch, read, check and prepare the data set ``name``, or the table at that path.

    data_dir : a folder to look into first. source : "auto", "shipped" or "network". target : the
    column of classes, of an own table or of celeba. quiet : show no bar while fetching,
    or while texts are encoded.
    labels : the file of labels, of an own .npy or .npz. split_column : the column of an own table
    that names the part of each row. reading : how an own table is read, and what its columns are.

    Raises UserError if the data set is unknown or nowhere, or if a file is cut short, damaged, or
    holds anything but a finite number where one belongs.
    """
    check_data_dir(data_dir)
    if is_own_table(name):
        data, facts = own_table(Path(name), target, labels, split_column, reading, quiet)
        return Table(own_dataset(name, data), data, facts, "your own table")
    check_known("data set", name, DATASETS)
    own = [n for n, value in (("labels", labels), ("split_column", split_column)) if value]
    if chosen := [*own, *reading.chosen()]:
        raise UserError(
            f"{as_option(chosen[0])} is for your own tables, {name} is a known data set"
        )
    dataset, source = DATASETS[name], Source(source)
    if target and not dataset.target:
        raise UserError(f"--target is for celeba and for your own tables, {name} has its own")
    if dataset.bundled:
        return _bundled(dataset, dataset.bundled)
    found = find(dataset, data_dir, source) or fetch_dataset(dataset, source, quiet)
    read = [read_file(*pair) for pair in zip(found.version.files, found.paths, strict=True)]
    frame = pd.concat([frame for frame, _ in read], ignore_index=True)
    plugin, where = plugin_with("DATASETS", name), f"data set {name}"
    with blamed(plugin, where):
        data = found.version.prepare(frame, *([target or dataset.target] if dataset.target else []))
    if plugin:
        _check_prepared(data, plugin, where)
    classes = np.unique(data.y)
    if len(classes) != dataset.classes:
        raise UserError(
            f"{name} has {dataset.classes} classes, its file here {len(classes)}: "
            + ", ".join(map(str, classes))
        )
    looked = list(places(dataset, data_dir, source))
    passed = looked[: looked.index(found.place)] if found.place in looked else looked
    tried = [
        f"{'damaged' if found.damaged and place == 'the cache' else 'not'} in {place}"
        for place in passed
    ]
    return Table(dataset, data, tuple(facts for _, facts in read), found.place, tuple(tried))


def _bundled(dataset: Dataset, named: Callable | str) -> Table:
    loader = getattr(import_module("sklearn.datasets"), named) if isinstance(named, str) else named
    plugin, where = plugin_with("DATASETS", dataset.name), f"data set {dataset.name}"
    of_sklearn = loader.__module__.startswith("sklearn.")
    with blamed(plugin, where):
        if of_sklearn:
            loaded = loader()
            X, y, names = loaded.data, loaded.target, loaded.get("feature_names", ())
        else:
            (X, y), names = loader(return_X_y=True), ()
        X, y, names = np.asarray(X), np.asarray(y), tuple(map(str, names))
        data = Prepared(X / dataset.scale, y, np.arange(len(y)), names=names)
    if plugin:
        _check_prepared(data, plugin, where)
    facts = FileFacts(
        f"{'sklearn.datasets' if of_sklearn else plugin and plugin.name}.{loader.__name__}",
        len(y),
        hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest(),
    )
    place = "scikit-learn" if of_sklearn or not plugin else plugin.shown
    return Table(dataset, data, (facts,), place)


def _check_prepared(data: Prepared, plugin: Plugin, where: str) -> None:
    """Raise UserError unless a plugin's data set is a matrix of finite numbers, and labels."""
    if not isinstance(data, Prepared):
        raise breach(plugin, where, f"must be Prepared, not {type(data).__name__}")
    shapes = [np.shape(part) for part in (data.X, data.y, data.rows)]
    n = len(data.y)
    if len(shapes[0]) != 2 or shapes[0][0] != n or shapes[1:] != [(n,), (n,)]:
        raise breach(plugin, where, f"must have X (n, D), y (n,) and rows (n,), not {shapes}")
    if data.X.dtype.kind not in "fiu" or not np.isfinite(data.X).all():
        raise breach(plugin, where, "must have finite numbers in X")
    if len(data.names) not in (0, shapes[0][1]):
        raise breach(plugin, where, f"has {len(data.names)} names for {shapes[0][1]} columns")


@dataclass(frozen=True)
class Split:
    """One experiment's data: all features and labels, and the positions of the four parts.

    X (n, D) features; y (n,) labels; rows (n,) row numbers in the source file; labeled, pool,
    validation and test are integer positions into them. The arrays are read-only.
    """

    X: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    labeled: np.ndarray
    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self):
        for array in vars(self).values():
            array.flags.writeable = False

    def sizes(self) -> dict[str, int]:
        """How many rows each part has."""
        return {
            part: len(getattr(self, part)) for part in ("labeled", "pool", "validation", "test")
        }


def make_split(table: Table, protocol: str, init: int, seed: int, *, pca: int = 0) -> Split:
    """Draw one experiment from ``table``.

    protocol : "paper", the published split for seed 0 (seed s adds s to each of its random states);
        or "strict", stratified parts drawn from the seed, features standardised on labeled + pool.
    init : labeled rows at the start.
    pca : so many principal components, of an image's pixels or of standardised columns; 0 for the
        columns as they are. They are fitted on labeled + pool, as is the median that fills missing
        numbers.

    If a column of the user's own table names the parts, every protocol and seed has that split,
    with features standardised on labeled + pool.

    Raises UserError if the data are too few for ``init`` labeled rows, a class is left out, or
    features are too large to standardise.
    """
    data, parts = table.data, _parts(table, protocol, init, seed)
    missing = np.setdiff1d(data.y, data.y[parts.labeled])
    if len(missing):
        raise UserError(
            f"the labeled set of {len(parts.labeled)} rows has no row of class {missing[0]}: "
            + ("give a larger --init" if data.parts is None else "put some of its rows there")
        )
    X, seen = data.X, np.concatenate([parts.labeled, parts.pool])
    if np.isnan(X).any():
        X = np.where(np.isnan(X), np.nan_to_num(np.nanmedian(X[seen], axis=0)), X)
    if pca:
        if not table.dataset.image:
            X = _standardised(X, seen, data.columns)
        X = principal_components(X, seen, pca)
    if parts.scale is not None:
        X = _standardised(X, parts.scale, () if pca else data.columns)
    return Split(X, data.y, data.rows, parts.labeled, parts.pool, parts.validation, parts.test)


def _parts(table: Table, protocol: str, init: int, seed: int) -> Parts:
    """The parts as the user's table names them, or as the protocol draws them."""
    data, name = table.data, table.dataset.name
    if data.parts is not None:
        parts = given_parts(data.parts)
        if init != len(parts.labeled):
            raise UserError(
                f"--split-column puts {len(parts.labeled):,} rows of {name} into the labeled set, "
                f"so it cannot have {init:,}"
            )
        return parts
    try:
        if protocol == Protocol.PAPER:
            with blamed(plugin_with("DATASETS", name), f"split of {name}, seed {seed}"):
                return table.dataset.paper_parts(data.y, init, seed)
        return standard_parts(data.y, init, seed, rare_state=seed)
    except ValueError as error:
        raise UserError(f"{name} cannot be split with --init {init}: {error}") from error


def _standardised(
    X: np.ndarray, fit_on: np.ndarray, columns: Sequence[ColumnDecision]
) -> np.ndarray:
    """X (n, D) with mean 0 and deviation 1 in the rows ``fit_on``; texts as ``weigh_texts`` says.

    columns : what was decided of the columns that the features are of.

    Raises UserError if a column's numbers are too large for their squares.
    """
    with np.errstate(all="ignore"):
        scaler = weigh_texts(StandardScaler().fit(X[fit_on]), columns)
        X = scaler.transform(X)
        fine = np.isfinite(scaler.scale_) & np.isfinite(np.square(X)).all(axis=0)
    if not fine.all():
        raise UserError(
            f"feature {int(fine.argmin())} has numbers too large to standardise: divide them by "
            "something"
        )
    return X
