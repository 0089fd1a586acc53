"""Features have the names of their columns; principal components come from labeled and pool."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from common.errors import UserError
from data_prep.columns import Columns
from data_utils import load, make_split
from tests.helpers import ROOT


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


@pytest.mark.parametrize("own", [False, True])
def test_each_named_feature_is_the_column_of_the_file_that_it_names(own, tmp_path):
    """column, or column=text for an indicator; of the shipped file, and of the same as a table."""
    shipped = load("bank")
    frame = pd.read_csv(ROOT / "datasets/bank/bank.csv.gz", sep=None, engine="python")
    data = shipped.data
    if own:
        frame.to_csv(tmp_path / "mine.csv", index=False)
        data = load(str(tmp_path / "mine.csv"), target="y").data
    assert len(data.names) == data.X.shape[1] == 48
    for name, feature in zip(data.names, data.X.T, strict=True):
        column, _, text = name.partition("=")
        cells = frame[column] == text if text else frame[column]
        np.testing.assert_array_equal(feature, cells)
    assert load("breast_cancer").data.names[0] == "mean radius"
    assert load("wine").data.names[-1] == "alcohol"
    lists = pd.DataFrame({"e": [[1, 2], [3, 4]], "a": ["x", "y"]})
    assert Columns().fit(("own", lists)).feature_names == ["e[0]", "e[1]", "a=y"]
