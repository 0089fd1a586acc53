"""The options of label.py. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from common.cli import class_name, margin_or_share, option, penalty, share, whole_number
from common.kinds import PenaltyRule
from data_prep.reading import TableReading


@dataclass(frozen=True)
class LabelOptions(TableReading):
    """The options of label.py, as the user gave them."""

    about: ClassVar[str] = (
        "Salutary labels for a table of your own, and whether they help there. See also: label.py "
        "ask --help, label.py merge --help."
    )

    labeled: Path | None = option(
        None,
        "your labeled rows: .csv, .tsv, .jsonl (each also with .gz), .parquet or .xlsx; without "
        "--unlabeled, the rows whose target is blank are the pool",
        type=Path,
    )
    unlabeled: Path | None = option(None, "the pool: rows without labels", type=Path)
    validation: Path | None = option(
        None,
        "labeled rows that stay out of training and say which labels help (default: a quarter of "
        "the labeled rows)",
        type=Path,
    )
    target: str | None = option(None, "the column that holds the classes")
    budget: int = option(200, "rows of the pool to label (default: 200)", type=whole_number(1))
    out: Path | None = option(
        None, "file to write: .csv, .tsv (each also with .gz) or .parquet", type=Path
    )
    rounds: int = option(
        10, "rounds that the budget is spent in (default: 10)", type=whole_number(1)
    )
    abstain: float | str | None = option(
        None,
        "leave rows for a person: a share such as 20%% leaves the closest fifth of the picked "
        "rows, MARGIN those whose benefit is less than that above the runner-up's",
        type=margin_or_share,
        metavar="{SHARE%,MARGIN}",
    )
    max_error: float | None = option(
        None,
        "in place of salutary labels: label as many rows as can be such that, with 95 %% "
        "confidence, at most this share is wrong (0.05 or 5%%), and leave the others for a person",
        type=share,
        metavar="SHARE",
    )
    method: str = option(
        "salutary_plus", "a strategy that gives labels of its own (default: salutary_plus)"
    )
    estimator: str | None = option(
        None,
        "the classifier that is to be trained on the labels, with scikit-learn's interface, such "
        "as sklearn.ensemble.RandomForestClassifier; it is what the answer is about (default: a "
        "logistic regression)",
        type=class_name,
        metavar="PACKAGE.MODULE.CLASS",
    )
    plugin: Path | None = option(
        None,
        "a Python file of your own that brings the --estimator, as FILE.NAME",
        type=Path,
        metavar="FILE.py",
    )
    model_out: Path | None = option(
        None,
        "also write the model that is trained on the labeled rows and the labels given, as a "
        "scikit-learn Pipeline: a .joblib file in the folder of --out",
        type=Path,
        metavar="FILE.joblib",
    )
    predictions: Path | None = option(
        None,
        "also write its probabilities for the rest of the pool: a .csv or .tsv file (each also "
        "with .gz) in the folder of --out",
        type=Path,
        metavar="FILE",
    )
    l2: float | PenaltyRule = option(
        PenaltyRule.CV,
        "penalty beside the sum of losses: a number, or cv, chosen by cross-validation on the rows "
        "that a model trains on (default: cv)",
        type=penalty(PenaltyRule.CV),
        metavar="{cv,X}",
    )
    seed: int = option(
        0,
        "seed of everything that is drawn: folds, validation rows, samples (default: 0)",
        type=whole_number(0),
    )
    dry_run: bool = option(False, "only measure, write nothing", action="store_true")
    anyway: bool = option(
        False,
        "give and write the labels even if the answer is not to use them",
        action="store_true",
    )
    excel_safe: bool = option(
        False,
        "write texts that a spreadsheet would run as formulas with a ' in front, which label.py "
        "takes away when it reads the file",
        action="store_true",
    )
    force: bool = option(False, "write over files that exist", action="store_true")
    quiet: bool = option(False, "print nothing but the answer", action="store_true")
