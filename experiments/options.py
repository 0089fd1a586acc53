"""The options of main_binary.py, main_multi.py and compare.py. Standard library only."""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from common.cli import (
    model_name,
    name_list,
    not_negative,
    option,
    penalty,
    seed_list,
    whole_number,
)
from common.kinds import HessianRows, MetricName, PenaltyRule, Protocol, Source
from data_prep.feature_choice import FeatureChoice, feature_choice
from data_prep.reading import TableReading


@dataclass(frozen=True)
class OneDataSet:
    """Which data set a main script runs."""

    dataset: str = option(
        "",
        "data set, see --list, or your own .csv, .tsv, .jsonl, .parquet, .xlsx, .npy or .npz "
        "(default: bank, or wine)",
    )
    diabetes: str = option(
        "n", "y: the diabetes data set in place of --dataset", choices=("y", "n")
    )


# Options that say how a user's own table is read.
READING = ("target", "labels", "split_column", *(item.name for item in fields(TableReading)))


@dataclass(frozen=True)
class SharedOptions(TableReading):
    """What the main scripts and compare.py share. None: the protocol or the data set decides."""

    methods: tuple[str, ...] = option(
        (),
        "strategies, separated by commas or spaces, or all (default: the paper's seven); one that "
        "buys labels can train on the validation rows too: margin+validation (not in all)",
        type=name_list,
        action="extend",
        nargs="+",
    )
    rounds: int = option(10, "rounds of queries (default: 10)", type=whole_number(1))
    budget: int = option(10, "samples picked in each round (default: 10)", type=whole_number(1))
    init: int | None = option(
        None,
        "labeled rows at the start (default: the data set's, mostly 300)",
        type=whole_number(2),
    )
    seeds: tuple[int, ...] = option(
        (0,),
        "one seed, or several: 0-19 or 0,3,5 (default: 0)",
        type=seed_list,
        flags=("--seed", "--seeds"),
    )
    jobs: int = option(1, "processes, for several seeds (default: 1)", type=whole_number(1))
    dask: str | None = option(
        None,
        "scheduler of a Dask cluster that does the runs, such as tcp://10.0.0.1:8786 "
        "(docs/scale.md)",
        metavar="ADDRESS",
    )
    protocol: str | None = option(
        None,
        "paper: l2 50, no intercept, Hessian over the pool, published splits; strict: "
        "standardised features, l2 1, intercept, Hessian over the labeled set, seeded splits; "
        "tuned: strict, but l2 is chosen on the validation rows "
        "(default: paper; tuned for a table of your own)",
        choices=tuple(Protocol),
    )
    model: str = option(
        "logistic",
        "logistic regression; mlp: a network whose last layer picks, by its influence or its "
        "probabilities; or the dotted name of a scikit-learn classifier, such as "
        "sklearn.ensemble.RandomForestClassifier: logistic regression picks and labels, the "
        "classifier is trained on the result and judged (default: logistic)",
        type=model_name,
        metavar="{logistic,mlp,package.module.Class}",
    )
    hessian: str | None = option(
        None,
        "rows that the influence's Hessian sums over (default: the protocol's)",
        choices=tuple(HessianRows),
    )
    l2: float | PenaltyRule | None = option(
        None,
        "penalty beside the sum of losses: a number; validation, the best of 13 values on the "
        "validation rows; cv, the best by 5-fold cross-validation on the labeled rows "
        "(default: the protocol's)",
        type=penalty(*PenaltyRule),
        metavar="X|validation|cv",
    )
    retune: bool = option(
        False, "choose l2 again after the picks of every round", action="store_true"
    )
    intercept: bool | None = option(
        None,
        "an unpenalised intercept (default: the protocol's)",
        action=argparse.BooleanOptionalAction,
    )
    fit: str | None = option(
        None,
        "newton: exact; lbfgs: stopped early, as the paper's Bank curves were (its default there)",
        choices=("newton", "lbfgs"),
    )
    solver: str = option(
        "auto",
        "of the influence: cholesky, a dense factor; cg, conjugate gradients (default: by size)",
        choices=("auto", "cholesky", "cg"),
    )
    damping: float = option(
        0.0, "added to the diagonal of the influence's Hessian (default: 0)", type=not_negative
    )
    features: FeatureChoice | None = option(
        None,
        "pca:N, the first N principal components of labeled + pool; or efficientnet, a pretrained "
        "image encoder (default: the columns as they are)",
        type=feature_choice,
    )
    plugin: tuple[Path, ...] = option(
        (),
        "a Python file of your own that brings strategies, references, data sets or studies "
        "(docs/extend.md); can be given several times",
        type=Path,
        action="append",
        metavar="FILE.py",
    )
    target: str | None = option(
        None, "column of your own table that holds the classes; attribute of celeba"
    )
    labels: Path | None = option(
        None,
        "labels of your own .npy or .npz, in its order: a .npy, a .txt with a label a line, or a "
        "table, whose column --target names",
        type=Path,
        metavar="FILE",
    )
    split_column: str | None = option(
        None,
        "column of your own table that says which part each row is in: labeled or train; pool or "
        "unlabeled; validation, val, valid or dev; test (default: the parts are drawn)",
        metavar="COLUMN",
    )
    source: str = option(
        "auto",
        "where data comes from: auto is --data-dir, datasets/, the cache, the network in turn",
        choices=tuple(Source),
    )
    device: str = option(
        "auto", "where to compute (default: auto)", choices=("auto", "cpu", "cuda")
    )
    dtype: str = option(
        "float64", "numbers of the arithmetic (default: float64)", choices=("float64", "float32")
    )
    metric: str = option(
        MetricName.ACCURACY,
        "of the test set, which the table, the picture and the statistics show; curves.csv has all "
        "(default: accuracy)",
        choices=tuple(MetricName),
    )
    data_dir: Path | None = option(None, "folder looked into before datasets/", type=Path)
    out: Path = option(Path("results"), "folder for results (default: results)", type=Path)
    quiet: bool = option(False, "print nothing but the table", action="store_true")
    list: bool = option(False, "list data sets and strategies, and stop", action="store_true")


# A dataclass has the fields of its last base first: the data set leads --help.


@dataclass(frozen=True)
class ExperimentOptions(SharedOptions, OneDataSet):
    """The options of main_binary.py and main_multi.py."""

    about: ClassVar[str] = (
        "Salutary labeling beside active learning with true labels, round by round."
    )

    plot: bool = option(True, "draw no picture", action="store_false", flags=("--no-plot",))


DEFAULT_DATASETS = ("bank", "electric", "wine", "waveform", "mnist:pca:50")


@dataclass(frozen=True)
class ManyDataSets:
    """Which data sets compare.py runs."""

    datasets: tuple[str, ...] = option(
        DEFAULT_DATASETS,
        "data sets and your own tables, each with its features behind a colon if need be, as in "
        "mnist:pca:50; paper, for the paper's nine; or available, for all that need no network "
        f"(default: {' '.join(DEFAULT_DATASETS)})",
        nargs="+",
    )
    fetch: bool = option(
        False,
        "fetch the data sets into the cache, each with all its rows, and stop",
        action="store_true",
    )


@dataclass(frozen=True)
class ComparisonOptions(SharedOptions, ManyDataSets):
    """The options of compare.py."""

    about: ClassVar[str] = "Data sets × methods × paired seeds, and the report of them all."

    protocol: str = option(
        "tuned", "paper, strict or tuned (default: tuned)", choices=tuple(Protocol)
    )
    out: Path = option(
        Path("results/compare"), "folder for results (default: results/compare)", type=Path
    )
