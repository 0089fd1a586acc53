"""From the frame of a known data set to a matrix of numbers and a vector of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError, check_known

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd
    from sklearn.preprocessing import StandardScaler

    from data_prep.column_kinds import ColumnDecision


@dataclass(frozen=True)
class Prepared:
    """Features (n, D), labels (n,) and source row numbers (n,), and what happened to the rest.

    X may hold NaN, in a user's own table: ``make_split`` puts the training median there.
    dropped : how many rows were left out, and why; notes : what else a reader should know.
    parts : the name of each row's part, (n,), if a column of the user's table says it.
    names (D,) : of the features: a column of the file, column[place] in a list, column.year of a
    date, or column=text for the indicator of a text. Empty if the features have no names.
    columns : what was decided of each column of the user's table.
    """

    X: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    dropped: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    parts: np.ndarray | None = None
    names: tuple[str, ...] = ()
    columns: tuple[ColumnDecision, ...] = ()


def numbers_only(target: str, scale: float = 1.0, drop: Sequence[str] = (), labels=int):
    """A prepare function: every column is a number, ``target`` is the label."""

    def prepare(frame: pd.DataFrame) -> Prepared:
        y = frame[target].to_numpy()
        if labels is int and (y % 1).any():
            raise UserError(f"the label {target!r} should be a whole number, not {y[y % 1 > 0][0]}")
        features = frame.drop(columns=[target, *drop])
        X = np.array(features, dtype=np.float64)
        if scale != 1.0:
            X /= scale  # in place: CIFAR-10 is 1.5 GB
        rows, names = np.arange(len(frame)), tuple(map(str, features))
        return Prepared(X, y.astype(labels), rows, names=names)

    return prepare


def one_hot(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Numbers as they are, text as indicators of its sorted values (one column for two values)."""
    import pandas as pd

    columns: dict[str, pd.Series] = {}
    for name in frame:
        if pd.api.types.is_numeric_dtype(frame[name]):
            columns[name] = frame[name]
        else:
            values = sorted(frame[name].unique())
            indicated = values[1:] if len(values) == 2 else values
            columns |= {f"{name}={value}": frame[name] == value for value in indicated}
    return columns


def prepare_bank_small(frame: pd.DataFrame) -> Prepared:
    """UCI bank.csv. ``unknown`` is a value like the others: four rows of five have one."""
    y = _yes_no(frame["y"])
    columns = one_hot(frame.drop(columns="y"))
    X = np.column_stack(list(columns.values())).astype(np.float64)
    return Prepared(X, y, np.arange(len(frame)), names=tuple(columns))


# Text columns of bank-additional-full.csv in the paper's order. Each value before the bar becomes
# an indicator column; the values after the bar occur too.
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
    columns = {name: kept[name] for name in BANK_NUMBERS}
    for name, values in BANK_VALUES.items():
        indicators, others = (part.split() for part in values.split("|"))
        _only(kept[name], {*indicators, *others})
        columns |= {f"{name}={value}": kept[name] == value for value in indicators}
    columns["age<=36"] = kept["age"] <= 36
    X = np.column_stack(list(columns.values())).astype(np.float64)
    dropped = ((int(unknown.sum()), 'a text column says "unknown"'),)
    rows = kept.index.to_numpy()
    return Prepared(X, _yes_no(kept["y"]), rows, dropped, names=tuple(columns))


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


def prepare_celeba(frame: pd.DataFrame, target: str) -> Prepared:
    """One attribute, 0 or 1, from the 39 others."""
    attributes = frame.drop(columns="image_id", errors="ignore")
    check_known("--target", target, list(attributes))
    others = attributes.drop(columns=target)
    X = others.to_numpy() > 0
    y = (attributes[target] > 0).to_numpy(np.int64)
    rows, notes = np.arange(len(frame)), (f"target: {target}",)
    return Prepared(X.astype(np.float64), y, rows, notes=notes, names=tuple(others))


def principal_components(X: np.ndarray, fit_on: np.ndarray, components: int) -> np.ndarray:
    """The first principal components of X (n, D), from the rows ``fit_on``: (n, components).

    Raises UserError if there are fewer.
    """
    most = min(len(fit_on), X.shape[1])
    if components > most:
        raise UserError(
            f"--features pca:{components}: at most {most} components are to be had here"
        )
    from sklearn.decomposition import PCA

    # of the exact solvers the one whose cost does not grow with the rows but once
    return PCA(components, svd_solver="covariance_eigh").fit(X[fit_on]).transform(X)


def weigh_texts(scaler: StandardScaler, decisions: Sequence[ColumnDecision]) -> StandardScaler:
    """The fitted scaler, changed such that a text does not drown the other columns.

    The k features of a text share one scale, such that the sum of their variances is √k in place of
    k. docs/label.md has the trials behind this.
    """
    from data_prep.column_kinds import Kind

    ends = accumulate(d.features for d in decisions)
    for decision, end in zip(decisions, ends, strict=True):
        if decision.read_as == Kind.TEXT:
            block = slice(end - decision.features, end)
            spread = np.sqrt(scaler.var_[block].mean())
            scaler.scale_[block] = (spread or 1.0) * decision.features**0.25
    return scaler
