"""Influence for any torch module and loss, through torch.func; influence.py has the closed form.

The conventions are those of influence.py: losses are SUMMED over rows; g is the gradient of the
validation losses, without the penalty; H is the Hessian over ``X_hessian`` with the penalty;
benefit(x, c) = ∇l(x, c)ᵀ H⁻¹ g is positive where the validation loss falls (Koh & Liang 2017,
arXiv 1703.04730, with another sign). P counts the parameters that may move; all others stand still.

No gradient of a single row is ever built, and H only by the solver "dense". With V = H⁻¹ g,
∇l(x, c)ᵀ V is the derivative of l in the direction V, which one forward pass (a Jacobian-vector
product) gives for a whole chunk of rows: the module runs once, the loss once for each class.
Products with H are forward-over-reverse: the derivative of the gradient in a direction.

A network's H need not be positive definite: its weights are rarely at a minimum. Where a solver
(solvers.py) finds that out it says so; ``damping`` adds to all curvatures alike.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch.func import functional_call, grad, jvp

from solvers import conjugate_gradients, dense, lissa

LISSA_BATCH = 64  # rows of one stochastic product
LISSA_TOLERANCE = 0.05


def module_benefit(
    module: torch.nn.Module,
    loss: Callable,
    X_hessian,
    y_hessian,
    X_validation,
    y_validation,
    X_pool,
    classes,
    *,
    l2: float | Mapping[str, float] = 0.0,
    parameters: str | Sequence[str] = "all",
    solver: str = "cg",
    damping: float = 0.0,
    tol: float | None = None,
    seed: int = 0,
    chunk: int = 4_096,
):
    """Predicted fall of the summed validation loss for every pool row under every class.

    Parameters
    ----------
    module : fitted, in eval mode; rows go through it independently of each other.
    loss : (outputs (n, ...), targets (n, ...)) → the loss of each row (n,), without a penalty.
    X_hessian (m, ...), y_hessian (m, ...) : rows and targets over which H sums.
    X_validation (v, ...), y_validation (v, ...) : the validation set.
    X_pool (n, ...) : the rows to score. NumPy array or tensor; the answer is of the same kind.
    classes (K, ...) : the targets to try, each of the form of one target in y.
    l2 : the penalty (l2/2)·||W||², for all parameters of two or more dimensions; or one for each
        name, 0 for names left out.
    parameters : "all" that require a gradient, the "last" layer of these, or a list of names.
    solver : "cg"; "lissa", stochastic, for an H over very many rows; "dense", for small modules.
    damping : added to every curvature. Needed where H is not positive definite.
    tol : most of g that H V may miss, as a share; None: the root of the type's precision, and
        LISSA_TOLERANCE for lissa.
    seed : of lissa's batches.
    chunk : rows in memory at once.

    Returns
    -------
    (n, K), columns in the order of ``classes``.

    Raises ValueError for a module in training mode, a loss without a number for each row, unknown
    parameters or solver, or a dense H too large; its subclass LinAlgError where the solver meets
    negative curvature or misses ``tol``.
    """
    influence = ModuleInfluence(
        module, loss, l2=l2, parameters=parameters, damping=damping, chunk=chunk
    )
    tensor = influence.tensor
    g = influence.gradient(tensor(X_validation), tensor(y_validation))
    V = influence.solve(tensor(X_hessian), tensor(y_hessian), g, solver, tol, seed)
    scores = influence.benefit(tensor(X_pool), tensor(classes), V)
    return scores.to(X_pool.device) if isinstance(X_pool, torch.Tensor) else scores.cpu().numpy()


class ModuleInfluence:
    """Losses of a module, and their derivatives at its state, as functions of theta (P,).

    Parameters are those of ``module_benefit``.
    """

    def __init__(self, module, loss, *, l2, parameters, damping, chunk):
        if module.training:
            raise ValueError("the module is in training mode: call module.eval() first")
        self.module, self.loss, self.chunk = module, loss, chunk
        known = dict(module.named_parameters())
        self.fixed = {name: parameter.detach() for name, parameter in known.items()}
        names = chosen(known, parameters)
        self.shapes = {name: known[name].shape for name in names}
        self.theta = torch.cat([known[name].detach().reshape(-1) for name in names])  # (P,)
        penalties = [
            self.theta.new_full((known[name].numel(),), penalty(l2, name, known[name]))
            for name in names
        ]
        self.ridge = torch.cat(penalties) + damping  # (P,)

    def outputs(self, theta: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
        """The module's outputs for X (n, ...), its chosen parameters set to theta (P,)."""
        parts = theta.split([shape.numel() for shape in self.shapes.values()])
        moved = {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        return functional_call(self.module, self.fixed | moved, (X,))

    def losses(self, outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of every row: (n,)."""
        losses = self.loss(outputs, y)
        if losses.shape != y.shape[:1]:
            raise ValueError(
                f"the loss gave shape {tuple(losses.shape)} for {len(y)} rows, and must give a "
                'number for each: torch\'s losses do with reduction="none"'
            )
        return losses

    def gradient(self, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Gradient of the sum of losses, without the penalty: (P,)."""
        return sum(self._gradient(self.theta, *rows) for rows in self._chunks(X, y))

    def product(self, X, y, v: torch.Tensor, weight: float = 1.0) -> torch.Tensor:
        """H v for v (P,), each row counted ``weight`` times, penalty and damping once: (P,)."""
        total = self.ridge * v
        for rows in self._chunks(X, y):
            image = jvp(lambda t, r=rows: self._gradient(t, *r), (self.theta,), (v,))[1]
            total = total + weight * image
        return total

    def solve(self, X, y, g: torch.Tensor, solver: str, tol: float | None, seed: int):
        """H⁻¹ g with H over the rows X (m, ...) and y (m,): (P,). See ``module_benefit``."""
        if solver not in ("cg", "lissa", "dense"):
            raise ValueError(f"unknown solver {solver!r}: choose cg, lissa or dense")
        product = partial(self.product, X, y)
        if tol is None:
            tol = LISSA_TOLERANCE if solver == "lissa" else torch.finfo(g.dtype).eps ** 0.5
        if solver != "lissa":
            return {"cg": conjugate_gradients, "dense": dense}[solver](product, g, tol)
        rng = torch.Generator().manual_seed(seed)

        def sample() -> Callable:
            rows = torch.randint(len(X), (LISSA_BATCH,), generator=rng).to(X.device)
            return partial(self.product, X[rows], y[rows], weight=len(X) / LISSA_BATCH)

        return lissa(product, sample, g, tol)

    def benefit(self, X: torch.Tensor, classes: torch.Tensor, V: torch.Tensor) -> torch.Tensor:
        """∇l(x, c)ᵀ V for all rows X (n, ...) and all classes (K,): (n, K)."""
        return torch.cat([self._benefit(rows, classes, V) for rows in X.split(self.chunk)])

    def tensor(self, values) -> torch.Tensor:
        """Rows or labels on the module's device; floating ones in its type."""
        values = torch.as_tensor(values, device=self.theta.device)
        return values.to(self.theta.dtype) if values.is_floating_point() else values

    def _gradient(self, theta, X, y):
        return grad(lambda t: self.losses(self.outputs(t, X), y).sum())(theta)

    def _benefit(self, X, classes, V):
        Z, dZ = jvp(lambda theta: self.outputs(theta, X), (self.theta,), (V,))
        columns = []
        for c in classes:
            y = c.expand(len(X), *c.shape)
            columns.append(jvp(lambda Z, y=y: self.losses(Z, y), (Z,), (dZ,))[1])
        return torch.stack(columns, 1)

    def _chunks(self, X, y):
        return zip(X.split(self.chunk), y.split(self.chunk), strict=True)


def chosen(known: Mapping[str, torch.Tensor], parameters: str | Sequence[str]) -> list[str]:
    """Names of the parameters that may move. Raises ValueError for unknown ones, or none."""
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


def penalty(l2: float | Mapping[str, float], name: str, parameter: torch.Tensor) -> float:
    """The l2 of one parameter: a number is for weights, of two dimensions, not for biases."""
    if isinstance(l2, Mapping):
        return l2.get(name, 0.0)
    return l2 if parameter.ndim > 1 else 0.0
