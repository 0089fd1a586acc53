"""What label.py's work costs by the number of columns, and what its labels are worth there.

python benchmarks/label_width.py [--columns 100 400 …] [--seeds 0] [--old 768] [--out width.csv]

The rows are shipped texts, as TF-IDF of their most frequent words: 200 labeled, 300 validation and
1,000 pool rows. The work is that of one call of label.py with a budget of 50: the measurement and
the labels. It is timed in CPU seconds of one thread, without the start of Python, which is shown
apart. The models are judged on all other rows, fitted to the labeled rows with and without the
labels. --old does the same work, in the same run, in the way that was used for any width before:
fits on the features, the whole grid of l2, and finite steps up to DENSE_PARAMETERS.
"""

import os
import time

if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy and torch are loaded

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from common.cli import seed_list, whole_number
from common.files import csv_bytes
from data_prep.places import SHIPPED
from labeling.cross_validation import measure
from labeling.fitting import fitted_model
from labeling.labeler import SalutaryLabeler
from labeling.records import KnownRows, LabeledRows, LabelPlan
from numerics.limits import DENSE_PARAMETERS

STARTED = time.process_time()  # the imports
COLUMNS, LABELED, VALIDATION, POOL, BUDGET = (100, 400, 768, 1_500, 4_000), 200, 300, 1_000, 50


@dataclass(frozen=True)
class Parts:
    """Scaled rows of a draw: the known ones, the pool, and those to judge by."""

    known: KnownRows
    pool: np.ndarray
    test: LabeledRows


@dataclass(frozen=True)
class Result:
    """CPU seconds of the work, and the log loss per test row with and without the labels."""

    seconds: float
    without: float
    with_labels: float


def draw(columns: int, seed: int) -> Parts:
    """Rows of the shipped movie reviews, above the median rating or not."""
    frame = pd.read_csv(SHIPPED / "text/movies.csv.gz")
    order = np.random.default_rng(seed).permutation(len(frame))
    y = (frame["rating"] > frame["rating"].median()).to_numpy().astype(int)[order]
    X = TfidfVectorizer(max_features=columns).fit_transform(frame["text"]).toarray()[order]
    X = StandardScaler().fit(X[:LABELED]).transform(X)
    rows = LabeledRows(X, y)
    ends = np.cumsum([LABELED, VALIDATION, POOL])
    labeled, validation, pool, test = (rows[part] for part in np.split(np.arange(len(y)), ends))
    return Parts(KnownRows(labeled, validation), pool.X, test)


def work(parts: Parts) -> Result:
    """What label.py does once the tables are read."""
    started = time.process_time()
    labeler = SalutaryLabeler(standardise=False).fit(*parts.known.arrays())
    measure(labeler, parts.known, parts.pool, LabelPlan(BUDGET))
    labels = labeler.label(parts.pool, BUDGET).given
    seconds = time.process_time() - started
    given = LabeledRows(parts.pool[labels.rows], labels.labels)
    more = fitted_model(labeler, parts.known.labeled, given)
    losses = [
        log_loss(parts.test.y, model.predict_proba(parts.test.X))
        for model in (labeler.model_, more)
    ]
    return Result(seconds, *losses)


@contextlib.contextmanager
def the_old_way() -> Iterator[None]:
    """Meanwhile, no table counts as wide."""
    never = sys.maxsize
    with (
        patch("labeling.wide.WIDE", never),
        patch("strategies.span_regression.WIDE", never),
        patch("labeling.wide.finite_parameters", lambda: DENSE_PARAMETERS),
    ):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--columns", type=whole_number(2), nargs="+", default=list(COLUMNS))
    parser.add_argument("--seeds", type=seed_list, default=[0], help="of the draws")
    parser.add_argument(
        "--old", type=whole_number(2), nargs="+", default=[], help="columns to do the old way too"
    )
    parser.add_argument("--out", type=Path, help="write the draws into this CSV too")
    options = parser.parse_args()
    done = []
    for columns, seed in product(options.columns, options.seeds):
        parts = draw(columns, seed)
        for way in ("new", "old") if columns in options.old else ("new",):
            with the_old_way() if way == "old" else contextlib.nullcontext():
                done.append({"columns": columns, "way": way, "seed": seed, **vars(work(parts))})
            print(done[-1], file=sys.stderr, flush=True)
        if options.out:
            options.out.write_bytes(csv_bytes(pd.DataFrame(done)))
    print(f"the start of Python and its imports: {STARTED:.1f} s; {len(options.seeds)} draws")
    print(table(pd.DataFrame(done)))
    return 0


def table(draws: pd.DataFrame) -> PrettyTable:
    """The means over the seeds, and the change with its standard error (if there are two)."""
    shown = PrettyTable(["columns", "way", "CPU, s", "loss without", "with labels", "change ± SE"])
    shown.align = "r"
    for (columns, way), of in draws.groupby(["columns", "way"]):
        change = of["with_labels"] - of["without"]
        error = f" ± {change.sem():.3f}" if len(of) > 1 else ""
        means = [f"{of[name].mean():.3f}" for name in ("without", "with_labels")]
        shown.add_row(
            [
                f"{columns:,}",
                way,
                f"{of['seconds'].mean():.1f}",
                *means,
                f"{change.mean():+.3f}{error}",
            ]
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
