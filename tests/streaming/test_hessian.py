"""hessian.py: the Hessian summed chunk by chunk is the Hessian."""

import numpy as np
import pytest
import torch

from influence import hessian
from streaming.hessian import StreamedHessian, pool_hessian
from streaming.pools import chunks
from streaming.scoring import best
from tests.streaming.cases import BUDGET, fitted, influence_of


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_the_hessian_in_chunks_is_the_hessian(name, files):
    split, model = fitted(name)
    X = split.X[split.pool]
    true, G = hessian(model, X), influence_of(name).gradient
    summed, streamed = pool_hessian(model, chunks(X, rows=313)), StreamedHessian(model, chunks(X))
    V = torch.ones_like(G)
    for made in (summed, streamed):
        torch.testing.assert_close(made.dense(), true.dense())
        torch.testing.assert_close(made.product(V), true.product(V))
        torch.testing.assert_close(made.solve(G), true.solve(G))
        torch.testing.assert_close(made.solve(G, solver="cg"), true.solve(G), rtol=1e-6, atol=1e-9)
    picked = best(influence_of(name, summed), chunks(X, rows=100), BUDGET)
    direct = best(influence_of(name, X), chunks(X), BUDGET)
    np.testing.assert_array_equal(picked[0], direct[0])
    np.testing.assert_allclose(picked[2], direct[2], rtol=1e-6)


def test_many_parameters_are_solved_by_passes_over_the_pool(monkeypatch):
    monkeypatch.setattr("streaming.hessian.DENSE_PARAMETERS", 10)
    split, model = fitted("bank")
    made = pool_hessian(model, chunks(split.X[split.pool], rows=500))
    monkeypatch.setattr(made, "dense", None)
    influence = influence_of("bank", made)
    influence.solver = "cg"
    true = influence_of("bank", split.X[split.pool]).solution
    torch.testing.assert_close(influence.solution, true, rtol=1e-6, atol=1e-9)
