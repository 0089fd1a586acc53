"""Do salutary labels help on this data? Repeated cross-validation on the rows of known class.

Each part that is held out has labeled rows, and validation rows if there is a validation set. The
labeler gets all other rows, labels the pool, and its training set is judged on the held-out part
beside the training sets without those labels. Differences are paired. The parts of one table share
training rows, so their variance is corrected as Nadeau and Bengio (2003) do: J differences d of
parts that hold out a fraction q have the squared error s²(d)·(1/J + q/(1 − q)).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student
from sklearn.base import clone

from common.kinds import TextEnum
from labeling.labeler import SalutaryLabeler
from labeling.records import KnownRows, LabeledRows, LabelPlan
from models import LogisticRegression

FOLDS, REPEATS = 5, 2


class TooFewRows(ValueError):
    """There are too few labeled rows to hold a part out."""


class Arm(TextEnum):
    """The training sets that are compared, under their names in the printed table."""

    LABELED = "labeled rows"
    SALUTARY = "and salutary labels"
    VALIDATION = "labeled and validation rows"


@dataclass(frozen=True)
class Score:
    """Accuracy, a fraction, and log loss per row of one model on held-out rows."""

    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class PartResult:
    """What one held-out part showed.

    scores : of each arm's model. prior_loss : log loss per row of always answering the class shares
    of the labeled rows. held_out : rows in the part. given : salutary labels given.
    """

    scores: dict[Arm, Score]
    prior_loss: float
    held_out: int
    given: int


@dataclass(frozen=True)
class Gain:
    """A mean paired difference and the half-width of its 95 % interval."""

    mean: float
    half: float

    @property
    def clear(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.mean - self.half > 0


@dataclass(frozen=True)
class Evidence:
    """The results of all J held-out parts."""

    parts: Sequence[PartResult]

    @property
    def arms(self) -> list[Arm]:
        """The arms that were compared, in the order of the table."""
        return [arm for arm in Arm if arm in self.parts[0].scores]

    def accuracy(self, arm: Arm) -> np.ndarray:
        """The arm's accuracy on each part: (J,)."""
        return np.array([part.scores[arm].accuracy for part in self.parts])

    def log_loss(self, arm: Arm) -> np.ndarray:
        """The arm's log loss per row on each part: (J,)."""
        return np.array([part.scores[arm].log_loss for part in self.parts])

    def accuracy_gain(self, arm: Arm) -> Gain:
        """How much higher the accuracy is than that of the labeled rows alone."""
        return paired(self.accuracy(arm) - self.accuracy(Arm.LABELED))

    def loss_fall(self, arm: Arm) -> Gain:
        """How much lower the log loss is than that of the labeled rows alone."""
        return paired(self.log_loss(Arm.LABELED) - self.log_loss(arm))

    @property
    def prior_loss(self) -> float:
        """Mean log loss per row of always answering the class shares."""
        return float(np.mean([part.prior_loss for part in self.parts]))

    @property
    def held_out(self) -> float:
        """Mean number of rows in a part."""
        return float(np.mean([part.held_out for part in self.parts]))

    @property
    def given(self) -> float:
        """Mean number of labels given."""
        return float(np.mean([part.given for part in self.parts]))


def paired(differences: np.ndarray, folds: int = FOLDS) -> Gain:
    """Mean and 95 % half-width of differences (J,) over repeated folds, variance corrected."""
    count = len(differences)
    error = differences.std(ddof=1) * np.sqrt(1 / count + 1 / (folds - 1))
    return Gain(float(differences.mean()), float(student.ppf(0.975, count - 1) * error))


def measure(
    labeler: SalutaryLabeler,
    known: KnownRows,
    X_pool: np.ndarray,
    plan: LabelPlan,
    *,
    seed: int = 0,
    on_part: Callable[[], object] = lambda: None,
) -> Evidence:
    """Hold out each of FOLDS parts, REPEATS times; label X_pool (n, D) by the rest, and train.

    labeler : gives its parameters; it is not fitted itself. Features must be scaled already.
    known : if it has no validation set, the labeler splits one off the labeled rows each time. A
        model is always trained on all labeled rows that are not held out.
    on_part : called after every part.

    Raises TooFewRows if no class has a row for every part, or no row is left to validate with.
    """
    rng = np.random.default_rng(seed)
    plan = replace(plan, details=False)
    results = []
    for _ in range(REPEATS):
        for fold in folds(known, rng):
            given = salutary_rows(labeler, fold.training, X_pool, plan)
            results.append(compare_arms(labeler, fold, given))
            on_part()
    return Evidence(results)


@dataclass(frozen=True)
class Fold:
    """test : the held-out rows, labeled and validation rows together. training : all others."""

    training: KnownRows
    test: LabeledRows


def folds(known: KnownRows, rng: np.random.Generator) -> Iterator[Fold]:
    """FOLDS ways to hold a part out. Raises TooFewRows if no class has enough labeled rows."""
    labeled, validation = known.labeled, known.validation
    part_of = deal(labeled.y, rng)
    if part_of.max() < 0:
        raise TooFewRows(f"no class has {2 * FOLDS} labeled rows, to hold out a part of them")
    if validation is None:
        for part in range(FOLDS):
            out = part_of == part
            yield Fold(KnownRows(labeled[~out]), labeled[out])
        return
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


def salutary_rows(
    labeler: SalutaryLabeler, training: KnownRows, X_pool: np.ndarray, plan: LabelPlan
) -> LabeledRows:
    """The pool rows that a labeler with these parameters gives labels, if it knows ``training``."""
    fitted = clone(labeler).fit(*training.arrays())
    if training.validation is None and fitted.n_validation_ == 0:
        raise TooFewRows("too few labeled rows to split a validation part off")
    given = fitted.label_by_plan(X_pool, plan).given
    return LabeledRows(X_pool[given.rows], given.labels)


def compare_arms(labeler: SalutaryLabeler, fold: Fold, given: LabeledRows) -> PartResult:
    """Train on each arm's rows, and judge the models on the held-out ones."""
    labeled, validation = fold.training.labeled, fold.training.validation
    arms = {Arm.LABELED: labeled, Arm.SALUTARY: labeled.joined(given)}
    if validation is not None:
        arms[Arm.VALIDATION] = labeled.joined(validation)
    return PartResult(
        scores={arm: score(labeler, rows, fold.test) for arm, rows in arms.items()},
        prior_loss=prior_loss(labeled.y, fold.test.y),
        held_out=len(fold.test),
        given=len(given),
    )


def score(labeler: SalutaryLabeler, training: LabeledRows, test: LabeledRows) -> Score:
    """The score on ``test`` of the labeler's kind of model, trained on ``training``."""
    model = LogisticRegression(labeler.l2, labeler.fit_intercept).fit(training.X, training.y)
    P = model.predict_proba(test.X)
    own = P[np.arange(len(test)), np.searchsorted(model.classes_, test.y)]
    hit = model.classes_[P.argmax(1)] == test.y
    return Score(float(hit.mean()), float(-np.log(np.maximum(own, 1e-15)).mean()))


def prior_loss(y: np.ndarray, y_test: np.ndarray) -> float:
    """Log loss per test row of always answering the class shares of y."""
    classes, counts = np.unique(y, return_counts=True)
    return float(-np.log(counts / len(y))[np.searchsorted(classes, y_test)].mean())
