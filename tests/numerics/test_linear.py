"""linear.py: the product of two matrices, whatever their layout in memory is."""

import itertools

import pytest
import torch

from numerics import linear
from tests.helpers import split_of


def layouts(M):
    """The same matrix row by row, column by column, and cut out of a larger one."""
    larger = torch.zeros(M.shape[0] + 2, M.shape[1] + 3)
    larger[1:-1, 2:-1] = M
    every_second = torch.zeros(2 * M.shape[0], M.shape[1])
    every_second[::2] = M
    return M, M.T.contiguous().T, larger[1:-1, 2:-1], every_second[::2]


@pytest.mark.parametrize(("name", "rows"), [("bank", 1), ("wine", 7), ("mnist", 10)])
def test_float32_products_are_right_however_the_operands_lie(name, rows, monkeypatch):
    monkeypatch.setattr(linear, "FEW_TERMS", 0)
    X = linear.as_tensor(split_of(name).X, dtype=torch.float32)
    V = torch.randn(rows, X.shape[1], generator=torch.Generator().manual_seed(0))
    R = torch.randn(rows, len(X), generator=torch.Generator().manual_seed(1))
    for A, B in ((V, X.T), (R, X)):
        exact = A.double() @ B.double()
        for one, other in itertools.product(layouts(A), layouts(B)):
            error = (linear.matmul(one, other) - exact).abs().max() / exact.abs().max()
            assert error < 1e-5


@pytest.mark.skipif(linear.ONEDNN is None, reason="this torch has no oneDNN")
def test_onednn_is_asked_where_it_is_fast_only(monkeypatch):
    """It is a thousand times slower for rows cut out of longer ones, and has no float64."""
    X, V, asked = torch.ones(6_000, 60), torch.ones(10, 60), []
    onednn = linear.ONEDNN
    monkeypatch.setattr(linear, "ONEDNN", lambda *given: asked.append(1) or onednn(*given))
    for A, B, calls in (
        (V, X.T, 1),
        (torch.ones(10, 61)[:, :60], X.T, 1),  # theta without its intercept
        (torch.ones(6_000, 10).T, X, 1),
        (V[:, :50], X[:, :50].T, 0),
        (V.double(), X.double().T, 0),
        (V, X[:100].T, 0),  # few
    ):
        asked.clear()
        linear.matmul(A, B)
        assert len(asked) == calls
