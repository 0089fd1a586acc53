"""The damping that the study of the Hessian varies, against a Hessian written out."""

import numpy as np

from influence import benefit


def test_damping_is_added_to_the_diagonal(fitted):
    """Against H + damping·I written out for two classes; the intercept's entry too."""
    split, model = fitted("bank")
    validation = split.X[split.validation], split.y[split.validation]
    X_pool, damping = split.X[split.pool[:50]], 30.0
    scores = benefit(model, split.X[split.labeled], *validation, X_pool, damping=damping)

    def wide(X):
        return np.column_stack([X, np.ones(len(X))])

    def p(X):
        return model.predict_proba(X)[:, 1]

    X = wide(split.X[split.labeled])
    weight = p(split.X[split.labeled]) * (1 - p(split.X[split.labeled]))
    diagonal = np.append(np.full(X.shape[1] - 1, 1.0 + damping), damping)
    H = X.T @ (weight[:, None] * X) + np.diag(diagonal)
    g = wide(validation[0]).T @ (p(validation[0]) - validation[1])
    t = wide(X_pool) @ np.linalg.solve(H, g)
    expected = np.column_stack([p(X_pool) * t, (p(X_pool) - 1) * t])
    np.testing.assert_allclose(scores, expected, rtol=1e-7, atol=1e-9)
