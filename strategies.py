"""Strategies: who is picked from the pool, and with which label. One function each, one registry.

A strategy reads a ``Query``, the view that the loop gives it, and answers with ``Picks``. It never
sees a pool label: ``labels="true"`` strategies name rows and the loop buys their labels;
``labels="own"`` strategies give the labels themselves, and nothing is bought. The seven here are
those of the paper's figures (arXiv 2405.17627, section 4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from modAL.models import ActiveLearner
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor

from influence import benefit, class_numbers
from models import LogisticRegression

Generator = np.random.Generator | np.random.RandomState


@dataclass(frozen=True)
class Query:
    """One round, as a strategy sees it.

    model : fitted on the labeled set.
    X_labeled (m, D), y_labeled (m,) : the labeled set; its first ``initial`` rows were there at 0.
    X_pool (n, D) : the pool, without labels.
    X_validation (v, D), y_validation (v,) : the validation set.
    budget : how many rows to pick.
    hessian : "pool" or "labeled", the rows that the influence's Hessian sums over.
    rng : the only source of randomness; it lives as long as the run.
    """

    model: LogisticRegression
    X_labeled: np.ndarray
    y_labeled: np.ndarray
    initial: int
    X_pool: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray
    budget: int
    hessian: str
    rng: Generator

    def benefit(self) -> np.ndarray:
        """Benefit of every pool row under every label: (n, K), see influence.py."""
        X_hessian = self.X_pool if self.hessian == "pool" else self.X_labeled
        return benefit(self.model, X_hessian, self.X_validation, self.y_validation, self.X_pool)


class Picks(NamedTuple):
    """``rows``: distinct positions in the pool; ``labels``: for each, or None to buy the true ones;
    ``scores``: what each was picked for."""

    rows: np.ndarray
    labels: np.ndarray | None
    scores: np.ndarray


@dataclass(frozen=True)
class Strategy:
    """A registry entry. ``legacy_seed`` is the seed of numpy's old generator that the published
    notebook used for this strategy; the paper's protocol needs it to repeat the published draws."""

    name: str
    title: str
    summary: str
    labels: str
    pick: Callable[[Query], Picks]
    legacy_seed: int


# The paper's figures, and the default of --methods; baselines.py registers more.
PAPER = ("random", "entropy", "margin", "uncertainty", "pred_infl", "isal", "salutary")

STRATEGIES: dict[str, Strategy] = {}


def strategy(name: str, title: str, summary: str, *, labels: str, legacy_seed: int = 2026):
    """Register a function under ``name``; ``labels`` is "true" (bought) or "own" (given)."""

    def register(pick: Callable[[Query], Picks]) -> Callable[[Query], Picks]:
        STRATEGIES[name] = Strategy(name, title, summary, labels, pick, legacy_seed)
        return pick

    return register


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` highest scores (n,), best first, ties in pool order: (count,)."""
    return np.argsort(-scores, kind="stable")[:count]


@strategy("random", "Random", "rows at random", labels="true")
def random(query: Query) -> Picks:
    rows = query.rng.choice(len(query.X_pool), query.budget, replace=False)
    return Picks(rows, None, np.full(query.budget, np.nan))


@strategy("entropy", "Entropy", "largest entropy of p(c|x)", labels="true")
def entropy(query: Query) -> Picks:
    return _modal(query, entropy_sampling)


@strategy("margin", "Margin", "smallest gap between the two likeliest classes", labels="true")
def margin(query: Query) -> Picks:
    return _modal(query, margin_sampling)


@strategy("uncertainty", "Uncertainty", "smallest p of the likeliest class", labels="true")
def uncertainty(query: Query) -> Picks:
    return _modal(query, uncertainty_sampling)


def _modal(query: Query, sampler: Callable) -> Picks:
    """Let modAL query; its teach and fit fail on today's scikit-learn, so the loop does those."""
    learner = ActiveLearner(estimator=query.model, query_strategy=sampler)
    rows, _, scores = learner.query(query.X_pool, n_instances=query.budget, return_metrics=True)
    return Picks(rows, None, scores)


@strategy(
    "pred_infl",
    "Pred. Infl.",
    "largest influence as a tree predicts it from the first labeled rows (Chhabra et al. 2024)",
    labels="true",
    legacy_seed=0,
)
def pred_infl(query: Query) -> Picks:
    X, y = query.X_labeled[: query.initial], query.y_labeled[: query.initial]
    model = clone(query.model).set_params(l2=0.01, solver="newton").fit(X, y)
    scores = benefit(model, X, query.X_validation, query.y_validation, X)
    own = scores[np.arange(len(X)), class_numbers(model, y).cpu()]
    tree = DecisionTreeRegressor(random_state=42).fit(X, own)  # the same tree in every round
    predicted = tree.predict(query.X_pool)
    # A tree predicts few distinct values: equal ones in random order, as in the published notebook.
    order = query.rng.permutation(len(predicted))
    rows = order[np.argsort(predicted[order], kind="stable")[-query.budget :]]
    return Picks(rows, None, predicted[rows])


@strategy(
    "isal",
    "ISLA",
    "largest benefit under the label that the model predicts (Liu et al. 2021)",
    labels="true",
)
def isal(query: Query) -> Picks:
    scores = query.benefit()
    predicted = query.model.predict_proba(query.X_pool).argmax(1)
    own = scores[np.arange(len(scores)), predicted]
    rows = highest(own, query.budget)
    return Picks(rows, None, own[rows])


@strategy(
    "salutary", "Salutary", "largest benefit under the best label, and that label", labels="own"
)
def salutary(query: Query) -> Picks:
    scores = query.benefit()
    rows = highest(scores.max(1), query.budget)
    return Picks(rows, query.model.classes_[scores[rows].argmax(1)], scores[rows].max(1))
