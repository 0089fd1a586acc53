"""The stand-in after its run: what each method had trained on after a round, and its model then.

The stand-in is logistic regression on the frozen encoder's embeddings, run in experiments/loop.py.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_utils import Split
from experiments.loop import Features, reference_training
from experiments.results import Result
from experiments.runner import SplitOf
from models import MLP, LogisticRegression
from strategies.base import start_rows
from strategies.registry import REFERENCES, known_methods

NONE = "none"  # the name of training on the labeled set of the start alone


@dataclass(frozen=True)
class TrainingSet:
    """rows (m,) : positions in the split of the texts to train on. labels (m,) : as given."""

    rows: np.ndarray
    labels: np.ndarray


def training_set(
    split: Split, start: np.ndarray, picks: pd.DataFrame, round_number: int
) -> TrainingSet:
    """What a strategy trains on after a round.

    start (m,) : the rows of the split that it starts from. picks : as in picks.csv, of this
    strategy and seed.
    """
    so_far = picks[picks["round"] <= round_number]
    position = pd.Series(np.arange(len(split.rows)), index=split.rows)
    return TrainingSet(
        np.append(start, position[so_far["row"]].to_numpy(dtype=np.int64)),
        np.append(split.y[start], so_far["label"].to_numpy(split.y.dtype)),
    )


@dataclass(frozen=True)
class StandInRun:
    """The result of the stand-in's run, and the split of each seed that it ran on."""

    result: Result
    split_of: SplitOf

    def training_set(self, split: Split, method: str, seed: int, round_number: int) -> TrainingSet:
        """What ``method`` trained on after a round on this seed's split.

        A reference has no picks: from round 1 on it trains on its own rows.
        """
        if round_number > 0 and method in REFERENCES:
            loop = self.result.settings.loop
            return TrainingSet(*reference_training(split, REFERENCES[method], loop, seed))
        picks = self.result.picks
        picked = picks[(picks["method"] == method) & (picks["seed"] == seed)]
        start = split.labeled if method == NONE else start_rows(known_methods()[method], split)
        return training_set(split, start, picked, round_number)

    def record(self, method: str, seed: int, round_number: int) -> pd.Series:
        """The row of curves.csv; for NONE that of any method, whose ledgers start alike."""
        curves = self.result.curves
        at = (curves["seed"] == seed) & (curves["round"] == round_number)
        return curves[at & ((method == NONE) | (curves["method"] == method))].iloc[0]

    def refitted(
        self, split: Split, method: str, seed: int, round_number: int
    ) -> LogisticRegression | MLP:
        """The stand-in, fitted again as ``method`` had it after a round."""
        training = self.training_set(split, method, seed, round_number)
        loop = self.result.settings.loop
        if method == NONE:  # no method may have it: some start from more rows
            l2 = Features.of(split, loop, seed).l2
        else:
            l2 = self.record(method, seed, round_number)["l2"]
        model = loop.classifier(seed, l2)
        return model.fit(split.X[training.rows], training.labels)
