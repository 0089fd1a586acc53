"""conjugate_gradients.py: how many steps it takes, in which type, and its true residual."""

from unittest import mock

import pytest
import torch

from numerics.conjugate_gradients import conjugate_gradients
from numerics.hessian import Hessian
from tests.numerics.cases import hessian_of


def steps_of(H, G, **arguments):
    """How many products CG takes, in float32 and in float64 together."""
    with mock.patch.object(Hessian, "product", autospec=True, side_effect=Hessian.product) as taken:
        H.solve(G, solver="cg", **arguments)
    return taken.call_count


def test_preconditioning_evens_out_columns_of_unequal_scale(monkeypatch):
    """Raw wine: sulfur dioxide in hundreds beside densities near 1.

    In float64: how far float32 gets before its steps are given up depends on the processor.
    """
    monkeypatch.setattr(Hessian, "in_float32", None)
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False)
    with_it = steps_of(H, G)
    monkeypatch.setattr(Hessian, "preconditioner", lambda self, tol: lambda R: R)
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


def test_float64_is_reached_by_steps_in_float32():
    """These steps are cheaper; only the true residuals are computed in float64."""
    residual, single, double = products_by_type(*hessian_of("mnist"))
    assert residual < 1e-10
    assert double < 6 < single


def test_steps_in_float64_take_over_where_float32_gets_nowhere():
    H, G = hessian_of("wine", protocol="paper", fit_intercept=False, l2=1e-4)
    assert H.condition() > 1e10  # float32 holds seven digits
    residual, single, double = products_by_type(H, G, tol=1e-8)
    assert residual < 1e-8
    assert 0 < single < 700  # float32 was given up
    assert double > 20


@pytest.mark.parametrize("spoilt", ["gradient", "probabilities"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_inf_end_it_before_the_first_step(spoilt, value):
    """Without the check it takes all its steps, and then says that it did not converge."""
    H, G = hessian_of("wine")
    G = G.clone()
    (G if spoilt == "gradient" else H.P)[1, 0] = value
    step = mock.patch.object(Hessian, "product", side_effect=AssertionError("a step was taken"))
    with step, pytest.raises(ValueError, match="probabilities hold NaN or inf: look for them"):
        conjugate_gradients(H, G, 1e-6)
