"""SalutaryLabeler: salutary labels for arrays and data frames, by scikit-learn's conventions.

    labeler = SalutaryLabeler().fit(X, y, X_val, y_val)
    given = labeler.label(X_pool, budget=100)
    X_plus, y_plus = np.vstack([X, X_pool[given.rows]]), np.append(y, given.labels)

``salutary_query`` gives the same picks to modAL and scikit-activeml. The rules are those of
strategies.py, the benefits those of influence.py (arXiv 2405.17627, section 3).
"""

from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

import experiment  # and with it all strategies
from hessian import DENSE_PARAMETERS
from influence import Influence
from models import LogisticRegression
from strategies import STRATEGIES, Query
from tables import Columns
from units import as_tensor

# The strategies that give labels of their own and ask the validation set which.
METHODS = tuple(n for n, s in STRATEGIES.items() if s.labels == "own" and s.reads_validation)
IN_TURN = ("salutary_greedy", "salutary_plus")  # these refit after every single pick
WEIGHTED = ("salutary_expected", "salutary_plus", "pseudo")  # by the model's own p(c|x)


@dataclass(frozen=True)
class Labels:
    """Pool rows with the labels given to them, in the order of the picks; each field is (b,).

    rows : positions in the pool; labels : the label given to each.
    benefit : predicted fall of the summed validation loss if the row, so labeled, joins the
        training set (finite step; first order above ``hessian.DENSE_PARAMETERS`` parameters).
    runner_up : the largest benefit among the other labels, which may be above ``benefit`` where the
        method weighs benefits by the model's probabilities.
    probability : the model's own p(label|x) at the time of the pick.
    round : 1, 2, …
    left : whether the row is left for a person (see ``SalutaryLabeler.label``); then its label is a
        proposal.
    """

    rows: np.ndarray
    labels: np.ndarray
    benefit: np.ndarray
    runner_up: np.ndarray
    probability: np.ndarray
    round: np.ndarray
    left: np.ndarray

    def __getitem__(self, mask) -> "Labels":
        return Labels(*(getattr(self, field.name)[mask] for field in fields(self)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def given(self) -> "Labels":
        """Those that are not left for a person."""
        return self[~self.left]

    @property
    def for_a_person(self) -> "Labels":
        """Those that are, most useful first."""
        left = self[self.left]
        return left[np.argsort(-left.benefit, kind="stable")]


class Parts(NamedTuple):
    """Labeled and validation rows as the model sees them."""

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray


class SalutaryLabeler(ClassifierMixin, BaseEstimator):
    """Gives salutary labels to rows of a pool; as a classifier, the model fitted on what is known.

    Parameters
    ----------
    method : one of ``METHODS``, a strategy of strategies.py that gives labels of its own.
    l2, fit_intercept : of the logistic regression (see models.py).
    hessian : "labeled" or "pool", the rows that the influence's Hessian sums over.
    standardise : scale features by the mean and deviation of X at ``fit``. Turn it off for features
        that are scaled already, as in a pipeline.
    validation_fraction : of X and y, for validation, where ``fit`` gets no validation set.
    random_state : int or None, the seed of that draw.

    Attributes
    ----------
    model_ : LogisticRegression on all of X and y (``predict`` uses it).
    classes_, n_features_in_ : as in scikit-learn.
    n_validation_ : rows split off X for validation; 0 where they were given.
    """

    def __init__(
        self,
        method: str = "salutary_plus",
        *,
        l2: float = 1.0,
        fit_intercept: bool = True,
        hessian: str = "labeled",
        standardise: bool = True,
        validation_fraction: float = 0.25,
        random_state: int = 0,
    ):
        self.method = method
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.hessian = hessian
        self.standardise = standardise
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X, y, X_val=None, y_val=None) -> "SalutaryLabeler":
        """Fit to X (n, D), array or data frame (text columns become indicators), and y (n,).

        Raises ValueError for one class only, NaN or infinite values, unknown options, or a class
        that only the validation set has.
        """
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}: choose from {', '.join(METHODS)}")
        if self.hessian not in ("labeled", "pool"):
            raise ValueError(f"unknown hessian {self.hessian!r}: choose labeled or pool")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction is {self.validation_fraction}, not within 0 … 1")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together: give both, or neither")
        self._columns = None
        if isinstance(X, pd.DataFrame) and not all(map(pd.api.types.is_numeric_dtype, X.dtypes)):
            self._columns = Columns().fit(X)
        X, y = validate_data(self, self._numbers(X), y, dtype=np.float64)
        check_classification_targets(y)
        self._scaler = StandardScaler().fit(X) if self.standardise else None
        X = self._scaled(X)
        self.model_ = LogisticRegression(self.l2, self.fit_intercept).fit(X, y)
        self.classes_ = self.model_.classes_
        if X_val is None:
            held = split_off(y, self.validation_fraction, np.random.default_rng(self.random_state))
            self.n_validation_ = int(held.sum())
            self._parts = Parts(X[~held], y[~held], X[held], y[held])
        else:
            self.n_validation_ = 0
            self._parts = Parts(X, y, self._features(X_val), np.asarray(y_val))
        strange = np.setdiff1d(self._parts.y_val, self.classes_)
        if len(strange):
            raise ValueError(f"class {strange[0]} is in the validation set but not in y")
        if len(self._parts.X_val) != len(self._parts.y_val):
            raise ValueError(
                f"X_val has {len(self._parts.X_val)} rows, y_val {len(self._parts.y_val)}"
            )
        return self

    def label(
        self, X_pool, budget: int, *, rounds: int = 10, abstain: float | None = None
    ) -> Labels:
        """Pick ``budget`` rows of X_pool (n, D) in ``rounds`` rounds and give each a label.

        abstain : leave a row for a person where its benefit is less than so much above that of the
            runner-up. It takes up its place in the budget, and is not learned from.

        Fewer rows come back where nothing is left that helps. The labeler does not change.
        Raises ValueError where the pool has fewer than ``budget`` rows, there is no validation row,
        or an argument is out of range.
        """
        X = self._features(X_pool)
        if not 1 <= budget <= len(X) or rounds < 1:
            raise ValueError(
                f"budget {budget} in {rounds} rounds: the pool has {len(X)} rows, and both are 1 "
                "or more"
            )
        return self._label(X, budget, min(rounds, budget), abstain, details=True)

    def _label(self, X, budget: int, rounds: int, abstain: float | None, *, details: bool):
        """``label`` on features; without ``details``, benefits and probabilities are NaN."""
        parts = self._parts
        if len(parts.y_val) == 0:
            raise ValueError("y is too small to split a validation part off: give X_val and y_val")
        strategy, rng = STRATEGIES[self.method], np.random.default_rng(self.random_state)
        model = LogisticRegression(self.l2, self.fit_intercept, warm_start=True)
        labeled, labels, pool = parts.X, parts.y, np.arange(len(X))
        sizes = np.diff(np.linspace(0, budget, rounds + 1).astype(int))
        each = details or abstain is not None  # then the model of every pick must be seen
        steps = [
            (number, step)
            for number, size in enumerate(sizes, start=1)
            for step in ([1] * size if each and self.method in IN_TURN else [size])
        ]
        found, tensor, memory = [], as_tensor(X), {}
        with few_threads(X):
            for number, step in steps:
                model.fit(labeled, labels)
                query = Query(
                    model=model,
                    X_labeled=labeled,
                    y_labeled=labels,
                    initial=len(parts.y),
                    pool=tensor,
                    left=pool,
                    X_validation=parts.X_val,
                    y_validation=parts.y_val,
                    budget=step,
                    hessian=self.hessian,
                    rng=rng,
                    memory=memory,
                )
                picks = strategy.pick(query)
                useful = np.logical_and.accumulate(picks.scores > 0)  # up to the first that is not
                rows, given = pool[picks.rows][useful], picks.labels[useful]
                columns = (
                    looked_at(query, X[rows], given)
                    if each and len(rows)
                    else np.full((3, len(rows)), np.nan)
                )
                left = np.full(len(rows), False)
                if abstain is not None:
                    left = columns[0] - columns[1] < abstain
                found.append(Labels(rows, given, *columns, np.full(len(rows), number), left))
                labeled = np.vstack([labeled, X[rows[~left]]])
                labels = np.append(labels, given[~left])
                pool = np.setdiff1d(pool, rows)
                if not useful.all():
                    break  # what is left would do harm
        joined = (np.concatenate([getattr(f, n.name) for f in found]) for n in fields(Labels))
        return Labels(*joined)

    def screen(self, X_pool) -> np.ndarray:
        """First-order benefit of each pool row under its best label, as the method weighs it: (n,).

        One matrix product: what a pool too large for ``label`` is thinned out by.
        """
        X = as_tensor(self._features(X_pool))
        parts = self._parts
        model = LogisticRegression(self.l2, self.fit_intercept).fit(parts.X, parts.y)
        rows = X if self.hessian == "pool" else parts.X
        influence = Influence(model, rows, parts.X_val, parts.y_val)
        scores = influence.first(X)
        if self.method in WEIGHTED:
            scores = scores * influence.class_probabilities(X)
        return scores.max(1).values.numpy()

    def decision_function(self, X) -> np.ndarray:
        """Logits: (n,) for two classes, else (n, K)."""
        X = self._features(X)  # tells first whether there is a model
        return self.model_.decision_function(X)

    def predict_proba(self, X) -> np.ndarray:
        """Probability of every class, in the order of ``classes_``: (n, K)."""
        X = self._features(X)
        return self.model_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable class of each row: (n,)."""
        X = self._features(X)
        return self.model_.predict(X)

    def _features(self, X) -> np.ndarray:
        check_is_fitted(self)
        return self._scaled(validate_data(self, self._numbers(X), dtype=np.float64, reset=False))

    def _numbers(self, X):
        return X if self._columns is None else self._columns.transform(X)

    def _scaled(self, X) -> np.ndarray:
        return X if self._scaler is None else self._scaler.transform(X)


def few_threads(X: np.ndarray):
    """``experiment.few_threads`` for a pool X (n, D)."""
    return experiment.few_threads(SimpleNamespace(X=X))


def looked_at(query: Query, X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Benefit, runner-up's benefit and probability of rows X (b, D) with these labels: (3, b)."""
    X = as_tensor(X)
    influence = query.influence()
    small = influence.gradient.numel() <= DENSE_PARAMETERS
    benefits = (influence.finite(X) if small else influence.first(X)).numpy()  # (b, K)
    codes = np.searchsorted(query.model.classes_, labels)[:, None]
    own = np.take_along_axis(benefits, codes, 1)[:, 0]
    np.put_along_axis(benefits, codes, -np.inf, 1)
    probability = influence.class_probabilities(X).numpy()
    return np.stack([own, benefits.max(1), np.take_along_axis(probability, codes, 1)[:, 0]])


def split_off(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Rows (n,) bool drawn in proportion to the classes, of which each keeps a row at least."""
    held = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        held[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    return held


def salutary_query(classifier, X_pool, n_instances: int = 1, *, rounds: int = 1):
    """A query strategy for modAL and for loops of scikit-activeml.

    classifier : a fitted SalutaryLabeler, or what holds one: modAL's learner (``estimator``) or
        scikit-activeml's SklearnClassifier (``estimator_``).
    Returns the picked positions in X_pool and their benefits, (b,) each. Positions are what these
    libraries expect, so that their own loops buy labels for them; ``SalutaryLabeler.label`` on the
    picked rows gives the labels that the method itself would give.
    Raises TypeError where there is no SalutaryLabeler.
    """
    labeler = classifier
    for name in ("estimator_", "estimator"):
        if not isinstance(labeler, SalutaryLabeler):
            labeler = getattr(classifier, name, None)
    if not isinstance(labeler, SalutaryLabeler):
        raise TypeError(
            f"salutary_query needs a fitted SalutaryLabeler, not {type(classifier).__name__}"
        )
    given = labeler.label(X_pool, n_instances, rounds=rounds)
    return given.rows, given.benefit
