"""The loop behind ``SalutaryLabeler.label``: fit → pick → label, until the budget is spent.

It differs from experiments/loop.py: nobody knows the pool's true labels, nothing is measured on a
test set, a row may be left for a person, and the loop stops early if no other label helps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from common.parallel import few_threads
from labeling.records import LabelPlan, Labels
from models import LogisticRegression
from strategies.base import Generator, InfluenceSettings, Memory, Query, Strategy


class KnownTensors(NamedTuple):
    """What the model is trained on, X (m, D) and y (m,), and what says which labels help.

    X_validation (v, D), y_validation (v,) : the validation set. Labels may be texts, so they stay
    NumPy.
    """

    X: torch.Tensor
    y: np.ndarray
    X_validation: torch.Tensor
    y_validation: np.ndarray


class PickDetails(NamedTuple):
    """Of some picks, see ``Labels``: benefit, runner_up and probability (b,), benefits (b, K)."""

    benefit: np.ndarray
    runner_up: np.ndarray
    probability: np.ndarray
    benefits: np.ndarray


@dataclass
class LabelingRun:
    """One pool that gets labels, and how far that has come.

    known : the rows to start from. pool (n, D) : the rows to pick from.
    model : a LogisticRegression to fit again and again. settings : of the influence.
    on_picks : called with the size of every query that is done.

    Its state: X_labeled (m, D) and y_labeled (m,), the training set so far; picked, the positions
    in the pool of its rows that came from there; left, the ascending positions in the pool of the
    rows that can still be picked.
    """

    strategy: Strategy
    model: LogisticRegression
    known: KnownTensors
    pool: torch.Tensor
    plan: LabelPlan
    settings: InfluenceSettings
    rng: Generator
    memory: Memory = field(default_factory=Memory)
    on_picks: Callable[[int], object] = lambda rows: None

    def __post_init__(self):
        self.X_labeled, self.y_labeled = self.known.X, self.known.y
        self.left = np.arange(len(self.pool))
        self.picked = self.left[:0]

    def labels(self) -> Labels:
        """Carry the plan out; fewer rows than its budget if no other label helps."""
        found = []
        with few_threads(self.pool.numel()):
            for round_number, size in self._steps():
                picked = self._pick(size, round_number)
                self._learn(picked)
                found.append(picked)
                self.on_picks(size)
                if len(picked) < size:
                    break
        return Labels.joined(found)

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Round number and size of every query.

        A method that refits after every pick is asked for one row at a time if details are wanted,
        because they depend on the model of that pick.
        """
        rounds = min(self.plan.rounds, self.plan.budget)
        sizes = np.diff(np.linspace(0, self.plan.budget, rounds + 1).astype(int))
        one_by_one = self.plan.needs_details and self.strategy.one_by_one
        for number, size in enumerate(sizes.tolist(), start=1):
            for step in [1] * size if one_by_one else [size]:
                yield number, step

    def _pick(self, size: int, round_number: int) -> Labels:
        """The strategy's next ``size`` rows, up to the first that does not help."""
        self.model.fit_tensors(self.X_labeled, self.y_labeled)
        query = self._query(size)
        picks = self.strategy(query)
        if picks.labels is None:
            raise AssertionError(f"{self.strategy.name} must give labels of its own")
        helps = np.logical_and.accumulate(np.asarray(picks.scores) > 0)
        rows, given = self.left[np.asarray(picks.rows)][helps], picks.labels[helps]
        unknown = np.full((len(rows), len(self.model.classes_)), np.nan)
        details = PickDetails(unknown[:, 0], unknown[:, 0], unknown[:, 0], unknown)
        if self.plan.needs_details and len(rows):
            details = pick_details(query, self.pool[torch.as_tensor(rows)], given)
        return Labels(
            rows=rows,
            labels=given,
            benefit=details.benefit,
            runner_up=details.runner_up,
            probability=details.probability,
            benefits=details.benefits,
            round=np.full(len(rows), round_number),
            left=self.plan.leaves(details.benefit, details.runner_up),
        )

    def _query(self, size: int) -> Query:
        return Query(
            model=self.model,
            X_labeled=self.X_labeled,
            y_labeled=self.y_labeled,
            initial=len(self.known.y),
            pool=self.pool,
            left=self.left,
            picked=self.picked,
            X_validation=self.known.X_validation,
            y_validation=self.known.y_validation,
            budget=size,
            rng=self.rng,
            settings=self.settings,
            memory=self.memory,
        )

    def _learn(self, picked: Labels) -> None:
        """Take the picks from the pool, and all but those left for a person as training rows."""
        given = picked.given
        X = self.pool[torch.as_tensor(given.rows)]
        self.X_labeled = torch.cat([self.X_labeled, X])
        self.y_labeled = np.append(self.y_labeled, given.labels)
        self.picked = np.append(self.picked, given.rows)
        self.left = np.setdiff1d(self.left, picked.rows)


def pick_details(query: Query, X: torch.Tensor, labels: np.ndarray) -> PickDetails:
    """The details of picked rows X (b, D) with these labels (b,)."""
    influence = query.influence()
    small = influence.gradient.numel() <= query.settings.finite_parameters
    benefits = (influence.finite(X) if small else influence.first(X)).numpy()  # (b, K)
    codes = np.searchsorted(query.model.classes_, labels)[:, None]
    own = np.take_along_axis(benefits, codes, 1)[:, 0]
    others = benefits.copy()
    np.put_along_axis(others, codes, -np.inf, 1)
    probability = np.take_along_axis(influence.class_probabilities(X).numpy(), codes, 1)[:, 0]
    return PickDetails(own, others.max(1), probability, benefits)
