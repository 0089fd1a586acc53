"""models.MLP on real data: no worse than a linear model, repeatable, its last layer exact."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import check_estimator

from models import MLP, LogisticRegression
from tests.helpers import split_of

pytestmark = pytest.mark.usefixtures("one_thread")


def labeled(name):
    split = split_of(name)
    return split.X[split.labeled], split.y[split.labeled]


@pytest.mark.parametrize(
    ("name", "margin"),
    [("bank", -0.01), ("digits", -0.01), ("wine", -0.01), ("electric", 0.03)],
)
def test_accuracy_is_that_of_a_linear_model_or_better(name, margin):
    """Mean of three splits. On electric, whose classes no plane separates, it is well above."""
    gain = []
    for seed in range(3):
        split = split_of(name, seed=seed)
        X, y = split.X[split.labeled], split.y[split.labeled]
        linear, mlp = LogisticRegression(1.0, True).fit(X, y), MLP().fit(X, y)
        test = split.X[split.test], split.y[split.test]
        gain.append(mlp.score(*test) - linear.score(*test))
    assert np.mean(gain) > margin


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("hidden", [(4,), (6, 5)])
def test_the_last_layer_is_at_the_minimum_of_its_own_problem(name, fit_intercept, hidden):
    """By autograd through the whole network, which must hold the weights of ``head_``."""
    X, y = labeled(name)
    mlp = MLP(hidden, l2=3.0, fit_intercept=fit_intercept).fit(X, y)
    Z, codes = mlp.module_(torch.as_tensor(X)), torch.as_tensor(np.searchsorted(mlp.classes_, y))
    if Z.shape[1] == 1:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            Z[:, 0], codes.double(), reduction="sum"
        )
    else:
        loss = torch.nn.functional.cross_entropy(Z, codes, reduction="sum")
    last = list(mlp.module_[-1].parameters())
    loss = loss + 3.0 / 2 * (last[0] ** 2).sum()
    assert len(last) == 1 + fit_intercept
    for gradient in torch.autograd.grad(loss, last):
        assert gradient.norm() < 1e-7 * len(X)
    assert mlp.embed(X).shape == (len(X), hidden[-1])
    np.testing.assert_allclose(
        mlp.decision_function(X), Z.detach().numpy().squeeze(), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(mlp.predict(X), mlp.head_.predict(mlp.embed(X)))


def test_two_fits_give_the_same_bytes_and_another_seed_others():
    X, y = labeled("bank")
    first, again, other = (
        pickle.dumps(MLP(random_state=seed).fit(X, y).predict_proba(X)) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_no_global_random_state_is_read_or_changed():
    X, y = labeled("bank")
    expected = MLP().fit(X, y).predict_proba(X)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(MLP().fit(X, y).predict_proba(X), expected)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def objective(mlp, X, y):
    losses = -np.log(mlp.predict_proba(X)[np.arange(len(X)), np.searchsorted(mlp.classes_, y)])
    penalties = mlp.penalties()
    weights = mlp.module_.named_parameters()
    return losses.sum() + sum(
        penalties.get(name, 0.0) / 2 * float((W.detach() ** 2).sum()) for name, W in weights
    )


def test_a_warm_start_goes_on_where_the_last_fit_ended():
    X, y = labeled("bank")
    warm = MLP(max_iter=20, warm_start=True).fit(X, y)
    short = objective(warm, X, y)
    for _ in range(4):
        warm.fit(X, y)
    cold = MLP(max_iter=20).fit(X, y)
    assert objective(cold, X, y) == short
    assert objective(warm, X, y) < 0.95 * short
    warm.fit(X, 1 - y)
    warm.fit(X[:, :5], y)  # other columns: the fit begins again
    assert objective(warm, X[:, :5], y) == objective(MLP(max_iter=20).fit(X[:, :5], y), X[:, :5], y)


def test_more_penalty_on_the_body_means_smaller_weights():
    X, y = labeled("bank")
    sizes = [
        float(MLP(l2_body=l2_body, max_iter=300).fit(X, y).module_[1].weight.detach().norm())
        for l2_body in (0.1, 1.0, 10.0)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[-1]


def test_features_of_any_scale_and_constant_ones_are_no_trouble():
    X, y = labeled("wine")
    scaled = np.hstack([X * 10.0 ** np.arange(-5, 6) + 7, np.full((len(X), 1), 3.0)])
    plain = MLP(max_iter=30).fit(np.hstack([X, np.zeros((len(X), 1))]), y)
    np.testing.assert_allclose(
        MLP(max_iter=30).fit(scaled, y).predict_proba(scaled),
        plain.predict_proba(np.hstack([X, np.zeros((len(X), 1))])),
        atol=1e-4,
    )


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_activations_differ_and_all_learn(activation):
    X, y = labeled("digits")
    mlp = MLP(activation=activation).fit(X, y)
    assert mlp.score(X, y) > 0.98
    assert (mlp.embed(X).min() < -0.5) == (activation == "tanh")
    assert (mlp.embed(X).min() == 0) == (activation == "relu")


def test_scikit_learn_accepts_the_estimator():
    check_estimator(MLP())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden": ()}, "hidden must name layers of one unit or more"),
        ({"hidden": (4, 0)}, "hidden must name layers of one unit or more"),
        ({"activation": "sine"}, "unknown activation 'sine': choose tanh, relu, gelu"),
        ({"l2": 0.0}, "l2 and l2_body must be above 0, not 0.0 and 5.0"),
        ({"l2_body": -1.0}, "l2 and l2_body must be above 0, not 1.0 and -1.0"),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        MLP(**parameters).fit(*labeled("bank"))
