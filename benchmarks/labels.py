"""Is the answer of label.py right? Shipped tables with their own labels, and with random ones.

python benchmarks/labels.py [--kinds bank waveform] [--seeds 0-9] [--out draws.csv]

Each draw makes 300 labeled rows, 1,000 validation rows, a pool whose labels are hidden, and a test
part that label.py never sees. scikit-learn's LogisticRegressionCV, which chooses its penalty by
cross-validation on whatever it gets, is trained on the labeled rows, and on the file that label.py
writes (with --anyway); both models are judged on the test part.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import label
from common.cli import seed_list
from common.files import csv_bytes
from data_prep.places import SHIPPED
from experiments.penalty import GRID

Parts = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]
TARGET = "y"


# --- tables: labeled, validation, pool and test part ----------------------------------------------


def bank(rng: np.random.Generator) -> pd.DataFrame:
    """The shipped bank in random order."""
    frame = pd.read_csv(SHIPPED / "bank/bank.csv.gz")
    return frame.iloc[rng.permutation(len(frame))]


def cut(frame: pd.DataFrame, pool: int) -> Parts:
    return frame[:300], frame[300:1300], frame[1300 : 1300 + pool], frame[1300 + pool :]


def true_bank(rng: np.random.Generator) -> Parts:
    return cut(bank(rng), 2_300)


def half_random(rng: np.random.Generator) -> Parts:
    """Bank's features with random labels, half of each class."""
    frame = bank(rng)
    return cut(frame.assign(y=rng.choice(["no", "yes"], len(frame))), 2_300)


def skewed_random(rng: np.random.Generator) -> Parts:
    """Bank's features with its own labels in random order: 89 to 11."""
    frame = bank(rng)
    return cut(frame.assign(y=rng.permutation(frame["y"])), 2_300)


def waveform(rng: np.random.Generator) -> Parts:
    frame = pd.read_csv(SHIPPED / "waveform/waveform.csv.gz").rename(columns={"class": TARGET})
    return cut(frame.iloc[rng.permutation(len(frame))], 2_700)


def rare_collected(rng: np.random.Generator) -> Parts:
    """Bank, but its rare class was collected for the labeled rows: half of them are "yes".

    About 9 % of the validation rows, of the pool and of the test part are.
    """
    frame = bank(rng)
    labeled = pd.concat([frame[frame["y"] == answer][:150] for answer in ("no", "yes")])
    return cut(pd.concat([labeled, frame.drop(labeled.index)]), 2_300)


KINDS: dict[str, tuple[Callable[[np.random.Generator], Parts], int]] = {
    "bank": (true_bank, 4),
    "random-half": (half_random, 10),
    "random-skewed": (skewed_random, 10),
    "waveform": (waveform, 10),
    "rare-collected": (rare_collected, 4),
}  # with the number of draws


# --- one draw -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """Of LogisticRegressionCV on the test part: log loss per row, and accuracy."""

    log_loss: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """One run of label.py.

    found : the JSON file that it wrote. without, with_labels : models on the labeled rows, and on
    the file that label.py wrote.
    """

    seconds: float
    found: dict
    without: Score
    with_labels: Score

    @property
    def labeled_loss(self) -> float:
        """The mean log loss of the labeled rows alone, as label.py measured it."""
        return self.found["measured"]["trained_on"]["labeled rows"]["log_loss"]["mean"]

    @property
    def losing_classes(self) -> list[str]:
        """The classes whose recall clearly falls, by label.py."""
        return [each["class"] for each in self.found["classes"] if each["recall_falls_clearly"]]


def test_score(train: pd.DataFrame, test: pd.DataFrame) -> Score:
    """scikit-learn's own logistic regression, on one-hot and standardised columns."""
    text = make_column_selector(dtype_exclude="number")
    features = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), text), remainder=StandardScaler()
    )
    tuned = LogisticRegressionCV(Cs=[1 / l2 for l2 in GRID], scoring="neg_log_loss", max_iter=5_000)
    model = make_pipeline(features, tuned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that scikit-learn will change
        model.fit(train.drop(columns=TARGET), train[TARGET])
    X, y = test.drop(columns=TARGET), test[TARGET]
    P = model.predict_proba(X)
    accuracy = (model.predict(X) == y).mean()  # ``score`` of LogisticRegressionCV is its scoring
    return Score(float(log_loss(y, P, labels=model.classes_)), float(accuracy))


def trial(folder: Path, kind: str, seed: int, *options: str) -> Trial:
    """Run label.py on a draw of this kind; its files go to ``folder``.

    Raises RuntimeError if label.py ends with an error.
    """
    labeled, validation, pool, test = KINDS[kind][0](np.random.default_rng(seed))
    labeled.to_csv(folder / "labeled.csv", index=False)
    validation.to_csv(folder / "validation.csv", index=False)
    pool.drop(columns=TARGET).to_csv(folder / "pool.csv", index=False)
    files = [f"--{name}={folder / name}.csv" for name in ("labeled", "validation")]
    files += [f"--unlabeled={folder}/pool.csv", f"--out={folder}/plus.csv", f"--target={TARGET}"]
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = label.main([*files, f"--seed={seed}", "--anyway", "--force", "--quiet", *options])
    if code:
        raise RuntimeError(f"label.py ended with code {code}")
    seconds = time.perf_counter() - start
    plus = pd.read_csv(folder / "plus.csv")[labeled.columns]
    return Trial(
        seconds=seconds,
        found=json.loads((folder / "plus.json").read_text(encoding="utf-8")),
        without=test_score(labeled, test),
        with_labels=test_score(plus, test),
    )


# --- all draws ------------------------------------------------------------------------------------


def draws_frame(kind: str, done: dict[int, Trial]) -> pd.DataFrame:
    """A row for each draw, numbers as numbers."""
    rows = []
    for seed, one in done.items():
        change = one.found["measured"]["trained_on"]["and salutary labels"]["log_loss"]["change"]
        rows.append(
            {
                "kind": kind,
                "seed": seed,
                "answer": one.found["answer"].split(":")[0].removesuffix(" the labels"),
                "use": one.found["use"],
                "labeled_log_loss": one.labeled_loss,
                "change": change["mean"],
                "change_half_width_95": change["half_width_95"],
                "recall_falls": " ".join(one.losing_classes),
                "test_log_loss_without": one.without.log_loss,
                "test_log_loss_with": one.with_labels.log_loss,
                "test_accuracy_without": one.without.accuracy,
                "test_accuracy_with": one.with_labels.accuracy,
                "seconds": one.seconds,
            }
        )
    return pd.DataFrame(rows)


def table(draws: pd.DataFrame) -> PrettyTable:
    """A row for each draw of one kind, and the means."""
    shown = PrettyTable(
        ["seed", "answer", "labeled rows alone", "change (95 %)", "recall falls",
         "test log loss", "test accuracy, %", "seconds"],
        title=draws["kind"].iloc[0],
    )  # fmt: skip
    tests = [name for name in draws if name.startswith("test_")]
    for one in draws.itertuples():
        change = f"{one.change:+.3f} ± {one.change_half_width_95:.3f}"
        first = [one.seed, one.answer, f"{one.labeled_log_loss:.3f}", change, one.recall_falls]
        shown.add_row(first + test_cells(draws.loc[one.Index, tests]) + [f"{one.seconds:.0f}"])
    answers = f"use: {draws['use'].sum()} of {len(draws)}"
    means = test_cells(draws[tests].mean()) + [f"{draws['seconds'].mean():.0f}"]
    shown.add_row(["all", answers, "", "", "", *means])
    return shown


def test_cells(scores: pd.Series) -> list[str]:
    """Log loss and accuracy on the test part, without and with the labels."""
    losses = f"{scores['test_log_loss_without']:.3f} → {scores['test_log_loss_with']:.3f}"
    accuracies = 100 * scores[["test_accuracy_without", "test_accuracy_with"]].astype(float)
    return [losses, " → ".join(f"{accuracy:.1f}" for accuracy in accuracies)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=seed_list, help="default: 0 to the draws of the kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--folder", type=Path, help="keep the tables of the last draw here")
    parser.add_argument("--out", type=Path, help="write the draws into this CSV too")
    chosen = parser.parse_args()
    frames = []
    for kind in chosen.kinds:
        seeds = chosen.seeds or range(KINDS[kind][1])
        with tempfile.TemporaryDirectory() as passing:
            folder = chosen.folder or Path(passing)
            folder.mkdir(parents=True, exist_ok=True)
            done = {seed: trial(folder, kind, seed) for seed in seeds}
        frames.append(draws_frame(kind, done))
        if chosen.out:
            chosen.out.write_bytes(csv_bytes(pd.concat(frames)))
        print(table(frames[-1]), flush=True)


if __name__ == "__main__":
    main()
