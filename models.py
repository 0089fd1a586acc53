"""The two classifiers, in torch with scikit-learn's interface: logistic regression, and an MLP.

Logistic regression is the paper's convex classifier (arXiv 2405.17627, section 3). influence.py
reads its weights, its probabilities and its Hessian. These conventions hold everywhere:

- loss: the SUM over rows of the cross-entropy + (l2/2)·||W||². scikit-learn's C is 1/l2.
- units: the outputs of the linear layer, U of them. Two classes have ONE sigmoid unit (U = 1), for
  the class ``classes_[1]``; more classes have a softmax (U = K). A softmax over two classes with l2
  is the same model as the sigmoid with l2/2.
- theta: (U, D), or (U, D + 1) with an intercept. Every row has the weights of one unit, and its
  intercept last, which is never penalised. A flat vector or a dense Hessian takes theta row by row.
- A softmax does not change if the same constant is added to all its intercepts, so its Hessian is
  singular in that direction. ``Hessian.solve`` adds the outer product of ones to the block of the
  intercepts. The right-hand sides in this project are zero in that direction, so its solution is
  the minimum-norm one.

Methods whose names end in ``_tensor`` or ``_tensors`` do not validate their input: they take finite
tensors on the model's device and of its dtype.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from numerics.hessian import Hessian
from numerics.linear import cross_entropy, probabilities, project, pull_back, ridge, targets
from numerics.torch_classifier import TorchClassifier, encoded_classes

# --- logistic regression --------------------------------------------------------------------------


class LogisticRegression(TorchClassifier):
    """L2-penalised logistic regression, fitted by Newton's method.

    Parameters
    ----------
    l2 : penalty (l2/2)·||W||² beside the SUM of the losses, above 0. The paper's figures use 50.
    fit_intercept : whether to add an unpenalised intercept.
    softmax : whether two classes, too, have one unit each (see the head of this module).
    solver : "newton", exact; or "lbfgs", scipy's L-BFGS-B from zero weights. It ends by scipy's
        default rule, when a step lowers the loss by less than 2.2e-9 of it; its weights are then
        about 1e-4 from the optimum. scikit-learn used it when the paper's Bank curves were made.
        Three points of these curves depend on one test row each, which is nearer to the decision
        boundary than 1e-4.
    warm_start : begin at the last fit's weights if classes and columns are the same (newton only).
    tol : Newton ends once the norm of the gradient is at most tol·n; in float32 at most 1e-6·n.
    max_iter : the most steps.
    device : torch device of the arithmetic. Inputs and outputs are NumPy arrays.
    dtype : "float64" or "float32", the type of the arithmetic.

    Attributes
    ----------
    classes_ (K,), coef_ (U, D), intercept_ (U,), n_iter_ : as in scikit-learn.
    theta_ : the weights with their intercept, a tensor (U, D) or (U, D + 1) on ``device``.
    """

    classes_: np.ndarray
    theta_: torch.Tensor

    def __init__(
        self,
        l2: float = 50.0,
        fit_intercept: bool = False,
        *,
        softmax: bool = False,
        solver: str = "newton",
        warm_start: bool = False,
        tol: float = 1e-10,
        max_iter: int = 2_000,
        device: str = "cpu",
        dtype: str = "float64",
    ):
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.softmax = softmax
        self.solver = solver
        self.warm_start = warm_start
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.dtype = dtype

    def fit_tensors(self, X: torch.Tensor, y: np.ndarray) -> "LogisticRegression":
        """``fit`` without input validation: X (n, D) a finite tensor, y (n,) labels.

        Raises ValueError for an unknown solver, an l2 that is not above 0, or a single class; its
        subclass LinAlgError if the fit does not converge.
        """
        if self.solver not in ("newton", "lbfgs"):
            raise ValueError(f"unknown solver {self.solver!r}: choose newton or lbfgs")
        if not self.l2 > 0:
            raise ValueError(
                f"l2 must be above 0, not {self.l2}: otherwise the best fit is not unique"
            )
        classes, codes = encoded_classes(y)
        units = 1 if len(classes) == 2 and not self.softmax else len(classes)
        T = targets(torch.as_tensor(codes, device=X.device), units, X.dtype)
        start = X.new_zeros(units, X.shape[1] + self.fit_intercept)
        if self.solver == "lbfgs":
            self.theta_, self.n_iter_ = self._lbfgs(X, T, start)
        else:
            if self.warm_start and self._can_continue(classes, start):
                start = self.theta_
            self.theta_, self.n_iter_ = self._newton(X, T, start)
        self.classes_, self.n_features_in_ = classes, X.shape[1]
        return self

    def _can_continue(self, classes: np.ndarray, start: torch.Tensor) -> bool:
        """Whether there was a fit before, with these classes and this shape of theta."""
        return (
            hasattr(self, "theta_")
            and np.array_equal(classes, self.classes_)
            and self.theta_.shape == start.shape
        )

    def _lbfgs(
        self, X: torch.Tensor, T: torch.Tensor, start: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        """The weights, of the shape of ``start``, and the number of steps."""
        penalty = ridge(X, self.l2, self.fit_intercept)

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            theta = torch.as_tensor(flat).to(start).reshape(start.shape)
            Z = project(X, theta)
            loss = _penalised_loss(Z, T, penalty, theta)
            G = pull_back(probabilities(Z) - T, X, self.fit_intercept) + penalty * theta
            return loss.item(), G.cpu().numpy().ravel().astype(np.float64)

        found = minimize(
            loss_and_gradient,
            np.zeros(start.numel()),
            jac=True,
            method="L-BFGS-B",
            options={"gtol": 1e-8, "maxiter": self.max_iter},
        )
        if not found.success:
            raise np.linalg.LinAlgError(
                f"L-BFGS-B stopped after {found.nit} steps ({found.message.strip()}): "
                "the newton solver fits such data"
            )
        return torch.as_tensor(found.x).to(start).reshape(start.shape), found.nit

    def _newton(
        self, X: torch.Tensor, T: torch.Tensor, theta: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        """The weights and the number of steps, from the start ``theta``, by Newton's method.

        A backtracking line search shortens its steps. Without one they diverge on skewed data.
        """
        n, penalty = len(X), ridge(X, self.l2, self.fit_intercept)
        eps = torch.finfo(X.dtype).eps
        tol = self.tol if X.dtype == torch.float64 else max(self.tol, 1e-6)
        Z = project(X, theta)
        loss = _penalised_loss(Z, T, penalty, theta)
        for step in range(self.max_iter):
            P = probabilities(Z)
            G = pull_back(P - T, X, self.fit_intercept) + penalty * theta
            norm = float(torch.linalg.vector_norm(G))
            if norm <= tol * n:
                return theta, step
            # Far from the optimum a rough direction serves as well. Near the optimum, the error of
            # the weights is squared by every step, so that the direction must be more exact.
            rough = min(0.1, max(norm / n, eps**0.5))
            direction = Hessian(X, P, self.l2, self.fit_intercept).solve(G, tol=rough)
            slope = (G * direction).sum()
            dZ = project(X, direction)  # so that the line search makes no further pass over X
            length = 1.0
            while length > 1e-10:
                theta_new, Z_new = theta - length * direction, Z - length * dZ
                loss_new = _penalised_loss(Z_new, T, penalty, theta_new)
                # Armijo's rule. The last term accepts a full step if the loss falls by less than
                # its rounding error.
                if loss_new <= loss - 1e-4 * length * slope + 50 * eps * abs(loss):
                    break
                length /= 2
            theta, Z, loss = theta_new, Z_new, loss_new
        raise np.linalg.LinAlgError(
            f"Newton's method did not converge in {self.max_iter} steps (gradient {norm:.1e}): "
            "scale the features or raise l2"
        )

    @property
    def head_(self) -> "LogisticRegression":
        """This model itself. An MLP has a logistic regression for its last layer."""
        return self

    def embed_tensor(self, X: torch.Tensor) -> torch.Tensor:
        """The features of ``head_`` for X (n, D): X itself."""
        return X

    @property
    def coef_(self) -> np.ndarray:
        """The weights, (U, D)."""
        return self.theta_[:, : self.n_features_in_].cpu().numpy()

    @property
    def intercept_(self) -> np.ndarray:
        """The intercepts, (U,); zeros if the model has none."""
        if self.fit_intercept:
            return self.theta_[:, -1].cpu().numpy()
        return np.zeros(len(self.theta_))


def _penalised_loss(
    Z: torch.Tensor, T: torch.Tensor, penalty: torch.Tensor, theta: torch.Tensor
) -> torch.Tensor:
    """The loss of logits Z (n, U), targets T (n, U), and theta with its penalty (width,)."""
    return cross_entropy(Z, T) + (penalty * theta**2).sum() / 2


# --- multilayer perceptron ------------------------------------------------------------------------
#
# As in the authors' code, only the last layer is variable for the influence. All layers before it,
# the body, are first trained together with a last layer. Then the last layer is fitted again,
# exactly, to the outputs of the body. So it is at the minimum of a convex problem, its Hessian is
# positive definite, and everything in influence.py holds for it, with ``embed(X)`` in place of the
# features. This ignores that a new label would also change the body.
# numerics/module_influence.py computes the influence on all layers.
#
# The loss is the sum of the cross-entropies + (l2/2)·||W||² of the last layer's weights
# + (l2_body/2)·||W||² of the other layers' weights. No intercept is penalised.

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}


class Standardise(torch.nn.Module):
    """The first layer, never trained: the rows of the first fit get mean 0 and deviation 1."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, X: torch.Tensor):
        super().__init__()
        deviation = X.std(0, correction=0)
        self.register_buffer("mean", X.mean(0))
        self.register_buffer("scale", torch.where(deviation > 0, deviation, 1.0))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """X (n, D) with every column standardised; a constant column becomes 0."""
        return (X - self.mean) / self.scale


class MLP(TorchClassifier):
    """Multilayer perceptron whose last layer is a logistic regression, fitted exactly.

    Its first layer standardises the features. Two fits to the same data with the same
    ``random_state`` give the same bytes. No global random state is read or changed.

    Parameters
    ----------
    hidden : sizes of the hidden layers.
    activation : "tanh", "relu" or "gelu".
    l2 : penalty of the last layer, as in LogisticRegression, above 0.
    fit_intercept : whether the last layer has an unpenalised intercept. The others always have one.
    l2_body : penalty of the other layers' weights, above 0.
    max_iter : the most steps of L-BFGS, which trains all layers at once. Few steps are enough,
        because the last layer is fitted exactly after them.
    tol : L-BFGS ends earlier if no entry of the gradient is above tol·n.
    warm_start : begin at the last fit's weights if classes and columns are the same.
    random_state : of the initial weights, as numpy.random.default_rng takes it.
    device, dtype : as in LogisticRegression.

    Attributes
    ----------
    classes_ (K,), n_iter_ : as in scikit-learn.
    module_ : the whole network, a torch.nn.Sequential that gives logits (n, U).
    head_ : the last layer, a LogisticRegression fitted to ``embed(X)``.
    """

    classes_: np.ndarray
    module_: torch.nn.Sequential
    head_: LogisticRegression

    def __init__(
        self,
        hidden: tuple[int, ...] = (16,),
        activation: str = "tanh",
        l2: float = 1.0,
        fit_intercept: bool = True,
        *,
        l2_body: float = 5.0,
        max_iter: int = 100,
        tol: float = 1e-5,
        warm_start: bool = False,
        random_state: int | np.random.Generator | None = 0,
        device: str = "cpu",
        dtype: str = "float64",
    ):
        self.hidden = hidden
        self.activation = activation
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.l2_body = l2_body
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.dtype = dtype

    def fit_tensors(self, X: torch.Tensor, y: np.ndarray) -> "MLP":
        """``fit`` without input validation: X (n, D) a finite tensor, y (n,) labels.

        Raises ValueError for a parameter out of range or a single class; its subclass LinAlgError
        if the last layer's fit does not converge.
        """
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"unknown activation {self.activation!r}: choose {', '.join(ACTIVATIONS)}"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must name layers of one unit or more, not {self.hidden}")
        if not (self.l2 > 0 and self.l2_body > 0):
            raise ValueError(f"l2 and l2_body must be above 0, not {self.l2} and {self.l2_body}")
        classes, codes = encoded_classes(y)
        units = 1 if len(classes) == 2 else len(classes)
        sizes = [X.shape[1], *self.hidden, units]
        if not (self.warm_start and self._can_continue(classes, sizes)):
            self.module_ = self._new_module(X, sizes)
        self.classes_, self.sizes_, self.n_features_in_ = classes, sizes, X.shape[1]
        T = targets(torch.as_tensor(codes, device=X.device), units, X.dtype)
        self.n_iter_ = self._train(X, T)
        self.head_ = LogisticRegression(
            self.l2, self.fit_intercept, device=self.device, dtype=self.dtype
        ).fit_tensors(self.embed_tensor(X), y)
        self._set_last_layer(self.head_.theta_)
        return self

    def _can_continue(self, classes: np.ndarray, sizes: list[int]) -> bool:
        """Whether there was a fit before, with these classes and these sizes of layers."""
        known = hasattr(self, "module_") and self.sizes_ == sizes
        return known and np.array_equal(classes, self.classes_)

    def _new_module(self, X: torch.Tensor, sizes: list[int]) -> torch.nn.Sequential:
        """Layers of these sizes: weights by Glorot & Bengio (2010), eq. 16, intercepts 0."""
        rng = np.random.default_rng(self.random_state)
        layers: list[torch.nn.Module] = [Standardise(X)]
        for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            last = i == len(sizes) - 2
            # skip_init, because torch would draw the initial weights by its global generator.
            kind = {"bias": self.fit_intercept or not last, "dtype": X.dtype, "device": X.device}
            layer = torch.nn.utils.skip_init(torch.nn.Linear, before, after, **kind)
            bound = np.sqrt(6 / (before + after))
            with torch.no_grad():
                layer.weight.copy_(torch.as_tensor(rng.uniform(-bound, bound, (after, before))))
                if layer.bias is not None:
                    layer.bias.zero_()
            layers += [layer] if last else [layer, ACTIVATIONS[self.activation]()]
        return torch.nn.Sequential(*layers).eval()

    def _train(self, X: torch.Tensor, T: torch.Tensor) -> int:
        """Train all layers at once by L-BFGS; the number of its steps."""
        parameters = list(self.module_.parameters())
        weights = [layer.weight for layer in self.module_ if isinstance(layer, torch.nn.Linear)]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            vector_to_parameters(torch.as_tensor(flat).to(X), parameters)
            loss = cross_entropy(self.module_(X), T) + self.l2 / 2 * (weights[-1] ** 2).sum()
            loss = loss + self.l2_body / 2 * sum((W**2).sum() for W in weights[:-1])
            gradient = parameters_to_vector(torch.autograd.grad(loss, parameters))
            return loss.item(), gradient.cpu().numpy().astype(np.float64)

        gtol = self.tol * len(X)
        # The vectors of L-BFGS-B are short, so its BLAS threads gain nothing. They only compete
        # with torch's threads for the cores: a fit of 0.05 s took 1 to 9 s on a busy machine.
        with threadpool_limits(1, user_api="blas"):
            found = minimize(
                loss_and_gradient,
                parameters_to_vector(parameters).detach().cpu().numpy(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": self.max_iter, "maxfun": np.inf, "gtol": gtol, "ftol": 0},
            )
        vector_to_parameters(torch.as_tensor(found.x).to(X), parameters)
        return found.nit

    @torch.no_grad()
    def _set_last_layer(self, theta: torch.Tensor) -> None:
        """Copy theta, the weights of ``head_``, into the network."""
        last = self.module_[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.copy_(theta[:, : self.hidden[-1]])
        if self.fit_intercept:
            last.bias.copy_(theta[:, -1])

    def embed(self, X) -> np.ndarray:
        """The features of ``head_`` for X (n, D), from the last hidden layer: (n, hidden[-1])."""
        return self.embed_tensor(self._validated(X)).cpu().numpy()

    @torch.no_grad()
    def embed_tensor(self, X: torch.Tensor) -> torch.Tensor:
        """``embed`` without input validation, tensor to tensor."""
        return self.module_[:-1](X)

    def penalties(self) -> dict[str, float]:
        """The l2 of every weight matrix of ``module_``, by name, as ``module_benefit`` takes it."""
        names = [name for name, _ in self.module_.named_parameters() if name.endswith("weight")]
        return dict.fromkeys(names[:-1], self.l2_body) | {names[-1]: self.l2}
