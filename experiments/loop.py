"""The loop that all strategies share: pick → label → fit → record (paper, section 4).

This is the only place that holds the labels of the pool. A strategy gets a ``Query`` without them.
It either buys the labels of its picks here, where each is counted, or gives its own. A reference
picks nothing: its curve is flat from round 1 on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch

import influence
from common.errors import UserError
from common.kinds import PenaltyRule
from data_utils import Split
from experiments.judge import Judge
from experiments.metrics import Scores, scores
from experiments.penalty import GRID, Rows, chosen_by
from experiments.pick_benefits import pick_benefits, runner_up
from experiments.settings import LoopSettings
from models import MLP, LogisticRegression
from numerics.linear import as_tensor, class_probabilities
from strategies.base import (
    Generator,
    Memory,
    Picks,
    Query,
    Reference,
    Strategy,
    load_libraries,
    start_rows,
    to_numpy,
)
from strategies.contract import picks_of, pool_labels_of, rows_of
from strategies.registry import known_methods


@dataclass(frozen=True)
class RoundRecord:
    """One round of one method on one seed: a row of curves.csv, in its order of columns.

    ``test_…``: see ``Scores`` in metrics.py. Accuracies are fractions, losses are per row.
    ``labels_…`` count the human labels behind the round's model. ``wrong_share`` is the share of
    the labels that the method gave that are not the true ones, NaN if it gave none; ``pick_norm``
    the mean norm of this round's picks over that of the pool at the start, NaN if nothing is
    picked. ``gap`` is validation less test accuracy. ``condition`` is the condition number of the
    influence's Hessian, NaN if no solver told it. ``l2`` is the penalty of the round's model,
    which is the stand-in if a judge is trained on the result.
    """

    method: str
    seed: int
    round: int
    test_accuracy: float
    test_log_loss: float
    test_balanced_accuracy: float
    test_macro_f1: float
    test_auc: float
    validation_accuracy: float
    validation_loss: float
    labels_bought: int
    seconds: float
    labels_initial: int
    labels_validation: int
    wrong_share: float
    pick_norm: float
    gap: float
    condition: float
    l2: float


@dataclass(frozen=True)
class PickRecord:
    """One picked row: a row of picks.csv, in its order of columns.

    row : its number in the source file. label : as given. norm : of its features.
    runner_up : the highest benefit of a label other than ``label``. benefits : by the names of the
    classes, a column ``benefit_CLASS`` for each; see ``pick_benefits``.
    """

    method: str
    seed: int
    round: int
    row: int
    label: Any
    true_label: Any
    score: float
    norm: float
    runner_up: float = np.nan
    benefits: dict[str, float] = field(default_factory=dict)


class RunRecords(NamedTuple):
    """What one method did on one split: a record per round, and a record per pick."""

    curve: list[RoundRecord]
    picks: list[PickRecord]


@dataclass(frozen=True)
class Features:
    """A split's features on the device, brought there once for all methods.

    X (n, D) : every row. pool, validation, test : the rows of these parts. norms (n,) : of X.
    l2 : the penalty that all methods begin with.
    """

    X: torch.Tensor
    pool: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    norms: np.ndarray
    l2: float

    @classmethod
    def of(
        cls, split: Split, settings: LoopSettings, seed: int, l2: float | None = None
    ) -> "Features":
        """l2 : if it is chosen already. Raises UserError as ``initial_l2`` does."""
        X = as_tensor(split.X, settings.device, settings.torch_dtype)
        norms = np.sqrt(np.einsum("nd,nd->n", split.X, split.X))
        l2 = initial_l2(split, settings, seed, X) if l2 is None else l2
        return cls(X, X[split.pool], X[split.validation], X[split.test], norms, l2)


def initial_l2(split: Split, settings: LoopSettings, seed: int, X: torch.Tensor) -> float:
    """The penalty of round 0: a number, or what the rule chooses on the initial labeled rows.

    X (n, D) : the features of every row on the device.
    Raises UserError if the rule cannot choose, see experiments/penalty.py.
    """
    if not isinstance(settings.l2, PenaltyRule):
        return settings.l2
    training, validation = (
        Rows(X[part], split.y[part]) for part in (split.labeled, split.validation)
    )
    return chosen_by(settings.l2, settings.classifier(seed, GRID[0]), training, validation, seed)


def run(
    split: Split,
    method: str,
    settings: LoopSettings,
    seed: int,
    on_round: Callable[[], object] = lambda: None,
    features: Features | None = None,
    scores: bool = True,
) -> RunRecords:
    """One method on one split: rounds + 1 records, and a record per pick.

    on_round : called after every round. features : ``Features.of(split, settings, seed)``, if it is
    made already. scores : whether the scores and benefits of the picks are recorded. Without them
    the rows and labels are the same, and are found sooner.
    Raises UserError if the pool is smaller than rounds × budget, or if l2 cannot be chosen.
    """
    check_pool(split, settings)
    strategy = known_methods()[method]
    features = features or Features.of(split, settings, seed)
    state = _Run(split, strategy, settings, seed, features, scores)
    if isinstance(strategy, Reference):
        state.train_on(strategy, on_round)
        return RunRecords(state.curve, [])
    rng = generator(strategy, settings, seed)
    for round_number in range(settings.rounds + 1):
        start = perf_counter()
        if round_number > 0:
            query = state.query(rng)
            picks = picks_of(strategy, query, state.when)
            chosen = perf_counter()
            benefits = pick_benefits(query, picks) if scores else [{}] * len(picks.rows)
            start += perf_counter() - chosen  # a record for the reader, no part of the method
            state.label(picks, benefits, round_number)
            if settings.retune:
                state.choose_l2(PenaltyRule(state.l2_rule))
        state.fit()
        state.record(round_number, perf_counter() - start)
        on_round()
    return RunRecords(state.curve, state.picks)


def reference_training(
    split: Split, reference: Reference, settings: LoopSettings, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a reference trains on in its run: positions in the split (m,), and labels (m,)."""
    state = _Run(split, reference, settings, seed, Features.of(split, settings, seed))
    state.take_rows_of(reference)
    return state.labeled, state.labels


@dataclass
class _Run:
    """The state of a run: the labeled set, what is left of the pool, and the records so far.

    start : positions in the split of the rows that it starts from.
    labeled : of the rows to train on, ``start`` and then the picks. labels : theirs, true at first,
        then as given.
    left : ascending positions in the pool of the rows that can still be picked. picked : of the
        rows that were picked, in their order.
    """

    split: Split
    method: Strategy | Reference
    settings: LoopSettings
    seed: int
    features: Features
    scores: bool = True
    bought: int = 0
    memory: Memory = field(default_factory=Memory)
    curve: list[RoundRecord] = field(default_factory=list)
    picks: list[PickRecord] = field(default_factory=list)

    def __post_init__(self):
        load_libraries(self.method)
        self.labeled = self.start = start_rows(self.method, self.split)
        self.labels = self.split.y[self.labeled]
        self.left = np.arange(len(self.split.pool))
        self.picked = self.left[:0]
        self.model = self.settings.classifier(self.seed, self.features.l2)
        judge = self.settings.judge
        self.judge = Judge(judge, self.split, self.seed) if judge else None
        self.l2_rule = self.settings.l2
        if self.method.trains_on_validation and isinstance(self.l2_rule, PenaltyRule):
            self.choose_l2(PenaltyRule.CV)

    @property
    def when(self) -> str:
        """The round that is not recorded yet, in words."""
        return f"round {len(self.curve)}, seed {self.seed}"

    def query(self, rng: Generator) -> Query:
        """The next round, as a strategy sees it: for a network, the inputs of its last layer."""
        embed = self.model.embed_tensor
        return Query(
            model=self.model.head_,
            X_labeled=embed(self.features.X[self.labeled]),
            y_labeled=self.labels,
            initial=len(self.start),
            pool=embed(self.features.pool),
            left=self.left,
            picked=self.picked,
            X_validation=embed(self.features.validation),
            y_validation=self.split.y[self.split.validation],
            budget=self.settings.budget,
            rng=rng,
            settings=self.settings.influence,
            memory=self.memory,
            scores=self.scores,
        )

    def label(self, picks: Picks, benefits: list[dict[str, float]], round_number: int) -> None:
        """Move the picks from the pool to the labeled set; buy their labels if none are given."""
        positions = picks.rows
        rows = self.split.pool[self.left[positions]]
        given = picks.labels
        if given is None:
            given, self.bought = self.split.y[rows], self.bought + len(rows)
        self.labeled = np.append(self.labeled, rows)
        self.labels = np.append(self.labels, given)
        self.picked = np.append(self.picked, self.left[positions])
        self.left = np.delete(self.left, positions)
        for row, label, score, by_class in zip(rows, given, picks.scores, benefits, strict=True):
            self.picks.append(
                PickRecord(
                    method=self.method.name,
                    seed=self.seed,
                    round=round_number,
                    row=self.split.rows[row],
                    label=label,
                    true_label=self.split.y[row],
                    score=score,
                    norm=self.features.norms[row],
                    runner_up=runner_up(by_class, label),
                    benefits=by_class,
                )
            )

    def choose_l2(self, rule: PenaltyRule) -> None:
        """Choose the penalty by this rule, on the rows that are trained on now."""
        training = Rows(self.features.X[self.labeled], self.labels)
        validation = Rows(self.features.validation, self.split.y[self.split.validation])
        l2 = chosen_by(rule, self.model, training, validation, self.seed)
        self.model.set_params(l2=l2)
        self.l2_rule = rule

    def fit(self) -> None:
        if self.memory.theta is not None:
            self.model.head_.theta_, self.memory.theta = self.memory.theta, None
        self.model.fit_tensors(self.features.X[self.labeled], self.labels)
        if self.judge:
            self.judge.fit(self.labeled, self.labels, f"{self.method.name}, {self.when}")

    def record(self, round_number: int, seconds: float) -> None:
        """Measure the model, and add a record to the curve."""
        added = self.labeled[len(self.start) :]
        wrong = self.labels[len(self.start) :] != self.split.y[added]
        norms = self.features.norms
        pick_norms = [pick.norm for pick in self.picks if pick.round == round_number]
        used = self.l2_rule == PenaltyRule.VALIDATION or self.method.trains_on_validation
        used |= self.method.reads_validation and round_number > 0
        on_test, on_validation, loss = (
            self.judge.measure() if self.judge else measure(self.model, self.split, self.features)
        )
        self.curve.append(
            RoundRecord(
                method=self.method.name,
                seed=self.seed,
                round=round_number,
                **on_test._asdict(),
                validation_accuracy=on_validation,
                validation_loss=loss,
                labels_bought=self.bought,
                seconds=seconds,
                labels_initial=len(self.split.labeled),
                labels_validation=used * len(self.split.validation),
                wrong_share=mean(wrong) if self.method.gives_labels else np.nan,
                pick_norm=mean(pick_norms) / norms[self.split.pool].mean(),
                gap=on_validation - on_test.test_accuracy,
                condition=self.memory.condition,
                l2=self.model.l2,
            )
        )
        self.memory.condition = float("nan")

    def take_rows_of(self, reference: Reference) -> None:
        """Train on the reference's rows next: with true labels, or its own for the pool.

        A rule for l2 is cross-validation on the rows with true labels. A reference that labels the
        pool itself does so by a model with this l2, so that no validation label has a say.
        """
        tuned = isinstance(self.settings.l2, PenaltyRule)
        if reference.label_pool is None:
            self.labeled = rows_of(reference, self.split, self.when)
            self.labels = self.split.y[self.labeled]
            if tuned:
                self.choose_l2(PenaltyRule.CV)
            return
        if tuned:
            self.choose_l2(PenaltyRule.CV)
        self.model.fit_tensors(self.features.X[self.labeled], self.labels)
        query = self.query(np.random.default_rng(self.seed))
        self.labels = np.append(self.labels, pool_labels_of(reference, query, self.when))
        self.labeled = rows_of(reference, self.split, self.when)

    def train_on(self, reference: Reference, on_round: Callable[[], object]) -> None:
        """Fit in round 0 as every method does, in round 1 on the reference's rows, then no more."""
        for round_number in range(min(self.settings.rounds, 1) + 1):
            start = perf_counter()
            if round_number > 0:
                self.take_rows_of(reference)
                if not reference.gives_labels:
                    self.bought = int(np.isin(self.labeled, self.split.pool).sum())
            self.fit()
            self.record(round_number, perf_counter() - start)
            on_round()
        for round_number in range(len(self.curve), self.settings.rounds + 1):
            self.curve.append(replace(self.curve[-1], round=round_number, seconds=0.0))
            on_round()


def mean(values: Sequence[float] | np.ndarray) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else np.nan


def measure(
    model: LogisticRegression | MLP, split: Split, features: Features
) -> tuple[Scores, float, float]:
    """The scores on the test set, the validation accuracy, and the validation loss per row."""
    y_validation, y_test = split.y[split.validation], split.y[split.test]
    head, X_validation = model.head_, model.embed_tensor(features.validation)
    on_validation = (head.predict_tensor(X_validation) == y_validation).mean()
    loss = influence.loss(head, X_validation, y_validation)
    X_test = model.embed_tensor(features.test)
    on_test = scores(
        to_numpy(class_probabilities(head.logits_tensor(X_test).double())),
        to_numpy(influence.class_numbers(head, head.predict_tensor(X_test))),
        to_numpy(influence.class_numbers(head, y_test)),
    )
    return on_test, float(on_validation), loss / len(y_validation)


def generator(strategy: Strategy, settings: LoopSettings, seed: int) -> Generator:
    """The run's own source of randomness, the same whichever other methods run beside it."""
    if settings.legacy_generator:
        return np.random.RandomState(strategy.legacy_seed + seed)
    return np.random.default_rng(seed)


def check_pool(split: Split, settings: LoopSettings) -> None:
    """Raise UserError if the pool is too small for these settings."""
    wanted = settings.rounds * settings.budget
    if wanted > len(split.pool):
        raise UserError(
            f"--rounds {settings.rounds} × --budget {settings.budget} picks {wanted:,} rows, "
            f"the pool has {len(split.pool):,}: give a smaller --budget, --rounds or --init"
        )
