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

import warnings

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

# Up to here a dense Cholesky factor costs less than conjugate gradients on the paper's data sets.
DENSE_PARAMETERS = 1_500


def as_tensor(X, device="cpu") -> torch.Tensor:
    """``X`` as a float64 tensor on ``device``, without a copy where none is needed."""
    with warnings.catch_warnings():  # tensors made here are only read
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(X, dtype=torch.float64, device=device)


def project(X: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Every row against every unit, X theta.T with its intercept: (n, U)."""
    D = X.shape[1]
    Z = X @ theta[:, :D].T
    return Z + theta[:, D] if theta.shape[1] > D else Z


def pull_back(R: torch.Tensor, X: torch.Tensor, fit_intercept: bool) -> torch.Tensor:
    """Sum over rows of r_i ⊗ (x_i, 1), the transpose of ``project``: (U, D) or (U, D + 1)."""
    G = R.T @ X
    return torch.cat([G, R.sum(0)[:, None]], dim=1) if fit_intercept else G


def probabilities(Z: torch.Tensor) -> torch.Tensor:
    """Probability of each unit, (n, U): a sigmoid where there is one unit, else a softmax."""
    return torch.sigmoid(Z) if Z.shape[1] == 1 else torch.softmax(Z, dim=1)


def targets(codes: torch.Tensor, units: int) -> torch.Tensor:
    """Class numbers (n,) as the units' targets (n, U): 0 or 1 for one unit, else one-hot."""
    if units == 1:
        return codes[:, None].to(torch.float64)
    return torch.nn.functional.one_hot(codes, units).to(torch.float64)


def cross_entropy(Z: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """Sum over rows of the cross-entropy of logits Z (n, U) against targets T (n, U): a scalar."""
    if Z.shape[1] == 1:
        return (torch.nn.functional.softplus(Z) - T * Z).sum()
    return (torch.logsumexp(Z, dim=1) - (T * Z).sum(1)).sum()


class Hessian:
    """Second derivative of the loss over rows X (n, D), at probabilities P (n, U).

    ``product`` never builds a matrix; ``dense`` builds all (U·D)² entries of it; ``solve`` picks
    whichever is cheaper.
    """

    def __init__(self, X: torch.Tensor, P: torch.Tensor, l2: float, fit_intercept: bool):
        self.X, self.P, self.fit_intercept = X, P, fit_intercept
        self.units, self.width = P.shape[1], X.shape[1] + fit_intercept
        self.ridge = ridge(X, l2, fit_intercept)

    def product(self, V: torch.Tensor) -> torch.Tensor:
        """H V for V (U, width), in two passes over X: (U, width)."""
        A = project(self.X, V)  # (n, U)
        if self.units == 1:
            R = self._weight(0, 0)[:, None] * A
        else:
            PA = self.P * A
            R = PA - self.P * PA.sum(1, keepdim=True)
        return pull_back(R, self.X, self.fit_intercept) + self.ridge * V

    def dense(self) -> torch.Tensor:
        """H itself, (U·width, U·width); block (j, k) is Xᵀ diag(p_j·(δ_jk − p_k)) X."""
        X, width = self.X, self.width
        H = X.new_empty(self.units, width, self.units, width)
        for j in range(self.units):
            for k in range(j + 1):
                w = self._weight(j, k)[:, None]  # (n, 1)
                wX = w * X
                block = X.T @ wX
                if self.fit_intercept:
                    edge = wX.sum(0)[:, None]
                    block = torch.cat(
                        [torch.cat([block, edge], 1), torch.cat([edge.T, w.sum()[None, None]], 1)]
                    )
                H[j, :, k] = block
                H[k, :, j] = block.T
            H[j, :, j] += torch.diag(self.ridge)
        return H.reshape(self.units * width, self.units * width)

    def solve(self, G: torch.Tensor, *, solver: str = "auto", tol: float = 1e-10) -> torch.Tensor:
        """H⁻¹ G for G (U, width).

        ``cholesky`` factors the dense H; ``cg`` runs conjugate gradients on ``product`` until the
        residual is below ``tol`` times that of zero; ``auto`` takes the first up to
        ``DENSE_PARAMETERS`` parameters.

        Raises ValueError where the solver is unknown, its subclass LinAlgError where H is not
        positive definite or the true residual of CG stays above ``tol``.
        """
        if solver not in ("auto", "cholesky", "cg"):
            raise ValueError(f"unknown solver {solver!r}: choose auto, cholesky or cg")
        if solver == "cg" or (solver == "auto" and G.numel() > DENSE_PARAMETERS):
            return self._conjugate_gradients(G, tol)
        return torch.cholesky_solve(G.reshape(-1, 1), self._factor()).reshape(G.shape)

    def inverse(self) -> torch.Tensor:
        """H⁻¹ itself, (U·width, U·width).

        Raises ValueError above ``DENSE_PARAMETERS`` parameters, its subclass LinAlgError where H is
        not positive definite.
        """
        size = self.units * self.width
        if size > DENSE_PARAMETERS:
            raise ValueError(
                f"the inverse of a Hessian of {size:,} parameters is too large, at most "
                f"{DENSE_PARAMETERS:,}: use fewer features"
            )
        return torch.cholesky_inverse(self._factor())

    def _factor(self) -> torch.Tensor:
        H = self.dense()
        if self._gauge_free:
            intercepts = torch.arange(self.units) * self.width + self.width - 1
            H[intercepts[:, None], intercepts] += 1.0
        factor, failed = torch.linalg.cholesky_ex(H)
        if failed:
            raise np.linalg.LinAlgError("the Hessian is singular: a larger l2 makes it invertible")
        return factor

    def _conjugate_gradients(self, G: torch.Tensor, tol: float) -> torch.Tensor:
        target = tol * torch.linalg.vector_norm(G)
        V, limit = torch.zeros_like(G), 10 * G.numel()
        # CG updates its residual by recurrence, which drifts from the true one: restart on the true
        # residual until that is small.
        for _restart in range(3):
            R = G - self._fixed_product(V)
            square = (R * R).sum()
            if square.sqrt() <= target:
                return V
            direction = R.clone()
            for _step in range(limit):
                image = self._fixed_product(direction)
                length = square / (direction * image).sum()
                V = V + length * direction
                R = R - length * image
                previous, square = square, (R * R).sum()
                if square.sqrt() <= 0.5 * target:
                    break
                direction = R + (square / previous) * direction
        residual = float(torch.linalg.vector_norm(G - self._fixed_product(V)))
        if not residual <= target:
            raise np.linalg.LinAlgError(
                f"conjugate gradients stopped at a residual of {residual:.1e}, above {target:.1e}: "
                "a larger l2 makes the Hessian better conditioned"
            )
        return V

    def _fixed_product(self, V: torch.Tensor) -> torch.Tensor:
        HV = self.product(V)
        if self._gauge_free:
            HV[:, -1] += V[:, -1].sum()
        return HV

    @property
    def _gauge_free(self) -> bool:
        return self.fit_intercept and self.units > 1

    def _weight(self, j: int, k: int) -> torch.Tensor:
        """Second derivative of each row's loss in logits j and k: (n,)."""
        return self.P[:, j] * (1.0 - self.P[:, k] if j == k else -self.P[:, k])


def ridge(X: torch.Tensor, l2: float, fit_intercept: bool) -> torch.Tensor:
    """The penalty on each column of theta: l2 on weights, 0 on the intercept."""
    values = X.new_full((X.shape[1] + fit_intercept,), l2)
    if fit_intercept:
        values[-1] = 0.0
    return values


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """L2-penalised logistic regression, a scikit-learn classifier computed in float64 by torch.

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
    tol : Newton stops once the norm of the gradient is below tol·n.
    max_iter : most steps.
    device : torch device of the arithmetic; inputs and outputs stay NumPy.

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
    ):
        self.l2 = l2
        self.fit_intercept = fit_intercept
        self.softmax = softmax
        self.solver = solver
        self.warm_start = warm_start
        self.tol = tol
        self.max_iter = max_iter
        self.device = device

    def fit(self, X, y) -> "LogisticRegression":
        """Fit to X (n, D) and y (n,), labels of any kind.

        Raises ValueError for one class only, NaN or infinite values, or l2 <= 0; its
        subclass LinAlgError where the gradient does not get below tol·n.
        """
        if self.solver not in ("newton", "lbfgs"):
            raise ValueError(f"unknown solver {self.solver!r}: choose newton or lbfgs")
        if not self.l2 > 0:
            raise ValueError(
                f"l2 must be above 0, not {self.l2}: else the fit has no unique answer"
            )
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"at least two classes are needed; y has one class, {classes[0]!r}")
        units = 1 if len(classes) == 2 and not self.softmax else len(classes)
        X = as_tensor(X, self.device)
        T = targets(torch.as_tensor(codes, device=self.device), units)
        start = X.new_zeros(units, X.shape[1] + self.fit_intercept)
        if self.solver == "lbfgs":
            self.theta_, self.n_iter_ = self._lbfgs(X, T, start)
        else:
            if self.warm_start and self._fits(classes, start):
                start = self.theta_
            self.theta_, self.n_iter_ = self._newton(X, T, start)
        self.classes_ = classes
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
            theta = as_tensor(flat, self.device).reshape(start.shape)
            Z = project(X, theta)
            loss = cross_entropy(Z, T) + (penalty * theta**2).sum() / 2
            G = pull_back(probabilities(Z) - T, X, self.fit_intercept) + penalty * theta
            return loss.item(), G.cpu().numpy().ravel()

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
        return as_tensor(found.x, self.device).reshape(start.shape), found.nit

    def _newton(self, X, T, theta) -> tuple[torch.Tensor, int]:
        """Newton steps with a backtracking line search; without one they diverge on skewed data."""
        n, penalty = len(X), ridge(X, self.l2, self.fit_intercept)
        Z = project(X, theta)
        loss = cross_entropy(Z, T) + (penalty * theta**2).sum() / 2
        for step in range(self.max_iter):
            P = probabilities(Z)
            G = pull_back(P - T, X, self.fit_intercept) + penalty * theta
            norm = float(torch.linalg.vector_norm(G))
            if norm <= self.tol * n:
                return theta, step
            # Far from the optimum a rough direction is as good; near it, errors fall as the square.
            rough = min(0.1, norm / n)
            direction = Hessian(X, P, self.l2, self.fit_intercept).solve(G, tol=rough)
            slope = (G * direction).sum()
            dZ = project(X, direction)  # the line search then needs no further pass over X
            length = 1.0
            while length > 1e-10:
                theta_new, Z_new = theta - length * direction, Z - length * dZ
                loss_new = cross_entropy(Z_new, T) + (penalty * theta_new**2).sum() / 2
                # The last term lets a full step pass where the fall is below rounding.
                if loss_new <= loss - 1e-4 * length * slope + 1e-14 * abs(loss):
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
        Z = self.decision_function(X)
        return self.classes_[(Z > 0).astype(int) if Z.ndim == 1 else Z.argmax(1)]

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
        return as_tensor(validate_data(self, X, dtype=np.float64, reset=False), self.device)
