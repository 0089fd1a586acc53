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

Layers without a forward-mode derivative, such as LSTM, take two passes backward
instead: the derivative in a direction is that of the (linear) gradient in its weights. Half
precision is computed in float32. module_checks.py looks at the module first.

A network's H need not be positive definite, because training rarely ends at a minimum. The solvers
of matrix_free.py report this as an error. ``damping`` adds to every eigenvalue of H.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.func import functional_call, grad, jvp, vjp
from torch.utils._pytree import tree_leaves, tree_map

from numerics import module_checks
from numerics.linear import Array, SameKind
from numerics.matrix_free import Product, conjugate_gradients, dense, lissa

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LISSA_BATCH = 64  # rows of one stochastic product
LISSA_TOLERANCE = 0.05
LOOKED_AT = 4  # rows of the passes that look at the module
HALF = (torch.float16, torch.bfloat16)


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

    Integer targets of any type are class numbers, and become int64. Rows and targets may require a
    gradient. For half precision, the result is float32.

    Raises ValueError for a module with a part in training mode, whose outputs are no tensors, are
    random or depend on other rows; a loss that fails or whose result is not (n,); NaN or inf in
    parameters, rows or targets; unknown parameters or solver, a last layer that is not clear, or a
    dense H too large; its subclass LinAlgError if the solver finds negative curvature, NaN or inf,
    or does not reach ``tol``; TypeError for what is no module.
    """
    device = module_checks.device_of(module)
    rows, y_rows = module_checks.as_rows_and_targets(X_hessian, y_hessian, "hessian", device)
    valid, y_valid = module_checks.as_rows_and_targets(
        X_validation, y_validation, "validation", device
    )
    pool = module_checks.as_rows(X_pool, "X_pool", device, some=True)
    tried = module_checks.as_rows(classes, "classes", device, some=True)
    with module_checks.plain_kernels():
        influence = ModuleInfluence(
            module, loss, rows[:LOOKED_AT], y_rows[:LOOKED_AT],
            l2=l2, parameters=parameters, damping=damping, chunk=chunk,
        )  # fmt: skip
        tensor = influence.tensor
        g = influence.gradient(tensor(valid), tensor(y_valid))
        V = influence.solve(tensor(rows), tensor(y_rows), g, solver, tol, seed)
        scores = influence.benefit(tensor(pool), tensor(tried), V)
    module_checks.check_finite(scores, "the matrix of the scores of X_pool")
    if isinstance(X_pool, torch.Tensor):
        return scores.to(X_pool.device)
    return scores.cpu().numpy()


class ModuleInfluence:
    """The losses of a module and their derivatives at its parameters theta (P,).

    Parameters
    ----------
    module : fitted, all parts in eval mode. Its output for a row must not depend on other rows.
    loss : (outputs (n, ...), targets (n, ...)) ↦ the loss of each row (n,), without a penalty.
    l2 : the penalty (l2/2)·||W||² on all parameters of two or more dimensions; or an l2 for each
        name of a parameter, 0 for names left out.
    X (n, ...), y (n, ...) : a few rows and targets, to look at forward passes.
    parameters : which may change: "all" that require a gradient, the "last" layer of these that a
        forward pass uses, or a list of names.
    damping : added to the diagonal of H. Needed if H is not positive definite.
    chunk : how many rows go through the module at once.

    Raises ValueError as ``module_benefit`` does.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        loss: Loss,
        X: torch.Tensor,
        y: torch.Tensor,
        *,
        l2: float | Mapping[str, float],
        parameters: str | Sequence[str],
        damping: float,
        chunk: int,
    ):
        module_checks.check_parts(module)
        self.module, self.loss, self.chunk = module, loss, chunk
        self.derivative: Callable[..., Any] = jvp
        known = dict(module.named_parameters())
        names = parameter_names(known, parameters)
        self._look(X, known | dict(module.named_buffers()), names)
        if parameters == "last":
            forward = partial(self._forward, X=self.tensor(X))
            names = module_checks.last_layer(module, forward, self.constants, names)
        self._choose(names, known, l2, damping)
        self._try_derivatives(self.tensor(X), self.tensor(y))

    def _look(
        self, X: torch.Tensor, values: Mapping[str, torch.Tensor], names: Sequence[str]
    ) -> None:
        """Sets ``constants`` and ``dtype``, in which the module runs, after passes over X.

        Half precision becomes float32, unless the forward itself converts to half precision.
        """
        values = {name: value.detach() for name, value in values.items()}
        wide = {n: value.float() if value.dtype in HALF else value for n, value in values.items()}
        tries = [wide] if all(wide[n] is value for n, value in values.items()) else [wide, values]
        for self.constants in tries:
            types = [self.constants[name].dtype for name in names]
            self.dtype = torch.cat([torch.empty(0, dtype=dtype) for dtype in types]).dtype
            try:
                with torch.no_grad():
                    self._forward(self.constants, self.tensor(X))
                break
            except ValueError:
                if self.constants is tries[-1]:
                    raise
        with torch.no_grad():
            module_checks.check_outputs(partial(self._forward, self.constants), self.tensor(X))

    def _choose(
        self,
        names: Sequence[str],
        known: Mapping[str, torch.Tensor],
        l2: float | Mapping[str, float],
        damping: float,
    ) -> None:
        """Sets ``theta``, the shapes of its parts and the penalty on each of its entries."""
        for name in names:
            if self.constants[name].dtype in HALF:
                raise ValueError(
                    f"the forward of the module itself converts to {_type(known[name])}, the type "
                    f"of {name!r}, which is too coarse for products with the Hessian: let it "
                    "compute in float32, or name only parameters of float32 in parameters"
                )
        self.shapes = {name: known[name].shape for name in names}
        self.theta = torch.cat([self.constants[name].reshape(-1) for name in names])  # (P,)
        self.dtype = self.theta.dtype
        penalties = [
            self.theta.new_full((known[name].numel(),), parameter_l2(l2, name, known[name]))
            for name in names
        ]
        self.ridge = torch.cat(penalties) + damping  # (P,)

    def _try_derivatives(self, X: torch.Tensor, y: torch.Tensor) -> None:
        """Sets ``derivative``, jvp or without forward mode. Raises ValueError if neither works."""
        self.losses(self.outputs(self.theta, X), y)
        for self.derivative in (jvp, backward_jvp):
            try:
                Hv = self.product(X, y, self.theta)
                self._benefit(X, y[:1], self.theta)
                if self.derivative is backward_jvp:  # torch has had derivatives that are wrong
                    u = torch.linspace(-1, 1, len(Hv)).to(Hv)
                    one, other = u @ Hv, self.theta @ self.product(X, y, u)
                    if (one - other).abs() > 1e-2 * u.norm() * Hv.norm():
                        raise ValueError("the second derivative is not symmetric")
                return
            except (RuntimeError, ValueError) as error:  # the pass before went well
                reason = error
        raise ValueError(
            "torch has no usable second derivative for a layer of the module or for the loss, "
            'often a fused kernel: load the model with attn_implementation="eager" or without the '
            'fused kernel, or choose only layers after it, as parameters="last" does'
        ) from reason

    def outputs(self, theta: torch.Tensor, X: torch.Tensor) -> Any:
        """Outputs for X (n, ...), with theta (P,) in place of the parameters that may change."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        changed = {
            name: part.reshape(shape).to(self.constants[name].dtype)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return self._forward(self.constants | changed, X)

    def _forward(self, values: Mapping[str, torch.Tensor], X: torch.Tensor) -> Any:
        try:
            return functional_call(self.module, dict(values), (X,))
        except (NotImplementedError, torch.OutOfMemoryError):  # a derivative that torch lacks
            raise
        except Exception as error:
            kinds = sorted({_type(value) for value in self.constants.values()})
            raise ValueError(
                f"the module failed on rows of shape {tuple(X.shape[1:])} and type {_type(X)} (its "
                f"parameters and buffers are {', '.join(kinds)}): give rows of the shape and type "
                "that it was trained on"
            ) from error

    def losses(self, outputs: Any, y: torch.Tensor) -> torch.Tensor:
        """The loss of every row, (n,). Raises ValueError if ``loss`` fails or gives others."""
        try:
            losses = self.loss(outputs, y)
        except (NotImplementedError, torch.OutOfMemoryError):  # a derivative that torch lacks
            raise
        except Exception as error:
            given = [f"{tuple(leaf.shape)} {_type(leaf)}" for leaf in tree_leaves(outputs)]
            raise ValueError(
                f"the loss failed for a {type(outputs).__name__} of outputs ({', '.join(given)}) "
                f"and targets {tuple(y.shape)} {_type(y)}: class numbers must be integers from 0 "
                "to below the number of outputs, other targets floating-point numbers of the shape "
                "of the outputs; wrap a module that returns more than the loss takes"
            ) from error
        if not isinstance(losses, torch.Tensor) or losses.shape != y.shape[:1]:
            shape = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses)
            raise ValueError(
                f"the loss gave shape {shape} for {len(y)} rows, and must give a "
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
            image = self.derivative(lambda t, r=rows: self._gradient(t, *r), (self.theta,), (v,))[1]
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

    def tensor(self, values: torch.Tensor) -> torch.Tensor:
        """Floating-point rows or targets in the type that the module computes in."""
        return values.to(self.dtype) if values.is_floating_point() else values

    def _gradient(self, theta: torch.Tensor, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return grad(lambda t: self.losses(self.outputs(t, X), y).sum())(theta)

    def _benefit(self, X: torch.Tensor, classes: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
        Z, dZ = self.derivative(lambda theta: self.outputs(theta, X), (self.theta,), (V,))[:2]
        columns = []
        for c in classes:
            y = c.expand(len(X), *c.shape)
            columns.append(self.derivative(lambda Z, y=y: self.losses(Z, y), (Z,), (dZ,))[1])
        return torch.stack(columns, 1)

    def _chunks(
        self, X: torch.Tensor, y: torch.Tensor
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return zip(X.split(self.chunk), y.split(self.chunk), strict=True)


def parameter_names(
    known: Mapping[str, torch.Tensor], parameters: str | Sequence[str]
) -> list[str]:
    """Names of the parameters that may change; for "last", of all that may be in the last layer.

    Raises ValueError for unknown names, or none.
    """
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
    return names


def parameter_l2(l2: float | Mapping[str, float], name: str, parameter: torch.Tensor) -> float:
    """The l2 of one parameter. A single number is for weights, not for one-dimensional biases."""
    if isinstance(l2, Mapping):
        return l2.get(name, 0.0)
    return l2 if parameter.ndim > 1 else 0.0


def backward_jvp(function: Callable, primals: tuple, tangents: tuple) -> tuple[Any, Any]:
    """What ``jvp`` gives for one argument, without forward mode.

    u ↦ Jᵀu is linear, so the gradient of tangentᵀ(Jᵀu) in u is J tangent.
    """
    outputs, pull = vjp(function, *primals)[:2]
    zero = tree_map(torch.zeros_like, outputs)
    return outputs, vjp(lambda u: pull(u)[0], zero)[1](*tangents)[0]


def _type(values: torch.Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
