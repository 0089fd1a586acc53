"""row_influence.py against explicit gradients, a dense Gauss–Newton matrix, and real refits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.func import functional_call, jacrev
from torch.nn.functional import cross_entropy, linear, softplus

from models import MLP
from numerics.row_influence import RowGradients, row_influence
from tests.helpers import split_of
from tests.numerics.cases import setting, sigmoid_loss, softmax_loss


def rows_of(name, train=40, test=6):
    """Standardised features and class numbers of the first rows of two parts of a data set."""
    split = split_of(name)
    X = (split.X - split.X.mean(0)) / split.X.std(0).clip(1e-9)
    y = np.unique(split.y, return_inverse=True)[1]
    parts = split.pool[:train], split.test[:test]
    return [torch.as_tensor(values[part]) for part in parts for values in (X, y)]


def gradients(module, loss, X, y, names):
    """The gradient of the loss of each row in the named parameters, one backward pass a row."""
    parameters = [dict(module.named_parameters())[name] for name in names]
    rows = []
    for x, target in zip(X, y, strict=True):
        parts = torch.autograd.grad(loss(module(x[None]), target[None]).sum(), parameters)
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def explicit(module, loss, X, y, X_test, y_test, ridge, names):
    """g(t)ᵀ (Σ p / (1 − p) g gᵀ + D)⁻¹ g(x), with the whole matrix."""
    G, G_test = (gradients(module, loss, *pair, names) for pair in ((X, y), (X_test, y_test)))
    p = torch.exp(-loss(module(X), y)).detach()
    H = G.T @ ((p / (1 - p))[:, None] * G) + torch.diag(ridge)
    return (G_test @ torch.linalg.solve(H, G.T)).numpy()


def seeded(module):
    torch.manual_seed(3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def test_two_classes_are_the_dense_gauss_newton_matrix(monkeypatch):
    """From linear layers alone: no gradient of a row is built.

    The Gauss–Newton matrix is JᵀSJ, with the Jacobian J of the logits and S = diag(p) − ppᵀ."""
    X, y, X_test, y_test = rows_of("bank")
    module = seeded(
        torch.nn.Sequential(torch.nn.Linear(X.shape[1], 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    )
    monkeypatch.setattr(RowGradients, "_general_parts", None)
    found = row_influence(module, softmax_loss, X, y, X_test, y_test, damping=0.3)
    values = dict(module.named_parameters())
    J = jacrev(lambda v: functional_call(module, v, (X,)))(values)
    J = torch.cat([J[name].flatten(2) for name in values], 2)  # (n, 2, P)
    p = module(X).softmax(1)
    S = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    H = torch.einsum("nip,nij,njq->pq", J, S, J) + 0.3 * torch.eye(J.shape[2])
    G, G_test = (
        gradients(module, softmax_loss, *pair, values) for pair in ((X, y), (X_test, y_test))
    )
    expected = (G_test @ torch.linalg.solve(H, G.T)).detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


class Tokens(torch.nn.Module):
    """A row as tokens of one feature: linear layers that a row passes several times."""

    def __init__(self, classes, normed=False, shared=False, by_hand=False):
        super().__init__()
        self.first, self.second = torch.nn.Linear(1, 3), torch.nn.Linear(3, 3)
        self.norm = torch.nn.LayerNorm(3) if normed else torch.nn.Identity()
        self.head = torch.nn.Linear(3, classes)
        self.shared, self.by_hand = shared, by_hand

    def forward(self, X):
        H = self.norm(self.second(self.first(X[..., None]).tanh()))
        if self.shared:
            H = self.second(H.tanh())
        if self.by_hand:
            H = linear(H, self.second.weight)
        return self.head(H.mean(1))


@pytest.mark.parametrize("kind", [{}, {"shared": True}, {"normed": True}, {"by_hand": True}])
def test_every_layer_counts(kind):
    """Layers passed once, for each token, twice, of another kind, and used without being called."""
    X, y, X_test, y_test = rows_of("wine")
    module = seeded(Tokens(int(max(y.max(), y_test.max())) + 1, **kind))
    names = [name for name, _ in module.named_parameters()]
    found = row_influence(
        module, softmax_loss, X, y, X_test.numpy(), y_test.numpy(), l2=0.5, damping=0.2, chunk=7
    )
    ridge = torch.cat(
        [torch.full((p.numel(),), 0.2 + 0.5 * (p.ndim > 1)) for p in module.parameters()]
    ).double()
    expected = explicit(module, softmax_loss, X, y, X_test, y_test, ridge, names)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("parameters", ["last", ["0.weight", "2.bias"]])
def test_some_parameters_only(parameters):
    X, y, X_test, y_test = rows_of("bank")
    y, y_test = y.double(), y_test.double()
    module = seeded(
        torch.nn.Sequential(torch.nn.Linear(X.shape[1], 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    )
    names = ["2.weight", "2.bias"] if parameters == "last" else parameters
    found = row_influence(
        module, sigmoid_loss, X, y, X_test, y_test, parameters=parameters, damping=0.7
    )
    size = sum(dict(module.named_parameters())[name].numel() for name in names)
    ridge = torch.full((size,), 0.7, dtype=torch.float64)
    expected = explicit(module, sigmoid_loss, X, y, X_test, y_test, ridge, names)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * abs(expected).max())


@pytest.mark.parametrize("fisher", [False, True])
@pytest.mark.parametrize("by_layer", [False, True])
def test_each_form_of_the_matrix_is_the_whole_matrix_so_changed(by_layer, fisher):
    """By layer, the entries between two layers are zero; Fisher's has a weight of 1."""
    X, y, X_test, y_test = rows_of("wine")
    first, second = torch.nn.Linear(X.shape[1], 3), torch.nn.Linear(3, int(y.max()) + 1)
    module = seeded(torch.nn.Sequential(first, torch.nn.Tanh(), second))
    names = dict(module.named_parameters())
    G, G_test = (
        gradients(module, softmax_loss, *pair, names) for pair in ((X, y), (X_test, y_test))
    )
    p = torch.exp(-softmax_loss(module(X), y)).detach()
    weights = torch.ones_like(p) if fisher else p / (1 - p)
    H = G.T @ (weights[:, None] * G) + 0.3 * torch.eye(G.shape[1])
    if by_layer:
        cut = sum(parameter.numel() for parameter in first.parameters())
        H[:cut, cut:] = H[cut:, :cut] = 0
    expected = G_test @ torch.linalg.solve(H, G.T)
    found = row_influence(
        module, softmax_loss, X, y, X_test, y_test,
        damping=0.3, by_layer=by_layer, fisher=fisher,
    )  # fmt: skip
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))


def test_leaving_a_row_out_really_changes_the_test_losses_so():
    """scikit-learn's logistic regression, refitted without each of 40 rows."""
    X, y, X_test, y_test = rows_of("bank", train=200, test=20)

    def losses(kept):
        model = LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=1000)
        model.fit(X[kept].numpy(), y[kept].numpy())
        Z = X_test @ torch.as_tensor(model.coef_[0])
        return model, softplus(torch.where(y_test == 1, -Z, Z)).numpy()

    every = np.arange(len(X))
    model, whole = losses(every)
    module = torch.nn.Linear(X.shape[1], 1, bias=False).double().eval()
    module.load_state_dict({"weight": torch.as_tensor(model.coef_)})
    targets = y.double(), y_test.double()
    found = row_influence(module, sigmoid_loss, X, targets[0], X_test, targets[1], l2=2.0)
    rise = np.stack([losses(np.delete(every, i))[1] - whole for i in range(40)], 1)
    assert np.corrcoef(found[:, :40].numpy().ravel(), rise.ravel())[0, 1] > 0.98


def test_few_landmarks_give_nearly_the_exact_influence():
    mlp, loss, (X, y, X_test, y_test, *_) = setting(MLP(l2=2.0, l2_body=2.0), "bank")
    exact, many, few = (
        row_influence(
            mlp.module_, loss, X, y, X_test[:20], y_test[:20], damping=12.0, rank=rank
        ).ravel()
        for rank in (len(X), 100, 20)
    )
    agreement = [np.corrcoef(exact, part)[0, 1] for part in (many, few)]
    assert agreement[0] > 0.99
    assert agreement[1] < agreement[0]


def sure(Z, y):
    return cross_entropy(Z, y, reduction="none") - 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"damping": 0.0}, "every parameter needs an l2 or a damping above 0"),
        ({"rank": 0}, "rank is the number of landmarks, 1 or more, not 0"),
        ({"loss": sure}, "the loss of each row must be −log of a probability"),
        ({"y_test": torch.zeros(2, dtype=int)}, "X_test has 6 rows and y_test 2 targets"),
        ({"X_train": torch.full((40, 3), torch.nan)}, "X_train holds NaN or inf in 40 of 40 rows"),
    ],
)
def test_what_cannot_be_is_said(given, message):
    X, y, X_test, y_test = (part[..., :3] for part in rows_of("bank"))
    y, y_test = rows_of("bank")[1::2]
    module = seeded(torch.nn.Linear(3, 2))
    arguments = {
        "module": module, "loss": softmax_loss, "X_train": X, "y_train": y, "X_test": X_test,
        "y_test": y_test, "damping": 1.0,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        row_influence(**arguments | given)
