"""Wide tables: fits in the span of the rows against fits on the features, and the same picks."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler

import influence
from data_prep.places import SHIPPED
from experiments import penalty
from labeling import wide
from labeling.labeler import SalutaryLabeler
from models import LogisticRegression
from numerics.span import is_cheaper
from strategies.span_regression import SpanRegression


@pytest.fixture(scope="module")
def texts():
    """300 shipped texts as 400 TF-IDF columns (300, 400), and whether each is rated high."""
    frame = pd.read_csv(SHIPPED / "text/movies.csv.gz").sample(300, random_state=0)
    X = TfidfVectorizer(max_features=400).fit_transform(frame["text"]).toarray()
    y = np.where(frame["rating"] > frame["rating"].median(), "high", "low")
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("l2", [0.1, 100.0])
def test_the_fit_and_the_solve_are_those_on_the_features(texts, l2, intercept):
    X, y = torch.as_tensor(texts[0][:80]), texts[1][:80]
    X, y = torch.cat([X, X[:5]]), np.append(y, y[:5])  # twins, so that the products are singular
    plain = LogisticRegression(l2, intercept).fit_tensors(X, y)
    model = SpanRegression(l2, intercept, warm_start=True).fit_tensors(X[:60], y[:60])
    model.fit_tensors(X, y)  # the labeled set has grown
    torch.testing.assert_close(model.theta_, plain.theta_, rtol=0, atol=1e-8)
    assert model.n_iter_ > 0
    torch.testing.assert_close(model.gram(X), X @ X.T)
    H, G = influence.hessian(plain, X), torch.randn_like(plain.theta_)
    wanted = H.solve(G, solver="cholesky")
    H.gram = model.gram(X)
    torch.testing.assert_close(H.solve(G), wanted, rtol=1e-8, atol=1e-10)


def test_other_rows_of_the_same_number_are_not_taken_for_the_last_ones(texts):
    X, y = torch.as_tensor(texts[0]), texts[1]
    model = SpanRegression(10.0, True, warm_start=True).fit_tensors(X[:50], y[:50])
    model.fit_tensors(X[50:100], y[50:100])
    plain = LogisticRegression(10.0, True).fit_tensors(X[50:100], y[50:100])
    torch.testing.assert_close(model.theta_, plain.theta_, rtol=0, atol=1e-8)


def test_the_chosen_l2_is_that_of_the_whole_grid(texts):
    rows = penalty.Rows(torch.as_tensor(texts[0][:80]), texts[1][:80])
    always = penalty.Rows(torch.as_tensor(texts[0][80:100]), texts[1][80:100])
    for more in (None, always):
        plain = LogisticRegression(fit_intercept=True, warm_start=True)
        wanted = penalty.chosen_by_cross_validation(plain, rows, 0, always=more)
        assert wide.chosen_l2(rows, more, 0, penalty.FOLDS, fit_intercept=True) == wanted


def test_a_wide_table_gets_the_picks_of_a_full_refit_after_every_pick(texts):
    X, y = texts
    parts = X[:60], y[:60], X[60:140], y[60:140]
    labeler = SalutaryLabeler(standardise=False, l2=30.0).fit(*parts)
    given = labeler.label(X[140:], 6, rounds=2)
    known, labels, taken = X[:60], y[:60], []
    for _ in range(6):
        model = LogisticRegression(30.0, True).fit(known, labels)
        scores = influence.benefit(model, known, *parts[2:], X[140:]) * model.predict_proba(X[140:])
        scores[taken] = -np.inf
        row, code = np.unravel_index(scores.argmax(), scores.shape)
        taken.append(int(row))
        known, labels = np.vstack([known, X[140 + row]]), np.append(labels, model.classes_[code])
    assert given.rows.tolist() == taken
    assert given.labels.tolist() == labels[60:].tolist()


def test_the_limits_are_of_time():
    assert 200 < wide.finite_parameters() < 400
    assert is_cheaper(300, 400)
    assert not is_cheaper(5_000, 400)
