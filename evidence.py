"""Does it help here? Repeated cross-validation on the rows whose labels are known.

Every part that is held out is labeled rows, and validation rows where there are any; the rest plays
the whole game, salutary labels included, and is judged on it. Differences are paired. Parts of one
table share training rows, so their variance is corrected as Nadeau and Bengio (2003) do: J
differences d of parts that hold out a fraction q have the squared error s²(d)·(1/J + q/(1 − q)).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from sklearn.base import clone

from labeler import SalutaryLabeler
from models import LogisticRegression

FOLDS, REPEATS = 5, 2
PLAIN, PLUS, SPENT = "labeled rows", "and salutary labels", "labeled and validation rows"


class TooFew(ValueError):
    """There are too few labeled rows to hold a part out."""


@dataclass(frozen=True)
class Gain:
    """A mean paired difference and the half-width of its 95 % interval."""

    mean: float
    half: float

    @property
    def clear(self) -> bool:
        return self.mean - self.half > 0


@dataclass(frozen=True)
class Evidence:
    """What was measured: for each arm (J,) accuracies and falls of the log loss, as fractions.

    accuracy, log_loss : by arm; prior_loss (J,) : log loss of always answering the class shares of
    the labeled rows. held : mean number of rows held out; given : mean number of labels given.
    """

    accuracy: dict[str, np.ndarray]
    log_loss: dict[str, np.ndarray]
    prior_loss: np.ndarray
    held: float
    given: float

    def accuracy_gain(self, arm: str) -> Gain:
        return paired(self.accuracy[arm] - self.accuracy[PLAIN])

    def loss_gain(self, arm: str) -> Gain:
        """How much lower the log loss is than that of the plain arm."""
        return paired(self.log_loss[PLAIN] - self.log_loss[arm])

    def verdict(self) -> tuple[bool, str]:
        """Whether to use the labels, and why.

        They help if the log loss falls clearly (the log loss, because it tells more on few rows
        than the accuracy), the mean accuracy does not, and the model then knows more than how
        frequent the classes are: on random labels any pull towards the frequent class is a gain,
        but of nothing that was learned.
        """
        if not self.loss_gain(PLUS).clear:
            return False, "no clear gain: the log loss does not fall for certain"
        if self.accuracy_gain(PLUS).mean < 0:
            return False, "the log loss falls, but the accuracy falls too"
        if not self.log_loss[PLUS].mean() < self.prior_loss.mean():
            return False, (
                "with them the model still knows no more than how frequent the classes are"
            )
        return True, "the log loss falls clearly, and the accuracy does not fall"


def paired(differences: np.ndarray, folds: int = FOLDS) -> Gain:
    """Mean and 95 % half-width of differences (J,) over repeated folds, variance corrected."""
    count = len(differences)
    error = differences.std(ddof=1) * np.sqrt(1 / count + 1 / (folds - 1))
    return Gain(float(differences.mean()), float(student.ppf(0.975, count - 1) * error))


def measure(
    labeler: SalutaryLabeler,
    X: np.ndarray,
    y: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None,
    X_pool: np.ndarray,
    budget: int,
    *,
    rounds: int = 10,
    abstain: float | None = None,
    seed: int = 0,
    on_part: Callable[[], object] = lambda: None,
) -> Evidence:
    """Hold out each of FOLDS parts, REPEATS times; with the rest, label X_pool and train.

    labeler : its options are used, it is not fitted; features must be scaled already.
    X (m, D), y (m,) : labeled rows; validation : X (v, D) and y (v,), or None, and then the labeler
    splits a part off the labeled rows each time. A model is always trained on all labeled rows.

    Raises TooFew where no class has a row for every part, or nothing is left to validate with.
    """
    rng = np.random.default_rng(seed)
    results, priors, held, given = [], [], [], []
    for _ in range(REPEATS):
        parts = deal(y, rng)
        if parts.max() < 0:
            raise TooFew(f"no class has {2 * FOLDS} labeled rows, to hold out a part of them")
        parts_val = deal(validation[1], rng, least=1) if validation else None
        for part in range(FOLDS):
            out = parts == part
            X_test, y_test = X[out], y[out]
            rows = (X[~out], y[~out])
            arms = {PLAIN: rows}
            own = clone(labeler)
            if validation:
                out = parts_val == part
                spared = (validation[0][~out], validation[1][~out])
                X_test = np.vstack([X_test, validation[0][out]])
                y_test = np.append(y_test, validation[1][out])
                arms[SPENT] = (np.vstack([rows[0], spared[0]]), np.append(rows[1], spared[1]))
                own.fit(*rows, *spared)
            else:
                own.fit(*rows)
                if own.n_validation_ == 0:
                    raise TooFew("too few labeled rows to split a validation part off")
            labels = own._label(X_pool, budget, min(rounds, budget), abstain, details=False).given
            arms[PLUS] = (
                np.vstack([rows[0], X_pool[labels.rows]]),
                np.append(rows[1], labels.labels),
            )
            results.append(
                {arm: judge(labeler, *data, X_test, y_test) for arm, data in arms.items()}
            )
            priors.append(prior_loss(rows[1], y_test))
            held.append(len(y_test))
            given.append(len(labels))
            on_part()
    accuracy, log_loss = (
        {arm: np.array([r[arm][i] for r in results]) for arm in results[0]} for i in (0, 1)
    )
    return Evidence(accuracy, log_loss, np.array(priors), np.mean(held), np.mean(given))


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


def judge(labeler: SalutaryLabeler, X, y, X_test, y_test) -> tuple[float, float]:
    """Accuracy and log loss per row, on the test rows, of a model trained on X and y."""
    model = LogisticRegression(labeler.l2, labeler.fit_intercept).fit(X, y)
    P = model.predict_proba(X_test)
    own = P[np.arange(len(y_test)), np.searchsorted(model.classes_, y_test)]
    hit = model.classes_[P.argmax(1)] == y_test
    return float(hit.mean()), float(-np.log(np.maximum(own, 1e-15)).mean())


def prior_loss(y: np.ndarray, y_test: np.ndarray) -> float:
    """Log loss per test row of always answering the class shares of y."""
    classes, counts = np.unique(y, return_counts=True)
    return float(-np.log(counts / len(y))[np.searchsorted(classes, y_test)].mean())
