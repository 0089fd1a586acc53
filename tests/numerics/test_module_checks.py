"""Modules as people have them: what works is compared with plain autograd, the rest is refused."""

import time
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout

from numerics.module_influence import module_benefit

each = partial(cross_entropy, reduction="none")
DAMPING = 100.0  # above the negative curvature of these networks, which are not trained


class Heads(nn.Module):
    """body → head; ``order`` is that of the definitions, and ``join`` makes the outputs of both."""

    def __init__(self, order=("body", "head"), join=lambda hidden, Z: Z):
        super().__init__()
        for name in order:
            setattr(self, name, {"body": nn.Linear(4, 5), "head": nn.Linear(5, 3)}[name])
        self.join = join

    def forward(self, X):
        hidden = torch.tanh(self.body(X))
        return self.join(hidden, self.head(hidden))


class Sequence(nn.Module):
    """Four columns as two steps of two, through a recurrent or an attention layer."""

    def __init__(self, kind):
        super().__init__()
        layer = partial(nn.TransformerEncoderLayer, 2, 1, 3, batch_first=True)
        self.part = layer() if kind == "attention" else getattr(nn, kind)(2, 2, batch_first=True)
        self.head = nn.Linear(2, 3)

    def forward(self, X):
        Z = self.part(X.reshape(-1, 2, 2))
        return self.head((Z[0] if isinstance(Z, tuple) else Z)[:, -1])


def network(*middle):
    return nn.Sequential(nn.Linear(4, 5), *middle, nn.Linear(5, 3))


def arguments(dtype=torch.float64, labels=torch.int64):
    draw = torch.Generator().manual_seed(0)
    X = torch.randn(30, 4, generator=draw, dtype=torch.float64).to(dtype)
    y = torch.randint(3, (22,), generator=draw).to(labels)
    return [X[:12], y[:12], X[12:22], y[12:], X[22:], torch.arange(3).to(labels)]


def explicit(module, names=None, damping=DAMPING):
    """∇l(x, c)ᵀ (H + damping)⁻¹ g by backward passes alone, with torch's attention in parts."""
    X, y, X_validation, y_validation, X_pool, classes = arguments()
    parameters = [p for name, p in module.named_parameters() if names is None or name in names]

    def flat(scalar, **how):
        parts = torch.autograd.grad(scalar, parameters, materialize_grads=True, **how)
        return torch.cat([part.reshape(-1) for part in parts])

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        slope = flat(each(module(X), y).sum(), create_graph=True)
        H = torch.stack([flat(entry, retain_graph=True) for entry in slope])
        g = flat(each(module(X_validation), y_validation).sum())
        V = torch.linalg.solve(H + damping * torch.eye(len(g)), g)
        rows = [[flat(each(module(x[None]), c[None])[0]) @ V for c in classes] for x in X_pool]
    return np.array([[float(score) for score in row] for row in rows])


@pytest.mark.parametrize("kind", ["attention", "LSTM", "GRU"])
@pytest.mark.parametrize("solver", ["cg", "dense"])
def test_layers_without_a_forward_derivative_have_the_scores_of_plain_autograd(kind, solver):
    torch.manual_seed(0)
    module = Sequence(kind).double().eval()
    scores = module_benefit(module, each, *arguments(), solver=solver, damping=DAMPING, tol=1e-9)
    np.testing.assert_allclose(scores, explicit(module), rtol=0, atol=1e-7)
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.parametrize("order", [("body", "head"), ("head", "body")])
def test_the_last_layer_is_the_one_that_a_pass_uses_last(order):
    torch.manual_seed(0)
    module = Heads(order).double().eval()
    scores = module_benefit(
        module, each, *arguments(), parameters="last", damping=DAMPING, tol=1e-9
    )
    expected = explicit(module, ["head.weight", "head.bias"])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8)


def test_a_fused_lstm_is_differentiated_backward_only():
    """In float32, torch runs an LSTM on CPUs by a kernel without a forward derivative."""
    torch.manual_seed(0)
    module = Sequence("LSTM").eval()
    scores = module_benefit(module, each, *arguments(torch.float32), damping=DAMPING)
    expected = explicit(module.double())
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3 * abs(expected).max())


class Normed(nn.Module):
    """weight_norm by its formula: torch's own kernel has a wrong second derivative on CPUs."""

    def __init__(self, bias, size, direction):
        super().__init__()
        self.bias, self.size, self.direction = bias, size, direction

    def forward(self, X):
        weight = self.size * self.direction / self.direction.norm(dim=1, keepdim=True)
        return X @ weight.T + self.bias


@pytest.mark.parametrize("solver", ["cg", "dense"])
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
@pytest.mark.parametrize("parameters", ["all", "last"])
def test_weight_norm_has_the_scores_of_its_formula(norm, parameters, solver):
    """As the last layer, it brings its bias and both parts of its weight."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), norm(nn.Linear(5, 3))).double().eval()
    plain = nn.Sequential(module[0], module[1], Normed(*module[2].parameters()))
    names = None if parameters == "all" else ["2.bias", "2.size", "2.direction"]
    how = {"parameters": parameters, "solver": solver, "tol": 1e-9}
    scores = module_benefit(module, each, *arguments(), damping=DAMPING, **how)
    np.testing.assert_allclose(scores, explicit(plain, names), rtol=0, atol=1e-7)


@pytest.mark.parametrize("labels", ["uint8", "int8", "int16", "int32", "uint16"])
def test_integer_labels_of_any_type_are_class_numbers(labels):
    module = network(nn.Tanh()).double().eval()
    ask = partial(module_benefit, module, each, damping=DAMPING)
    scores = ask(*arguments(labels=getattr(torch, labels)))
    np.testing.assert_array_equal(scores, ask(*arguments()))
    X, y, X_validation, y_validation, X_pool, classes = (part.numpy() for part in arguments())
    as_given = ask(X, y.astype(labels), X_validation, y_validation.astype(labels), X_pool, classes)
    np.testing.assert_array_equal(as_given, scores)


@pytest.mark.parametrize("solver", ["cg", "dense"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype, solver):
    module = network(nn.LayerNorm(5)).to(dtype).eval()
    given = [part.numpy() for part in arguments(torch.float32)]
    scores = module_benefit(module, each, *given, damping=DAMPING, solver=solver)
    expected = module_benefit(module.double(), each, *arguments(), damping=DAMPING)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-3 * abs(expected).max())


def test_tuples_of_outputs_and_tensors_that_require_a_gradient_are_taken():
    module = Heads().double().eval()
    given = arguments()
    expected = module_benefit(module, each, *given, damping=DAMPING)
    module.join = lambda hidden, Z: (Z, hidden)
    for index in (0, 2, 4):
        given[index] = given[index].clone().requires_grad_()
    scores = module_benefit(module, lambda Z, y: each(Z[0], y), *given, damping=DAMPING)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-8)


def with_part(part, mode=True):
    module = network(nn.Tanh(), nn.Sequential(part)).eval()
    part.train(mode)
    return module


def broken(module, name="0.bias"):
    module.get_parameter(name).data[1] = np.nan
    return module


class Converts(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 5).bfloat16(), nn.Linear(5, 3)

    def forward(self, X):
        return self.head(self.body(X.bfloat16()).float())


REFUSED = [
    (with_part(nn.Dropout()), {}, r"part .* in training mode, '2.0' \(Dropout\): call module.eval"),
    (with_part(nn.BatchNorm1d(5)), {}, r"training mode, '2.0' \(BatchNorm1d\)"),
    (with_part(nn.BatchNorm1d(5, track_running_stats=False), False), {}, "no running statistics"),
    (Heads(join=lambda hidden, Z: dropout(Z)), {}, "two passes .* differ"),
    (Heads(join=lambda hidden, Z: Z - Z.mean(0)), {}, "depends on the other rows"),
    (Heads(join=lambda hidden, Z: "text"), {}, "gives a str that is no tensor, .*: wrap it"),
    (Heads(join=lambda hidden, Z: (Z, None)), {}, "gives a tuple that is no tensor"),
    (Heads(join=lambda hidden, Z: (Z, hidden)), {}, "loss failed for a tuple of outputs"),
    (Heads(join=lambda hidden, Z: (Z - 9).sqrt()), {}, "outputs of the module hold NaN"),
    (Heads(join=lambda hidden, Z: Z + hidden[:, :3]), {"parameters": "last"},
     r"not clear .* depend on body.weight, body.bias .* beside 'head'.*parameters=\['head.weight'"),
    (Converts(), {}, "itself converts to bfloat16, the type of 'body.weight'"),
    (broken(network()), {}, "parameter '0.bias' holds NaN or inf"),
    (nn.Sequential(nn.Linear(9, 3)), {}, r"module failed on rows of shape \(4,\) and type float32"),
]  # fmt: skip


@pytest.mark.parametrize(("module", "how", "message"), REFUSED)
def test_what_would_be_a_wrong_score_is_refused(module, how, message):
    if module.training:
        module.eval()
    with pytest.raises(ValueError, match=message):
        module_benefit(module, each, *arguments(torch.float32), damping=DAMPING, **how)


@pytest.mark.parametrize(
    ("index", "change", "message"),
    [
        (0, lambda X: X.index_fill(0, torch.tensor([3]), np.nan), "X_hessian .* first in row 3"),
        (2, lambda X: X.index_fill(0, torch.tensor([2]), np.inf), "X_validation .* first in row 2"),
        (4, lambda X: X.index_fill(0, torch.tensor([5]), np.nan), "X_pool .* 1 of 8 rows"),
        (1, lambda y: y.double(), "loss failed .* class numbers must be integers"),
        (1, lambda y: y + 3, "loss failed .* from 0 to below the number of outputs"),
        (3, lambda y: y[:-1], "X_validation has 10 rows and y_validation 9 targets"),
        (4, lambda X: X.to_sparse(), "X_pool is sparse"),
        (4, lambda X: X[:, :3], r"module failed on rows of shape \(3,\)"),
        (
            1,
            lambda y: np.array(["a"] * len(y)),
            "y_hessian must be an array or a tensor of numbers",
        ),
    ],
)
def test_rows_and_targets_that_do_not_fit_are_named(index, change, message):
    given = arguments()
    given[index] = change(given[index])
    with pytest.raises(ValueError, match=message):
        module_benefit(network().double().eval(), each, *given, damping=DAMPING)


@pytest.mark.parametrize("solver", ["cg", "dense", "lissa"])
@pytest.mark.parametrize("part", ["gradient of the validation losses", "product with the Hessian"])
def test_an_infinite_derivative_ends_the_solver_at_once_with_the_reason(part, solver):
    """The loss is finite, its derivative not: that of √|x| at 0, or of its square in the second."""
    power = 0.5 if part.startswith("gradient") else 1.5

    def loss(Z, y):
        return (Z[:, 0] - Z[:, 0].detach()).abs().pow(power) + each(Z, y)

    module = nn.Linear(4, 3).double().eval()
    start = time.perf_counter()
    with pytest.raises(np.linalg.LinAlgError, match=f"{part}.* holds? NaN or inf"):
        module_benefit(module, loss, *arguments(), damping=DAMPING, solver=solver)
    assert time.perf_counter() - start < 5
