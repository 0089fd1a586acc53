"""SalutaryLabeler: salutary labels for arrays and data frames, by scikit-learn's conventions.

    labeler = SalutaryLabeler().fit(X, y, X_val, y_val)
    given = labeler.label(X_pool, budget=100)
    X_plus, y_plus = np.vstack([X, X_pool[given.rows]]), np.append(y, given.labels)

``salutary_query`` gives the same picks to modAL and scikit-activeml. The package strategies has the
rules that pick, influence.py the benefits (arXiv 2405.17627, section 3).
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from common.kinds import HessianRows, LabelSource, PenaltyRule
from data_prep.column_kinds import ColumnDecision
from data_prep.columns import decisions_record
from data_prep.features import weigh_texts
from data_prep.reading import AS_FOUND, TableReading
from influence import Influence
from labeling import labeler_input as given_rows
from labeling import wide
from labeling.bound_model import two_fits
from labeling.error_bound import BoundedLabels, check_enough, check_max_error, search
from labeling.fitting import fitted_model, predicting_model
from labeling.loop import KnownTensors, LabelingRun
from labeling.own_model import TrainedEstimator
from labeling.records import LabeledRows, LabelPlan, Labels, split_off
from models import LogisticRegression
from numerics.linear import as_tensor
from numerics.torch_classifier import estimator_input
from numerics.validation import (
    check_count,
    check_model,
    for_estimator,
    label_array,
    labels,
    unfit,
)
from strategies.base import InfluenceSettings
from strategies.registry import STRATEGIES
from strategies.span_regression import SpanRegression

DECIDED = [item.name for item in fields(ColumnDecision)]
# The strategies that give labels of their own and ask the validation set which.
METHODS = tuple(
    strategy.name
    for strategy in STRATEGIES.values()
    if strategy.labels == LabelSource.OWN and strategy.reads_validation
)


class SalutaryLabeler(ClassifierMixin, BaseEstimator):
    """Gives salutary labels to rows of a pool; as a classifier, the model fitted to X and y.

    Parameters
    ----------
    method : one of ``METHODS``, a strategy that gives labels of its own.
    l2 : of the logistic regression (see models.py): a number, or "cv", which chooses it from the
        grid of experiments/penalty.py by stratified cross-validation on X and y. There are five
        folds, or fewer if the second largest class has fewer rows.
    fit_intercept : of the logistic regression.
    hessian : "labeled" or "pool", the rows that the influence's Hessian sums over.
    standardise : scale features by the mean and deviation of X at ``fit``. Turn it off for features
        that are scaled already, as in a pipeline.
    validation_fraction : the part of X and y that is set aside for validation if ``fit`` gets no
        validation set.
    random_state : int or None, the seed of that draw and of the folds.
    reading : how a data frame's columns are to be read, ``data_prep.reading.TableReading``; None
        looks at the cells.
    estimator : a classifier with scikit-learn's interface, or its dotted name, that is the model
        fitted to X and y in place of the logistic regression, which still picks and labels. None
        for the logistic regression.

    Attributes
    ----------
    l2_ : the l2 of the models that pick, and of ``model_`` until ``label`` refits it.
    model_ : LogisticRegression on all of X and y.
    predictor_ : what ``predict`` asks: ``model_``, or the fitted estimator (see own_model.py).
    classes_, n_features_in_ : as in scikit-learn.
    n_validation_ : how many rows of X were set aside for validation; 0 if a validation set was
        given.
    pool_ : the rows without a label of ``fit_half``; None after ``fit``.
    columns_ : what was decided of each column of a data frame, as a data frame: column, read_as,
        why, features, missing. It has no rows for an array.
    """

    pool_: pd.DataFrame | None

    def __init__(
        self,
        method: str = "salutary_plus",
        *,
        l2: float | str = "cv",
        fit_intercept: bool = True,
        hessian: str = "labeled",
        standardise: bool = True,
        validation_fraction: float = 0.25,
        random_state: int = 0,
        reading: TableReading | None = None,
        estimator: Any = None,
    ):
        self.method = method
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.hessian = hessian
        self.standardise = standardise
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.reading = reading
        self.estimator = estimator

    def fit(self, X, y, X_val=None, y_val=None) -> "SalutaryLabeler":
        """Fit to X (n, D), array or data frame, and y (n,).

        The columns of a data frame become features as label.py makes them (docs/label.md); missing
        numbers become the median of X.

        X_val (v, D), y_val (v,) : the validation set, which says which labels help.

        Rows may also be lists, sparse matrices or tensors, and labels columns (n, 1).

        Raises ValueError for one class only, labels that are None or NaN, NaN or infinite values,
        unknown options, or a class that only the validation set has; its subclass UserError if l2
        is "cv" and all classes but one have a single row, and for an estimator that is no
        classifier with probabilities or whose fit fails. A fit that fails leaves the labeler
        unfitted.
        """
        return self._fit(X, y, X_val, y_val)

    def fit_half(
        self, frame: pd.DataFrame, target: str, validation: pd.DataFrame | None = None
    ) -> "SalutaryLabeler":
        """Fit to the rows of a data frame that have a label; the others are ``pool_``.

        target : the column of labels; None, NaN and an empty text are no label, nor is what
            ``reading.unlabeled_value`` names. validation : rows with the same columns and labels.

        As in label.py, the labeled rows and the pool decide what each column is read as, and on
        medians and scales. Then ``label`` without X_pool picks from ``pool_``.

        Raises what ``fit`` raises; TypeError if it is no data frame; UserError if there is no such
        column, no row with a label or none without, or if the validation rows lack a label.
        """
        known, pool = given_rows.halves(frame, target, validation, self.reading or AS_FOUND)
        self._fit(*known, pool=pool.drop(columns=target))
        self.pool_, self._target = pool, target
        return self

    def _fit(self, X: Any, y: Any, X_val: Any, y_val: Any, **more: Any) -> "SalutaryLabeler":
        try:
            return self._fit_parts(X, y, X_val, y_val, **more)
        except BaseException:
            unfit(self)
            raise

    def _fit_parts(
        self, X: Any, y: Any, X_val: Any, y_val: Any, pool: pd.DataFrame | None = None
    ) -> "SalutaryLabeler":
        """``fit``; the rows of the pool, if given, decide on the features with those of X."""
        self._check_parameters()
        self.pool_ = None
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together: give both, or neither")
        for name, given in (("y", y), ("y_val", y_val)):
            if given is not None:
                given_rows.check_known_classes(label_array(given, name), name)
        columns = given_rows.fitted_columns(X, self.reading or AS_FOUND, pool)
        as_they_are = pool is None and columns and given_rows.are_numbers_already(X, columns)
        self._columns = None if as_they_are else columns
        self._filler: SimpleImputer | None = None
        deciding = self._numbers(X if pool is None else pd.concat([X, pool]))
        X, y = estimator_input(self, deciding if pool is None else deciding[: len(y)], y)
        decisions = columns.decisions if columns else []
        self.columns_ = pd.DataFrame(decisions_record(decisions), columns=DECIDED)
        rows = X if pool is None else deciding
        self._scaler = StandardScaler().fit(rows) if self.standardise else None
        if self._scaler is not None and self._columns is not None:
            weigh_texts(self._scaler, decisions)
        X = self._scaled(X)
        self._labeled = LabeledRows(X, y)
        self.model_ = fitted_model(self, self._labeled)
        self.predictor_ = self._predictor(None)
        self.l2_ = self.model_.l2
        self.classes_ = self.model_.classes_
        if X_val is None:
            held = split_off(y, self.validation_fraction, np.random.default_rng(self.random_state))
            self.n_validation_ = int(held.sum())
            X, y, X_val, y_val = X[~held], y[~held], X[held], y[held]
        else:
            self.n_validation_ = 0
            X_val, y_val = self._scaled(self._checked(X_val)), labels(y_val, "y_val")
        given_rows.check_validation(self.classes_, X_val, y_val)
        self._known = KnownTensors(as_tensor(X), y, as_tensor(X_val), y_val)
        return self

    def label(
        self,
        X_pool: Any = None,
        budget: int | None = None,
        *,
        rounds: int = 10,
        abstain: float | str | None = None,
        refit: bool = False,
    ) -> Labels:
        """Pick ``budget`` rows of X_pool (n, D) in ``rounds`` rounds and give each a label.

        X_pool : array or data frame; None for ``pool_``, the rows without a label of ``fit_half``.
        abstain : leave a row for a person if its benefit is less than this above that of the
            runner-up. Such a row counts in the budget, and the model does not learn from it. A
            share such as "20%" leaves the closest fifth of the picks, after the last of them.

        refit : fit ``model_`` and ``predictor_`` again, to all labeled rows and the labels given,
            for ``predict``. Another call of ``label`` begins where ``fit`` ended all the same.

        Fewer rows come back if no other label helps. Otherwise the labeler does not change.
        Raises ValueError if the pool has fewer than ``budget`` rows, there is no validation row, or
        an argument is out of range; TypeError without a budget or a pool.
        """
        check_model(self, SalutaryLabeler, "classes_")
        pool = self.pool_ if X_pool is None else X_pool
        if pool is None:
            raise TypeError("there is no pool: give X_pool, or a half-labeled frame to fit_half")
        if budget is None:
            raise TypeError("there is no budget: say how many rows to label, as in budget=100")
        rows = pool.drop(columns=self._target) if X_pool is None else pool
        found = self.label_by_plan(rows, LabelPlan(budget, rounds, abstain))
        if refit:
            self._refit(rows, found.given)
        return replace(found, pool=pool if isinstance(pool, pd.DataFrame) else None)

    def _refit(self, X_pool: Any, given: Labels) -> None:
        rows = X_pool.iloc[given.rows] if isinstance(X_pool, pd.DataFrame) else X_pool[given.rows]
        more = LabeledRows(self._features(rows), given.labels) if len(given) else None
        self.model_ = fitted_model(self, self._labeled, more)
        self.predictor_ = self._predictor(more)

    def label_by_plan(
        self, X_pool, plan: LabelPlan, on_picks: Callable[[int], object] = lambda rows: None
    ) -> Labels:
        """``label`` with its arguments as a ``LabelPlan``, which can also leave out the details.

        on_picks : called with a number of rows as soon as these are picked.
        """
        X = as_tensor(self._features(X_pool))
        for name, value in (("budget", plan.budget), ("rounds", plan.rounds)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                check_count(value, name)
        if not 1 <= plan.budget <= len(X) or plan.rounds < 1:
            raise ValueError(
                f"budget {plan.budget} in {plan.rounds} rounds: the pool has {len(X)} rows, and "
                "both are 1 or more"
            )
        if len(self._known.y_validation) == 0:
            raise ValueError("y is too small to split a validation part off: give X_val and y_val")
        labels = LabelingRun(
            strategy=STRATEGIES[self.method],
            model=self._picking_model(),
            known=self._known,
            pool=X,
            plan=plan,
            settings=InfluenceSettings(
                HessianRows(self.hessian), finite_parameters=wide.finite_parameters()
            ),
            rng=np.random.default_rng(self.random_state),
            on_picks=on_picks,
        ).labels()
        return plan.with_share_left(labels)

    def label_within(self, X_pool, max_error: float) -> BoundedLabels:
        """Labels for rows of X_pool (n, D) of which, with 95 % confidence, at most the share
        ``max_error`` is wrong; labeling/error_bound.py says how.

        Raises ValueError if max_error is not between 0 and 1; its subclass UserError if there are
        too few validation rows.
        """
        check_max_error(max_error)
        X, known = self._features(X_pool), self._known
        validation = LabeledRows(known.X_validation.numpy(), known.y_validation)
        chooses = split_off(validation.y, 0.5, np.random.default_rng(self.random_state))
        check_enough(int((~chooses).sum()), len(chooses), max_error)
        labeled = LabeledRows(known.X.numpy(), known.y)
        fits = two_fits(self, labeled.joined(validation[chooses]))
        seed = 0 if self.random_state is None else self.random_state
        found = search(labeled, validation, fits=fits, chooses=chooses, seed=seed)
        return found.labels(X, max_error)

    def screen(self, X_pool) -> np.ndarray:
        """First-order benefit of each pool row under its best label, as the method weighs it: (n,).

        It costs one matrix product, so it can choose the rows of a pool that is too large for
        ``label``.
        """
        X, known = as_tensor(self._features(X_pool)), self._known
        model = self._picking_model().fit_tensors(known.X, known.y)
        rows = X if self.hessian == HessianRows.POOL else known.X
        influence = Influence(model, rows, known.X_validation, known.y_validation)
        scores = influence.first(X)
        if STRATEGIES[self.method].weighted:
            scores = scores * influence.class_probabilities(X)
        return scores.max(1).values.numpy()

    @available_if(lambda self: self.estimator is None)
    def decision_function(self, X) -> np.ndarray:
        """Logits: (n,) for two classes, else (n, K). An estimator of the user's has none."""
        X = self._features(X)  # this also checks that there is a model
        return self.model_.decision_function(X)

    def predict_proba(self, X) -> np.ndarray:
        """Probability of every class, in the order of ``classes_``: (n, K)."""
        X = self._features(X)
        return self.predictor_.predict_proba(X)

    def predict(self, X) -> np.ndarray:
        """The most probable class of each row: (n,)."""
        X = self._features(X)
        return self.predictor_.predict(X)

    def _check_parameters(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"unknown method {self.method!r}: choose from {', '.join(METHODS)}")
        if self.hessian not in tuple(HessianRows):
            raise ValueError(f"unknown hessian {self.hessian!r}: choose labeled or pool")
        if isinstance(self.l2, str) and self.l2 != PenaltyRule.CV:
            raise ValueError(f"unknown l2 {self.l2!r}: give a number above 0, or cv")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction is {self.validation_fraction}, not within 0 … 1")

    def _predictor(self, given: LabeledRows | None) -> LogisticRegression | TrainedEstimator:
        own = self.estimator is not None
        return predicting_model(self, self._labeled, given) if own else self.model_

    def _picking_model(self) -> LogisticRegression:
        model = SpanRegression(self.l2_, self.fit_intercept, warm_start=True)
        return model.set_params(tol=wide.TO_PICK) if wide.is_wide(self._known.X) else model

    def _features(self, X) -> np.ndarray:
        """X as the model takes it, (n, D): checked, as numbers, scaled."""
        check_model(self, SalutaryLabeler, "classes_")
        return self._scaled(self._checked(X))

    def _checked(self, X) -> np.ndarray:
        """X (n, D) as numbers, with the columns of ``fit``."""
        X = for_estimator(self, self._numbers(X), reset=False)
        return validate_data(self, X, dtype=np.float64, reset=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _numbers(self, X):
        """X, if it is a data frame as the numbers (n, D) that its columns become."""
        if self._columns is None:
            return X
        given_rows.check_same_columns(self._columns, X)
        numbers = self._columns.transform(X, "X")
        if self._filler is None:
            self._filler = SimpleImputer(strategy="median").fit(numbers)
        return self._filler.transform(numbers)

    def _scaled(self, X) -> np.ndarray:
        return X if self._scaler is None else self._scaler.transform(X)


def salutary_query(
    classifier: Any, X_pool, n_instances: int = 1, *, rounds: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """A query strategy for modAL and for loops of scikit-activeml.

    classifier : a fitted SalutaryLabeler, or an object that holds one: modAL's learner
        (``estimator``), scikit-activeml's SklearnClassifier (``estimator_``), a search of
        scikit-learn (``best_estimator_``), or a pipeline whose last step it is, also one in the
        other.

    Returns the picked positions in X_pool (n, D) and their benefits, (b,) each. These libraries
    expect positions, because their loops buy the labels. ``SalutaryLabeler.label`` on the picked
    rows gives the labels that the method itself would give.
    Raises TypeError if there is no SalutaryLabeler, NotFittedError if it is not fitted, as before
    there are labels of two classes, and ValueError as ``label`` does.
    """
    labeler, X_pool = given_rows.labeler_within(classifier, X_pool, SalutaryLabeler)
    given = labeler.label(X_pool, n_instances, rounds=rounds)
    return given.rows, given.benefit
