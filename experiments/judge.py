"""A linear stand-in picks and labels, another classifier is trained on the result and judged.

The strategies see the logistic regression of the protocol, and influence is computed on it. In each
round the classifier that --model names is fitted to all rows labeled so far, and the metrics of the
round are its own (the paper's surrogate study).
"""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from common.errors import UserError
from common.parallel import MANY_ENTRIES
from common.plugins import in_use
from data_utils import Split
from experiments.estimators import JudgeSettings, make_estimator
from experiments.metrics import Scores, scores


class CheckedClassifier:
    """A classifier of the user's, whose every answer is checked.

    It sees the numbers of the classes, 0 to K - 1, which every library takes. Every fit begins
    anew, from the same seed.

    template : the classifier, not fitted. shown : names it in errors.
    """

    def __init__(self, template: Any, shown: str, seed: int):
        self.template, self.shown, self.seed = template, shown, seed

    def fit(self, X: np.ndarray, codes: np.ndarray, count: int, when: str) -> None:
        """Fit a new classifier to X (m, D) and the numbers (m,) of ``count`` classes.

        when : the method, the round and the seed in words. Raises UserError if the fit fails.
        """
        self.when, self.count = when, count
        self.fitted = clone(self.template)
        with self._careful("fit", X.size):
            self.fitted.fit(X, codes)
            known = np.asarray(self.fitted.classes_).tolist()
        if known != list(range(count)):
            raise self._error(f"its classes_ are {known}, not 0 to {count - 1}")

    def with_names(self, X: np.ndarray, y: np.ndarray) -> Any | None:
        """The same classifier, fitted to the names of the classes in place of their numbers.

        X (m, D), y (m,) : the rows of ``fit``. None if it takes numbers only, or becomes another
        classifier.
        """
        named = clone(self.template)
        try:
            with self._careful("fit", X.size):
                named.fit(X, y)
                same = np.array_equal(named.classes_, np.unique(y)) and np.allclose(
                    named.predict_proba(X), self.fitted.predict_proba(X), rtol=0, atol=1e-9
                )
        except UserError:
            return None
        return named if same else None

    def probabilities(self, X: np.ndarray) -> np.ndarray:
        """The probability of each class, (m, K). Raises UserError for what is no such thing."""
        with self._careful("predict_proba", X.size):
            P = np.asarray(self.fitted.predict_proba(X), dtype=float)
            if P.shape != (len(X), self.count):
                raise self._error(
                    f"predict_proba gave an array of shape {P.shape}, not {(len(X), self.count)}"
                )
            if not np.isfinite(P).all() or (P < 0).any() or not P.sum(1).all():
                raise self._error("predict_proba gave numbers that are no probabilities")
        return P / P.sum(1, keepdims=True)

    def predicted(self, X: np.ndarray) -> np.ndarray:
        """The numbers of the predicted classes, (m,). Raises UserError if it fails."""
        with self._careful("predict", X.size):
            return np.asarray(self.fitted.predict(X)).astype(int)

    @contextmanager
    def _careful(self, what: str, entries: int) -> Iterator[None]:
        """Call the classifier: seeded, without its warnings; what it raises becomes a UserError.

        One thread if the data are few: several gain nothing then, and wait for each other.
        """
        few = entries < MANY_ENTRIES
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with _seeded(self.seed), threadpool_limits(1) if few else nullcontext():
                    yield
        except UserError:
            raise
        except Exception as error:
            own = [
                f"{plugin.shown}{line}: " for plugin in in_use() if (line := plugin.line_of(error))
            ]
            raise self._error(f"{''.join(own)}{what} raised {type(error).__name__}") from error

    def _error(self, told: str) -> UserError:
        return UserError(f"{self.shown}, {self.when}: {told}")


def seeded(template: Any, seed: int) -> Any:
    """The classifier itself, every ``random_state`` of it set to the seed."""
    states = [
        key
        for key in template.get_params(deep=True)
        if key == "random_state" or key.endswith("__random_state")
    ]
    return template.set_params(**dict.fromkeys(states, seed))


class Judge:
    """The classifier that --model names, on one split: it sees the features as they are."""

    def __init__(self, settings: JudgeSettings, split: Split, seed: int):
        self.split = split
        self.classes = np.unique(split.y[split.labeled])
        template = seeded(make_estimator(settings.name), seed)
        self.checked = CheckedClassifier(template, f"--model {settings.name}", seed)

    def fit(self, rows: np.ndarray, labels: np.ndarray, when: str) -> None:
        """Fit a new classifier to these rows (m,) of the split, with labels (m,).

        when : the method, the round and the seed in words. Raises UserError if the fit fails.
        """
        codes = np.searchsorted(self.classes, labels)
        self.checked.fit(self.split.X[rows], codes, len(self.classes), when)

    def measure(self) -> tuple[Scores, float, float]:
        """The scores on the test set, the validation accuracy, and the validation loss per row.

        Raises UserError if it has no probability for every row and class.
        """
        y, P, predicted = self._predictions(self.split.test)
        on_test = scores(P, predicted, y)
        y, P, predicted = self._predictions(self.split.validation)
        loss = log_loss(y, P, labels=np.arange(len(self.classes)))
        return on_test, float((predicted == y).mean()), float(loss)

    def _predictions(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """True class numbers (m,), probabilities (m, K) and predicted class numbers (m,)."""
        X = self.split.X[rows]
        P, predicted = self.checked.probabilities(X), self.checked.predicted(X)
        return np.searchsorted(self.classes, self.split.y[rows]), P, predicted


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators of Python, NumPy and torch that a library may draw from, for a while."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
