"""The base of the classifiers in models.py: scikit-learn's interface around torch."""

from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from numerics.linear import as_tensor, class_probabilities, project, torch_dtype
from numerics.validation import for_estimator, label_array, unfit

Self = TypeVar("Self", bound="TorchClassifier")


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """Validates the input of both classifiers, and turns their logits into answers.

    A subclass defines ``fit_tensors``, ``embed_tensor``, and ``head_``: the logistic regression
    that takes the output of ``embed_tensor`` and gives the logits.
    """

    def fit(self: Self, X: Any, y: Any) -> Self:
        """Fit to X (n, D) and y (n,), labels of any kind, in the forms that validation.py names.

        Raises ValueError for a single class, NaN or infinite values, or a parameter out of range;
        its subclass LinAlgError if the fit does not converge. A fit that fails leaves the
        classifier unfitted.
        """
        try:
            X, y = estimator_input(self, X, y)
            return self.fit_tensors(as_tensor(X, self.device, torch_dtype(self.dtype)), y)
        except BaseException:
            unfit(self)
            raise

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit_tensors(self: Self, X: torch.Tensor, y: np.ndarray) -> Self:
        """``fit`` without input validation: X (n, D) a finite tensor, y (n,) labels."""
        raise NotImplementedError

    def embed_tensor(self, X: torch.Tensor) -> torch.Tensor:
        """The features of ``head_`` for X (n, D), without input validation."""
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits of X (n, D): (n,) for one unit, (n, K) for more."""
        Z = self.logits_tensor(self._validated(X)).cpu().numpy()
        return Z[:, 0] if Z.shape[1] == 1 else Z

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of every class for X (n, D), in the order of ``classes_``: (n, K)."""
        return class_probabilities(self.logits_tensor(self._validated(X))).cpu().numpy()

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row of X (n, D): (n,)."""
        return self.predict_tensor(self._validated(X))

    def logits_tensor(self, X: torch.Tensor) -> torch.Tensor:
        """Logits of every unit for X (n, D), without input validation: (n, U)."""
        return project(self.embed_tensor(X), self.head_.theta_)

    def predict_tensor(self, X: torch.Tensor) -> np.ndarray:
        """``predict`` without input validation: labels (n,)."""
        Z = self.logits_tensor(X)
        codes = Z.argmax(1) if Z.shape[1] > 1 else Z[:, 0] > 0
        return self.classes_[codes.long().cpu().numpy()]

    def _validated(self, X: Any) -> torch.Tensor:
        """X as a tensor. Raises ValueError unless it is finite and as wide as in ``fit``."""
        if not hasattr(self, "classes_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")
        X = for_estimator(self, X, reset=False)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return as_tensor(X, self.device, torch_dtype(self.dtype))


def estimator_input(estimator: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """X (n, D) and y (n,) for the ``fit`` of an estimator, which learns the columns of X.

    Raises ValueError or TypeError for what does not fit (see numerics/validation.py).
    """
    if y is None:
        name = type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None")
    X, y = for_estimator(estimator, X, reset=True), label_array(y, "y")
    if y.ndim and len(y) != len(X):
        raise ValueError(f"y has {len(y)} labels, but X has {len(X)} rows: give one for each")
    if y.ndim > 2 or y.shape[1:] not in ((), (1,)):
        raise ValueError(f"y has shape {y.shape}: give one label for each row, (n,) or (n, 1)")
    try:
        X, y = validate_data(estimator, X, y, dtype=np.float64)
        check_classification_targets(y)
    except (ValueError, TypeError) as error:  # of y: X has been checked
        raise ValueError(_about_labels(y)) from error
    return X, y


def _about_labels(y: np.ndarray) -> str:
    """What is wrong with labels that scikit-learn refuses, with the phrases it asks for."""
    give = "give classes: integers, texts, or true and false"
    if y.dtype.kind == "c":
        return f"Complex data not supported: y holds complex numbers; {give}"
    if y.ndim == 0:
        return f"y is a single {type(y.item()).__name__}: give one label for each row, (n,)"
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        return (
            "Input y contains infinity or a value too large for dtype('float64'), or NaN, in row "
            f"{int(np.isfinite(y).ravel().argmin())}: {give}"
        )
    what = "fractions" if y.dtype.kind == "f" else "cells that are no classes, or of several types"
    return f"Unknown label type: y holds {what}; {give}"


def encoded_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted classes (K,) of the labels y (n,), and the position of each label in them (n,).

    Raises ValueError if there is a single class.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"at least two classes are needed; y has one class, {classes.tolist()[0]!r}"
        )
    return classes, codes
