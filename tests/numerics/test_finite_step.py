"""The residual after a finite step, beside scipy's root finding, on real rows and on hard ones."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit

from influence import hessian
from models import LogisticRegression
from numerics.finite_step import residual_after_step, residual_of_unit
from tests.helpers import split_of


def root(z: float, b: float, t: int) -> float:
    """a = p(z - b a) - t; it lies between -t, its value at p = 0, and 1 - t, at p = 1."""
    return brentq(lambda a: a - expit(z - b * a) + t, -t, 1 - t, xtol=1e-15, rtol=1e-15)


def of_bank() -> tuple[np.ndarray, np.ndarray]:
    """z and b of every row of bank's pool, with a weak penalty: b reaches 100."""
    split = split_of("bank")
    model = LogisticRegression(0.1, True).fit(split.X[split.labeled], split.y[split.labeled])
    H = hessian(model, torch.as_tensor(split.X[split.labeled])).dense().numpy()
    X = np.c_[split.X[split.pool], np.ones(len(split.pool))]
    return X @ model.theta_[0].numpy(), (X * np.linalg.solve(H, X.T).T).sum(1)


def hard() -> tuple[np.ndarray, np.ndarray]:
    """Logits from -1,000 to 1,000, and b from 0 to a million, each with each."""
    ends = np.logspace(-2, 3, 13)
    z, b = np.meshgrid(np.r_[-ends, 0, ends], np.r_[0, np.logspace(-4, 6, 21)])
    return z.ravel(), b.ravel()


@pytest.mark.parametrize("rows", [of_bank, hard])
def test_residual_of_one_unit_is_the_root(rows):
    z, b = rows()
    assert b.max() > 20  # from here on Newton's method for the residual itself goes in circles
    t = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    found = residual_of_unit(torch.as_tensor(z), torch.as_tensor(b), t)
    expected = [[root(*row, code) for row in zip(z, b, strict=True)] for code in (0, 1)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-12)
    in_float32 = residual_of_unit(*(torch.as_tensor(x).float() for x in (z, b)), t.float())
    np.testing.assert_allclose(in_float32, expected, rtol=0, atol=1e-4)


def test_residual_of_several_units_agrees_with_one():
    """Two units of a softmax with opposite logits have the residuals of a sigmoid of twice them."""
    z, b = (torch.as_tensor(x) for x in of_bank())
    t = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    Z, B = torch.stack([-z / 2, z / 2], 1), torch.eye(2).double() * b[:, None, None] / 2
    both = residual_after_step(Z, B, torch.cat([1 - t, t], 1))
    alone = residual_after_step(z[:, None], b[:, None, None], t)
    torch.testing.assert_close(both[..., 1:], alone, rtol=0, atol=1e-9)
    torch.testing.assert_close(both[..., 0], -both[..., 1], rtol=0, atol=1e-9)
