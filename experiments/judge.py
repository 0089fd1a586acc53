"""A linear stand-in picks and labels, another classifier is trained on the result and judged.

The strategies see the logistic regression of the protocol, and influence is computed on it. In each
round the classifier that --model names is fitted to all rows labeled so far, and the metrics of the
round are its own (the paper's surrogate study).
"""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

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


class Judge:
    """The classifier that --model names, on one split.

    It sees the features as they are and the numbers of the classes, 0 to K - 1, which every
    library takes. Every fit begins anew, from the same seed.
    """

    def __init__(self, settings: JudgeSettings, split: Split, seed: int):
        self.name, self.split, self.seed = settings.name, split, seed
        self.classes = np.unique(split.y[split.labeled])
        self.template = make_estimator(settings.name)
        states = [
            key
            for key in self.template.get_params(deep=True)
            if key == "random_state" or key.endswith("__random_state")
        ]
        self.template.set_params(**dict.fromkeys(states, seed))

    def fit(self, rows: np.ndarray, labels: np.ndarray, when: str) -> None:
        """Fit a new classifier to these rows (m,) of the split, with labels (m,).

        when : the method, the round and the seed in words. Raises UserError if the fit fails.
        """
        self.when = when
        self.fitted = clone(self.template)
        with self._careful("fit"):
            self.fitted.fit(self.split.X[rows], np.searchsorted(self.classes, labels))
            known = np.asarray(self.fitted.classes_).tolist()
        if known != list(range(len(self.classes))):
            raise self._error(f"its classes_ are {known}, not 0 to {len(self.classes) - 1}")

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
        with self._careful("predict_proba"):
            P = np.asarray(self.fitted.predict_proba(X), dtype=float)
            if P.shape != (len(X), len(self.classes)):
                raise self._error(
                    f"predict_proba gave an array of shape {P.shape}, not "
                    f"{(len(X), len(self.classes))}"
                )
            if not np.isfinite(P).all() or (P < 0).any() or not P.sum(1).all():
                raise self._error("predict_proba gave numbers that are no probabilities")
        with self._careful("predict"):
            predicted = np.asarray(self.fitted.predict(X)).astype(int)
        true = np.searchsorted(self.classes, self.split.y[rows])
        return true, P / P.sum(1, keepdims=True), predicted

    @contextmanager
    def _careful(self, what: str) -> Iterator[None]:
        """Call the classifier: seeded, without its warnings; what it raises becomes a UserError.

        One thread if the data are few: several gain nothing then, and wait for each other.
        """
        few = self.split.X.size < MANY_ENTRIES
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
        return UserError(f"--model {self.name}, {self.when}: {told}")


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
