"""influence.py against torch's autograd, and against models that scikit-learn really retrained."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression as Reference
from sklearn.metrics import log_loss

import influence
from data_utils import load, make_split
from influence import benefit
from models import LogisticRegression
from tests.helpers import ROOT, split_of

CASES = [
    (name, fit_intercept, softmax)
    for name in ("bank", "wine", "waveform")
    for fit_intercept in (False, True)
    for softmax in ((False, True) if name == "bank" else (False,))
]


def fitted(name, fit_intercept=False, softmax=False, l2=5.0):
    split = split_of(name)
    model = LogisticRegression(l2, fit_intercept, softmax=softmax)
    return split, model.fit(split.X[split.labeled], split.y[split.labeled])


def arguments(split, pool=40):
    return (
        split.X[split.labeled],
        split.X[split.validation],
        split.y[split.validation],
        split.X[split.pool[:pool]],
    )


def autograd_benefit(model, X_hessian, X_validation, y_validation, X_pool):
    """∇l(x, c)ᵀ H⁺ g with every derivative taken by autograd; H⁺ is the pseudo-inverse."""
    shape = model.theta_.shape

    def loss(flat, X, codes):
        theta = flat.reshape(shape)
        Z = torch.as_tensor(X) @ theta[:, : X.shape[1]].T
        Z = Z + theta[:, -1] if model.fit_intercept else Z
        if len(theta) == 1:
            return torch.nn.functional.binary_cross_entropy_with_logits(
                Z[:, 0], torch.as_tensor(codes).double(), reduction="sum"
            )
        return torch.nn.functional.cross_entropy(Z, torch.as_tensor(codes), reduction="sum")

    def penalised(flat):
        weights = flat.reshape(shape)[:, : X_hessian.shape[1]]
        any_labels = np.zeros(len(X_hessian), dtype=int)  # the Hessian does not depend on them
        return loss(flat, X_hessian, any_labels) + model.l2 / 2 * (weights**2).sum()

    flat = model.theta_.ravel()
    H = torch.autograd.functional.hessian(penalised, flat)
    codes = np.searchsorted(model.classes_, y_validation)
    g = torch.autograd.functional.jacobian(lambda t: loss(t, X_validation, codes), flat)
    V = torch.linalg.pinv(H, hermitian=True, rtol=1e-12) @ g
    scores = np.empty((len(X_pool), len(model.classes_)))
    for i, x in enumerate(X_pool):
        for c in range(len(model.classes_)):
            gradient = torch.autograd.functional.jacobian(
                lambda t, x=x, c=c: loss(t, x[None], [c]), flat
            )
            scores[i, c] = gradient @ V
    return scores


@pytest.mark.parametrize(("name", "fit_intercept", "softmax"), CASES)
def test_benefit_equals_autograd(name, fit_intercept, softmax):
    split, model = fitted(name, fit_intercept, softmax)
    given = arguments(split)
    expected = autograd_benefit(model, *given)
    for solver in ("cholesky", "cg"):
        scores = benefit(model, *given, solver=solver)
        assert scores.shape == (40, len(model.classes_))
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9 * abs(expected).max())


@pytest.mark.parametrize(("name", "fit_intercept", "softmax"), CASES)
def test_expected_benefit_under_the_model_is_zero(name, fit_intercept, softmax):
    split, model = fitted(name, fit_intercept, softmax)
    X_hessian, X_validation, y_validation, X_pool = arguments(split, pool=None)
    scores = benefit(model, X_hessian, X_validation, y_validation, X_pool)
    expected = (model.predict_proba(X_pool) * scores).sum(1)
    assert abs(expected).max() < 1e-10
    assert (scores.max(1) >= 0).all()


@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_predicted_change_ranks_like_real_retraining(name):
    """50 random pool rows with random labels, l2 = 50, each really added and refitted."""
    split, _ = fitted(name)
    rng = np.random.default_rng(1)
    X, y = split.X[split.labeled], split.y[split.labeled]
    X_validation, y_validation = split.X[split.validation], split.y[split.validation]
    model = LogisticRegression(50.0).fit(X, y)
    rows = rng.choice(split.pool, 50, replace=False)
    codes = rng.integers(len(model.classes_), size=50)
    scores = benefit(model, X, X_validation, y_validation, split.X[rows])
    predicted = scores[np.arange(50), codes]

    def validation_loss(X, y):
        reference = Reference(C=1 / 50, fit_intercept=False, solver="newton-cg", tol=1e-10)
        P = reference.fit(X, y).predict_proba(X_validation)
        return log_loss(y_validation, P, normalize=False, labels=reference.classes_)

    before = validation_loss(X, y)
    real = [
        before - validation_loss(np.vstack([X, split.X[row]]), np.append(y, model.classes_[code]))
        for row, code in zip(rows, codes, strict=True)
    ]
    assert spearmanr(predicted, real).statistic > 0.95
    assert 0.8 < np.polyfit(predicted, real, 1)[0] < 1.2  # the scale is that of the sum of losses


def test_tensors_in_give_a_tensor_out():
    split, model = fitted("wine")
    X_hessian, X_validation, y_validation, X_pool = arguments(split)
    scores = benefit(
        model,
        torch.as_tensor(X_hessian),
        torch.as_tensor(X_validation),
        torch.as_tensor(y_validation),
        torch.as_tensor(X_pool),
    )
    assert isinstance(scores, torch.Tensor)
    expected = benefit(model, X_hessian, X_validation, y_validation, X_pool)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_array_equal(scores.numpy(), expected)
    weight = torch.ones_like(scores, requires_grad=True)
    (weight * scores.add_(1.0)).sum().backward()  # a usual tensor, for whatever comes after
    torch.testing.assert_close(weight.grad, scores)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_solve_undoes_the_hessian(name, solver):
    split, model = fitted(name)
    X = split.X[split.labeled]
    G = influence.gradient(model, split.X[split.validation], split.y[split.validation])
    H = influence.hessian(model, X)
    torch.testing.assert_close(H.product(H.solve(G, solver=solver)), G, rtol=1e-8, atol=1e-8)


def test_loss_is_the_sum_of_cross_entropies():
    split, model = fitted("waveform", fit_intercept=True)
    X, y = split.X[split.validation], split.y[split.validation]
    expected = log_loss(y, model.predict_proba(X), normalize=False)
    assert influence.loss(model, X, y) == pytest.approx(expected, rel=1e-12)


def test_unknown_validation_label_is_refused():
    split, model = fitted("waveform")
    X_hessian, X_validation, y_validation, X_pool = arguments(split)
    with pytest.raises(ValueError, match="label 7 is no class"):
        benefit(model, X_hessian, X_validation, np.full_like(y_validation, 7), X_pool)


def test_memory_never_holds_a_gradient_per_row_and_class():
    """All classes of 300,000 rows: n × K·D would be 480 MB, the answer itself is 24 MB."""
    script = """
import resource, numpy as np
from influence import benefit
from models import LogisticRegression
from data_utils import make_split
rng = np.random.default_rng(0)
X, y = rng.standard_normal((300_000, 20)), rng.integers(10, size=300_000)
model = LogisticRegression().fit(X[:1000], y[:1000])
benefit(model, X[:1000], X[:1000], y[:1000], X[:1000])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
benefit(model, X[:1000], X[:1000], y[:1000], X)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 300


@pytest.mark.parametrize("name", ["bank", "wine", "mnist"])
def test_float32_comes_near_float64(name):
    """Fit and solution included, only the digits that float32 cannot hold are lost."""
    split = split_of(name)
    scores = {}
    for dtype in ("float32", "float64"):
        model = LogisticRegression(5.0, True, dtype=dtype)
        model.fit(split.X[split.labeled], split.y[split.labeled])
        scores[dtype] = influence.benefit(
            model,
            split.X[split.labeled],
            split.X[split.validation],
            split.y[split.validation],
            split.X[split.pool[:200]],
        )
        assert scores[dtype].dtype == dtype
        assert str(model.theta_.dtype) == f"torch.{dtype}"
    largest = np.abs(scores["float64"]).max()
    np.testing.assert_allclose(scores["float32"], scores["float64"], atol=1e-3 * largest)


# --- the finite step -----------------------------------------------------------------------------


def best_sixty(split, l2, fit_intercept):
    """The 60 pool rows of highest first-order benefit: both estimates, and what refitting gives."""
    X, y = split.X[split.labeled], split.y[split.labeled]
    X_validation, y_validation = split.X[split.validation], split.y[split.validation]
    model = LogisticRegression(l2, fit_intercept).fit(X, y)
    given = X, X_validation, y_validation
    first = benefit(model, *given, split.X[split.pool])
    rows = np.argsort(-first.max(1))[:60]
    codes = first[rows].argmax(1)
    finite = benefit(model, *given, split.X[split.pool[rows]], step="finite")

    def validation_loss(X, y):
        reference = Reference(
            C=1 / l2, fit_intercept=fit_intercept, solver="newton-cg", tol=1e-9, max_iter=1000
        ).fit(X, y)
        P = reference.predict_proba(X_validation)
        return log_loss(y_validation, P, normalize=False, labels=reference.classes_)

    before = validation_loss(X, y)
    real = [
        before - validation_loss(np.vstack([X, x]), np.append(y, model.classes_[code]))
        for x, code in zip(split.X[split.pool[rows]], codes, strict=True)
    ]
    take = np.arange(60)
    return first[rows, codes], finite[take, codes], np.array(real)


@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_finite_step_is_right_for_the_best_rows(name):
    """l2 = 50, no intercept: the rows that the paper picks, for which its own estimate is worst."""
    first, finite, real = best_sixty(split_of(name), 50.0, False)
    assert spearmanr(finite, real).statistic > 0.98
    assert abs(np.median(real / finite) - 1) < 0.05
    assert spearmanr(finite, real).statistic > spearmanr(first, real).statistic
    assert abs(np.median(real / finite) - 1) < abs(np.median(real / first) - 1)


@pytest.mark.parametrize("name", ["bank", "wine", "waveform"])
def test_finite_step_ranks_the_best_rows_in_the_strict_setting_too(name):
    first, finite, real = best_sixty(split_of(name), 1.0, True)
    assert spearmanr(finite, real).statistic > max(0.6, spearmanr(first, real).statistic)


def test_finite_step_on_the_papers_bank(shared_data):
    split = make_split(load("bank", shared_data), "paper", 300, 0)
    _, finite, real = best_sixty(split, 50.0, False)
    assert spearmanr(finite, real).statistic > 0.98
    assert abs(np.median(real / finite) - 1) < 0.05
    _, finite, real = best_sixty(split, 1.0, True)
    assert spearmanr(finite, real).statistic > 0.6


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_finite_step_becomes_first_order_for_small_rows(name):
    """A row scaled by 1e-4 hardly changes the model: both estimates agree, for every class."""
    split, model = fitted(name, l2=50.0)
    X_hessian, X_validation, y_validation, X_pool = arguments(split)
    given = X_hessian, X_validation, y_validation, 1e-4 * X_pool
    first, finite = benefit(model, *given), benefit(model, *given, step="finite")
    assert abs(finite - first).max() < 1e-3 * abs(first).max()


def test_finite_step_of_sigmoid_and_softmax_agree():
    split, sigmoid = fitted("bank", fit_intercept=True, l2=5.0)
    _, softmax = fitted("bank", fit_intercept=True, softmax=True, l2=10.0)
    by = [benefit(model, *arguments(split), step="finite") for model in (sigmoid, softmax)]
    np.testing.assert_allclose(*by, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", ["first", "finite"])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_scores_in_chunks_are_the_same(name, step, monkeypatch):
    split, model = fitted(name, fit_intercept=True)
    given = *arguments(split)[:3], split.X[split.pool[:101]]
    whole = benefit(model, *given, step=step)
    monkeypatch.setattr(influence, "CHUNK_LOGITS", 100)  # 100 rows of bank, or 14 of wine
    monkeypatch.setattr(influence, "FINITE_ENTRIES", 4_000)
    np.testing.assert_allclose(benefit(model, *given, step=step), whole, rtol=1e-10, atol=1e-12)


def test_finite_step_refuses_what_it_cannot_do():
    split, model = fitted("waveform")
    with pytest.raises(ValueError, match="unknown step 'second'"):
        benefit(model, *arguments(split), step="second")
    split, model = fitted("mnist")
    with pytest.raises(ValueError, match="7,840 parameters is too large"):
        benefit(model, *arguments(split), step="finite")
