"""models.py against scikit-learn's fits, finite differences and its own optimality condition."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression as Reference
from sklearn.utils.estimator_checks import check_estimator

from models import LogisticRegression
from tests.helpers import split_of


def labeled(name):
    split = split_of(name)
    return split.X[split.labeled], split.y[split.labeled]


def centred(intercept):
    """The intercepts of a softmax are defined up to a constant."""
    return intercept - intercept.mean() if len(intercept) > 1 else intercept


@pytest.mark.parametrize("l2", [50.0, 1.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "electric", "wine", "waveform"])
def test_weights_equal_those_of_scikit_learn(name, fit_intercept, l2):
    X, y = labeled(name)
    model = LogisticRegression(l2, fit_intercept).fit(X, y)
    reference = Reference(
        C=1 / l2, fit_intercept=fit_intercept, solver="newton-cg", tol=1e-10, max_iter=10_000
    ).fit(X, y)
    np.testing.assert_array_equal(model.classes_, reference.classes_)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=1e-6)
    np.testing.assert_allclose(centred(model.intercept_), centred(reference.intercept_), atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), reference.predict(X))


@pytest.mark.parametrize(("name", "l2"), [("bank", 1e-3), ("wine", 1e-3), ("mnist", 1.0)])
def test_gradient_of_the_objective_vanishes_at_the_fit(name, l2):
    """By autograd, with little penalty and with many weights (mnist: 7,850, solved by CG)."""
    X, y = labeled(name)
    model = LogisticRegression(l2, fit_intercept=True).fit(X, y)
    theta = model.theta_.clone().requires_grad_()
    Z = torch.as_tensor(X) @ theta[:, :-1].T + theta[:, -1]
    codes = torch.as_tensor(np.searchsorted(model.classes_, y))
    if len(theta) == 1:
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            Z[:, 0], codes.double(), reduction="sum"
        )
    else:
        losses = torch.nn.functional.cross_entropy(Z, codes, reduction="sum")
    (losses + l2 / 2 * (theta[:, :-1] ** 2).sum()).backward()
    assert torch.linalg.vector_norm(theta.grad) < 1e-8 * len(X)


def test_line_search_holds_where_full_newton_steps_diverge():
    """From confident weights, with every label swapped, a full step goes much too far."""
    X, y = labeled("bank")
    model = LogisticRegression(0.01, fit_intercept=True, warm_start=True).fit(X, y)
    model.fit(X, 1 - y)
    cold = LogisticRegression(0.01, fit_intercept=True).fit(X, 1 - y)
    np.testing.assert_allclose(model.coef_, cold.coef_, atol=1e-6)


@pytest.mark.parametrize("name", ["bank", "electric"])
def test_sigmoid_equals_softmax_with_twice_the_penalty(name):
    X, y = labeled(name)
    sigmoid = LogisticRegression(l2=5.0, fit_intercept=True).fit(X, y)
    softmax = LogisticRegression(l2=10.0, fit_intercept=True, softmax=True).fit(X, y)
    assert sigmoid.theta_.shape[0] == 1
    assert softmax.theta_.shape[0] == 2
    np.testing.assert_allclose(softmax.coef_[1] - softmax.coef_[0], sigmoid.coef_[0], atol=1e-6)
    np.testing.assert_allclose(softmax.predict_proba(X), sigmoid.predict_proba(X), atol=1e-7)


def test_warm_start_saves_steps_and_ends_at_the_same_weights():
    split = split_of("wine")
    first, more = split.labeled, np.append(split.labeled, split.pool[:10])
    warm = LogisticRegression(1.0, warm_start=True).fit(split.X[first], split.y[first])
    warm.fit(split.X[more], split.y[more])
    cold = LogisticRegression(1.0).fit(split.X[more], split.y[more])
    assert warm.n_iter_ < cold.n_iter_
    np.testing.assert_allclose(warm.coef_, cold.coef_, atol=1e-8)


def test_warm_start_begins_again_when_the_classes_change():
    X, y = labeled("bank")
    model = LogisticRegression(1.0, warm_start=True).fit(X, y)
    model.fit(X, np.where(y == 1, "a", "b"))  # the order of the classes is now reversed
    np.testing.assert_allclose(model.coef_, LogisticRegression(1.0).fit(X, 1 - y).coef_, atol=1e-8)


@pytest.mark.parametrize("names", [["no", "yes"], [-1, 1], [2.0, 7.0], [False, True]])
def test_labels_may_be_any_two_values(names):
    X, y = labeled("bank")
    model = LogisticRegression(1.0).fit(X, np.array(names)[y])
    assert list(model.classes_) == names
    assert model.score(X, np.array(names)[y]) == LogisticRegression(1.0).fit(X, y).score(X, y)


def test_lbfgs_stops_near_the_optimum_but_not_at_it():
    X, y = labeled("bank")
    exact = LogisticRegression().fit(X, y).coef_
    early = LogisticRegression(solver="lbfgs").fit(X, y).coef_
    assert 1e-9 < abs(exact - early).max() < 1e-2


def test_scikit_learn_accepts_the_estimator():
    check_estimator(LogisticRegression())


@pytest.mark.parametrize(
    ("parameters", "spoil", "message"),
    [
        ({}, lambda X, y: (X, np.zeros_like(y)), "one class"),
        ({}, lambda X, y: (np.full_like(X, np.nan), y), "NaN"),
        ({"l2": 0.0}, lambda X, y: (X, y), "l2 must be above 0"),
        ({"l2": float("nan")}, lambda X, y: (X, y), "l2 must be above 0"),
        ({"solver": "sgd"}, lambda X, y: (X, y), "unknown solver"),
        ({"max_iter": 1}, lambda X, y: (X, y), "did not converge in 1 steps"),
    ],
)
def test_bad_input_is_refused(parameters, spoil, message):
    X, y = spoil(*labeled("bank"))
    with pytest.raises(ValueError, match=message):
        LogisticRegression(**parameters).fit(X, y)
