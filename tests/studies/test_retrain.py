"""The study of the prediction, and its falls after retraining against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from studies.retraining import Retrained


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_retrain_really_retrains(name, fitted):
    """The falls are those of scikit-learn's model, fitted with one row more and without."""
    split, model = fitted(name)
    X, y = split.X[split.labeled], split.y[split.labeled]
    validation = split.X[split.validation], split.y[split.validation]
    rows, codes = split.pool[:4], np.array([0, 1, 1, 0])
    falls = Retrained(model, split).falls(rows, codes)

    def loss(X, y):
        found = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky").fit(X, y)
        p = found.predict_proba(validation[0])
        return log_loss(validation[1], p, labels=found.classes_, normalize=False)

    before = loss(X, y)
    expected = [
        before - loss(np.vstack([X, split.X[row]]), np.append(y, model.classes_[code]))
        for row, code in zip(rows, codes, strict=True)
    ]
    np.testing.assert_allclose(falls, expected, rtol=1e-4, atol=1e-4)


def test_retrain_finds_the_finite_step_better_for_the_best_rows(explored):
    table = pd.read_csv(explored / "retrain.csv").set_index(["rows", "estimate"])
    best = table.loc["best"]
    assert best.loc["finite", "rank_correlation"] > best.loc["first", "rank_correlation"] + 0.2
    off = (best["real_over_predicted"] - 1).abs()
    assert off["finite"] < off["first"]
    assert table.loc[("random", "finite"), "rank_correlation"] > 0.9
