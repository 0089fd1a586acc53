"""Logistic regression in torch behind scikit-learn's interface, fitted by Newton's method.

The paper's convex classifier (arXiv 2405.17627, section 3); influence.py reads its weights, its
probabilities and its curvature. Conventions, stated once and used everywhere:

- loss: the SUM over rows of the cross-entropy + (l2/2)·||W||²; scikit-learn's C is 1/l2.
- units: two classes have ONE sigmoid unit (U = 1), whose class is ``classes_[1]``; more classes
  have a softmax (U = K). A softmax over two classes with l2 equals the sigmoid with l2/2.
- theta (U, D) or, with an intercept, (U, D + 1): a row of weights per unit, the intercept last and
  never penalised. Flattened row by row wherever a vector or a dense Hessian is needed.
- a softmax does not change when a constant is added to all its intercepts, so its Hessian is
  singular there. ``solve`` adds the outer product of ones on the intercept block: the right-hand
  sides of this problem have no part along that direction, so the solution is the minimum-norm one.
"""

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hessian import Hessian
from units import (
    as_tensor,
    cross_entropy,
    probabilities,
    project,
    pull_back,
    ridge,
    targets,
    torch_dtype,
)


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """L2-penalised logistic regression, a scikit-learn classifier computed by torch.

    Parameters
    ----------
    l2 : penalty, (l2/2)·||W||² beside the SUM of losses; the paper's figures use 50. Must be > 0.
    fit_intercept : add an unpenalised intercept.
    softmax : use one unit per class also for two classes (see the head of this module).
    solver : "newton", exact; or "lbfgs", scipy's L-BFGS-B from zero weights with its default stop
        (a step that lowers the loss by less than 2.2e-9 of it), about 1e-4 short of the optimum.
        scikit-learn fitted so when the paper's Bank curves were made, and three of their points
        hang on one test row each that lies nearer to the boundary than that.
    warm_start : begin at the weights of the last fit where classes and columns are the same
        (Newton only).
    tol : Newton stops once the norm of the gradient is below tol·n; in float32 below 1e-6·n.
    max_iter : most steps.
    device : torch device of the arithmetic; inputs and outputs stay NumPy.
    dtype : "float64" or "float32", the numbers of the arithmetic.

    Attributes
    ----------
    classes_ (K,), coef_ (U, D), intercept_ (U,), n_iter_ : as in scikit-learn.
    theta_ : (U, D) or (U, D + 1) tensor on ``device``, the weights with their intercept.
    """

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

    def fit(self, X, y) -> "LogisticRegression":
        """Fit to X (n, D) and y (n,), labels of any kind.

        Raises ValueError for one class only, NaN or infinite values, or l2 <= 0; its
        subclass LinAlgError where the gradient does not get below tol·n.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        return self.fit_checked(as_tensor(X, self.device, torch_dtype(self.dtype)), y)

    def fit_checked(self, X: torch.Tensor, y: np.ndarray) -> "LogisticRegression":
        """``fit`` without a look at every number: X (n, D) a finite tensor of this model's kind."""
        if self.solver not in ("newton", "lbfgs"):
            raise ValueError(f"unknown solver {self.solver!r}: choose newton or lbfgs")
        if not self.l2 > 0:
            raise ValueError(
                f"l2 must be above 0, not {self.l2}: else the fit has no unique answer"
            )
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"at least two classes are needed; y has one class, {classes[0]!r}")
        units = 1 if len(classes) == 2 and not self.softmax else len(classes)
        T = targets(torch.as_tensor(codes, device=X.device), units, X.dtype)
        start = X.new_zeros(units, X.shape[1] + self.fit_intercept)
        if self.solver == "lbfgs":
            self.theta_, self.n_iter_ = self._lbfgs(X, T, start)
        else:
            if self.warm_start and self._fits(classes, start):
                start = self.theta_
            self.theta_, self.n_iter_ = self._newton(X, T, start)
        self.classes_, self.n_features_in_ = classes, X.shape[1]
        return self

    def _fits(self, classes: np.ndarray, start: torch.Tensor) -> bool:
        """Whether the last fit, if any, had these classes and weights of this shape."""
        return (
            hasattr(self, "theta_")
            and np.array_equal(classes, self.classes_)
            and self.theta_.shape == start.shape
        )

    def _lbfgs(self, X, T, start) -> tuple[torch.Tensor, int]:
        penalty = ridge(X, self.l2, self.fit_intercept)

        def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
            theta = torch.as_tensor(flat).to(start).reshape(start.shape)
            Z = project(X, theta)
            loss = cross_entropy(Z, T) + (penalty * theta**2).sum() / 2
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

    def _newton(self, X, T, theta) -> tuple[torch.Tensor, int]:
        """Newton steps with a backtracking line search; without one they diverge on skewed data."""
        n, penalty = len(X), ridge(X, self.l2, self.fit_intercept)
        eps = torch.finfo(X.dtype).eps
        tol = self.tol if X.dtype == torch.float64 else max(self.tol, 1e-6)
        Z = project(X, theta)
        loss = cross_entropy(Z, T) + (penalty * theta**2).sum() / 2
        for step in range(self.max_iter):
            P = probabilities(Z)
            G = pull_back(P - T, X, self.fit_intercept) + penalty * theta
            norm = float(torch.linalg.vector_norm(G))
            if norm <= tol * n:
                return theta, step
            # Far from the optimum a rough direction is as good; near it, errors fall as the square.
            rough = min(0.1, max(norm / n, eps**0.5))
            direction = Hessian(X, P, self.l2, self.fit_intercept).solve(G, tol=rough)
            slope = (G * direction).sum()
            dZ = project(X, direction)  # the line search then needs no further pass over X
            length = 1.0
            while length > 1e-10:
                theta_new, Z_new = theta - length * direction, Z - length * dZ
                loss_new = cross_entropy(Z_new, T) + (penalty * theta_new**2).sum() / 2
                # The last term lets a full step pass where the fall is below rounding.
                if loss_new <= loss - 1e-4 * length * slope + 50 * eps * abs(loss):
                    break
                length /= 2
            theta, Z, loss = theta_new, Z_new, loss_new
        raise np.linalg.LinAlgError(
            f"Newton's method did not converge in {self.max_iter} steps (gradient {norm:.1e}): "
            "scale the features or raise l2"
        )

    def decision_function(self, X) -> np.ndarray:
        """Logits: (n,) for one unit, else (n, K)."""
        Z = project(self._features(X), self.theta_).cpu().numpy()
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def predict_proba(self, X) -> np.ndarray:
        """Probability of every class, in the order of ``classes_``: (n, K)."""
        P = probabilities(project(self._features(X), self.theta_))
        return (torch.cat([1 - P, P], dim=1) if P.shape[1] == 1 else P).cpu().numpy()

    def predict(self, X) -> np.ndarray:
        """The most probable class of each row: (n,)."""
        return self.predict_checked(self._features(X))

    def predict_checked(self, X: torch.Tensor) -> np.ndarray:
        """``predict`` without a look at every number: X (n, D) a tensor of this model's kind."""
        Z = project(X, self.theta_)
        codes = Z.argmax(1) if Z.shape[1] > 1 else Z[:, 0] > 0
        return self.classes_[codes.long().cpu().numpy()]

    @property
    def head_(self) -> "LogisticRegression":
        """The layer that gives the logits, and ``embed_checked`` its inputs: see mlp.py."""
        return self

    def embed_checked(self, X: torch.Tensor) -> torch.Tensor:
        return X

    @property
    def coef_(self) -> np.ndarray:
        return self.theta_[:, : self.n_features_in_].cpu().numpy()

    @property
    def intercept_(self) -> np.ndarray:
        if self.fit_intercept:
            return self.theta_[:, -1].cpu().numpy()
        return np.zeros(len(self.theta_))

    def _features(self, X) -> torch.Tensor:
        check_is_fitted(self)
        return as_tensor(
            validate_data(self, X, dtype=np.float64, reset=False),
            self.device,
            torch_dtype(self.dtype),
        )
