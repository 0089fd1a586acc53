"""Is the answer of label.py right? Shipped tables with their own labels, and with random ones.

python benchmarks/labels.py [--kinds bank waveform] [--seeds 0-9]

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


def table(kind: str, done: dict[int, Trial]) -> PrettyTable:
    """A row for each draw, and the means."""
    shown = PrettyTable(
        ["seed", "answer", "labeled arm's log loss", "change (95 %)", "recall falls",
         "test log loss without", "with", "test accuracy without, %", "with, %", "seconds"],
        title=kind,
    )  # fmt: skip
    for seed, one in done.items():
        change = one.found["measured"]["trained_on"]["and salutary labels"]["log_loss"]["change"]
        words = one.found["answer"].split(":")[0].removesuffix(" the labels")
        shown.add_row(
            [seed, words, f"{one.labeled_loss:.3f}"]
            + [f"{change['mean']:+.3f} ± {change['half_width_95']:.3f}"]
            + [" ".join(one.losing_classes)]
            + [f"{score.log_loss:.3f}" for score in (one.without, one.with_labels)]
            + [f"{100 * score.accuracy:.1f}" for score in (one.without, one.with_labels)]
            + [f"{one.seconds:.0f}"]
        )
    uses = sum(one.found["use"] for one in done.values())
    means = [
        np.mean([[s.log_loss, 100 * s.accuracy] for s in scores], axis=0)
        for scores in zip(*((one.without, one.with_labels) for one in done.values()), strict=True)
    ]
    shown.add_row(
        ["all", f"use: {uses} of {len(done)}", "", "", ""]
        + [f"{mean[0]:.3f}" for mean in means]
        + [f"{mean[1]:.1f}" for mean in means]
        + [f"{np.mean([one.seconds for one in done.values()]):.0f}"]
    )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=seed_list, help="default: 0 to the draws of the kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--folder", type=Path, help="keep the tables of the last draw here")
    chosen = parser.parse_args()
    for kind in chosen.kinds:
        seeds = chosen.seeds or range(KINDS[kind][1])
        with tempfile.TemporaryDirectory() as passing:
            folder = chosen.folder or Path(passing)
            folder.mkdir(parents=True, exist_ok=True)
            done = {seed: trial(folder, kind, seed) for seed in seeds}
        print(table(kind, done), flush=True)


if __name__ == "__main__":
    main()
