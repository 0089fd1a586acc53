"""Solves along the principal axes, against a dense solve of the same system in float64."""

import numpy as np
import torch

from numerics.leading import Leading, Rows, Solution, principal_axes, solve
from tests.helpers import split_of

CLASSES = 4


def system(ridge=2.0):
    """Rows of digits along their axes, with random probabilities; and H as a dense matrix."""
    X = torch.as_tensor(split_of("digits").X[:200])
    X = X @ principal_axes(X)
    generator = torch.Generator().manual_seed(0)
    P = torch.softmax(torch.randn(len(X), CLASSES, generator=generator).double(), 1)
    weights = torch.ones(len(X)).double()
    weights[:50] = 0.0
    width = X.shape[1]
    curvature = torch.diag_embed(P) - P[:, :, None] * P[:, None]
    dense = torch.einsum("n,njk,na,nb->jakb", weights, curvature, X, X)
    dense = dense.reshape(CLASSES * width, -1) + ridge * torch.eye(CLASSES * width)
    G = torch.randn(CLASSES, width, generator=generator).double()
    return Rows(X, P, X.new_full((width,), ridge), weights), dense, G - G.mean(0)


def test_axes_span_all_rows_and_nothing_else():
    X = torch.as_tensor(split_of("digits").X[:30])
    axes = principal_axes(X[:10], X[10:])
    assert axes.shape == (X.shape[1], np.linalg.matrix_rank(X.numpy()))
    torch.testing.assert_close(X @ axes @ axes.T, X)
    lengths = (X @ axes).square().sum(0)
    assert (lengths.diff() <= 1e-9).all()


def test_a_solve_is_that_of_the_dense_matrix(monkeypatch):
    monkeypatch.setattr("numerics.leading.DENSE", 10 * CLASSES)  # 10 of the columns lead
    rows, dense, G = system()
    exact = torch.linalg.solve(dense, G.flatten()).view(G.shape)
    found = solve(rows, G, Leading(rows), 1e-10)
    torch.testing.assert_close(found.V, exact)
    torch.testing.assert_close(found.S, rows.hessian.X @ exact.T)
    near = Solution(found.V * (1 + 1e-8), found.S * (1 + 1e-8))
    assert solve(rows, G, Leading(rows), 1e-10, near, most=8)  # from nothing it takes more
    assert solve(rows, G, Leading(rows), 1e-10, most=8) is None


def test_with_all_columns_leading_one_step_is_enough():
    rows, _, G = system()
    assert solve(rows, G, Leading(rows), 1e-10, most=2)
    assert solve(rows, G, lambda R: R, 1e-10, most=2) is None
