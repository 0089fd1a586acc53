"""Do salutary labels help on this data? Repeated cross-validation on the rows of known class.

Each part that is held out has labeled rows, and validation rows if there is a validation set. The
labeler gets all other rows, labels the pool, and its training set is judged on the held-out part
beside the training sets without those labels. Every model, and every labeler, has its own l2. If it
is to be chosen by cross-validation, then on the training rows of that part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone
from sklearn.metrics import log_loss

from labeling.evidence import FOLDS, REPEATS, Arm, Evidence, PartResult, Score
from labeling.fitting import predicting_model
from labeling.labeler import SalutaryLabeler
from labeling.own_model import TrainedEstimator
from labeling.records import KnownRows, LabeledRows, LabelPlan
from models import LogisticRegression


class TooFewRows(ValueError):
    """There are too few labeled rows to hold a part out."""


def measure(
    labeler: SalutaryLabeler,
    known: KnownRows,
    X_pool: np.ndarray,
    plan: LabelPlan,
    *,
    seed: int = 0,
    on_part: Callable[[], object] = lambda: None,
    on_picks: Callable[[int], object] = lambda rows: None,
) -> Evidence:
    """Hold out each of FOLDS parts, REPEATS times; label X_pool (n, D) by the rest, and train.

    labeler : gives its parameters; it is not fitted itself. Features must be scaled already.
    known : if it has no validation set, the labeler splits one off the labeled rows each time. A
        model is always trained on all labeled rows that are not held out.
    on_part : called after every part. on_picks : as in ``SalutaryLabeler.label_by_plan``.

    Raises TooFewRows if no class has a row for every part, or no row is left to validate with.
    """
    rng = np.random.default_rng(seed)
    plan = replace(plan, details=False)
    results = []
    for _ in range(REPEATS):
        for fold in folds(known, rng):
            results.append(compare_arms(labeler, fold, X_pool, plan, on_picks))
            on_part()
    return Evidence(np.unique(known.labeled.y), results)


@dataclass(frozen=True)
class Fold:
    """test : the held-out rows, labeled and validation rows together. training : all others."""

    training: KnownRows
    test: LabeledRows


def folds(known: KnownRows, rng: np.random.Generator) -> Iterator[Fold]:
    """FOLDS ways to hold a part out.

    Raises TooFewRows if no class has enough labeled rows, or the validation set has one row.
    """
    labeled, validation = known.labeled, known.validation
    part_of = deal(labeled.y, rng)
    if part_of.max() < 0:
        raise TooFewRows(f"no class has {2 * FOLDS} labeled rows, to hold out a part of them")
    if validation is None:
        for part in range(FOLDS):
            out = part_of == part
            yield Fold(KnownRows(labeled[~out]), labeled[out])
        return
    if len(validation.y) < 2:
        raise TooFewRows("a validation set of one row leaves none if this row is held out")
    part_of_validation = deal(validation.y, rng, least=1)
    for part in range(FOLDS):
        out, out_validation = part_of == part, part_of_validation == part
        yield Fold(
            KnownRows(labeled[~out], validation[~out_validation]),
            labeled[out].joined(validation[out_validation]),
        )


def deal(y: np.ndarray, rng: np.random.Generator, least: int = 2 * FOLDS) -> np.ndarray:
    """The part (n,) that each row is held out in, dealt class by class; −1: in none.

    Classes of fewer than ``least`` rows are never held out, so that training always knows them.
    """
    parts = np.full(len(y), -1)
    start = 0
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        if len(rows) >= least:
            parts[rows] = (start + np.arange(len(rows))) % FOLDS
            start += len(rows)  # so that small classes do not all fill the first parts
    return parts


def compare_arms(
    labeler: SalutaryLabeler,
    fold: Fold,
    X_pool: np.ndarray,
    plan: LabelPlan,
    on_picks: Callable[[int], object] = lambda rows: None,
) -> PartResult:
    """Label X_pool, train on each arm's rows, and judge the models on the held-out ones."""
    labeled, validation = fold.training.labeled, fold.training.validation
    fitted = clone(labeler).fit(*fold.training.arrays())
    if validation is None and fitted.n_validation_ == 0:
        raise TooFewRows("too few labeled rows to split a validation part off")
    picked = fitted.label_by_plan(X_pool, plan, on_picks).given
    given = LabeledRows(X_pool[picked.rows], picked.labels)
    models = {
        Arm.LABELED: fitted.predictor_,
        Arm.SALUTARY: predicting_model(labeler, labeled, given),
    }
    human = labeled
    if validation is not None:
        human = labeled.joined(validation)
        models[Arm.VALIDATION] = predicting_model(labeler, human)
    classes = fitted.classes_
    return PartResult(
        scores={arm: score(model, fold.test) for arm, model in models.items()},
        shares_loss=shares_loss(human.y, fold.test.y),
        held_out=class_counts(classes, fold.test.y),
        given=class_counts(classes, given.y),
    )


def score(model: LogisticRegression | TrainedEstimator, test: LabeledRows) -> Score:
    """The score of a fitted model on ``test``, whose classes it knows."""
    P = model.predict_proba(test.X)
    own_model = isinstance(model, TrainedEstimator)  # it may not predict the most probable class
    hit = (model.predict(test.X) if own_model else model.classes_[P.argmax(1)]) == test.y
    own = test.y[:, None] == model.classes_  # (n, K)
    with np.errstate(invalid="ignore"):  # a class that is not held out: 0 / 0
        recalls = (own & hit[:, None]).sum(0) / own.sum(0)
    loss = log_loss(test.y, P, labels=model.classes_)
    return Score(model.l2, float(hit.mean()), float(loss), recalls)


def shares_loss(y: np.ndarray, y_test: np.ndarray) -> float:
    """Log loss per test row of always answering the class shares of y."""
    classes, counts = np.unique(y, return_counts=True)
    return float(-np.log(counts / len(y))[np.searchsorted(classes, y_test)].mean())


def class_counts(classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many of the labels y are of each of the sorted classes (K,): (K,)."""
    return np.bincount(np.searchsorted(classes, y), minlength=len(classes))
