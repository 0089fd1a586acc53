"""Does the bound of label.py --max-error hold, and how many rows does it cover?

python benchmarks/error_bound.py [--sets bank electric waveform digits] [--draws 100]

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
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from prettytable import PrettyTable
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from common.parallel import few_threads
from data_prep.features import principal_components
from data_utils import load
from labeling.error_bound import BoundSearch, search
from labeling.fitting import fitted_model
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


def draw(name: str, X: np.ndarray, y: np.ndarray, seed: int) -> Draw:
    """One draw, and what was found of it."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    cuts = np.cumsum([LABELED, VALIDATION, POOL])
    labeled, validation, pool, _ = np.split(order, cuts)
    X = StandardScaler().fit(X[labeled]).transform(X)
    found = search(
        LabeledRows(X[labeled], y[labeled]),
        LabeledRows(X[validation], y[validation]),
        fit=partial(fitted_model, SalutaryLabeler(l2=SETS[name][2])),
        chooses=split_off(y[validation], 0.5, rng),
        seed=seed,
    )
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
    return found.labels(X_pool, ALLOWED[-1]).bound.source.differs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--draws", type=int, default=100)
    chosen = parser.parse_args()
    table = PrettyTable(
        ["data set", "draws", "allowed", "covered", "draws without a label", "mean error",
         "draws above", "warned: same source", "other class mix", "other feature"]
    )  # fmt: skip
    for name in chosen.sets:
        X, y = features(name)
        with few_threads(X.size), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seeds = tqdm(range(chosen.draws), name, leave=False)
            done = [draw(name, X, y, seed) for seed in seeds]
        warned = np.mean([one.warned for one in done], axis=0)
        for i, allowed in enumerate(ALLOWED):
            covered = np.array([one.covered[i] for one in done])
            error = np.array([one.error[i] for one in done])
            some = covered > 0
            table.add_row(
                [name, len(done), f"{allowed:.0%}", f"{covered.mean():.1%}", int((~some).sum()),
                 f"{error[some].mean():.1%}" if some.any() else "", int((error > allowed).sum()),
                 *(f"{share:.0%}" for share in warned)]
            )  # fmt: skip
    print(table)


if __name__ == "__main__":
    main()
