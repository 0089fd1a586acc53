"""What text columns are worth in label.py: TF-IDF beside the encoder, and how a text is weighed.

python benchmarks/text_columns.py [--seeds 0-2] [--out text-columns.csv]

Each draw has 300 labeled, 500 validation, 1,000 pool and 1,500 test rows of the movie and Amazon
reviews that ship. The first table has the text alone: the models of label.py on the test rows,
trained on the labeled rows without and with 100 salutary labels. In the second table, each review
stands beside the columns of a random customer of bank, who has the deposit if the review is
positive: the log loss without salutary labels, by the scale of the text's features.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.metrics import accuracy_score, log_loss

from common.cli import seed_list
from common.files import csv_bytes
from data_prep.column_kinds import Kind
from data_prep.places import SHIPPED
from data_prep.reading import TEXT_FEATURES, TableReading
from labeling.feature_maker import FeatureMaker
from labeling.fitting import fitted_model
from labeling.labeler import SalutaryLabeler
from labeling.records import LabeledRows
from llm.texts import load

SIZES = {"labeled": 300, "validation": 500, "pool": 1_000, "test": 1_500}
BUDGET = 100
TEXTS = ("movies", "reviews")
# The sum of the variances of a text's k features, as a power of k; a number has 1.
SCALES = {"1": 0.0, "√k, as label.py": 0.5, "k": 1.0}
ALONE, EACH = "the other columns alone", "k, each feature by itself"


@cache
def bank() -> tuple[pd.DataFrame, np.ndarray]:
    """The columns of the shipped bank, and whether each customer has the deposit."""
    frame = pd.read_csv(SHIPPED / "bank/bank.csv.gz")
    return frame.drop(columns="y"), (frame["y"] == "yes").to_numpy()


def draw(name: str, seed: int, customers: bool) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """The parts of a draw, with a row's position as its index, and the classes by position."""
    texts, rng = load(name), np.random.default_rng(seed)
    order = rng.permutation(len(texts.y))[: sum(SIZES.values())]
    y = texts.y[order]
    frame = pd.DataFrame({"text": texts.columns[0][order]})
    if customers:
        columns, deposit = bank()
        chosen = np.empty(len(y), int)
        for has in (False, True):
            rows = np.flatnonzero((y == "positive") == has)
            chosen[rows] = rng.choice(np.flatnonzero(deposit == has), len(rows))
        frame = pd.concat([frame, columns.iloc[chosen].reset_index(drop=True)], axis=1)
    ends = np.cumsum(list(SIZES.values()))
    parts = {k: frame[end - SIZES[k] : end] for k, end in zip(SIZES, ends, strict=True)}
    return parts, y


def features(parts: dict[str, pd.DataFrame], choice: str) -> tuple[dict, slice]:
    """The features of each part as label.py makes them, and the place of those of the text."""
    deciding = [(name, parts[name]) for name in ("labeled", "pool")]
    maker = FeatureMaker.fitted(TableReading(text_features=choice), *deciding)
    width = next(d.features for d in maker.columns.decisions if d.read_as == Kind.TEXT)
    return {name: maker.features(part, name) for name, part in parts.items()}, slice(width)


def judged(model, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    return float(log_loss(y, model.predict_proba(X))), float(accuracy_score(y, model.predict(X)))


def text_alone(name: str, choice: str, seed: int) -> dict:
    """Log loss and accuracy on the test rows without and with the labels."""
    parts, y = draw(name, seed, customers=False)
    X, _ = features(parts, choice)
    classes = {part: y[frame.index] for part, frame in parts.items()}
    labeler = SalutaryLabeler(standardise=False)
    labeler.fit(X["labeled"], classes["labeled"], X["validation"], classes["validation"])
    labels = labeler.label(X["pool"], BUDGET).given
    known = LabeledRows(X["labeled"], classes["labeled"])
    more = fitted_model(labeler, known, LabeledRows(X["pool"][labels.rows], labels.labels))
    found = [judged(model, X["test"], classes["test"]) for model in (labeler.model_, more)]
    true = float((classes["pool"][labels.rows] == labels.labels).mean())
    names = ("loss", "accuracy", "loss_with", "accuracy_with")
    measured = dict(zip(names, [*found[0], *found[1]], strict=True))
    return {"texts": name, "features": choice, "seed": seed, **measured, "true_labels": true}


def scales(name: str, choice: str, seed: int) -> Iterator[dict]:
    """The log loss beside the columns of bank for each scale of the text's features."""
    parts, y = draw(name, seed, customers=True)
    X, block = features(parts, choice)
    seen = np.vstack([X["labeled"], X["pool"]])[:, block]
    power = {words: (p - 0.5) / 2 for words, p in SCALES.items()}
    factors = {words: seen.shape[1] ** p for words, p in power.items()}
    spread = seen.std(axis=0)
    for words, by in (factors | {EACH: 1 / np.where(spread, spread, 1), ALONE: 0.0}).items():
        train, test = X["labeled"].copy(), X["test"].copy()
        train[:, block] *= by
        test[:, block] *= by
        classes = y[parts["labeled"].index]
        model = fitted_model(SalutaryLabeler(), LabeledRows(train, classes))
        loss, accuracy = judged(model, test, y[parts["test"].index])
        told = {"texts": name, "features": choice, "seed": seed, "scale": words}
        yield told | {"loss": loss, "accuracy": accuracy}


def worth_table(draws: pd.DataFrame) -> PrettyTable:
    """Means and deviations over the draws of the text alone."""
    measured = ["log loss", "log loss with labels", "accuracy", "accuracy with labels", "true"]
    shown = PrettyTable(["texts", "features", *measured], align="r")
    for (name, choice), of in draws[draws["scale"] == ""].groupby(["texts", "features"]):
        losses = [f"{of[c].mean():.3f} ± {of[c].std():.3f}" for c in ("loss", "loss_with")]
        columns = ("accuracy", "accuracy_with", "true_labels")
        shares = [f"{100 * of[c].mean():.1f} ± {100 * of[c].std():.1f} %" for c in columns]
        shown.add_row([name, choice, *losses, *shares])
    return shown


def scale_table(draws: pd.DataFrame) -> PrettyTable:
    """The mean log loss beside other columns, by scale."""
    of = draws[draws["scale"] != ""]
    means = of.pivot_table(index="scale", columns=["texts", "features"], values="loss")
    shown = PrettyTable(["variance of a text", *map(", ".join, means)], align="r")
    for words in (*SCALES, EACH, ALONE):
        shown.add_row([words, *(f"{loss:.3f}" for loss in means.loc[words])])
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=seed_list, default=[0, 1, 2], help="of the draws")
    parser.add_argument("--out", type=Path, help="file to write the draws to, .csv")
    options = parser.parse_args()
    rows = []
    for name in TEXTS:
        for choice in TEXT_FEATURES:
            for seed in options.seeds:
                rows += [text_alone(name, choice, seed), *scales(name, choice, seed)]
                print(name, choice, seed, file=sys.stderr, flush=True)
    draws = pd.DataFrame(rows)
    draws["scale"] = draws["scale"].fillna("")
    if options.out:
        options.out.write_bytes(csv_bytes(draws.round(6)))
    print(worth_table(draws))
    print(scale_table(draws))
    return 0


if __name__ == "__main__":
    sys.exit(main())
