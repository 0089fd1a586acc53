"""A logistic regression that is fitted in the span of its rows where that is cheaper."""

import torch

from models import LogisticRegression
from numerics import span

WIDE = 100  # columns below which a fit is cheap either way, and stays as it always was


class SpanRegression(LogisticRegression):
    """LogisticRegression, with the same optimum; for one unit and many columns it is faster.

    It keeps the products of the rows of its last fit. If the next rows begin with the same ones, as
    in a labeled set that grows, only the products of the new rows are computed.
    """

    _dual: span.Dual | None = None
    _gram: tuple[torch.Tensor, torch.Tensor] | None = None

    def _newton(
        self, X: torch.Tensor, T: torch.Tensor, theta: torch.Tensor
    ) -> tuple[torch.Tensor, int]:
        if not takes_span(X, T.shape[1]):
            return super()._newton(X, T, theta)
        K = self.gram(X)
        dual, steps = span.newton(
            K,
            T[:, 0],
            self.l2,
            fit_intercept=self.fit_intercept,
            start=self._start(X, theta),
            tol=self.tol if X.dtype == torch.float64 else max(self.tol, 1e-6),
            max_iter=self.max_iter,
        )
        self._dual = dual
        weights = X.T @ dual.alpha
        if self.fit_intercept:
            weights = torch.cat([weights, dual.intercept[None]])
        return weights[None], steps

    def _start(self, X: torch.Tensor, theta: torch.Tensor) -> span.Dual | None:
        """The last fit, if it is where Newton's method is to begin, and its rows begin X."""
        dual = self._dual
        if theta is not getattr(self, "theta_", None) or dual is None or len(dual.alpha) > len(X):
            return None
        alpha = torch.cat([dual.alpha, dual.alpha.new_zeros(len(X) - len(dual.alpha))])
        return span.Dual(alpha, dual.intercept)

    def set_gram(self, X: torch.Tensor, K: torch.Tensor) -> None:
        """Tell the products K (n, n) of the rows X (n, D), if they are known."""
        self._gram, self._dual = (X, K), None

    def gram(self, X: torch.Tensor) -> torch.Tensor:
        """The products of all pairs of rows of X (n, D): (n, n)."""
        known, K = self._gram or (X[:0], X.new_zeros(0, 0))
        m = len(known)
        if known is X:
            return K
        if m > len(X) or not torch.equal(X[:m], known):
            m, self._dual = 0, None
        if m < len(X):
            new = X[m:] @ X.T
            K = torch.cat([torch.cat([K[:m, :m], new[:, :m].T], 1), new])
        self._gram = X, K
        return K


def takes_span(X: torch.Tensor, units: int) -> bool:
    """Whether a model of so many units of rows X (n, D) is fitted in the span of the rows."""
    return units == 1 and X.shape[1] >= WIDE and span.is_cheaper(*X.shape)
