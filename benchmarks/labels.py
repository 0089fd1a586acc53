"""Is the answer of label.py right? The shipped bank, with its own labels and with random ones.

python benchmarks/labels.py [--seeds 0-9]

Each seed draws 300 labeled rows, 1,000 validation rows, a pool whose labels are hidden, and a test
part that label.py never sees. scikit-learn's logistic regression is trained on the labeled rows,
and on the file that label.py writes; both models are judged on the test part. Random tables have
bank's features and random labels: half of each class, or in bank's shares.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import label
from common.cli import seed_list
from data_prep.places import SHIPPED

KINDS = ("true", "random, half and half", "random, 89 to 11")


def tables(seed: int, kind: str) -> list[pd.DataFrame]:
    """Labeled, validation, pool and test part of the shipped bank, with labels of this kind."""
    bank, rng = pd.read_csv(SHIPPED / "bank/bank.csv.gz"), np.random.default_rng(seed)
    bank = bank.iloc[rng.permutation(len(bank))]
    if kind == KINDS[1]:
        bank["y"] = rng.choice(["no", "yes"], len(bank))
    elif kind == KINDS[2]:
        bank["y"] = rng.permutation(bank["y"])
    return [bank[:300], bank[300:1300], bank[1300:3600], bank[3600:]]


def model(train: pd.DataFrame):
    """scikit-learn's own logistic regression, on one-hot and standardised columns."""
    text = make_column_selector(dtype_exclude="number")
    features = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), text), remainder=StandardScaler()
    )
    X = train.drop(columns="y")
    return make_pipeline(features, LogisticRegression(max_iter=5_000)).fit(X, train["y"])


@dataclass(frozen=True)
class Trial:
    """One run of label.py.

    says_use : whether it advises to use the labels. labels : how many it gave.
    without, with_labels : accuracy on the test part of a model trained on the labeled rows, and on
    the file that label.py wrote.
    """

    seconds: float
    says_use: bool
    labels: int
    without: float
    with_labels: float


def trial(folder: Path, seed: int, kind: str, *options: str) -> Trial:
    """Run label.py on tables of this seed and kind; its files go to ``folder``.

    Raises RuntimeError if label.py ends with an error.
    """
    labeled, validation, pool, test = tables(seed, kind)
    labeled.to_csv(folder / "labeled.csv", index=False)
    validation.to_csv(folder / "validation.csv", index=False)
    pool.drop(columns="y").to_csv(folder / "pool.csv", index=False)
    files = [f"--{name}={folder / name}.csv" for name in ("labeled", "validation")]
    files += [f"--unlabeled={folder}/pool.csv", f"--out={folder}/plus.csv", "--target=y", "--force"]
    start, printed = time.perf_counter(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = label.main([*files, f"--seed={seed}", "--quiet", *options])
    if code:
        raise RuntimeError(f"label.py ended with code {code}")
    seconds = time.perf_counter() - start
    plus = pd.read_csv(folder / "plus.csv")[labeled.columns]
    X, y = test.drop(columns="y"), test["y"]
    return Trial(
        seconds=seconds,
        says_use=": use the labels" in printed.getvalue(),
        labels=len(plus) - len(labeled),
        without=model(labeled).score(X, y),
        with_labels=model(plus).score(X, y),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=seed_list, default=tuple(range(10)))
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    chosen = parser.parse_args()
    for kind in chosen.kinds:
        shown = PrettyTable(
            ["seed", "answer", "labels", "test without, %", "test with, %", "seconds"],
            title=f"bank, {kind} labels",
        )
        with tempfile.TemporaryDirectory() as folder:
            for seed in chosen.seeds:
                done = trial(Path(folder), seed, kind)
                shown.add_row(
                    [seed, "use" if done.says_use else "do not use", done.labels]
                    + [f"{100 * accuracy:.1f}" for accuracy in (done.without, done.with_labels)]
                    + [f"{done.seconds:.1f}"]
                )
        print(shown, flush=True)


if __name__ == "__main__":
    main()
