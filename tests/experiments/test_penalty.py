"""l2 is the value of the grid that scikit-learn's own fits find best."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from common.errors import UserError
from experiments import penalty
from experiments.penalty import GRID, Rows, chosen_by_cross_validation, chosen_on_validation
from models import MLP, LogisticRegression
from tests.helpers import split_of


def rows(split, positions) -> Rows:
    return Rows(torch.as_tensor(split.X[positions]), split.y[positions])


def sklearn_regression(l2: float) -> SklearnRegression:
    return SklearnRegression(C=1 / l2, tol=1e-8, max_iter=10_000)


def test_the_grid_is_thirteen_values_from_a_hundredth_to_a_thousand():
    assert np.allclose(sorted(GRID), np.logspace(-2, 3, 13))


@pytest.mark.parametrize("name", ["bank", "waveform"])
def test_the_choice_on_validation_rows_is_that_of_scikit_learn(name):
    split = split_of(name)
    training, validation = rows(split, split.labeled), rows(split, split.validation)
    losses = {
        l2: log_loss(
            validation.y, sklearn_regression(l2).fit(*training).predict_proba(validation.X)
        )
        for l2 in GRID
    }
    model = LogisticRegression(fit_intercept=True, warm_start=True)
    chosen = chosen_on_validation(model, training, validation)
    assert chosen == min(losses, key=losses.__getitem__)
    assert chosen not in (GRID[0], GRID[-1])  # otherwise a constant would pass


def test_the_choice_by_cross_validation_is_that_of_scikit_learn():
    split = split_of("bank")
    training = rows(split, split.labeled)
    search = GridSearchCV(
        SklearnRegression(tol=1e-8, max_iter=10_000),
        {"C": [1 / l2 for l2 in GRID]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=3),
    ).fit(*training)
    model = LogisticRegression(fit_intercept=True, warm_start=True)
    chosen = chosen_by_cross_validation(model, training, seed=3)
    assert chosen == pytest.approx(1 / search.best_params_["C"])


@pytest.mark.parametrize("name", ["bank", "breast_cancer"])
def test_a_model_with_many_weights_gets_the_same_choice_from_rough_fits(name, monkeypatch):
    """Most values are fitted roughly, and the smallest ones not at all."""
    split = split_of(name)
    training, validation = rows(split, split.labeled), rows(split, split.validation)
    model = LogisticRegression(fit_intercept=True, warm_start=True)

    def choices() -> list[float]:
        by_folds = chosen_by_cross_validation(model, training, seed=3)
        return [chosen_on_validation(model, training, validation), by_folds]

    expected = choices()
    fit, tolerances = LogisticRegression.fit_tensors, []
    monkeypatch.setattr(penalty, "DENSE_PARAMETERS", 0)
    monkeypatch.setattr(
        LogisticRegression,
        "fit_tensors",
        lambda self, *of: tolerances.append(self.tol) or fit(self, *of),
    )
    assert choices() == expected
    assert tolerances.count(penalty.TO_CHOOSE) > len(tolerances) / 2
    assert len(tolerances) < (1 + penalty.FOLDS) * len(GRID)


def test_a_class_that_fills_no_fold_is_trained_on_in_each():
    """wine has classes of one and two labeled rows; the model must not lose one of them."""
    split = split_of("wine")
    training = rows(split, split.labeled)
    assert min(np.unique(training.y, return_counts=True)[1]) < 5
    assert chosen_by_cross_validation(LogisticRegression(fit_intercept=True), training, 0) in GRID


def test_a_network_gets_the_penalty_of_its_last_layer():
    split = split_of("bank")
    training, validation = rows(split, split.labeled), rows(split, split.validation)
    assert chosen_on_validation(MLP(max_iter=5), training, validation) in GRID


def test_validation_rows_of_one_class_end_in_a_message():
    split = split_of("bank")
    zeros = split.validation[split.y[split.validation] == 0]
    with pytest.raises(UserError, match="all of class 0"):
        chosen_on_validation(LogisticRegression(), rows(split, split.labeled), rows(split, zeros))


def test_a_class_too_small_for_the_folds_ends_in_a_message():
    split = split_of("bank")
    y = split.y[split.labeled]
    none, few = split.labeled[y == 0], split.labeled[y == 1][:4]
    for kept, message in ([*none, *few], "class 1 has fewer than 5 rows"), (none, "all rows .* 0"):
        with pytest.raises(UserError, match=message):
            chosen_by_cross_validation(LogisticRegression(), rows(split, np.array(kept)), seed=0)


def test_a_value_that_cannot_be_fitted_ends_in_a_message():
    split = split_of("bank")
    training, validation = rows(split, split.labeled), rows(split, split.validation)
    with pytest.raises(UserError, match="of the grid cannot be fitted"):
        chosen_on_validation(LogisticRegression(max_iter=1), training, validation)
