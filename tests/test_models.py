"""models.py against scikit-learn's fits, finite differences and its own optimality condition."""

import weakref
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import split_of
from sklearn.linear_model import LogisticRegression as Reference
from sklearn.utils.estimator_checks import check_estimator

import influence
import models
from hessian import Hessian
from models import LogisticRegression
from units import probabilities, project


def labeled(name):
    split = split_of(name)
    return split.X[split.labeled], split.y[split.labeled]


def centred(intercept):
    """A softmax's intercepts are defined up to a constant."""
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
    """From confident weights, with every label turned round, a full step lands far beyond."""
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
    model.fit(X, np.where(y == 1, "a", "b"))  # class order is now the other way round
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


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_hessian_product_dense_and_finite_difference_agree(name, fit_intercept):
    X, y = labeled(name)
    model = LogisticRegression(1.0, fit_intercept).fit(X, y)
    X = torch.as_tensor(X)
    H = Hessian(X, probabilities(project(X, model.theta_)), 1.0, fit_intercept)
    V = torch.randn(model.theta_.shape, generator=torch.Generator().manual_seed(0)).double()
    by_product = H.product(V)
    torch.testing.assert_close(by_product.ravel(), H.dense() @ V.ravel(), rtol=1e-10, atol=1e-8)

    def penalised_gradient(theta):
        P = probabilities(project(X, theta))  # the targets cancel in the difference
        return models.pull_back(P, X, fit_intercept) + H.ridge * theta

    step = 1e-6
    difference = penalised_gradient(model.theta_ + step * V)
    difference = (difference - penalised_gradient(model.theta_ - step * V)) / (2 * step)
    torch.testing.assert_close(by_product, difference, rtol=1e-6, atol=1e-4)


def test_solve_reports_what_it_cannot_do():
    X = torch.zeros(5, 3, dtype=torch.float64)
    H = Hessian(X, torch.full((5, 1), 0.5, dtype=torch.float64), 0.0, False)
    G = torch.ones(1, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="singular"):
        H.solve(G, solver="cholesky")
    with pytest.raises(ValueError, match="residual"):
        H.solve(G, solver="cg")
    with pytest.raises(ValueError, match="unknown solver"):
        H.solve(G, solver="lissa")


# --- the solvers of hessian.py -------------------------------------------------------------------


def hessian_of(
    name, l2=1.0, fit_intercept=True, scale=1.0, dtype="float64", protocol="strict", **more
):
    """The Hessian over a labeled set at its fit, and a right-hand side: the validation gradient."""
    split = split_of(name, protocol)
    X, y = scale * split.X[split.labeled], split.y[split.labeled]
    model = LogisticRegression(l2, fit_intercept, dtype=dtype).fit(X, y)
    G = influence.gradient(model, scale * split.X[split.validation], split.y[split.validation])
    return influence.hessian(model, X, **more), G


def steps_of(H, G, **arguments):
    """How many products conjugate gradients took, in float32 and in float64."""
    with mock.patch.object(Hessian, "product", autospec=True, side_effect=Hessian.product) as taken:
        H.solve(G, solver="cg", **arguments)
    return taken.call_count


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "wine", "waveform", "mnist"])
def test_the_dense_hessian_inverts_to_what_numpy_finds(name, fit_intercept):
    """numpy's minimum-norm least squares as oracle, which needs no help with the null direction."""
    H, G = hessian_of(name, fit_intercept=fit_intercept)
    if H.size > 1_500:
        V = H.solve(G)  # by conjugate gradients
        assert torch.linalg.vector_norm(H.product(V) - G) <= 1e-9 * torch.linalg.vector_norm(G)
        return
    expected = np.linalg.lstsq(H.dense().numpy(), G.ravel().numpy(), rcond=1e-13)[0]
    for solver in ("cholesky", "cg"):
        found = H.solve(G, solver=solver).ravel().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_damping_adds_to_the_whole_diagonal(solver):
    H, G = hessian_of("wine")
    damped, _ = hessian_of("wine", damping=3.0)
    whole = H.dense() + 3.0 * torch.eye(H.size)
    expected = torch.linalg.solve(whole, G.ravel()).reshape(G.shape)
    torch.testing.assert_close(damped.solve(G, solver=solver), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_a_weight_of_zero_leaves_a_row_out(name):
    split = split_of(name)
    X, y = split.X[split.labeled], split.y[split.labeled]
    model = LogisticRegression(1.0, True).fit(X, y)
    weights = torch.ones(len(X)).double()
    weights[::3] = 0.0
    kept = influence.hessian(model, X[weights.numpy() > 0])
    masked = influence.hessian(model, X, weights=weights)
    torch.testing.assert_close(masked.dense(), kept.dense())
    V = torch.randn(model.theta_.shape, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(masked.product(V), kept.product(V))


def test_the_condition_number_is_that_of_the_spectrum():
    H, _ = hessian_of("waveform", fit_intercept=False)
    ends = np.linalg.eigvalsh(H.dense().numpy())[[0, -1]]
    one_norm = np.linalg.cond(H.dense().numpy(), 1)
    assert one_norm / 3 < H.condition() <= 1.01 * one_norm  # LAPACK's estimate is a lower bound
    assert H.condition() > 0.3 * ends[1] / ends[0]


def test_the_condition_number_of_a_large_hessian_comes_from_its_ends(monkeypatch):
    H, _ = hessian_of("waveform", fit_intercept=False)
    ends = np.linalg.eigvalsh(H.dense().numpy())[[0, -1]]
    monkeypatch.setattr("hessian.DENSE_PARAMETERS", 10)
    np.testing.assert_allclose(H.condition(), ends[1] / ends[0], rtol=0.1)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_an_ill_conditioned_hessian_is_refused_with_its_condition_number(solver):
    """Columns of unequal scale: too much for float32, and float64 says what it was."""
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False, l2=1e-4)
    assert H.condition() > 1e8
    H.solve(G)
    single, G = H32(H), G.float()
    with pytest.raises(np.linalg.LinAlgError, match=r"condition number .* float32") as told:
        single.solve(G, solver=solver)
    assert "float64 or damping" in str(told.value)


def H32(H):
    return Hessian(H.X.float(), H.P.float(), float(H.ridge[0]), H.fit_intercept)


def test_preconditioning_evens_out_columns_of_unequal_scale(monkeypatch):
    """Raw wine: sulfur dioxide in hundreds beside densities near 1."""
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False)
    with_it = steps_of(H, G)
    monkeypatch.setattr(Hessian, "_preconditioner", lambda self, tol: lambda R: R)
    assert with_it < steps_of(H, G) / 3


def test_a_start_near_the_solution_saves_steps_and_changes_nothing():
    H, G = hessian_of("mnist")
    V = H.solve(G)
    near = V + 1e-4 * V.abs().mean() * torch.sin(torch.arange(V.numel())).reshape(V.shape)
    assert steps_of(H, G, start=near) < 0.8 * steps_of(H, G)
    torch.testing.assert_close(H.solve(G, start=near), V, rtol=1e-6, atol=1e-9)


def products_by_type(H, G, tol=1e-10):
    """The relative residual of CG, and the number of products in float32 and in float64."""
    taken = {torch.float32: 0, torch.float64: 0}
    product = Hessian.product

    def counted(self, V):
        taken[V.dtype] += 1
        return product(self, V)

    with mock.patch.object(Hessian, "product", counted):
        V = H.solve(G, solver="cg", tol=tol)
    residual = torch.linalg.vector_norm(H.product(V) - G) / torch.linalg.vector_norm(G)
    return float(residual), taken[torch.float32], taken[torch.float64]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_solved_hessian_is_freed_with_its_last_reference(dtype):
    """Not at the next collection of garbage: it holds a number for every row and unit."""
    H, G = hessian_of("wine", dtype=dtype)
    H.solve(G, solver="cg")
    alive = weakref.ref(H)
    del H
    assert alive() is None


def test_float64_is_reached_by_steps_in_float32():
    """They are cheaper; the residual is taken in float64."""
    residual, single, double = products_by_type(*hessian_of("mnist"))
    assert residual < 1e-10
    assert double < 6 < single


def test_steps_in_float64_take_over_where_float32_gets_nowhere():
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False, l2=1e-4)
    assert H.condition() > 1e10  # float32 holds seven digits
    residual, single, double = products_by_type(H, G, tol=1e-8)
    assert residual < 1e-8
    assert 0 < single < 700  # it was given up
    assert double > 20


@pytest.mark.parametrize("name", ["bank", "wine", "mnist"])
def test_float32_comes_near_float64(name):
    """Fit, solve and all: what is lost is what four bytes cannot hold."""
    split = split_of(name)
    scores = {}
    for dtype in ("float32", "float64"):
        model = LogisticRegression(5.0, True, dtype=dtype)
        model.fit(split.X[split.labeled], split.y[split.labeled])
        scores[dtype] = influence.benefit(
            model,
            split.X[split.labeled],
            split.X[split.validation],
            split.y[split.validation],
            split.X[split.pool[:200]],
        )
        assert scores[dtype].dtype == dtype
        assert str(model.theta_.dtype) == f"torch.{dtype}"
    largest = np.abs(scores["float64"]).max()
    np.testing.assert_allclose(scores["float32"], scores["float64"], atol=1e-3 * largest)
