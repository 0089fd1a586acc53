"""The six strategies of the paper's figures that buy true labels (arXiv 2405.17627, section 4)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from common.kinds import LabelSource
from strategies.base import Picks, Query, highest, strategy

MODAL = ("modAL.uncertainty",)


@strategy("Random", "rows at random", labels=LabelSource.TRUE)
def random(query: Query) -> Picks:
    rows = query.rng.choice(len(query.left), query.budget, replace=False)
    return Picks(rows, None, np.full(query.budget, np.nan))


@strategy("Entropy", "largest entropy of p(c|x)", labels=LabelSource.TRUE, libraries=MODAL)
def entropy(query: Query) -> Picks:
    from modAL.uncertainty import entropy_sampling

    return _modal(query, entropy_sampling)


@strategy(
    "Margin",
    "smallest gap between the two likeliest classes",
    labels=LabelSource.TRUE,
    libraries=MODAL,
)
def margin(query: Query) -> Picks:
    from modAL.uncertainty import margin_sampling

    return _modal(query, margin_sampling)


@strategy(
    "Uncertainty", "smallest p of the likeliest class", labels=LabelSource.TRUE, libraries=MODAL
)
def uncertainty(query: Query) -> Picks:
    from modAL.uncertainty import uncertainty_sampling

    return _modal(query, uncertainty_sampling)


def _modal(query: Query, sampler: Callable) -> Picks:
    """Let one of modAL's samplers pick.

    Not by its ActiveLearner: that catches every exception, and so would lose a Ctrl-C. Its teach
    and fit fail on today's scikit-learn.
    """
    pool = query.X_pool.cpu().numpy()
    rows, scores = sampler(query.model, pool, n_instances=query.budget)
    return Picks(rows, None, scores)


@strategy(
    "Pred. Infl.",
    "largest influence as a tree predicts it from the first labeled rows (Chhabra et al. 2024)",
    labels=LabelSource.TRUE,
    reads_validation=True,
    legacy_seed=0,
    libraries=("sklearn.tree",),
)
def pred_infl(query: Query) -> Picks:
    predicted = query.once("predicted", lambda: _predicted_influence(query))[query.left]
    # A tree predicts few distinct values: equal ones in random order, as in the published notebook.
    order = query.rng.permutation(len(predicted))
    rows = order[np.argsort(predicted[order], kind="stable")[-query.budget :]]
    return Picks(rows, None, predicted[rows])


def _predicted_influence(query: Query) -> np.ndarray:
    """The influence of every row of the first pool, as a regression tree predicts it: (N,)."""
    from sklearn.base import clone
    from sklearn.tree import DecisionTreeRegressor

    from influence import benefit, class_numbers

    X, y = query.X_labeled[: query.initial], query.y_labeled[: query.initial]
    model = clone(query.model).set_params(l2=0.01, solver="newton").fit_tensors(X, y)
    scores = benefit(model, X, query.X_validation, query.y_validation, X)  # (m, K)
    own = scores.gather(1, class_numbers(model, y)[:, None])[:, 0].cpu().numpy()
    # The splits depend on the last digits of the influences, which every processor rounds its way.
    largest = np.abs(own).max()
    tree = DecisionTreeRegressor(random_state=42).fit(X.cpu().numpy(), np.round(own / largest, 9))
    return largest * tree.predict(query.pool.cpu().numpy())


@strategy(
    "ISLA",
    "largest benefit under the label that the model predicts (Liu et al. 2021)",
    labels=LabelSource.TRUE,
    reads_validation=True,
)
def isal(query: Query) -> Picks:
    from numerics.linear import project

    logits = project(query.pool, query.model.theta_)[query.left]
    predicted = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
    benefits = query.benefit()
    own = benefits.gather(1, predicted[:, None])[:, 0]
    rows = highest(own, query.budget)
    return Picks(rows, None, own[rows], benefits[rows])
