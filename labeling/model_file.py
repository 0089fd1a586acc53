"""The model as a plain Pipeline of scikit-learn, which loads without this project.

Its first step makes features of the columns as ``pandas.read_csv`` gives them. It has only parts of
scikit-learn, NumPy and pandas. Such parts are tried on the user's own cells: if they do not make
the features that this project makes, as of dates or decimal commas, the Pipeline expects these
features in place of the column.
"""

import io
import pickle
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from common.errors import UserError
from common.plugins import in_use
from data_prep import tables
from data_prep.cells import MISSING
from data_prep.column_kinds import NOTHING, Categories, Dates, Numbers, Reader
from data_prep.number_cells import MARKS, NO_NUMBER
from data_prep.text_columns import TermTexts
from labeling.own_model import TrainedEstimator
from labeling.records import LabeledRows
from labeling.user_tables import UserTables
from models import LogisticRegression

MOST_CELLS = 4_000_000  # of each table, to try the parts on
TRUTHS = {"true": "True", "false": "False"}  # as pandas writes what it reads as a truth value


@dataclass(frozen=True)
class ModelFile:
    """A fitted Pipeline. expected : for columns that it cannot read, the numbers in their place.

    notes : what a user should know of it, a line each.
    """

    pipeline: Pipeline
    expected: dict[str, list[str]]
    notes: list[str]

    def content(self) -> bytes:
        """The bytes of a joblib file."""
        buffer = io.BytesIO()
        joblib.dump(self.pipeline, buffer)
        return buffer.getvalue()


def model_file(
    user_tables: UserTables, model: LogisticRegression | TrainedEstimator, training: LabeledRows
) -> ModelFile:
    """The model, fitted to ``training`` (features of label.py), as a Pipeline for the raw table."""
    maker = user_tables.maker
    samples = list(_samples(user_tables))
    parts, expected = _parts(user_tables, samples)
    columns = ColumnTransformer(parts, sparse_threshold=0)
    columns.fit(_with_expected(samples[0], expected))
    last, notes = _last_step(model, training)
    steps = [("columns", columns), *maker.scaler.steps, ("model", last)]
    notes += [_note(name, maker.columns.readers[name], made) for name, made in expected.items()]
    return ModelFile(Pipeline(steps), expected, notes)


def check_portable(estimator: Any, shown: str) -> None:
    """Raise UserError if an estimator cannot be loaded where a plugin in use is not."""

    class Modules(pickle.Unpickler):
        found: set[str] = set()  # noqa: RUF012

        def find_class(self, module: str, name: str) -> Any:
            self.found.add(module)
            return super().find_class(module, name)

    try:
        Modules(io.BytesIO(pickle.dumps(estimator))).load()
    except Exception as error:
        raise UserError(f"{shown} cannot be pickled: leave --model-out out") from error
    for plugin in in_use():
        if plugin.module_name in Modules.found:
            raise UserError(
                f"{shown}: the file of --model-out could not be loaded elsewhere, because "
                f"{plugin.shown} has a part of the model: install that part as a module, or leave "
                "--model-out out"
            )


def _last_step(
    model: LogisticRegression | TrainedEstimator, training: LabeledRows
) -> tuple[Any, list[str]]:
    """The fitted classifier of scikit-learn or the user's, and what is to be said of it."""
    if isinstance(model, TrainedEstimator):
        named = model.checked.with_names(training.X, training.y)
        if named is not None:
            return named, []
        numbers = ", ".join(f"{k} is {name}" for k, name in enumerate(model.classes_.tolist()))
        told = f"it takes numbers of classes only, so it gives them: {numbers}"
        return model.checked.fitted, [told]
    made = SklearnRegression(C=1 / model.l2, fit_intercept=model.fit_intercept)
    made.classes_, made.coef_, made.intercept_ = model.classes_, model.coef_, model.intercept_
    made.n_features_in_, made.n_iter_ = model.n_features_in_, np.array([model.n_iter_], np.int32)
    return made, []


def _note(name: str, reader: Reader, made: Sequence[str]) -> str:
    """What the model expects in place of a column."""
    if isinstance(reader, Numbers):
        return f"it expects {name!r} as numbers: pandas alone does not read them as label.py does"
    shown = ", ".join(made[:4]) + (", …" if len(made) > 4 else "")
    latest = f", age before {reader.latest:%Y-%m-%d}" if isinstance(reader, Dates) else ""
    return f"in place of {name!r} it expects the numbers {shown}{latest}"


# --- columns as parts of scikit-learn -------------------------------------------------------------

Part = tuple[str, Any, list[str]]  # as ColumnTransformer takes it


def _parts(
    user_tables: UserTables, samples: Sequence["Sample"]
) -> tuple[list[Part], dict[str, list[str]]]:
    """What makes the features of the raw columns, in their order; and what is expected instead."""
    columns, parts = user_tables.maker.columns, list[Part]()
    expected: dict[str, list[str]] = {}
    medians = dict(
        zip(columns.feature_names, user_tables.maker.scaler[0].statistics_.tolist(), strict=True)
    )

    def add(names: list[str]) -> None:
        """Add a block of columns of one kind; if it does not do, its halves."""
        readers = {name: columns.readers[name] for name in names}
        made = _block(readers, medians)
        if made is not None and all(_agrees(made, readers, medians, s) for s in samples):
            parts.append((f"columns {len(parts)}", made, names))
        elif len(names) > 1:
            add(names[: len(names) // 2])
            add(names[len(names) // 2 :])
        else:
            expected[names[0]] = list(readers[names[0]].names(names[0]))
            parts.append((f"columns {len(parts)}", "passthrough", expected[names[0]]))

    block: list[str] = []
    for name, reader in columns.readers.items():
        if block and _kind(reader) != _kind(columns.readers[block[0]]):
            add(block)
            block = []
        block.append(name)
    add(block)
    return parts, expected


def _kind(reader: Reader) -> str:
    if isinstance(reader, Categories):
        return "codes" if _are_numbers(reader.values) else "texts"
    return type(reader).__name__


def _are_numbers(values: Sequence[str]) -> bool:
    """Whether pandas reads a column of these texts as numbers."""
    filled = pd.Series([value for value in values if value != NOTHING], dtype=object)
    return bool(pd.to_numeric(filled, errors="coerce").notna().all())


def _block(readers: dict[str, Reader], medians: dict[str, float]) -> Any | None:
    """What makes features of these columns, all of one kind; None if nothing does."""
    first = next(iter(readers.values()))
    if isinstance(first, Numbers):
        return _numbers(readers)
    if isinstance(first, TermTexts):  # each has words of its own
        return _terms(first) if len(readers) == 1 else None
    return _indicators(readers, medians) if isinstance(first, Categories) else None


def _numbers(readers: dict[str, Any]) -> Any:
    """Marks of missing numbers are taken away; any other text is an error."""
    usual = _any_of(MISSING | MARKS, rf"|{NO_NUMBER.pattern}")
    steps = [_calling(pd.DataFrame.replace, to_replace=usual, value=np.nan, regex=True)]
    if marks := {name: _any_of(r.marks) for name, r in readers.items() if r.marks}:
        steps.append(_calling(pd.DataFrame.replace, to_replace=marks, value=np.nan, regex=True))
    steps.append(_calling(pd.DataFrame.apply, func=pd.to_numeric))
    return make_pipeline(*steps, _calling(pd.DataFrame.astype, dtype="float64"))  # without pd.NA


def _terms(reader: TermTexts) -> Any:
    """The fitted TF-IDF and SVD, of a frame of one column; a missing text is empty."""
    missing = rf"^\s*(?:{'|'.join(map(re.escape, sorted(MISSING)))})\s*$"
    return make_pipeline(
        _calling(pd.DataFrame.astype, dtype="object"),
        _calling(pd.DataFrame.fillna, value=""),
        _calling(pd.DataFrame.astype, dtype="str"),
        _calling(pd.DataFrame.replace, to_replace=missing, value="", regex=True),
        _calling(pd.DataFrame.squeeze, axis=1),
        FrozenEstimator(reader.steps),
    )


def _indicators(readers: dict[str, Any], medians: dict[str, float]) -> Any:
    """An encoder of texts, after what ``category_texts`` does to the cells.

    A missing cell in a column that had none gets the median of each indicator, as label.py does:
    all 0 or, of a category that over half of the rows have, that category.
    """
    codes = _are_numbers(next(iter(readers.values())).values)
    steps, categories, filled = [], [], {}
    if codes:  # pandas reads 01 as 1, and 1 as 1.0 if a cell of the column is missing
        missing = _any_of(MISSING)
        steps.append(_calling(pd.DataFrame.replace, to_replace=missing, value=np.nan, regex=True))
        steps.append(_calling(pd.DataFrame.apply, func=pd.to_numeric))
        steps.append(_calling(pd.DataFrame.astype, dtype="float64"))
    steps.append(_calling(pd.DataFrame.astype, dtype="str"))
    if not codes:
        steps.append(_calling(pd.DataFrame.replace, to_replace=r"^\s+|\s+$", value="", regex=True))
        for was, now in TRUTHS.items():
            truths = [n for n, r in readers.items() if {*map(str.casefold, r.values)} <= _TRUTHFUL]
            if truths:
                told = dict.fromkeys(truths, f"(?i)^{was}$")
                steps.append(_calling(pd.DataFrame.replace, to_replace=told, value=now, regex=True))
    steps.append(_calling(pd.DataFrame.replace, to_replace=sorted(MISSING), value=NOTHING))
    steps.append(_calling(pd.DataFrame.fillna, value=NOTHING))
    for name, reader in readers.items():
        categories.append([_canonical(value, reader.values) for value in reader.values])
        most = [v for v in reader.indicated if medians[f"{name}={v}"] == 1]
        if NOTHING not in reader.values and most:
            filled[name] = {NOTHING: _canonical(most[0], reader.values)}
        elif NOTHING not in reader.values and len(reader.indicated) == 1:
            filled[name] = {NOTHING: categories[-1][0]}
    if filled:
        steps.append(_calling(pd.DataFrame.replace, to_replace=filled))
    both = next(iter(readers.values())).both
    steps.append(
        OneHotEncoder(
            categories=[np.array(values, dtype=object) for values in categories],
            drop=None if both else "if_binary",
            handle_unknown="ignore",
            sparse_output=False,
        )
    )
    return make_pipeline(*steps)


_TRUTHFUL = {*TRUTHS, NOTHING}


def _canonical(value: str, values: Sequence[str]) -> str:
    """The category as it is after pandas has read the column."""
    if value == NOTHING:
        return value
    if _are_numbers(values):
        return str(float(value))
    truthful = {*map(str.casefold, values)} <= _TRUTHFUL
    return TRUTHS[value.casefold()] if truthful else value


def _any_of(words: Sequence[str] | frozenset[str], more: str = "") -> str:
    """A pattern of any of the words, in any case of letters, with blanks around them."""
    return rf"(?i)^\s*(?:{'|'.join(map(re.escape, sorted(words)))}{more})\s*$"


def _calling(function: Any, **arguments: Any) -> FunctionTransformer:
    return FunctionTransformer(function, kw_args=arguments)


# --- tried on the user's cells --------------------------------------------------------------------


class Sample(NamedTuple):
    """Rows of a table as a user has them in pandas; and the features (n, k) of each column."""

    raw: pd.DataFrame
    features: dict[str, np.ndarray]


def _samples(user_tables: UserTables) -> Iterator[Sample]:
    """Rows of each table, of the labeled one first."""
    readers = user_tables.maker.columns.readers
    files, cells = user_tables.files, user_tables.cells
    read = [(files.labeled, cells.labeled), (files.unlabeled or files.labeled, user_tables.sample)]
    if files.validation is not None:
        read.append((files.validation, cells.validation))
    for path, rows in read:
        part = rows[list(readers)].iloc[: max(MOST_CELLS // len(readers), 1_000)]
        part = raw = part.reset_index(drop=True)
        if tables.is_text(path):
            raw = pd.read_csv(io.StringIO(part.to_csv(index=False)), low_memory=False)
        made = {name: reader.read(part[name], "")[0] for name, reader in readers.items()}
        yield Sample(raw.set_axis(list(readers), axis=1), made)


def _agrees(
    made: Any, readers: dict[str, Reader], medians: dict[str, float], sample: Sample
) -> bool:
    """Whether ``made`` gives the features that the readers give, missing ones as medians."""
    wanted = np.column_stack([sample.features[name] for name in readers])
    raw = sample.raw
    try:
        found = np.asarray(made.fit_transform(raw[list(readers)]), dtype=np.float64)
    except Exception:  # a cell that pandas or scikit-learn does not take
        return False
    if found.shape != wanted.shape:
        return False
    fill = np.array([medians[f] for name, reader in readers.items() for f in reader.names(name)])
    found, wanted = (np.where(np.isnan(X), fill, X) for X in (found, wanted))
    return np.allclose(found, wanted, rtol=1e-12, atol=0)


def _with_expected(sample: Sample, expected: dict[str, list[str]]) -> pd.DataFrame:
    """The rows as the Pipeline takes them."""
    made = [pd.DataFrame(sample.features[name], columns=names) for name, names in expected.items()]
    return pd.concat([sample.raw.drop(columns=list(expected)), *made], axis=1)
