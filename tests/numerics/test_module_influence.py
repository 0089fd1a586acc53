"""module_influence.py against explicit gradients, the closed form, and networks retrained."""

import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import log_loss
from torch.nn.functional import cross_entropy

import influence
from models import MLP, LogisticRegression
from numerics.module_influence import module_benefit
from tests.helpers import ROOT, split_of
from tests.numerics.cases import EXACT, setting, sigmoid_loss, softmax_loss


def explicit_benefit(mlp, X_hessian, y_hessian, X_validation, y_validation, X_pool, damping, names):
    """∇l(x, c)ᵀ (H + damping)⁻¹ g: a gradient for each row, H by two backward passes an entry."""
    module = deepcopy(mlp.module_)
    parameters = [p for name, p in module.named_parameters() if name in names]

    def flat(scalar, **how):
        parts = torch.autograd.grad(scalar, parameters, allow_unused=True, **how)
        parts = [torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters)]  # noqa: B905
        return torch.cat([part.reshape(-1) for part in parts])

    def total(X, y):
        return cross_entropy(module(torch.as_tensor(X)), torch.as_tensor(y), reduction="sum")

    penalty = mlp.l2_body / 2 * (module[1].weight ** 2).sum()
    penalised = total(X_hessian, y_hessian) + penalty + mlp.l2 / 2 * (module[-1].weight ** 2).sum()
    slope = flat(penalised, create_graph=True)
    H = torch.stack([flat(entry, retain_graph=True) for entry in slope])
    H = H + damping * torch.eye(len(H))
    V = torch.linalg.lstsq(H, flat(total(X_validation, y_validation)), driver="gelsd").solution
    K = len(mlp.classes_)
    return np.array([[float(flat(total(x[None], [c])) @ V) for c in range(K)] for x in X_pool])


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("parameters", ["all", "last", ["1.bias", "3.weight"]])
def test_benefit_equals_explicit_gradients_and_hessian(wine, parameters, solver):
    mlp, loss, arguments = wine
    names = {"all": ["1.weight", "1.bias", "3.weight", "3.bias"], "last": ["3.weight", "3.bias"]}
    names = names.get(parameters, parameters) if isinstance(parameters, str) else parameters
    expected = explicit_benefit(mlp, *arguments[:-1], 0.5, names)
    scores = module_benefit(
        mlp.module_, loss, *arguments,
        l2=mlp.penalties(), parameters=parameters, solver=solver, damping=0.5,
    )  # fmt: skip
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_for_a_linear_module_it_is_the_closed_form(name, fit_intercept, solver):
    """One sigmoid unit, and a softmax. Both solutions are zero in its flat direction."""
    split = split_of(name)
    X, y = split.X[split.labeled], split.y[split.labeled]
    model = LogisticRegression(5.0, fit_intercept).fit(X, y)
    expected = influence.benefit(
        model, X, split.X[split.validation], split.y[split.validation], split.X[split.pool]
    )
    D, units = X.shape[1], len(model.theta_)
    linear = torch.nn.Linear(D, units, bias=fit_intercept, dtype=torch.float64).eval()
    with torch.no_grad():
        linear.weight.copy_(model.theta_[:, :D])
        if fit_intercept:
            linear.bias.copy_(model.theta_[:, D])
    codes = np.searchsorted(model.classes_, split.y)
    codes = codes.astype(float) if units == 1 else codes
    scores = module_benefit(
        linear, sigmoid_loss if units == 1 else softmax_loss,
        X, codes[split.labeled], split.X[split.validation], codes[split.validation],
        split.X[split.pool], np.unique(codes), l2=5.0, solver=solver, tol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8 * abs(expected).max())


@pytest.mark.parametrize("name", ["bank", "wine", "digits"])
def test_the_last_layer_of_a_network_is_the_closed_form_on_its_embedding(name):
    """Therefore every strategy can use ``head_`` and ``embed``."""
    mlp, loss, arguments = setting(MLP(), name)
    X_hessian, y_hessian, X_validation, y_validation, X_pool, _ = arguments
    scores = module_benefit(mlp.module_, loss, *arguments, l2=mlp.l2, parameters="last", tol=1e-10)
    embedded = [mlp.embed(X) for X in (X_hessian, X_validation, X_pool)]
    labels = mlp.classes_[y_validation.astype(int)]
    expected = influence.benefit(mlp.head_, *embedded[:2], labels, embedded[2])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8 * abs(expected).max())


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_predicted_change_of_all_layers_ranks_like_real_retraining(name):
    """30 pool rows with random labels, each added alone; all layers are then trained fully."""
    exact = {"max_iter": 20_000, "tol": 1e-9, "warm_start": True}
    mlp = MLP((3,), l2=5.0, l2_body=50.0, **exact)
    mlp, loss, arguments = setting(mlp, name, rows=100)
    X, y, X_validation, y_validation, X_pool, classes = arguments
    scores = module_benefit(mlp.module_, loss, *arguments, l2=mlp.penalties())
    rng = np.random.default_rng(0)
    codes = rng.integers(len(classes), size=len(X_pool))
    predicted = scores[np.arange(len(X_pool)), codes]

    def validation_loss(model):
        P = model.predict_proba(X_validation)
        return log_loss(y_validation, P, normalize=False, labels=np.arange(len(classes)))

    before = validation_loss(mlp)
    real = []
    for x, code in zip(X_pool, codes, strict=True):
        labels = mlp.classes_[np.append(y, code).astype(int)]
        real.append(before - validation_loss(deepcopy(mlp).fit(np.vstack([X, x]), labels)))
    assert spearmanr(predicted, real).statistic > 0.9
    assert 0.8 < np.polyfit(predicted, real, 1)[0] < 1.2


def test_a_chunk_of_rows_at_a_time_changes_nothing(wine):
    mlp, loss, arguments = wine
    whole, in_chunks = (
        module_benefit(mlp.module_, loss, *arguments, l2=9.0, damping=1.0, tol=1e-10, chunk=chunk)
        for chunk in (10_000, 70)
    )
    np.testing.assert_allclose(in_chunks, whole, rtol=0, atol=1e-8 * abs(whole).max())


def test_float32_tensors_in_give_float32_tensors_out(wine):
    mlp, loss, arguments = wine
    single = deepcopy(mlp.module_).float()
    tensors = [torch.as_tensor(array) for array in arguments]
    how = {"l2": 9.0, "damping": 1.0}
    scores = module_benefit(single, loss, *tensors, **how)
    assert scores.dtype == torch.float32
    expected = module_benefit(mlp.module_, loss, *arguments, **how)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-2 * abs(expected).max())


def test_targets_may_be_rows_of_probabilities(wine):
    mlp, loss, (X, y, X_validation, y_validation, X_pool, classes) = wine
    how, eye = {"l2": 9.0, "damping": 1.0}, np.eye(len(classes))
    expected = module_benefit(mlp.module_, loss, X, y, X_validation, y_validation, X_pool, classes,
                              **how)  # fmt: skip
    scores = module_benefit(mlp.module_, loss, X, eye[y], X_validation, eye[y_validation], X_pool,
                            eye, **how)  # fmt: skip
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6 * abs(expected).max())


def test_frozen_parameters_stand_still(wine):
    mlp, loss, arguments = wine
    frozen = deepcopy(mlp.module_)
    frozen[1].requires_grad_(False)
    scores = module_benefit(frozen, loss, *arguments, l2=2.0)
    expected = module_benefit(mlp.module_, loss, *arguments, l2=2.0, parameters="last")
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.slow
def test_memory_never_holds_a_gradient_per_row():
    """20,000 rows × 50,000 parameters would be 8 GB; in chunks, 4,096 rows would be 1.6 GB."""
    script = """
import resource, numpy as np, torch
from functools import partial
from numerics.module_influence import module_benefit
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(50, 900), torch.nn.Tanh(), torch.nn.Linear(900, 4))
loss = partial(torch.nn.functional.cross_entropy, reduction="none")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((20_000, 50)), rng.integers(4, size=20_000)
ask = partial(module_benefit, net.eval(), loss, X[:500], y[:500], X[:500], y[:500])
ask(X[:500], np.arange(4), damping=1e4)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert ask(X, np.arange(4), damping=1e4).shape == (20_000, 4)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"solver": "newton"}, "unknown solver 'newton': choose cg, lissa or dense"),
        ({"parameters": "first"}, "parameters is all, last or a list of names, not 'first'"),
        ({"parameters": ["weight"]}, r"no parameter 'weight', only \['1.weight'"),
        ({"parameters": []}, "no parameter is left to move"),
        ({"loss": cross_entropy}, r'gave shape \(\) for 4 rows, .* reduction="none"'),
        ({"tol": 1e-30}, "stopped at a residual of"),
    ],
)
def test_what_cannot_be_done_is_refused(change, message, wine):
    mlp, loss, arguments = wine
    loss = change.pop("loss", loss)
    how = {"l2": 2.0, "damping": 5.0} | change
    with pytest.raises(ValueError, match=message):
        module_benefit(mlp.module_, loss, *arguments, **how)


def test_a_module_in_training_mode_and_a_dense_hessian_too_large_are_refused(wine):
    mlp, loss, arguments = wine
    with pytest.raises(ValueError, match=r"call module.eval\(\) first"):
        module_benefit(deepcopy(mlp.module_).train(), loss, *arguments)
    wide, loss, arguments = setting(MLP((200,), max_iter=1), "wine", pool=2)
    with pytest.raises(ValueError, match=r"dense Hessian of 3,606 parameters is too large"):
        module_benefit(wide.module_, loss, *arguments, solver="dense")
