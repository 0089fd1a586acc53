"""What SalutaryLabeler checks and splits before it fits."""

import warnings

import numpy as np
import pandas as pd

from data_prep.column_kinds import Kind
from data_prep.columns import Columns
from data_prep.reading import TableReading


def fitted_columns(X, reading: TableReading) -> Columns | None:
    """What makes numbers of a data frame; None for an array.

    Warns of columns that are left out. Raises UserError as ``Columns.fit`` does.
    """
    if not isinstance(X, pd.DataFrame):
        return None
    columns = Columns(reading).fit(("X", X))
    left = [d for d in columns.decisions if d.read_as == Kind.LEFT_OUT]
    if told := "; ".join(f"{d.column!r}, {d.why}" for d in left):
        warnings.warn(f"SalutaryLabeler leaves columns out: {told}", stacklevel=4)
    return columns


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


def split_off(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Which rows of y (n,) to set aside: bool (n,).

    Each class gives ``fraction`` of its rows, drawn at random, but keeps at least one.
    """
    held = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        held[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    return held
