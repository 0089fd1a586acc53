"""Strategies: who is picked from the pool, and with which label. One function each, one registry.

A strategy reads a ``Query``, the view that the loop gives it, and answers with ``Picks``. It never
sees a pool label: ``labels="true"`` strategies name rows and the loop buys their labels;
``labels="own"`` strategies give the labels themselves, and nothing is bought. The seven here are
those of the paper's figures (arXiv 2405.17627, section 4).
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from modAL.models import ActiveLearner
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from sklearn.base import clone
from sklearn.tree import DecisionTreeRegressor

from hessian import DENSE_PARAMETERS
from influence import Influence, benefit, class_numbers, hessian
from models import LogisticRegression
from units import project

Generator = np.random.Generator | np.random.RandomState


@dataclass(frozen=True)
class Query:
    """One round, as a strategy sees it.

    model : fitted on the labeled set.
    X_labeled (m, D), y_labeled (m,) : the labeled set; its first ``initial`` rows were there at 0.
    pool (N, D) : a tensor on the model's device, the pool as it was at round 0, without labels.
    left (n,) : ascending positions in it of the rows that are still there.
    X_validation (v, D), y_validation (v,) : the validation set.
    budget : how many rows to pick.
    hessian : "pool" or "labeled", the rows that the influence's Hessian sums over.
    rng : the only source of randomness; it lives as long as the run.
    solver, damping : of the influence, see ``influence.benefit``.
    memory : whatever a strategy wants to find again in the next round; it lives as long as the run.
    """

    model: LogisticRegression
    X_labeled: np.ndarray
    y_labeled: np.ndarray
    initial: int
    pool: torch.Tensor
    left: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray
    budget: int
    hessian: str
    rng: Generator
    solver: str = "auto"
    damping: float = 0.0
    memory: dict = field(default_factory=dict)

    @cached_property
    def X_pool(self) -> np.ndarray:
        """The rows that can be picked, (n, D): a copy, made for the strategies that ask for it."""
        return self.pool[self.left].cpu().numpy()

    def influence(self, model=None, X_labeled: np.ndarray | None = None) -> Influence:
        """Benefits on this round's data, or with a later model and labeled set."""
        model = model or self.model
        X, weights = self.X_labeled if X_labeled is None else X_labeled, None
        if self.hessian == "pool":
            X, weights = self.pool, self.pool.new_zeros(len(self.pool))
            weights[self.left] = 1.0
        made = Influence(
            model,
            hessian(model, X, damping=self.damping, weights=weights),
            self.X_validation,
            self.y_validation,
            solver=self.solver,
            start=self.memory.get("solution"),  # of the last round, for conjugate gradients
        )
        self.memory["solution"] = made.solution
        self.memory["condition"] = made.condition
        return made

    def benefit(self) -> np.ndarray:
        """Benefit of every row that can be picked under every label: (n, K)."""
        return self.influence().first(self.pool).cpu().numpy()[self.left]


class Picks(NamedTuple):
    """``rows``: distinct positions in the pool; ``labels``: for each, or None to buy the true ones;
    ``scores``: what each was picked for."""

    rows: np.ndarray
    labels: np.ndarray | None
    scores: np.ndarray


@dataclass(frozen=True)
class Strategy:
    """A registry entry. ``legacy_seed`` is the seed of numpy's old generator that the published
    notebook used for this strategy; the paper's protocol needs it to repeat the published draws.
    ``reads_validation``: the validation labels decide what it does, and count as labels it used.
    Where ``labels`` is "reference", ``pick`` takes the split and names the rows to train on."""

    name: str
    title: str
    summary: str
    labels: str
    pick: Callable
    legacy_seed: int
    reads_validation: bool


# The paper's figures, and the default of --methods; baselines.py registers more.
PAPER = ("random", "entropy", "margin", "uncertainty", "pred_infl", "isal", "salutary")

STRATEGIES: dict[str, Strategy] = {}


def strategy(
    name: str,
    title: str,
    summary: str,
    *,
    labels: str,
    legacy_seed: int = 2026,
    reads_validation: bool = False,
):
    """Register a function under ``name``; ``labels`` is "true" (bought), "own" (given) or, for
    what picks nothing and only shows what could be had, "reference"."""

    def register(pick: Callable) -> Callable:
        STRATEGIES[name] = Strategy(
            name, title, summary, labels, pick, legacy_seed, reads_validation
        )
        return pick

    return register


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Positions of the ``count`` highest scores (n,), best first, ties in pool order: (count,).

    Scores that differ by less than a billionth of the largest are ties: which solver ran, and how a
    product rounds, must not decide between twins.
    """
    largest = np.abs(scores[np.isfinite(scores)]).max(initial=0.0)
    grid = max(1e-9, 100 * np.finfo(scores.dtype).eps) * largest
    ranks = np.round(scores / grid) if grid > 0 else scores
    return np.argsort(-ranks, kind="stable")[:count]


@strategy("random", "Random", "rows at random", labels="true")
def random(query: Query) -> Picks:
    rows = query.rng.choice(len(query.left), query.budget, replace=False)
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
    reads_validation=True,
)
def pred_infl(query: Query) -> Picks:
    pool, predicted = query.memory.get("predicted", (None, None))
    if pool is not query.pool:  # else the tree is that of the last round
        X, y = query.X_labeled[: query.initial], query.y_labeled[: query.initial]
        model = clone(query.model).set_params(l2=0.01, solver="newton").fit(X, y)
        scores = benefit(model, X, query.X_validation, query.y_validation, X)
        own = scores[np.arange(len(X)), class_numbers(model, y).cpu().numpy()]
        # The splits hang on the last digits of these, which every processor rounds in its own way.
        largest = np.abs(own).max()
        tree = DecisionTreeRegressor(random_state=42).fit(X, np.round(own / largest, 9))
        predicted = largest * tree.predict(query.pool.cpu().numpy())
        query.memory["predicted"] = query.pool, predicted
    predicted = predicted[query.left]
    # A tree predicts few distinct values: equal ones in random order, as in the published notebook.
    order = query.rng.permutation(len(predicted))
    rows = order[np.argsort(predicted[order], kind="stable")[-query.budget :]]
    return Picks(rows, None, predicted[rows])


@strategy(
    "isal",
    "ISLA",
    "largest benefit under the label that the model predicts (Liu et al. 2021)",
    labels="true",
    reads_validation=True,
)
def isal(query: Query) -> Picks:
    scores = query.benefit()
    logits = project(query.pool, query.model.theta_).cpu().numpy()[query.left]
    predicted = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).astype(int)
    own = scores[np.arange(len(scores)), predicted]
    rows = highest(own, query.budget)
    return Picks(rows, None, own[rows])


@strategy(
    "salutary",
    "Salutary",
    "largest benefit under the best label, and that label",
    labels="own",
    reads_validation=True,
)
def salutary(query: Query) -> Picks:
    return _best_at_once(query, weighted=False)


@strategy(
    "salutary_expected",
    "Salutary expected",
    "the same, each benefit weighted by the model's p(c|x)",
    labels="own",
    reads_validation=True,
)
def salutary_expected(query: Query) -> Picks:
    return _best_at_once(query, weighted=True)


@strategy(
    "salutary_greedy",
    "Salutary greedy",
    "one row at a time, the model refitted and the pool scored again after each",
    labels="own",
    reads_validation=True,
)
def salutary_greedy(query: Query) -> Picks:
    return _best_in_turn(query, step="first", weighted=False)


@strategy(
    "salutary_plus",
    "Salutary plus",
    "one row at a time, by finite-step benefit weighted by the model's p(c|x)",
    labels="own",
    reads_validation=True,
)
def salutary_plus(query: Query) -> Picks:
    return _best_in_turn(query, step="finite", weighted=True)


# So many of the best candidates by first order get the finite step. With more than two classes the
# pick lay within the first 55 of 2,000 on wine, digits and waveform.
SHORT_LIST = 100


def score(
    influence: Influence, X: torch.Tensor, *, step: str, weighted: bool, taken: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The one scoring function of the salutary strategies: candidate rows (m,), scores (m, K).

    step : "first", all rows of X (n, D) are candidates; "finite", those that can be the best: the
    SHORT_LIST first by first order and, for one unit, where the finite step only takes away from a
    benefit, all whose first-order score is above the best of these. weighted : each benefit times
    p(c|x). taken (n,) : rows that cannot be picked.
    """
    weights = influence.class_probabilities(X) if weighted else X.new_ones(1, 1).expand(len(X), 1)
    scores = (influence.first(X) * weights).masked_fill(taken[:, None], -torch.inf)
    rows = torch.arange(len(X), device=X.device)
    if step == "first" or influence.gradient.numel() > DENSE_PARAMETERS:
        return rows, scores
    bound = scores.max(1).values
    near = torch.zeros_like(taken)
    near[bound.topk(min(SHORT_LIST, int((~taken).sum()))).indices] = True
    if len(influence.gradient) == 1:
        best = (influence.finite(X[near]) * weights[near]).max()
        near |= bound > best
    return rows[near], influence.finite(X[near]) * weights[near]


def _best_at_once(query: Query, *, weighted: bool) -> Picks:
    """The ``budget`` rows that score highest, as if each came alone (the paper's rule)."""
    _, scores = score(
        query.influence(), query.pool, step="first", weighted=weighted, taken=gone(query)
    )
    scores = scores.cpu().numpy()
    rows = highest(scores.max(1), query.budget)
    labels = query.model.classes_[scores[rows].argmax(1)]
    return Picks(np.searchsorted(query.left, rows), labels, scores[rows].max(1))


def gone(query: Query) -> torch.Tensor:
    """Which rows of the first pool cannot be picked any more: (N,)."""
    taken = torch.ones(len(query.pool), dtype=torch.bool, device=query.pool.device)
    taken[query.left] = False
    return taken


def _best_in_turn(query: Query, *, step: str, weighted: bool) -> Picks:
    """``budget`` times the row that scores highest, each after a refit on all before it."""
    taken = gone(query)
    model = deepcopy(query.model).set_params(solver="newton", warm_start=True)
    X_labeled, y_labeled = query.X_labeled, query.y_labeled
    picks = []
    for _ in range(query.budget):
        influence = query.influence(model, X_labeled)
        rows, scores = score(influence, query.pool, step=step, weighted=weighted, taken=taken)
        (best,) = highest(scores.max(1).values.cpu().numpy(), 1)
        row, label = int(rows[best]), model.classes_[int(scores[best].argmax())]
        picks.append((row, label, float(scores[best].max())))
        taken[row] = True
        X_labeled = np.vstack([X_labeled, query.pool[row].cpu().numpy()])
        y_labeled = np.append(y_labeled, label)
        model.fit(X_labeled, y_labeled)
    rows, labels, scores = zip(*picks, strict=True)
    rows = np.searchsorted(query.left, rows)
    return Picks(rows, np.array(labels), np.array(scores))
