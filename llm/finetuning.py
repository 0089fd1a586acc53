"""Fine-tuning on what the stand-in's run picked: the trainings, and a typed record of each.

A finished training is kept in the run's store, so that a call that was killed need not repeat it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from os import cpu_count
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from common.cli import narrator
from common.files import write_files
from common.kinds import PenaltyRule
from common.parallel import spread
from common.program import ROOT, code_hash
from common.seal import sealed, unsealed
from data_prep.text_encoder import Item
from data_utils import Split
from llm.data import LanguageData
from llm.stand_in import NONE, StandInRun, TrainingSet
from llm.training import Examples, Recipe, tune
from strategies.registry import REFERENCES

Say = Callable[[str], None]  # prints a remark


@dataclass(frozen=True)
class TuningRecord:
    """One fine-tuning: a row of tuned.csv, in its order of columns.

    texts : how many it trained on. labels_… and wrong_share : as in curves.csv.
    stand_in, tuned : test accuracies of the stand-in and of the fine-tuned encoder, as fractions.
    agreement : the share of test texts to which both give the same class.
    seconds, parameters : of the fine-tuning, and how many weights it trained.
    """

    method: str
    seed: int
    round: int
    texts: int
    labels_initial: int
    labels_bought: int
    labels_validation: int
    wrong_share: float
    stand_in: float
    tuned: float
    agreement: float
    seconds: float
    parameters: int


TUNED_COLUMNS = [item.name for item in fields(TuningRecord)]


def tuned_frame(records: Sequence[TuningRecord]) -> pd.DataFrame:
    """A row per fine-tuning, as in tuned.csv."""
    return pd.DataFrame([asdict(record) for record in records], columns=TUNED_COLUMNS)


@dataclass(frozen=True)
class FinishedTraining:
    """What is kept of a training.

    predicted (t,) : class numbers of the test texts. parameters : how many were trained.
    """

    predicted: list[int]
    parameters: int
    seconds: float


@dataclass(frozen=True)
class FineTuner:
    """What all trainings of a run share.

    store : a folder that keeps finished trainings, or None.
    """

    data: LanguageData
    recipe: Recipe
    store: Path | None = None

    def train(
        self, split: Split, training: TrainingSet, seed: int, say: Say = lambda text: None
    ) -> FinishedTraining:
        """Fine-tune on the training set and predict the test texts, unless it was done before.

        say : told if what is kept of it is not to be believed, and is made anew.
        Raises UserError as ``tune`` does, or if the store cannot be written to.
        """
        classes = self.data.classes
        codes = np.searchsorted(classes, training.labels)
        examples = Examples(self.data.tokens[training.rows], codes, len(classes))
        test = self.data.tokens[split.test]
        name = f"tuned-{self._key(examples, test, seed)}.json"
        kept = self._recall(name, len(test), say)
        if kept:
            return kept
        start = perf_counter()
        tuned = tune(self.data.encoder, examples, test, self.recipe, seed)
        finished = FinishedTraining(
            tuned.predicted.tolist(), tuned.parameters, perf_counter() - start
        )
        if self.store:
            text = json.dumps(asdict(finished)).encode()
            write_files(self.store, {name: sealed(text, name)})
        return finished

    def _recall(self, name: str, texts: int, say: Say) -> FinishedTraining | None:
        """The kept training; None, and a note, if its file is not to be believed."""
        if self.store is None or not (self.store / name).is_file():
            return None
        try:
            text = unsealed((self.store / name).read_bytes(), name)
            finished = FinishedTraining(**json.loads(text))
            if len(finished.predicted) == texts:
                return finished
        except (OSError, ValueError, TypeError):
            pass
        say(f"note: {name} is damaged and is made anew")
        return None

    def _key(self, examples: Examples, test: list[Item], seed: int) -> str:
        """A name for all that a training depends on, so that equal trainings are done once."""
        depends = [
            self.data.encoder.digest,
            examples.items,
            examples.codes.tolist(),
            examples.classes,
            test,
            asdict(self.recipe),
            seed,
            code_hash([ROOT / "llm/training.py"]),
        ]
        return hashlib.sha256(json.dumps(depends).encode()).hexdigest()[:24]

    def classes_of(self, finished: FinishedTraining) -> np.ndarray:
        """The classes of the test texts, as predicted: (t,)."""
        return self.data.classes[finished.predicted]


@dataclass(frozen=True)
class TuningTask:
    """The training to do: on what ``method`` had after ``round`` on the split of ``seed``."""

    seed: int
    method: str
    round: int


def tuning_tasks(
    methods: Sequence[str], seeds: Sequence[int], rounds: Sequence[int]
) -> list[TuningTask]:
    """The trainings of each seed: of NONE and of a reference once, of a strategy after each round.

    Round 0 is the same for all methods, the labeled set of the start alone: this is NONE. What a
    reference trains on is the same in all later rounds.
    """
    return [
        TuningTask(seed, method, number)
        for seed in seeds
        for method in (NONE, *methods)
        for number in ([0] if method == NONE else rounds[:1] if method in REFERENCES else rounds)
    ]


def tune_all(tuner: FineTuner, run: StandInRun, rounds: Sequence[int]) -> list[TuningRecord]:
    """A record of every method after each of these rounds, and of NONE, for each seed.

    Each training begins with the same pretrained encoder. rounds : ascending, of 1 or more.
    Raises UserError as ``FineTuner.train`` does.
    """
    settings = run.result.settings
    tasks = tuning_tasks(settings.methods, settings.seeds, rounds)
    records: Iterator[TuningRecord] = spread(_tune_one, (tuner, run), tasks, settings.workers)
    bar = tqdm(records, "fine-tuning", len(tasks), disable=settings.quiet, leave=False)
    return [
        replace(record, round=number)
        for record in bar
        for number in (rounds if record.method in REFERENCES else [record.round])
    ]


def _tune_one(shared: tuple[FineTuner, StandInRun], task: TuningTask) -> TuningRecord:
    """One training, and the stand-in fitted to the same training set."""
    tuner, run = shared
    jobs = run.result.settings.workers.jobs
    if jobs > 1:  # this is a process of several: they share the cores
        torch.set_num_threads(max(1, (cpu_count() or 1) // jobs))
    split = run.split_of(task.seed)
    training = run.training_set(split, task.method, task.seed, task.round)
    say = narrator(run.result.settings.quiet)
    finished = tuner.train(split, training, task.seed, say)
    predicted, truth = tuner.classes_of(finished), split.y[split.test]
    record = run.record(task.method, task.seed, task.round)
    validation = record["labels_validation"]
    if task.method == NONE:  # of another method's record, which may train on them
        by_validation = run.result.settings.loop.l2 == PenaltyRule.VALIDATION
        validation = len(split.validation) if by_validation else 0
    stand_in = run.refitted(split, task.method, task.seed, task.round)
    answers = stand_in.predict(split.X[split.test])
    return TuningRecord(
        method=task.method,
        seed=task.seed,
        round=task.round,
        texts=len(training.rows),
        labels_initial=record["labels_initial"],
        labels_bought=record["labels_bought"],
        labels_validation=validation,
        wrong_share=record["wrong_share"],
        stand_in=float((answers == truth).mean()),
        tuned=float((predicted == truth).mean()),
        agreement=float((predicted == answers).mean()),
        seconds=finished.seconds,
        parameters=finished.parameters,
    )
