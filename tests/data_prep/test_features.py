"""Principal components come from the labeled set and the pool."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from common.errors import UserError
from data_utils import load, make_split


def test_principal_components_come_from_labeled_and_pool_alone():
    table = load("digits")
    plain = make_split(table, "paper", 300, 0)
    reduced = make_split(table, "paper", 300, 0, pca=20)
    seen = np.concatenate([plain.labeled, plain.pool])
    expected = PCA(20, svd_solver="full").fit(plain.X[seen]).transform(plain.X)
    np.testing.assert_allclose(abs(reduced.X), abs(expected), atol=1e-8)
    strict = make_split(table, "strict", 300, 0, pca=20)
    seen = np.concatenate([strict.labeled, strict.pool])
    np.testing.assert_allclose(strict.X[seen].std(0), 1)


def test_too_many_components_are_refused():
    with pytest.raises(UserError, match="at most 48 components"):
        make_split(load("bank"), "strict", 300, 0, pca=49)
