"""Influence for any torch module and loss, by torch.func. influence.py has the closed form.

The conventions are those of influence.py: losses are SUMMED over rows; g is the gradient of the
validation losses, without the penalty; H is the Hessian over ``X_hessian``, with the penalty;
benefit(x, c) = ∇l(x, c)ᵀ H⁻¹ g is positive if the validation loss falls (Koh & Liang 2017,
arXiv 1703.04730, equation 2, with the opposite sign). P is the number of the parameters that may
change; all other parameters of the module are constants.

The gradient of a single row is never built, and H only by the solver "dense". With V = H⁻¹ g,
∇l(x, c)ᵀ V is the derivative of l in the direction V. A Jacobian-vector product, which is one
forward pass, gives it for a whole chunk of rows: the module runs once, and the loss once for each
class. Products with H are forward over reverse: the derivative of the gradient in a direction.

A network's H need not be positive definite, because training rarely ends at a minimum. The solvers
of matrix_free.py report this as an error. ``damping`` adds to every eigenvalue of H.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch.func import functional_call, grad, jvp

from numerics.linear import Array, SameKind
from numerics.matrix_free import Product, conjugate_gradients, dense, lissa

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LISSA_BATCH = 64  # rows of one stochastic product
LISSA_TOLERANCE = 0.05


def module_benefit(
    module: torch.nn.Module,
    loss: Loss,
    X_hessian: Array,
    y_hessian: Array,
    X_validation: Array,
    y_validation: Array,
    X_pool: SameKind,
    classes: Array,
    *,
    l2: float | Mapping[str, float] = 0.0,
    parameters: str | Sequence[str] = "all",
    solver: str = "cg",
    damping: float = 0.0,
    tol: float | None = None,
    seed: int = 0,
    chunk: int = 4_096,
) -> SameKind:
    """Predicted fall of the summed validation loss for every pool row under every class: (n, K).

    Parameters
    ----------
    module, loss, l2, parameters, damping, chunk : see ``ModuleInfluence``.
    X_hessian (m, ...), y_hessian (m, ...) : the rows and targets that H sums over.
    X_validation (v, ...), y_validation (v, ...) : the validation set.
    X_pool (n, ...) : the rows to score, an array or a tensor; the result is of the same kind.
    classes (K, ...) : the targets to try, each of the shape of one target. They are the columns of
        the result, in this order.
    solver, tol, seed : see ``ModuleInfluence.solve``.

    Raises ValueError for a module in training mode, a loss whose result is not (n,), unknown
    parameters or solver, or a dense H too large; its subclass LinAlgError if the solver finds
    negative curvature or does not reach ``tol``.
    """
    influence = ModuleInfluence(
        module, loss, l2=l2, parameters=parameters, damping=damping, chunk=chunk
    )
    tensor = influence.tensor
    g = influence.gradient(tensor(X_validation), tensor(y_validation))
    V = influence.solve(tensor(X_hessian), tensor(y_hessian), g, solver, tol, seed)
    scores = influence.benefit(tensor(X_pool), tensor(classes), V)
    if isinstance(X_pool, torch.Tensor):
        return scores.to(X_pool.device)
    return scores.cpu().numpy()


class ModuleInfluence:
    """The losses of a module and their derivatives at its parameters theta (P,).

    Parameters
    ----------
    module : fitted, in eval mode. Its output for a row must not depend on the other rows.
    loss : (outputs (n, ...), targets (n, ...)) ↦ the loss of each row (n,), without a penalty.
    l2 : the penalty (l2/2)·||W||² on all parameters of two or more dimensions; or an l2 for each
        name of a parameter, 0 for names left out.
    parameters : which may change: "all" that require a gradient, the "last" layer of these, or a
        list of names.
    damping : added to the diagonal of H. Needed if H is not positive definite.
    chunk : how many rows go through the module at once.

    Raises ValueError for a module in training mode, and for unknown parameters or none.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Loss,
        *,
        l2: float | Mapping[str, float],
        parameters: str | Sequence[str],
        damping: float,
        chunk: int,
    ):
        if module.training:
            raise ValueError("the module is in training mode: call module.eval() first")
        self.module, self.loss, self.chunk = module, loss, chunk
        known = dict(module.named_parameters())
        self.constants = {name: parameter.detach() for name, parameter in known.items()}
        names = parameter_names(known, parameters)
        self.shapes = {name: known[name].shape for name in names}
        self.theta = torch.cat([known[name].detach().reshape(-1) for name in names])  # (P,)
        penalties = [
            self.theta.new_full((known[name].numel(),), parameter_l2(l2, name, known[name]))
            for name in names
        ]
        self.ridge = torch.cat(penalties) + damping  # (P,)

    def outputs(self, theta: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
        """Outputs for X (n, ...), with theta (P,) in place of the parameters that may change."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        changed = {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.module, self.constants | changed, (X,))

    def losses(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of every row, (n,). Raises ValueError if ``loss`` gives another shape."""
        losses = self.loss(outputs, y)
        if losses.shape != y.shape[:1]:
            raise ValueError(
                f"the loss gave shape {tuple(losses.shape)} for {len(y)} rows, and must give a "
                'number for each: torch\'s losses do with reduction="none"'
            )
        return losses

    def gradient(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Gradient of the sum of the losses, without the penalty: (P,)."""
        gradients = (self._gradient(self.theta, *rows) for rows in self._chunks(X, y))
        return sum(gradients, torch.zeros_like(self.theta))

    def product(
        self, X: torch.Tensor, y: torch.Tensor, v: torch.Tensor, weight: float = 1.0
    ) -> torch.Tensor:
        """H v for v (P,): (P,). Each row counts ``weight`` times, penalty and damping once."""
        total = self.ridge * v
        for rows in self._chunks(X, y):
            image = jvp(lambda t, r=rows: self._gradient(t, *r), (self.theta,), (v,))[1]
            total = total + weight * image
        return total

    def solve(
        self,
        X: torch.Tensor,
        y: torch.Tensor,
        g: torch.Tensor,
        solver: str = "cg",
        tol: float | None = None,
        seed: int = 0,
    ) -> torch.Tensor:
        """H⁻¹ g (P,), with H over the rows X (m, ...) and y (m, ...).

        solver : "cg", conjugate gradients; "lissa", stochastic, for very many rows; or "dense", all
            eigenvalues of H, for small modules.
        tol : largest norm of g − H V, divided by the norm of g. None means the square root of the
            type's precision, and for lissa ``LISSA_TOLERANCE``.
        seed : of lissa's batches.

        Raises ValueError for an unknown solver, or as the solvers of matrix_free.py do.
        """
        if solver not in ("cg", "lissa", "dense"):
            raise ValueError(f"unknown solver {solver!r}: choose cg, lissa or dense")
        product = partial(self.product, X, y)
        if tol is None:
            tol = LISSA_TOLERANCE if solver == "lissa" else torch.finfo(g.dtype).eps ** 0.5
        if solver != "lissa":
            return {"cg": conjugate_gradients, "dense": dense}[solver](product, g, tol)
        rng = torch.Generator().manual_seed(seed)

        def sample() -> Product:
            rows = torch.randint(len(X), (LISSA_BATCH,), generator=rng).to(X.device)
            return partial(self.product, X[rows], y[rows], weight=len(X) / LISSA_BATCH)

        return lissa(product, sample, g, tol)

    def benefit(self, X: torch.Tensor, classes: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
        """∇l(x, c)ᵀ V for all rows X (n, ...), all classes (K, ...), and V (P,): (n, K)."""
        return torch.cat([self._benefit(rows, classes, V) for rows in X.split(self.chunk)])

    def tensor(self, values: Array) -> torch.Tensor:
        """Rows or targets on the module's device; floating-point ones in its type."""
        values = torch.as_tensor(values, device=self.theta.device)
        return values.to(self.theta.dtype) if values.is_floating_point() else values

    def _gradient(self, theta: torch.Tensor, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return grad(lambda t: self.losses(self.outputs(t, X), y).sum())(theta)

    def _benefit(self, X: torch.Tensor, classes: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
        Z, dZ = jvp(lambda theta: self.outputs(theta, X), (self.theta,), (V,))[:2]
        columns = []
        for c in classes:
            y = c.expand(len(X), *c.shape)
            columns.append(jvp(lambda Z, y=y: self.losses(Z, y), (Z,), (dZ,))[1])
        return torch.stack(columns, 1)

    def _chunks(
        self, X: torch.Tensor, y: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return zip(X.split(self.chunk), y.split(self.chunk), strict=True)


def parameter_names(
    known: Mapping[str, torch.Tensor], parameters: str | Sequence[str]
) -> list[str]:
    """Names of the parameters that may change. Raises ValueError for unknown names, or none."""
    if isinstance(parameters, str) and parameters not in ("all", "last"):
        raise ValueError(f"parameters is all, last or a list of names, not {parameters!r}")
    names = [name for name in known if known[name].requires_grad]
    if not isinstance(parameters, str):
        unknown = [name for name in parameters if name not in known]
        if unknown:
            raise ValueError(f"the module has no parameter {unknown[0]!r}, only {list(known)}")
        names = list(dict.fromkeys(parameters))
    if not names:
        raise ValueError("no parameter is left to move: none is named, or none requires a gradient")
    if parameters == "last":
        layer = names[-1].rpartition(".")[0]
        names = [name for name in names if name.rpartition(".")[0] == layer]
    return names


def parameter_l2(l2: float | Mapping[str, float], name: str, parameter: torch.Tensor) -> float:
    """The l2 of one parameter. A single number is for weights, not for one-dimensional biases."""
    if isinstance(l2, Mapping):
        return l2.get(name, 0.0)
    return l2 if parameter.ndim > 1 else 0.0
