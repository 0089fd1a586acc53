"""A multilayer perceptron in torch behind scikit-learn's interface, whose last layer is exact.

For ``--model mlp``: as in the authors' code, influence picks labels by the last layer alone. The
body (all layers before it) is trained together with a last layer; then the last layer is fitted
anew on the body's outputs, by models.LogisticRegression and Newton's method. So it is at the
minimum of its own convex problem, H is positive definite there, and everything in influence.py
holds for it as it stands, with ``embed(X)`` in place of the features. That the body would move too
is left out; module_influence.py has the influence on all layers.

Conventions are those of models.py. The loss is the sum of the cross-entropies + (l2/2)·||W||² for
the last layer's weights + (l2_body/2)·||W||² for the others'; no intercept is penalised.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from models import LogisticRegression
from units import as_tensor, cross_entropy, targets, torch_dtype

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "gelu": torch.nn.GELU}


class Standardise(torch.nn.Module):
    """First layer, never trained: mean 0 and deviation 1 for the rows of the first fit."""

    def __init__(self, X: torch.Tensor):
        super().__init__()
        deviation = X.std(0, correction=0)
        self.register_buffer("mean", X.mean(0))
        self.register_buffer("scale", torch.where(deviation > 0, deviation, 1.0))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return (X - self.mean) / self.scale


class MLP(ClassifierMixin, BaseEstimator):
    """Multilayer perceptron, a scikit-learn classifier computed by torch.

    Its first layer standardises the features. Two fits of the same data and ``random_state`` give
    the same bytes; no global random state is read or changed.

    Parameters
    ----------
    hidden : sizes of the hidden layers.
    activation : "tanh", "relu" or "gelu".
    l2 : penalty of the last layer, as in LogisticRegression. Must be > 0.
    fit_intercept : an unpenalised intercept of the last layer; the others always have one.
    l2_body : penalty of the other layers' weights.
    max_iter : most steps of L-BFGS for the body. It may stop early: the last layer is exact anyway.
    tol : L-BFGS stops earlier where no entry of the gradient is above tol·n.
    warm_start : begin at the weights of the last fit where classes and columns are the same.
    random_state : of the first weights, as numpy.random.default_rng takes it.
    device : torch device of the arithmetic; inputs and outputs stay NumPy.
    dtype : "float64" or "float32", the numbers of the arithmetic.

    Attributes
    ----------
    classes_ (K,), n_iter_ : as in scikit-learn.
    module_ : the whole network, a torch.nn.Sequential that gives logits (n, U).
    head_ : the last layer, a fitted LogisticRegression on ``embed(X)``.
    """

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

    def fit(self, X, y) -> "MLP":
        """Fit to X (n, D) and y (n,), labels of any kind.

        Raises ValueError for one class only, NaN or infinite values, an l2 <= 0, or layers or an
        activation that cannot be.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        return self.fit_checked(as_tensor(X, self.device, torch_dtype(self.dtype)), y)

    def fit_checked(self, X: torch.Tensor, y: np.ndarray) -> "MLP":
        """``fit`` without a look at every number: X (n, D) a finite tensor of this model's kind."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"unknown activation {self.activation!r}: choose {', '.join(ACTIVATIONS)}"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must name layers of one unit or more, not {self.hidden}")
        if not (self.l2 > 0 and self.l2_body > 0):
            raise ValueError(f"l2 and l2_body must be above 0, not {self.l2} and {self.l2_body}")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"at least two classes are needed; y has one class, {classes[0]!r}")
        units = 1 if len(classes) == 2 else len(classes)
        sizes = [X.shape[1], *self.hidden, units]
        if not (self.warm_start and self._fits(classes, sizes)):
            self.module_ = self._new_module(X, sizes)
        self.classes_, self.sizes_, self.n_features_in_ = classes, sizes, X.shape[1]
        self.n_iter_ = self._train(
            X, targets(torch.as_tensor(codes, device=X.device), units, X.dtype)
        )
        self.head_ = LogisticRegression(
            self.l2, self.fit_intercept, device=self.device, dtype=self.dtype
        ).fit_checked(self.embed_checked(X), y)
        self._put_back(self.head_.theta_)
        return self

    def _fits(self, classes: np.ndarray, sizes: list[int]) -> bool:
        """Whether the last fit, if any, had these classes and layers."""
        known = hasattr(self, "module_") and self.sizes_ == sizes
        return known and np.array_equal(classes, self.classes_)

    def _new_module(self, X: torch.Tensor, sizes: list[int]) -> torch.nn.Sequential:
        """Layers of the given sizes: uniform weights as by Glorot & Bengio (2010), intercepts 0."""
        rng = np.random.default_rng(self.random_state)
        layers = [Standardise(X)]
        for i, (before, after) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            last = i == len(sizes) - 2
            # skip_init: torch's own first weights would come from its global generator
            layer = torch.nn.utils.skip_init(
                torch.nn.Linear,
                before,
                after,
                bias=self.fit_intercept or not last,
                dtype=X.dtype,
                device=X.device,
            )
            bound = np.sqrt(6 / (before + after))
            with torch.no_grad():
                layer.weight.copy_(torch.as_tensor(rng.uniform(-bound, bound, (after, before))))
                if layer.bias is not None:
                    layer.bias.zero_()
            layers += [layer] if last else [layer, ACTIVATIONS[self.activation]()]
        return torch.nn.Sequential(*layers).eval()

    def _train(self, X: torch.Tensor, T: torch.Tensor) -> int:
        """L-BFGS on all layers at once; the steps it took."""
        parameters = list(self.module_.parameters())
        weights = [layer.weight for layer in self.module_ if isinstance(layer, torch.nn.Linear)]

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            vector_to_parameters(torch.as_tensor(flat).to(X), parameters)
            loss = cross_entropy(self.module_(X), T) + self.l2 / 2 * (weights[-1] ** 2).sum()
            loss = loss + self.l2_body / 2 * sum((W**2).sum() for W in weights[:-1])
            gradients = torch.autograd.grad(loss, parameters)
            flat = parameters_to_vector(gradients)
            return loss.item(), flat.cpu().numpy().astype(np.float64)

        # L-BFGS-B's own vectors are short: BLAS threads would only fight torch's for the cores, and
        # a fit of 0.05 s then took from 1 to 9 s on a busy machine.
        with threadpool_limits(1, user_api="blas"):
            found = minimize(
                loss_and_gradient,
                parameters_to_vector(parameters).detach().cpu().numpy(),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": self.max_iter,
                    "maxfun": np.inf,
                    "gtol": self.tol * len(X),
                    "ftol": 0,
                },
            )
        vector_to_parameters(torch.as_tensor(found.x).to(X), parameters)
        return found.nit

    @torch.no_grad()
    def _put_back(self, theta: torch.Tensor) -> None:
        """Give the network the exact last layer."""
        last = self.module_[-1]
        last.weight.copy_(theta[:, : self.hidden[-1]])
        if self.fit_intercept:
            last.bias.copy_(theta[:, -1])

    def embed(self, X) -> np.ndarray:
        """Outputs of the last hidden layer, the features of ``head_``: (n, hidden[-1])."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self.embed_checked(as_tensor(X, self.device, torch_dtype(self.dtype))).cpu().numpy()

    @torch.no_grad()
    def embed_checked(self, X: torch.Tensor) -> torch.Tensor:
        """``embed`` without a look at every number: X (n, D) a tensor of this model's kind."""
        return self.module_[:-1](X)

    def decision_function(self, X) -> np.ndarray:
        """Logits: (n,) for two classes, else (n, K)."""
        H = self.embed(X)
        return self.head_.decision_function(H)

    def predict_proba(self, X) -> np.ndarray:
        """Probability of every class, in the order of ``classes_``: (n, K)."""
        H = self.embed(X)
        return self.head_.predict_proba(H)

    def predict(self, X) -> np.ndarray:
        """The most probable class of each row: (n,)."""
        H = self.embed(X)
        return self.head_.predict(H)

    def penalties(self) -> dict[str, float]:
        """The l2 of every weight of ``module_`` by name, as ``module_benefit`` takes it."""
        names = [name for name, _ in self.module_.named_parameters() if name.endswith("weight")]
        return dict.fromkeys(names[:-1], self.l2_body) | {names[-1]: self.l2}
