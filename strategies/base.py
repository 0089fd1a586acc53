"""What a strategy is: it reads a ``Query``, picks rows of the pool, and answers with ``Picks``.

A strategy never sees a label of the pool. Either it names rows, and the loop buys their true labels
(``LabelSource.TRUE``), or it gives the labels itself (``LabelSource.OWN``), and nothing is bought.
A ``Reference`` picks nothing: it names the rows to train on, to show what their labels give. These
are the true ones, or for the pool its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from common.kinds import HessianRows, LabelSource
from numerics.limits import DENSE_PARAMETERS

if TYPE_CHECKING:  # what --list need not wait for
    import torch

    from data_utils import Split
    from influence import Influence
    from models import LogisticRegression

Generator = np.random.Generator | np.random.RandomState
Made = TypeVar("Made")


@dataclass(frozen=True)
class InfluenceSettings:
    """How the influence is computed.

    hessian : the rows that its Hessian sums over. solver : "auto", "cholesky" or "cg".
    damping : added to the Hessian's diagonal.
    finite_parameters : most parameters for which a benefit is computed by the finite step; above
        that it is of first order.
    """

    hessian: HessianRows = HessianRows.POOL
    solver: str = "auto"
    damping: float = 0.0
    finite_parameters: int = DENSE_PARAMETERS


@dataclass
class Memory:
    """What lasts from round to round of one run.

    solution : H⁻¹g of the last round, where conjugate gradients start. theta : weights near those
    of the next fit, where it begins; None for those of the last fit. condition : the condition
    number of the last Hessian, NaN if no solver told it. kept : of ``Query.once``.
    """

    solution: torch.Tensor | None = None
    theta: torch.Tensor | None = None
    condition: float = float("nan")
    kept: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """One round, as a strategy sees it. Features are tensors on the model's device.

    model : fitted to the labeled set.
    X_labeled (m, D), y_labeled (m,) : the labeled set; its first ``initial`` rows were there in
        round 0. Labels may be texts, so they stay NumPy.
    pool (N, D) : the pool as it was in round 0, without labels.
    left (n,) : ascending positions in ``pool`` of the rows that can still be picked.
    picked (m - initial,) : positions in ``pool`` of the labeled rows after the first ``initial``.
    X_validation (v, D), y_validation (v,) : the validation set.
    budget : how many rows to pick.
    rng : the only source of randomness; it lasts from round to round.
    settings : of the influence.
    memory : lasts from round to round too.
    scores : whether the scores of the picks are read. Otherwise a strategy need not find them to
        all digits, only the rows and labels.
    """

    model: LogisticRegression
    X_labeled: torch.Tensor
    y_labeled: np.ndarray
    initial: int
    pool: torch.Tensor
    left: np.ndarray
    picked: np.ndarray
    X_validation: torch.Tensor
    y_validation: np.ndarray
    budget: int
    rng: Generator
    settings: InfluenceSettings = InfluenceSettings()
    memory: Memory = field(default_factory=Memory)
    scores: bool = True

    @cached_property
    def X_pool(self) -> torch.Tensor:
        """The rows that can be picked, (n, D): a copy, made for the strategies that ask for it."""
        import torch

        return self.pool[torch.as_tensor(self.left, device=self.pool.device)]

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What ``make()`` gives, made once in a run.

        It is made anew if the features change, as those of a network's last layer do.
        """
        pool, made = self.memory.kept.get(name, (None, None))
        if pool is not self.pool:
            made = make()
            self.memory.kept[name] = self.pool, made
        return made

    def influence(
        self, model: LogisticRegression | None = None, X_labeled: torch.Tensor | None = None
    ) -> Influence:
        """Benefits on this round's data, or with a later model and labeled set."""
        from influence import Influence, hessian
        from strategies.span_regression import SpanRegression, takes_span

        model = model or self.model
        X, weights = self.X_labeled if X_labeled is None else X_labeled, None
        if self.settings.hessian == HessianRows.POOL:
            X, weights = self.pool, self.pool.new_zeros(len(self.pool))
            weights[self.left] = 1.0
        H = hessian(model, X, damping=self.settings.damping, weights=weights)
        if isinstance(model, SpanRegression) and weights is None and takes_span(X, H.units):
            H.gram = model.gram(X)
        made = Influence(
            model,
            H,
            self.X_validation,
            self.y_validation,
            solver=self.settings.solver,
            start=self.memory.solution,
        )
        self.memory.solution = made.solution
        self.memory.condition = made.condition
        return made

    def benefit(self) -> torch.Tensor:
        """Benefit of every row that can be picked under every label: (n, K)."""
        return self.influence().first(self.pool)[self.left]


class Picks(NamedTuple):
    """What a strategy answers: distinct positions in ``X_pool`` (b,), best first.

    labels (b,) : the label given to each, or None to buy the true ones.
    scores (b,) : what each row was picked for; NaN if it has no score.
    benefits (b, K) : the first-order benefit of each row under each class, by the model that picked
        it, if the strategy has it at hand. They are recorded and change nothing.
    """

    rows: torch.Tensor | np.ndarray
    labels: np.ndarray | None
    scores: torch.Tensor | np.ndarray
    benefits: torch.Tensor | np.ndarray | None = None


class Turn(NamedTuple):
    """One pick of a rule that picks in turn: a row of ``pool``, the number of its class, its score.

    benefits (1, K) : of the row, by the model that picked it.
    """

    row: int
    code: int
    score: float
    benefits: torch.Tensor


@dataclass(frozen=True)
class Strategy:
    """An entry of the registry; called with a Query, it gives Picks.

    name, title, summary : on the command line, in tables, and in --list.
    labels : whose labels the picks get.
    reads_validation : the validation labels decide what it does, and count as labels it used.
    trains_on_validation : it starts from the labeled and the validation rows.
    legacy_seed : the seed of NumPy's old generator that the published notebook used for this
        strategy; the paper's protocol needs it to repeat the published draws.
    one_by_one : it refits the model after every single pick.
    weighted : it prefers labels that the model holds likely, by benefit times p(c|x) or by picking
        the predicted label alone.
    libraries : the modules that it alone imports, see ``load_libraries``.
    """

    name: str
    title: str
    summary: str
    labels: LabelSource
    pick: Callable[[Query], Picks]
    reads_validation: bool = False
    trains_on_validation: bool = False
    legacy_seed: int = 2026
    one_by_one: bool = False
    weighted: bool = False
    libraries: tuple[str, ...] = ()

    @property
    def gives_labels(self) -> bool:
        """Whether it gives labels of its own, and buys none."""
        return self.labels == LabelSource.OWN

    def __call__(self, query: Query) -> Picks:
        return self.pick(query)


@dataclass(frozen=True)
class Reference:
    """What could be had: ``rows(split)`` names the rows to train on.

    label_pool : gives the first pool labels (N,), and ``rows`` are the labeled rows and then the
        pool. None: all rows are trained on with their true labels, and those of the pool are
        bought.
    libraries : as of a Strategy.
    """

    name: str
    title: str
    summary: str
    rows: Callable[[Split], np.ndarray]
    reads_validation: bool = False
    label_pool: Callable[[Query], np.ndarray] | None = None
    libraries: tuple[str, ...] = ()
    trains_on_validation: ClassVar[bool] = False

    @property
    def gives_labels(self) -> bool:
        """Whether it gives labels of its own."""
        return self.label_pool is not None


def load_libraries(method: Strategy | Reference) -> None:
    """Import what this method alone needs, before its seconds are counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a library imports itself
        for library in method.libraries:
            import_module(library)


def start_rows(method: Strategy | Reference, split: Split) -> np.ndarray:
    """The rows of the split that a method starts from, with their true labels: (initial,)."""
    if method.trains_on_validation:
        return np.append(split.labeled, split.validation)
    return split.labeled


def strategy(
    title: str,
    summary: str,
    *,
    labels: LabelSource,
    **more: Any,
) -> Callable[[Callable[[Query], Picks]], Strategy]:
    """Make a Strategy of a function, under the function's name. registry.py lists it.

    more : other fields of Strategy, such as ``reads_validation=True``.
    """

    def make(pick: Callable[[Query], Picks]) -> Strategy:
        return Strategy(pick.__name__, title, summary, labels, pick, **more)

    return make


def to_numpy(values: Any) -> np.ndarray:
    """A tensor, on whichever device, or anything like an array as a NumPy array."""
    import torch

    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)


def highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Positions of the ``count`` highest scores (n,), best first, ties in pool order: (count,).

    Scores that differ by less than a billionth of the largest are ties, so that neither the solver
    nor the rounding of a product decides between twins.
    """
    import torch

    finite = scores[torch.isfinite(scores)].abs()
    largest = float(finite.max()) if len(finite) else 0.0
    grid = max(1e-9, 100 * torch.finfo(scores.dtype).eps) * largest
    ranks = torch.round(scores / grid) if grid > 0 else scores
    return torch.sort(-ranks, stable=True).indices[:count]
