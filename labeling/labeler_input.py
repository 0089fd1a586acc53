"""What SalutaryLabeler checks and splits before it fits."""

import warnings
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

from common.errors import UserError, check_known
from data_prep.classes import has_no_class
from data_prep.column_kinds import Kind
from data_prep.columns import Columns
from data_prep.reading import TableReading
from numerics.validation import column_names

T = TypeVar("T")


def fitted_columns(X, reading: TableReading, pool: pd.DataFrame | None = None) -> Columns | None:
    """What makes numbers of a data frame; None for an array.

    pool : decides with X, and has the same columns.

    Warns of columns that are left out. Raises UserError as ``Columns.fit`` does.
    """
    if not isinstance(X, pd.DataFrame):
        return None
    columns = Columns(reading).fit(("X", X), *([] if pool is None else [("the pool", pool)]))
    left = [d for d in columns.decisions if d.read_as == Kind.LEFT_OUT]
    if told := "; ".join(f"{d.column!r}, {d.why}" for d in left):
        warnings.warn(
            f"SalutaryLabeler leaves columns out: {told}", stacklevel=5
        )  # whoever called ``fit``
    return columns


def halves(
    frame: pd.DataFrame, target: str, validation: pd.DataFrame | None, reading: TableReading
) -> tuple[tuple, pd.DataFrame]:
    """What ``fit`` takes, X, y, X_val and y_val, of frames; and the rows without a label.

    target : the column of labels. Raises TypeError for what is no data frame; UserError if one has
    no column ``target``, if a half has no row, or if a validation row has no label.
    """
    blank = _without_label(frame, target, reading, "the frame")
    for lacking, words in ((~blank, "no row with a label"), (blank, "no row without a label")):
        if not lacking.any():
            raise UserError(f"{target!r} has {words}: some rows should have one, and the pool none")
    known = (frame[~blank].drop(columns=target), frame[target][~blank], None, None)
    if validation is not None:
        if count := int(_without_label(validation, target, reading, "the validation").sum()):
            raise UserError(f"{count:,} validation rows have no {target!r}: leave them out")
        known = (*known[:2], validation.drop(columns=target), validation[target])
    return known, frame[blank]


def _without_label(frame: Any, target: str, reading: TableReading, name: str) -> np.ndarray:
    """Which rows of the frame have no label: bool (n,)."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{name} is of type {type(frame).__name__}: give a data frame")
    check_known("target", target, [column for column in frame if isinstance(column, str)])
    if isinstance(frame[target], pd.DataFrame):
        raise UserError(f"{name} has more than one column {target!r}: rename one of them")
    return has_no_class(frame[target], reading).to_numpy()


def check_known_classes(y, name: str) -> None:
    """Raise ValueError if a label of y (n,) is None or NaN."""
    missing = np.ravel(pd.isna(np.asarray(y, dtype=object)))
    if missing.any():
        raise ValueError(
            f"{name} has no class (None or NaN) in {int(missing.sum()):,} rows, first in row "
            f"{int(missing.argmax())}: leave such rows out; they belong to the pool"
        )


def check_validation(classes: np.ndarray, X_val: np.ndarray, y_val: np.ndarray) -> None:
    """Raise ValueError if the validation set has a class of its own, or lengths that differ."""
    known = set(classes.tolist())
    unknown = [label for label in y_val.tolist() if label not in known]
    if unknown:
        raise ValueError(f"class {unknown[0]} is in the validation set but not in y")
    if len(X_val) != len(y_val):
        raise ValueError(f"X_val has {len(X_val)} rows, y_val {len(y_val)}")


def are_numbers_already(X: pd.DataFrame, columns: Columns) -> bool:
    """Whether X is a frame of typed numbers without a missing one, all of which are features."""
    typed = all(map(pd.api.types.is_numeric_dtype, X.dtypes))
    used = all(d.read_as == Kind.NUMBER and not d.missing for d in columns.decisions)
    return typed and used


def check_same_columns(columns: Columns, X: Any) -> None:
    """Raise ValueError unless X is a data frame of the columns of ``fit``; TypeError for none."""
    if not isinstance(X, pd.DataFrame):
        raise TypeError(
            f"the rows are of type {type(X).__name__}: give a data frame with the columns that "
            "fit had"
        )
    column_names(X)  # raises if they cannot be told apart
    known, names = {d.column for d in columns.decisions}, set(map(str, X))
    if differ := sorted(known ^ names):
        what = "lacks the column" if differ[0] in known else "has another column,"
        raise ValueError(f"the data frame {what} {differ[0]!r}: give the columns that fit had")


def labeler_within(classifier: Any, X_pool: Any, kind: type[T]) -> tuple[T, Any]:
    """The fitted labeler that a classifier of another library holds, and the pool as it takes it.

    kind : the labeler's class. Raises TypeError if there is none, NotFittedError if it is not
    fitted.
    """
    labeler, path = classifier, type(classifier).__name__
    while not isinstance(labeler, kind):
        if isinstance(labeler, Pipeline):
            if len(labeler) > 1 and hasattr(labeler[-1], "classes_"):
                X_pool = labeler[:-1].transform(X_pool)
            labeler = labeler[-1]
        else:
            names = ("best_estimator_", "estimator_", "estimator")
            labeler = next((getattr(labeler, n) for n in names if hasattr(labeler, n)), None)
        if labeler is None or isinstance(labeler, str):
            raise TypeError(f"salutary_query needs a fitted SalutaryLabeler, not {path}")
        if not isinstance(labeler, kind):
            path += f" of {type(labeler).__name__}"
    if not hasattr(labeler, "classes_"):
        raise NotFittedError(
            f"the SalutaryLabeler of this {path} is not fitted: it needs labels of at least two "
            "classes before it can choose rows"
        )
    return labeler, X_pool
