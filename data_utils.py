"""Data sets: registry → load → prepare → split, by the facts of the paper's protocol.

``load`` finds a registered data set's files and gives a ``Table``; ``make_split`` draws the four
parts of one experiment from it. A new data set is one ``Dataset(...)`` in the registry at the end,
with a prepare function where its columns need more than numbers and one-hot text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sources import File, UserError, choose, existing, read_file, shown

SHIPPED = Path(__file__).resolve().parent / "datasets"
RARE = 10  # a class with fewer rows cannot be drawn in proportion into four parts


@dataclass(frozen=True)
class Prepared:
    """Features (n, D), labels (n,) and source row numbers (n,), with what was left out and why."""

    X: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    dropped: tuple[tuple[int, str], ...] = ()


# --- prepare: a frame to features, labels and row numbers ----------------------------------------


def numbers_only(target: str, scale: float = 1.0, drop: Sequence[str] = (), labels=int):
    """A prepare function: every column is a number, ``target`` is the label."""

    def prepare(frame: pd.DataFrame) -> Prepared:
        y = frame[target].to_numpy()
        if labels is int and (y % 1).any():
            raise UserError(f"the label {target!r} should be a whole number, not {y[y % 1 > 0][0]}")
        X = frame.drop(columns=[target, *drop]).to_numpy(np.float64) / scale
        return Prepared(X, y.astype(labels), np.arange(len(frame)))

    return prepare


def one_hot(frame: pd.DataFrame) -> np.ndarray:
    """Numbers as they are, text as indicators of its sorted values (one column for two values)."""
    columns = []
    for name in frame:
        if frame[name].dtype == np.float64:
            columns.append(frame[name].to_numpy())
        else:
            values = sorted(frame[name].unique())
            shown = values[1:] if len(values) == 2 else values
            columns += [frame[name] == value for value in shown]
    return np.column_stack(columns).astype(np.float64)


def prepare_bank_small(frame: pd.DataFrame) -> Prepared:
    """UCI bank.csv: ``unknown`` stays a value of its own, it is in four rows of five."""
    y = _yes_no(frame["y"])
    return Prepared(one_hot(frame.drop(columns="y")), y, np.arange(len(frame)))


# Text columns of bank-additional-full.csv in the paper's order. The values before the bar become
# indicator columns; those after it are the others that occur.
BANK_VALUES = {
    "job": "housemaid services admin. technician blue-collar unemployed retired entrepreneur "
    "management student self-employed |",
    "marital": "married | single divorced",
    "education": "basic.4y high.school basic.6y professional.course basic.9y university.degree "
    "illiterate |",
    "default": "yes | no",
    "housing": "yes | no",
    "loan": "yes | no",
    "contact": "cellular | telephone",
    "month": "may jun jul aug oct nov dec mar apr sep |",
    "day_of_week": "mon tue wed thu fri |",
    "poutcome": "nonexistent failure success |",
}
BANK_NUMBERS = (
    "duration campaign pdays previous emp.var.rate cons.price.idx cons.conf.idx euribor3m "
    "nr.employed"
).split()


def prepare_bank_full(frame: pd.DataFrame) -> Prepared:
    """The paper's 30,488 rows × 51 columns of bank-additional-full.csv."""
    unknown = (frame[list(BANK_VALUES)] == "unknown").any(axis=1)
    kept = frame[~unknown]
    columns = [kept[name].to_numpy() for name in BANK_NUMBERS]
    for name, values in BANK_VALUES.items():
        indicators, others = (part.split() for part in values.split("|"))
        _only(kept[name], {*indicators, *others})
        columns += [kept[name] == value for value in indicators]
    columns.append(kept["age"] <= 36)
    X = np.column_stack(columns).astype(np.float64)
    dropped = ((int(unknown.sum()), 'a text column says "unknown"'),)
    return Prepared(X, _yes_no(kept["y"]), kept.index.to_numpy(), dropped)


def _yes_no(column: pd.Series) -> np.ndarray:
    _only(column, {"yes", "no"})
    return (column == "yes").to_numpy(np.int64)


def _only(column: pd.Series, known: set[str]) -> None:
    strange = column[~column.isin(known)]
    if len(strange):
        raise UserError(
            f"bank, row {strange.index[0]}, column {column.name!r}: {strange.iloc[0]!r} is none of "
            + ", ".join(sorted(known))
        )


# --- the four parts of an experiment, as positions ------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """Positions of the rows of each part, and of those that the scaler is fitted on (or None)."""

    labeled: np.ndarray
    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    scale: np.ndarray | None


def standard_parts(y, init: int, state: int, *, rare_state: int, standardise=True) -> Parts:
    """Test 20 %, validation 25 % of the rest, ``init`` labeled rows of what is left, stratified.

    Classes of fewer than RARE rows are dealt by hand after a shuffle: one row each to labeled,
    validation and test, the others to the pool (so the paper deals class 9 of wine).
    """
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    common = np.flatnonzero(counts[codes] >= RARE)
    rest, test = train_test_split(common, test_size=0.2, random_state=state, stratify=y[common])
    rest, validation = train_test_split(rest, test_size=0.25, random_state=state, stratify=y[rest])
    parts = [*_labeled_off(rest, y, init, state), validation, test]
    shuffler = np.random.RandomState(rare_state)  # the published notebook's generator
    for code in np.flatnonzero(counts < RARE):
        dealt = np.flatnonzero(codes == code)
        if len(dealt) < 3:
            raise ValueError(f"class {classes[code]} has {len(dealt)} rows, it needs at least 3")
        shuffler.shuffle(dealt)
        hands = np.split(dealt, [len(dealt) - 3, len(dealt) - 2, len(dealt) - 1])
        parts = [np.append(part, hand) for part, hand in zip(parts, hands, strict=True)]
    pool, labeled, validation, test = parts
    scale = np.concatenate([labeled, pool]) if standardise else None
    return Parts(labeled, pool, validation, test, scale)


def bank_parts(y, init: int, seed: int) -> Parts:
    """The paper's Bank notebook: five draws, the last of which mixes validation and pool again."""
    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, random_state=42 + seed)
    scale = train[: len(train) - round(0.25 * len(train))]
    test, validation = train_test_split(rest, test_size=0.5, random_state=42_000 + seed)
    pool, labeled = _labeled_off(train, y, init, 1 + seed)
    both = np.concatenate([validation, pool])
    pool, validation = train_test_split(
        both,
        train_size=len(both) - len(validation),
        test_size=len(validation),
        random_state=2026 + seed,
        stratify=y[both],
    )
    return Parts(labeled, pool, validation, test, scale)


def wine_parts(y, init: int, seed: int) -> Parts:
    """The paper's Wine notebook: features as they are."""
    return standard_parts(y, init, 1 + seed, rare_state=seed, standardise=False)


def other_parts(y, init: int, seed: int) -> Parts:
    """No split is published: drawn as the Wine notebook's, standardised as the Bank notebook's."""
    return standard_parts(y, init, 1 + seed, rare_state=seed)


def _labeled_off(rows, y, init: int, state: int) -> list[np.ndarray]:
    """``rows`` as pool and labeled, the latter ``init`` rows drawn in proportion to the classes."""
    classes = len(np.unique(y[rows]))
    if not classes <= init <= len(rows) - classes:
        raise ValueError(
            f"{len(rows):,} rows are left for the labeled set and the pool, and each must hold "
            f"{classes} or more"
        )
    return train_test_split(
        rows, train_size=len(rows) - init, test_size=init, random_state=state, stratify=y[rows]
    )


# --- the registry --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """One form in which a data set exists: its files, in order, and what makes a matrix of them."""

    files: Sequence[File]
    prepare: Callable[[pd.DataFrame], Prepared]


@dataclass(frozen=True)
class Dataset:
    """A registry entry.

    versions : tried in order, the first that is here is read.
    paper_parts : draws the paper's split from y, the labeled rows wanted, and the seed.
    paper_fit : how the published curves were fitted, see ``solver`` in models.py.
    init : labeled rows at the start.
    """

    name: str
    title: str
    classes: int
    source: str
    licence: str
    versions: Sequence[Version]
    paper_parts: Callable[[np.ndarray, int, int], Parts] = other_parts
    paper_fit: str = "newton"
    init: int = 300

    @property
    def kind(self) -> str:
        return "binary" if self.classes == 2 else "multi"


_WINE = (
    "fixed acidity;volatile acidity;citric acid;residual sugar;chlorides;free sulfur dioxide;"
    "total sulfur dioxide;density;pH;sulphates;alcohol;quality"
)

BANK_FULL = File(
    "bank-additional-full.csv",
    rows=41_188,
    sha256="74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8",
    columns="age job marital education default housing loan contact month day_of_week duration "
    "campaign pdays previous poutcome emp.var.rate cons.price.idx cons.conf.idx euribor3m "
    "nr.employed y".split(),
    text=[*BANK_VALUES, "y"],
    separator=";",
)
BANK_SMALL = File(
    "bank.csv",
    rows=4_521,
    sha256="09de0bb208744ae3f9856b3cdf80c47bc249e651fb3f42d21aff19f927e61f5a",
    columns="age job marital education default balance housing loan contact day month duration "
    "campaign pdays previous poutcome y".split(),
    text="job marital education default housing loan contact month poutcome y".split(),
)
ELECTRIC = File(
    "Data_for_UCI_named.csv",
    rows=10_000,
    sha256="7afc3154fed9cd65258b3403b60381fe6b0d832bf817a1ea4866395d05a84a83",
    columns="tau1 tau2 tau3 tau4 p1 p2 p3 p4 g1 g2 g3 g4 stab stabf".split(),
    text=["stabf"],
)
DIABETES = File(
    "messidor_features.arff",
    rows=1_151,
    sha256="f26adef0a94920205da4eedefbb6ccd730fd4b52a18ac7c01457cc7c1382c0c4",
    columns=[str(i) for i in range(20)],
)
WINE_RED = File(
    "winequality-red.csv",
    rows=1_599,
    sha256="4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e",
    columns=_WINE.split(";"),
    separator=";",
)
WINE_WHITE = File(
    "winequality-white.csv",
    rows=4_898,
    sha256="76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
    columns=_WINE.split(";"),
    separator=";",
)
WAVEFORM = File(
    "waveform.csv",
    rows=5_000,
    sha256="3bfe409e0aa9eb8a693e4a5a60132bead4401b05a3148950f212b1ce816e2680",
    columns=[*(f"x{i}" for i in range(1, 41)), "class"],
)
MNIST = File(
    "mnist_5k.csv",
    rows=5_000,
    sha256="167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
    columns=[*(f"pixel{i}" for i in range(784)), "digit"],
    header=False,
)

_ENTRIES = (
    Dataset(
        "bank", "Bank Marketing", classes=2, source="UCI 222", licence="CC BY 4.0",
        versions=[
            Version([BANK_FULL], prepare_bank_full),
            Version([BANK_SMALL], prepare_bank_small),
        ],
        paper_parts=bank_parts, paper_fit="lbfgs",
    ),
    Dataset(
        "electric", "Electrical Grid Stability", classes=2, source="UCI 471", licence="CC BY 4.0",
        # stab is the real-valued twin of the label stabf
        versions=[Version([ELECTRIC], numbers_only("stabf", drop=["stab"], labels=str))],
    ),
    Dataset(
        "diabetes", "Diabetic Retinopathy Debrecen", classes=2, source="UCI 329",
        licence="CC BY 4.0", init=150,
        versions=[Version([DIABETES], numbers_only("19"))],
    ),
    Dataset(
        "wine", "Wine Quality", classes=7, source="UCI 186", licence="CC BY 4.0",
        versions=[Version([WINE_RED, WINE_WHITE], numbers_only("quality"))],
        paper_parts=wine_parts,
    ),
    Dataset(
        "waveform", "Waveform", classes=3, source="Breiman's generator, as UCI 108", licence="MIT",
        versions=[Version([WAVEFORM], numbers_only("class"))],
    ),
    Dataset(
        "mnist", "MNIST, 5,000 digits", classes=10, source="LeCun et al.", licence="CC BY-SA 3.0",
        versions=[Version([MNIST], numbers_only("digit", scale=255.0))],
    ),
)  # fmt: skip
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ENTRIES}


# --- load and split ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A loaded data set and where it came from; ``files`` holds a dict per file for run.json."""

    dataset: Dataset
    data: Prepared
    files: tuple[dict, ...]

    @property
    def file_names(self) -> str:
        return " + ".join(Path(file["path"]).name for file in self.files)


def find(dataset: Dataset, data_dir: Path | None = None) -> tuple[Version, list[Path]] | None:
    """The first version of which some place, ``data_dir`` before ``datasets/``, has every file."""
    places = [place for place in (data_dir, SHIPPED / dataset.name) if place]
    for version in dataset.versions:
        paths = existing(places, version.files)
        if paths:
            return version, paths
    return None


def load(name: str, data_dir: Path | None = None) -> Table:
    """Read, check and prepare the data set ``name``.

    Raises UserError where it is unknown or nowhere, or where a file is cut short, damaged, or holds
    anything but a finite number where one belongs.
    """
    choose("data set", name, list(DATASETS))
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir} is not a folder")
    dataset = DATASETS[name]
    found = find(dataset, data_dir)
    if found is None:
        wanted = " and ".join(file.name for file in dataset.versions[0].files)
        raise UserError(
            f"{name} is not here: put {wanted} ({dataset.source}) into {shown(SHIPPED / name)}, "
            "or name its folder with --data-dir"
        )
    version, paths = found
    read = [read_file(file, path) for file, path in zip(version.files, paths, strict=True)]
    frame = pd.concat([frame for frame, _ in read], ignore_index=True)
    data = version.prepare(frame)
    classes = np.unique(data.y)
    if len(classes) != dataset.classes:
        raise UserError(
            f"{name} has {dataset.classes} classes, its file here {len(classes)}: "
            + ", ".join(map(str, classes))
        )
    return Table(dataset, data, tuple(facts for _, facts in read))


@dataclass(frozen=True)
class Split:
    """One experiment's data: all features and labels, and the positions of the four parts.

    X (n, D); y (n,); rows (n,) row numbers in the source file; labeled, pool, validation and test
    are integer positions into them. The arrays are read-only.
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


def make_split(table: Table, protocol: str, init: int, seed: int) -> Split:
    """Draw one experiment from ``table``.

    ``paper``: the published split for seed 0; seed s adds s to each of its random states.
    ``strict``: stratified parts drawn from the seed, features standardised on labeled + pool.

    Raises UserError where the data are too few for ``init`` labeled rows or a class is left out.
    """
    data = table.data
    try:
        if protocol == "paper":
            parts = table.dataset.paper_parts(data.y, init, seed)
        else:
            parts = standard_parts(data.y, init, seed, rare_state=seed)
    except ValueError as error:
        name = table.dataset.name
        raise UserError(f"{name} cannot be split with --init {init}: {error}") from error
    missing = np.setdiff1d(data.y, data.y[parts.labeled])
    if len(missing):
        raise UserError(
            f"the labeled set of {len(parts.labeled)} rows has no row of class {missing[0]}: "
            "give a larger --init"
        )
    X = data.X
    if parts.scale is not None:
        X = StandardScaler().fit(X[parts.scale]).transform(X)
    return Split(X, data.y, data.rows, parts.labeled, parts.pool, parts.validation, parts.test)
