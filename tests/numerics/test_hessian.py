"""hessian.py against finite differences, numpy's solutions, and the spectrum of the matrix."""

import weakref

import numpy as np
import pytest
import torch

import influence
from models import LogisticRegression
from numerics.hessian import Hessian
from numerics.linear import probabilities, project, pull_back
from tests.helpers import split_of
from tests.numerics.cases import hessian_of


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_hessian_product_dense_and_finite_difference_agree(name, fit_intercept):
    split = split_of(name)
    X, y = split.X[split.labeled], split.y[split.labeled]
    model = LogisticRegression(1.0, fit_intercept).fit(X, y)
    X = torch.as_tensor(X)
    H = Hessian(X, probabilities(project(X, model.theta_)), 1.0, fit_intercept)
    V = torch.randn(model.theta_.shape, generator=torch.Generator().manual_seed(0)).double()
    by_product = H.product(V)
    torch.testing.assert_close(by_product.ravel(), H.dense() @ V.ravel(), rtol=1e-10, atol=1e-8)

    def penalised_gradient(theta):
        P = probabilities(project(X, theta))  # the targets cancel in the difference
        return pull_back(P, X, fit_intercept) + H.ridge * theta

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


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "wine", "waveform", "mnist"])
def test_the_dense_hessian_inverts_to_what_numpy_finds(name, fit_intercept):
    """The oracle is numpy's minimum-norm least squares, which allows for the null direction."""
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
    monkeypatch.setattr("numerics.hessian.DENSE_PARAMETERS", 10)
    np.testing.assert_allclose(H.condition(), ends[1] / ends[0], rtol=0.1)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_an_ill_conditioned_hessian_is_refused_with_its_condition_number(solver):
    """The columns have unequal scales: float64 can solve it, float32 cannot."""
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False, l2=1e-4)
    assert H.condition() > 1e8
    H.solve(G)
    single, G = H32(H), G.float()
    with pytest.raises(np.linalg.LinAlgError, match=r"condition number .* float32") as told:
        single.solve(G, solver=solver)
    assert "float64 or damping" in str(told.value)


def H32(H):
    return Hessian(H.X.float(), H.P.float(), float(H.ridge[0]), H.fit_intercept)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_solved_hessian_is_freed_with_its_last_reference(dtype):
    """At once, not by the garbage collector: it holds a number for every row and unit."""
    H, G = hessian_of("wine", dtype=dtype)
    H.solve(G, solver="cg")
    alive = weakref.ref(H)
    del H
    assert alive() is None
