"""Does the bound of label.py --max-error hold, and how many rows does it cover?

python benchmarks/error_bound.py [--sets bank electric waveform digits] [--draws 100] [--out b.csv]

Each draw has 300 labeled rows, 1,000 validation rows and a pool of 2,300 rows whose true classes
are held back, and counts how many of the labels given are wrong. Then two other pools are not of
the validation rows' source: one lacks every other row of the commoner half of the classes; in the
other, one feature is half a standard deviation larger. The test of the source should warn of both,
and rarely of the first pool.
"""

import argparse
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from common.files import csv_bytes
from common.parallel import few_threads
from data_prep.features import principal_components
from data_utils import load
from labeling.bound_model import two_fits
from labeling.error_bound import BoundSearch, search
from labeling.labeler import SalutaryLabeler
from labeling.records import LabeledRows, split_off

LABELED, VALIDATION, POOL = 300, 1_000, 2_300
ALLOWED = (0.05, 0.1)
# name in the catalogue, principal components, l2: chosen for each draw, but fixed for the digits,
# whose ten classes make that choice slow
SETS: dict[str, tuple[str, int, float | str]] = {
    "bank": ("bank", 0, "cv"),
    "electric": ("electric", 0, "cv"),
    "waveform": ("waveform", 0, "cv"),
    "digits": ("mnist", 50, 3.0),
}


@dataclass(frozen=True)
class Draw:
    """covered : share of the pool that gets a label, error : share of these that is wrong (0 if
    there are none), each by ALLOWED. warned : of the true pool, of the class mix, of the feature.
    """

    covered: list[float]
    error: list[float]
    warned: list[bool]


def features(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, D) and classes (n,) of a shipped data set."""
    dataset, components, _ = SETS[name]
    data = load(dataset).data
    X = data.X.astype(float)
    if components:
        X = principal_components(X, np.arange(len(X)), components)
    return X, data.y


def draw(
    name: str,
    X: np.ndarray,
    y: np.ndarray,
    seed: int,
    validation_rows: int = VALIDATION,
    pool_rows: int = POOL,
) -> Draw:
    """One draw, and what was found of it."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    cuts = np.cumsum([LABELED, validation_rows, pool_rows])
    labeled, validation, pool, _ = np.split(order, cuts)
    X = StandardScaler().fit(X[labeled]).transform(X)
    chooses = split_off(y[validation], 0.5, rng)
    known = LabeledRows(X[labeled], y[labeled])
    other = LabeledRows(X[validation], y[validation])
    labeler = SalutaryLabeler(l2=SETS[name][2], random_state=seed)
    fits = two_fits(labeler, known.joined(other[chooses]))
    found = search(known, other, fits=fits, chooses=chooses, seed=seed)
    covered, error = [], []
    for allowed in ALLOWED:
        bounded = found.labels(X[pool], allowed)
        given = bounded.labels.given
        covered.append(len(given) / len(pool))
        wrong = given.labels != y[pool][given.rows]
        error.append(float(wrong.mean()) if len(given) else 0.0)
    differs = bounded.bound.source.differs
    shifted = other_mix(X, y, pool), other_feature(X[pool])
    return Draw(covered, error, [differs, *(warns(found, rows) for rows in shifted)])


def other_mix(X: np.ndarray, y: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """The pool (n, D) without every other row of the commoner half of its classes."""
    classes, counts = np.unique(y[pool], return_counts=True)
    common = classes[np.argsort(-counts)[: len(classes) // 2]]
    return X[np.delete(pool, np.flatnonzero(np.isin(y[pool], common))[::2])]


def other_feature(X: np.ndarray) -> np.ndarray:
    """The pool (n, D), its first feature half a standard deviation larger."""
    return X + 0.5 * (np.arange(X.shape[1]) == 0)


def warns(found: BoundSearch, X_pool: np.ndarray) -> bool:
    """Whether the bound of this pool comes with a warning."""
    return found.source(X_pool).differs


def rows_of(name: str, seed: int, one: Draw) -> list[dict]:
    """A row for each allowed share of wrong labels."""
    warned = dict(zip(("same_source", "class_mix", "feature"), one.warned, strict=True))
    measured = zip(ALLOWED, one.covered, one.error, strict=True)
    return [
        {"set": name, "seed": seed, "allowed": allowed, "covered": covered, "error": error} | warned
        for allowed, covered, error in measured
    ]


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def table(draws: pd.DataFrame) -> PrettyTable:
    """A row for each data set and allowed share: the means and counts over the draws."""
    shown = PrettyTable(
        ["data set", "draws", "allowed", "covered", "draws without a label", "mean error",
         "draws above", "warned: same source", "other class mix", "other feature"]
    )  # fmt: skip
    for (name, allowed), of in draws.groupby(["set", "allowed"], sort=False):
        some = of["covered"] > 0
        shown.add_row(
            [name, len(of), percent(allowed), percent(of["covered"].mean(), 1), int((~some).sum()),
             percent(of["error"][some].mean(), 1) if some.any() else "",
             int((of["error"] > allowed).sum()),
             *map(percent, of[["same_source", "class_mix", "feature"]].mean())]
        )  # fmt: skip
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--validation", type=int, default=VALIDATION, help="rows")
    parser.add_argument("--pool", type=int, default=POOL, help="rows")
    parser.add_argument("--out", type=Path, help="write the draws into this CSV too")
    chosen = parser.parse_args()
    done: list[dict] = []
    for name in chosen.sets:
        X, y = features(name)
        with few_threads(X.size), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for seed in tqdm(range(chosen.draws), name, leave=False):
                done += rows_of(name, seed, draw(name, X, y, seed, chosen.validation, chosen.pool))
        if chosen.out:
            chosen.out.write_bytes(csv_bytes(pd.DataFrame(done)))
    print(table(pd.DataFrame(done)))


if __name__ == "__main__":
    main()
