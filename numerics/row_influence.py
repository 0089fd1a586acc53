"""Influence of every training row on every test row, for a torch module with a cross-entropy.

module_influence.py solves H V = g for ONE gradient, with the Hessian of the loss itself. Here there
are thousands of gradients, and H is replaced by a Gauss–Newton matrix, which has no negative
curvature:

    H = Σ w g gᵀ + D,    w = p / (1 − p),    p = exp(−loss of the row)

with the gradient g (P,) of each row, the probability p of its own class, and the diagonal D of l2
and damping. For two classes this is the Gauss–Newton matrix itself; for more, that of "the row's
own class or another one". The influence of row x on row t is g(t)ᵀ H⁻¹ g(x): the predicted fall of
the loss of t if x counts once more, or its rise if x is left out. The losses are summed over rows.

With ``fisher``, w is 1, and H is the empirical Fisher matrix. With ``by_layer``, H has a block for
each layer and no entries between two layers, as in K-FAC (Martens & Grosse 2015, arXiv 1503.05671,
section 4): the influences of the layers add up.

H, or a block, is inverted in the span of the gradients of ``rank`` training rows, the landmarks
(the Nyström approximation). They are drawn in proportion to their losses, because rows with a small
loss have a small gradient. If there are no more rows than ``rank``, the result is exact.

A row's gradient in a linear layer is the outer product δ aᵀ of the layer's input a and the
derivative δ in its output, so the inner product of two gradients is (a·a′)(δ·δ′). It needs no
gradient. Layers that a row passes more than once, as the tokens of a text do, are summed to a
gradient. For all other layers, torch.func gives the gradients of the rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch.func import grad, vmap

from numerics import module_checks
from numerics.linear import Array, SameKind
from numerics.module_influence import LOOKED_AT, Loss, ModuleInfluence

GRADIENTS = 8_000_000  # numbers in the gradients that are built at once
CERTAIN = 1e-7  # a loss below it counts as this one, because its p / (1 − p) would overflow


def row_influence(
    module: torch.nn.Module,
    loss: Loss,
    X_train: Array,
    y_train: Array,
    X_test: SameKind,
    y_test: Array,
    *,
    l2: float | Mapping[str, float] = 0.0,
    parameters: str | Sequence[str] = "all",
    damping: float = 0.0,
    by_layer: bool = False,
    fisher: bool = False,
    rank: int = 512,
    seed: int = 0,
    chunk: int = 4_096,
) -> SameKind:
    """The predicted fall of each test loss if a training row counted once more: (v, n).

    Parameters
    ----------
    module, l2, parameters, chunk : see ``ModuleInfluence``.
    loss : as for ``ModuleInfluence``; each row's loss must be −log of a probability.
    X_train (n, ...), y_train (n, ...) : the rows that H sums over and that have an influence.
    X_test (v, ...), y_test (v, ...) : the rows whose losses change; the result is of the kind of
        X_test, an array or a tensor.
    damping : added to the diagonal of H. Training that stops early, or a second training from other
        initial weights, moves a model less than H says; a damping of 10 to 100 times l2 then ranks
        better than none. Compare a few on real retraining.
    by_layer, fisher : another H, see above. Both together rank better on a small attention encoder,
        with a damping of a thirtieth of l2, and worse on a perceptron (``python
        benchmarks/networks.py``).
    rank : the number of landmarks. The time grows with its square.
    seed : of the landmarks.

    Raises ValueError and TypeError as ``module_benefit`` does; ValueError also for a parameter with
    neither l2 nor damping, a loss below 0, or a rank below 1.
    """
    device = module_checks.device_of(module)
    train, y_rows = module_checks.as_rows_and_targets(X_train, y_train, "train", device)
    test, y_tests = module_checks.as_rows_and_targets(X_test, y_test, "test", device)
    if rank < 1:
        raise ValueError(f"rank is the number of landmarks, 1 or more, not {rank}")
    few = train[:LOOKED_AT], y_rows[:LOOKED_AT]
    of = partial(RowGradients, module, loss, *few, l2=l2, damping=damping, chunk=chunk)
    with module_checks.plain_kernels():
        rows = of(parameters=parameters)
        layers = names_by_layer(rows.shapes)
        blocks = [of(parameters=names) for names in layers] if by_layer else [rows]
        train, test = rows.tensor(train), rows.tensor(test)
        y_rows, y_tests = rows.tensor(y_rows), rows.tensor(y_tests)
        losses = rows.row_losses(train, y_rows)
        weights = torch.ones_like(losses) if fisher else 1 / torch.expm1(losses.clamp_min(CERTAIN))
        chosen = landmarks(train, y_rows, losses, rank, seed)
        scores = weights.new_zeros(len(test), len(train))
        for block in blocks:
            basis = Basis(block, *chosen)
            scores += basis.influence((train, y_rows), (test, y_tests), weights)
    return scores.to(X_test.device) if isinstance(X_test, torch.Tensor) else scores.cpu().numpy()


def names_by_layer(names: Iterable[str]) -> list[list[str]]:
    """The names of parameters, those of a layer together: "a.weight" and "a.bias"."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return list(layers.values())


def landmarks(
    X: torch.Tensor, y: torch.Tensor, losses: torch.Tensor, rank: int, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """At most ``rank`` of the rows and their targets, drawn in proportion to the losses (n,)."""
    rng = torch.Generator().manual_seed(seed)
    waits = torch.empty(len(X), dtype=torch.float64).exponential_(generator=rng)
    waits /= losses.cpu().double().clamp_min(CERTAIN)
    chosen = waits.topk(min(rank, len(X)), largest=False).indices.to(X.device)
    return X[chosen], y[chosen]


class Parts(NamedTuple):
    """The gradients of n rows, divided by √D, as factors of outer products and as numbers.

    factors : for each linear layer that a row passes once, its input (n, d) and derivative (n, o).
    explicit (n, Q) : the gradients in all other parameters.
    """

    factors: list[tuple[torch.Tensor, torch.Tensor]]
    explicit: torch.Tensor

    def products(self, other: "Parts") -> torch.Tensor:
        """The inner products of these n gradients with m others, (n, m)."""
        total = self.explicit @ other.explicit.T
        for (a, d), (a_other, d_other) in zip(self.factors, other.factors, strict=True):
            total += (a @ a_other.T) * (d @ d_other.T)
        return total


class Basis:
    """Orthonormal coordinates in the span of the gradients of the landmarks X (r, ...), y."""

    def __init__(self, rows: "RowGradients", X: torch.Tensor, y: torch.Tensor):
        self.rows = rows
        parts = list(rows.parts(X, y))
        self.parts = Parts(
            [(torch.cat([a for a, _ in pairs]), torch.cat([d for _, d in pairs]))
             for pairs in zip(*(part.factors for part in parts), strict=True)],
            torch.cat([part.explicit for part in parts]),
        )  # fmt: skip
        K = self.parts.products(self.parts)
        self.scale = K.diagonal().clamp_min(torch.finfo(K.dtype).tiny).rsqrt()  # to length 1
        K = K * self.scale[:, None] * self.scale
        K.diagonal().add_(len(K) * torch.finfo(K.dtype).eps)  # two landmarks may be the same row
        self.factor = torch.linalg.cholesky(K)

    def coordinates(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The gradients of the rows X (n, ...), y, divided by √D, in these coordinates: (n, r)."""
        products = torch.cat([self.parts.products(part) for part in self.rows.parts(X, y)], 1)
        return torch.linalg.solve_triangular(
            self.factor, products * self.scale[:, None], upper=False
        ).T

    def influence(
        self,
        train: tuple[torch.Tensor, torch.Tensor],
        test: tuple[torch.Tensor, torch.Tensor],
        weights: torch.Tensor,
    ) -> torch.Tensor:
        """g(t)ᵀ H⁻¹ g(x) of each of v test rows and n training rows, with their targets: (v, n).

        weights (n,) : of the training rows in H.
        """
        Z, Z_test = self.coordinates(*train), self.coordinates(*test)
        module_checks.check_finite(Z, "the matrix of the gradients of X_train")
        module_checks.check_finite(Z_test, "the matrix of the gradients of X_test")
        H = (Z * weights[:, None]).T @ Z  # (r, r)
        H.diagonal().add_(1)  # D in these coordinates
        return torch.cholesky_solve(Z_test.T, torch.linalg.cholesky(H)).T @ Z.T


class RowGradients(ModuleInfluence):
    """The gradients of single rows. ``parts`` gives them chunk by chunk.

    Parameters and errors are those of ``ModuleInfluence``, and ValueError if D is not positive.
    """

    layers: dict[str, torch.nn.Linear]

    def _try_derivatives(self, X: torch.Tensor, y: torch.Tensor) -> None:
        """Sets ``layers``: all linear layers, or none if these alone do not give the gradient."""
        if not (self.ridge > 0).all():
            raise ValueError(
                "every parameter needs an l2 or a damping above 0 (a single l2 is not for biases): "
                "give damping"
            )
        sizes = [shape.numel() for shape in self.shapes.values()]
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0).tolist()
        pairs = zip(self.shapes, starts, strict=True)
        self.root = {name: float(self.ridge[start]) ** -0.5 for name, start in pairs}
        self.layers = {
            name: layer
            for name, layer in self.module.named_modules()
            if isinstance(layer, torch.nn.Linear) and f"{name}.weight".lstrip(".") in self.shapes
        }
        try:
            part = self._linear_parts(X, y)
            found = part.products(part).diagonal()
        except (RuntimeError, KeyError):
            found = torch.full((len(X),), torch.nan).to(self.theta)
        # Plain autograd: the first call of vmap loads a large part of torch.
        theta = self.theta.clone().requires_grad_()
        losses = self.losses(self.outputs(theta, X), y)
        slopes = [torch.autograd.grad(loss, theta, retain_graph=True)[0] for loss in losses]
        squares = (torch.stack(slopes) ** 2 / self.ridge).sum(1)
        if not torch.allclose(found, squares, rtol=1e-3, atol=0):
            self.layers = {}

    def row_losses(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of every row, (n,). Raises ValueError if one is below 0."""
        with torch.no_grad():
            found = [self.losses(self.outputs(self.theta, a), b) for a, b in self._chunks(X, y)]
        losses = torch.cat(found)
        if losses.min() < -1e-6:
            raise ValueError(
                f"a loss of {losses.min():.2g}: the loss of each row must be −log of a probability"
            )
        return losses

    def parts(self, X: torch.Tensor, y: torch.Tensor) -> Iterator[Parts]:
        """The gradients of the rows X (n, ...) with targets y, some rows at a time."""
        rows = max(1, min(self.chunk, GRADIENTS // len(self.theta)))
        way: Callable[..., Parts] = self._linear_parts if self.layers else self._general_parts
        for pair in zip(X.split(rows), y.split(rows), strict=True):
            yield way(*pair)

    def _general_parts(self, X: torch.Tensor, y: torch.Tensor) -> Parts:
        def one(theta: torch.Tensor, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return self.losses(self.outputs(theta, x[None]), target[None])[0]

        G = vmap(grad(one), (None, 0, 0))(self.theta, X, y)
        return Parts([], G.detach() * self.ridge.rsqrt())

    def _linear_parts(self, X: torch.Tensor, y: torch.Tensor) -> Parts:
        """From the inputs and the derivatives of the linear layers. KeyError if one is not used."""
        calls: list[tuple[str, torch.Tensor, torch.Tensor]] = []
        hooks = [
            layer.register_forward_hook(
                lambda _, given, out, name=name: calls.append((name, given[0].detach(), out))
            )
            for name, layer in self.layers.items()
        ]
        try:
            theta = self.theta.clone().requires_grad_()
            losses = self.losses(self.outputs(theta, X), y)
        finally:
            for hook in hooks:
                hook.remove()
        derivatives = torch.autograd.grad(losses.sum(), [out for _, _, out in calls])
        found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        for (name, given, _), derivative in zip(calls, derivatives, strict=True):
            found.setdefault(name, []).append((given, derivative))
        factors, explicit = [], [self.theta.new_empty(len(X), 0)]
        for name in self.layers:
            pairs = [(self._scaled(name, a), d) for a, d in found[name]]
            if len(pairs) == 1 and pairs[0][0].ndim == 2:
                factors.append(pairs[0])
            else:
                explicit.append(torch.stack([summed(a, d, len(X)) for a, d in pairs]).sum(0))
        return Parts(factors, torch.cat(explicit, 1))

    def _scaled(self, name: str, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs (..., d) over √D, with a column for the bias if it may change."""
        prefix = f"{name}." if name else ""
        inputs = inputs * self.root[prefix + "weight"]
        bias = self.root.get(prefix + "bias")
        if bias is None:
            return inputs
        return torch.cat([inputs, inputs.new_full((*inputs.shape[:-1], 1), bias)], -1)


def summed(inputs: torch.Tensor, derivatives: torch.Tensor, rows: int) -> torch.Tensor:
    """Σ δ aᵀ over all passes of a row: (n, ..., d) and (n, ..., o) give (n, o·d)."""
    a = inputs.reshape(rows, -1, inputs.shape[-1])
    d = derivatives.reshape(rows, -1, derivatives.shape[-1])
    return (d.transpose(1, 2) @ a).reshape(rows, -1)
