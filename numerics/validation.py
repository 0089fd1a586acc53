"""What every documented function checks of the data that it is given: one helper, so all alike.

Features may come as an array, nested lists, a data frame, a sparse matrix or a tensor, also one
that requires grad; labels as any of them, (n,) or a column (n, 1). Whatever does not fit ends in a
ValueError, or a TypeError for another kind of object, that names the argument and says what to do.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from sklearn.exceptions import NotFittedError

from numerics.linear import Array, as_tensor

# --- features -------------------------------------------------------------------------------------


def table(X: Any, name: str) -> Array:
    """X (n, D) as an array, or as a tensor without gradient if it is one. The numbers stay.

    name : how messages call X. Its numbers may still be NaN or infinite, see ``check_finite``.

    Raises ValueError unless X has two dimensions and holds real numbers; TypeError for a text.
    """
    if isinstance(X, torch.Tensor):
        X = strided(X, name)
        numbers = not X.is_complex()
    else:
        if not isinstance(X, np.ndarray):
            X = _array(X, name)
        if X.dtype.kind in "OUS" and X.ndim:
            X = _as_numbers(X, name)
        if np.ma.is_masked(X):
            X = np.ma.filled(X.astype(np.float64), np.nan)
        numbers = X.dtype.kind in "fiub"
    if X.ndim != 2:
        raise ValueError(
            f"{name} has shape {tuple(X.shape)} and should have rows and columns, (n, D). Reshape "
            "your data: a single row is (1, D)"
        )
    if not numbers:
        raise ValueError(
            f"{name} has the type {X.dtype}. Complex data not supported, nor dates: give real "
            "numbers"
        )
    return X if isinstance(X, torch.Tensor) else as_torch_takes(X)


def strided(X: torch.Tensor, name: str) -> torch.Tensor:
    """X without gradient, its numbers one by one in memory.

    Raises ValueError if it has no numbers (meta) or rows of several lengths (nested).
    """
    if X.is_meta or X.is_nested:
        what = "on the device meta, without numbers" if X.is_meta else "nested"
        raise ValueError(f"{name} is a tensor that is {what}: give one with rows and columns")
    X = X.detach().dequantize() if X.is_quantized else X.detach()
    return X if X.layout == torch.strided else X.to_dense()


def as_torch_takes(X: np.ndarray) -> np.ndarray:
    """X itself, or a copy in this machine's byte order, of at most 64 bits, strides above 0."""
    kind, size = X.dtype.kind, X.dtype.itemsize
    if X.dtype.isnative and size <= 8 and min(X.strides, default=0) >= 0:
        return X
    native = np.dtype(np.float64) if kind == "f" and size > 8 else X.dtype.newbyteorder("=")
    return np.ascontiguousarray(X, native)


def one_row(x: Any, name: str) -> Any:
    """x (D,), a row, as a table (1, D) that ``table`` takes; a sparse row stays as it is."""
    if scipy.sparse.issparse(x):
        return x
    if isinstance(x, torch.Tensor):
        return strided(x, name)[None]
    return x[None] if isinstance(x, np.ndarray) else [x]


def features(
    X: Any,
    name: str,
    width: int,
    names: Sequence[str] | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
    finite: bool = True,
) -> torch.Tensor:
    """X (n, D) as a tensor for a model that knows ``width`` columns, with the given names if any.

    finite : whether to check that the numbers are finite.

    Raises ValueError and TypeError as ``table`` and the three checks below do.
    """
    X = as_tensor(table_for(X, name, width, names), device, dtype)
    if finite:
        check_finite(X, name)
    return X


def table_for(X: Any, name: str, width: int, names: Sequence[str] | None = None) -> Array:
    """X (n, D) as ``table`` gives it, for a model that knows these columns.

    Raises ValueError and TypeError as ``table`` and the first two checks below do.
    """
    check_names(column_names(X), names, name)
    X = table(X, name)
    check_width(X, name, width)
    return X


def column_names(X: Any) -> list[str] | None:
    """The names of the columns if X is a data frame that has texts for names, else None.

    Raises ValueError if two columns have one name.
    """
    columns = getattr(X, "columns", None)
    if columns is None or not all(isinstance(column, str) for column in columns):
        return None
    twice = [column for column in dict.fromkeys(columns) if list(columns).count(column) > 1]
    if twice:
        raise ValueError(
            f"the data frame has more than one column {twice[0]!r}: rename one of them"
        )
    return list(columns)


def check_names(found: Sequence[str] | None, known: Sequence[str] | None, name: str) -> None:
    """Raise ValueError if both have names of columns and these differ, also in their order."""
    if found is None or known is None or list(found) == list(known):
        return
    missing = [column for column in known if column not in found]
    more = [column for column in found if column not in known]
    if missing or more:
        said = [f"lacks the column {missing[0]!r}"] if missing else []
        said += [f"has a column {more[0]!r} that was not there"] if more else []
        raise ValueError(
            f"{name} {' and '.join(said)} when the model was fitted: give the same columns"
        )
    place = next(
        (i for i, pair in enumerate(zip(found, known, strict=False)) if len(set(pair)) > 1), 0
    )
    raise ValueError(
        f"{name} has its columns in another order than in fit: column {place + 1} is "
        f"{found[place]!r} and should be {known[place]!r}; put them into the order of fit"
    )


def check_width(X: Array, name: str, width: int, model: str = "the model") -> None:
    """Raise ValueError unless X (n, D) has ``width`` columns."""
    if X.shape[1] != width:
        raise ValueError(
            f"{name} has {X.shape[1]} features, but {model} is expecting {width} features as "
            "input: give it the columns of fit, without labels or row numbers"
        )


def check_rows(X: Array, name: str) -> None:
    """Raise ValueError if X (n, D) has no rows."""
    if not len(X):
        raise ValueError(f"{name} has no rows: give at least one")


def check_start(start: Any, like: torch.Tensor) -> None:
    """Raise ValueError unless ``start`` is None or a tensor of the shape of ``like``, finite."""
    shape = None if start is None else getattr(start, "shape", ())
    if shape is not None and (shape != like.shape or not start.isfinite().all()):
        raise ValueError(
            f"start has shape {tuple(shape)} and should be finite, of the shape of the weights, "
            f"{tuple(like.shape)}: give a solution of the same model, or None"
        )


def check_finite(X: torch.Tensor, name: str, start: int = 0) -> None:
    """Raise ValueError for the first number of X (n, D) that is NaN or infinite.

    start : the row number of the first row, for the message.
    """
    if isfinite(X.sum()):  # one pass; the sum of finite numbers may overflow, so look closer
        return
    bad = ~torch.isfinite(X)
    if bad.any():
        row, column = bad.nonzero()[0].tolist()
        value = "NaN" if X[row, column].isnan() else X[row, column].item()
        raise ValueError(
            f"{name}, row {start + row}, column {column}: {value} is not a finite "
            f"number of type {str(X.dtype).removeprefix('torch.')}; fill or remove it"
        )


def _array(X: Any, name: str) -> np.ndarray:
    """A frame, a sparse matrix or nested lists as an array."""
    if scipy.sparse.issparse(X):
        return X.toarray()
    if isinstance(X, str | bytes) or X is None or isinstance(X, dict | set):
        raise TypeError(
            f"{name} is of type {type(X).__name__}: give an array, lists, a data frame, a sparse "
            "matrix or a tensor"
        )
    if isinstance(X, list | tuple) and any(isinstance(row, torch.Tensor) for row in X):
        X = [
            strided(row, name).cpu().tolist() if isinstance(row, torch.Tensor) else row for row in X
        ]
    try:
        return np.asarray(X)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} is no table: its rows differ in length") from error


def _as_numbers(X: np.ndarray, name: str) -> np.ndarray:
    """An array of objects, as float64; what is missing becomes NaN."""
    try:
        return X.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        for place, value in np.ndenumerate(X):
            missing = value is None or type(value).__name__ == "NAType"
            try:
                float("nan" if missing else value)
            except TypeError:
                raise TypeError(
                    f"{name}, row {place[0]}, column {place[-1]}: {value!r} is a "
                    f"{type(value).__name__}, but the argument must be a string of digits or a "
                    "number"
                ) from error
            except OverflowError:
                raise ValueError(
                    f"{name}, row {place[0]}, column {place[-1]}: the number is too large for "
                    "float64; scale the column"
                ) from error
            except ValueError:
                raise ValueError(
                    f"{name}, row {place[0]}, column {place[-1]}: {value!r} is not a number; turn "
                    "it into one or leave the column out"
                ) from error
            if missing:
                raise ValueError(
                    f"{name}, row {place[0]}, column {place[-1]} is missing; fill or remove it"
                ) from error
        raise


def for_estimator(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X (n, D) as scikit-learn's ``validate_data`` takes it: all but y and its names is checked.

    reset : whether this is ``fit``, so that X decides the columns.

    Raises ValueError and TypeError as ``features`` does, and ValueError for no row or column.
    """
    names = column_names(X)
    numbers = table(X, "X")
    if 0 in numbers.shape:
        what = ("sample", 0) if len(numbers) == 0 else ("feature", 1)
        raise ValueError(
            f"X has 0 {what[0]}(s) (shape={tuple(numbers.shape)}) while a minimum of 1 is required."
        )
    if not reset:
        check_names(names, getattr(estimator, "feature_names_in_", None), "X")
        check_width(numbers, "X", estimator.n_features_in_, type(estimator).__name__)
    numbers = as_tensor(numbers)
    check_finite(numbers, "X")
    return numbers.numpy() if names is None else pd.DataFrame(numbers.numpy(), columns=names)


# --- labels ---------------------------------------------------------------------------------------


def labels(y: Any, name: str, rows: int | None = None, *, of: str = "") -> np.ndarray:
    """The labels y, (n,) or a column (n, 1), as an array (n,).

    rows, of : how many labels there should be, and whose rows these are, for the message.

    Raises ValueError for another shape or number of labels.
    """
    y = label_array(y, name)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"{name} has shape {y.shape}: give one label for each row, (n,) or (n, 1)")
    if rows is not None and len(y) != rows:
        raise ValueError(f"{name} has {len(y)} labels, but {of} has {rows} rows: give one for each")
    return y


def is_each(y: np.ndarray, classes: np.ndarray, name: str) -> np.ndarray:
    """Whether each label of y (n,) is each of the classes (K,): bool (K, n).

    Raises ValueError for cells, such as lists, that cannot be compared.
    """
    try:
        return np.asarray(y == classes[:, None])
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} holds cells that are no labels: give one for each row") from error


def label_array(y: Any, name: str) -> np.ndarray:
    """The labels y, in any form, as an array of the same shape. Raises TypeError as ``table``."""
    if isinstance(y, torch.Tensor):
        y = strided(y, name).cpu()
        return (y.float() if y.dtype == torch.bfloat16 else y).numpy()
    y = y if isinstance(y, np.ndarray) else _array(y, name)
    if np.ma.is_masked(y):
        row = int(np.ma.getmaskarray(y).ravel().argmax())
        raise ValueError(f"{name} is masked in row {row}: leave out rows without a label")
    kinds = {type(label) for label in y.ravel()} if y.dtype == object else set()
    if len(kinds) == 1 and kinds <= {int, bool, float, str}:
        made = np.array(y.tolist())  # the type that the labels have
        return made if made.dtype.kind != "O" else y
    return y


def check_count(value: Any, name: str) -> None:
    """Raise ValueError unless ``value`` is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}: give a whole number of 1 or more")


# --- models ---------------------------------------------------------------------------------------


def check_model(model: Any, kind: type, fitted: str) -> None:
    """Raise TypeError unless the model is of this kind, NotFittedError if it lacks ``fitted``."""
    if not isinstance(model, kind):
        hint = ""
        if hasattr(model, "head_"):
            hint = "; of an MLP, give head_, and embed(X) in place of the rows"
        what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(
            f"the model is {what} of {type(model).__module__}: give a fitted "
            f"{kind.__module__}.{kind.__name__}{hint}"
        )
    if not hasattr(model, fitted):
        raise NotFittedError(f"this {type(model).__name__} is not fitted yet: call fit first")


def unfit(estimator: Any) -> None:
    """Remove what a fit sets, after a fit that failed: its attributes that end in ``_``."""
    for name in [name for name in vars(estimator) if name.endswith("_")]:
        delattr(estimator, name)
