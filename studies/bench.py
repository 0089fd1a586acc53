"""What a study works with: a data set, a protocol and seeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from common.cli import seeds_words
from common.errors import UserError
from common.kinds import PenaltyRule, Protocol
from common.parallel import Workers, few_threads, spread
from common.plugins import blamed, plugin_with
from data_prep.features import Prepared
from data_utils import Split, Table, make_split
from experiments.loop import Features, initial_l2
from experiments.plots import short_title
from experiments.protocols import PROTOCOLS
from experiments.settings import LoopSettings, decided_fit
from models import LogisticRegression
from numerics.linear import as_tensor
from strategies.base import InfluenceSettings
from studies.wording import value_range


@dataclass(frozen=True)
class ExplainedPicks:
    """The picks that the study ``why`` explains.

    method, round : whose, and of which round. count : the first so many of the round; None for
    three, or all if the round has fewer.
    """

    method: str = "salutary"
    round: int = 1
    count: int | None = None


@dataclass(frozen=True)
class Bench:
    """A data set, a protocol and seeds, ready to be split.

    table : the loaded data set.
    protocol, seeds : how it is split, and how often.
    init : labeled rows at the start.
    pca : so many principal components in place of the columns; 0 for the columns as they are.
    rounds, budget : rounds of queries, and picks in each.
    jobs : processes; each works on one seed at a time.
    quiet : show no progress bar.
    study : the name of the study, for the progress bar and for errors.
    explained : the picks that the study ``why`` explains.
    chosen : the l2 of splits on which the protocol's rule has chosen already, as ``choose_l2``
        gives it; on other splits ``l2`` chooses at each call.
    """

    table: Table
    protocol: Protocol
    seeds: tuple[int, ...]
    init: int
    pca: int = 0
    rounds: int = 10
    budget: int = 10
    jobs: int = 1
    quiet: bool = True
    study: str = "study"
    explained: ExplainedPicks = ExplainedPicks()
    chosen: Mapping[str, float] = field(default_factory=dict)

    def split(self, seed: int, init: int | None = None) -> Split:
        """The split of ``seed``, with ``init`` labeled rows in place of the bench's own number.

        Raises UserError if the data are too few for it.
        """
        return make_split(self.table, self.protocol, init or self.init, seed, pca=self.pca)

    def can_split(self, init: int) -> bool:
        """Whether the data are enough for ``init`` labeled rows.

        One seed answers for all, since the classes have the same sizes in every seed's parts.
        """
        with suppress(UserError):
            self.split(self.seeds[0], init)
            return True
        return False

    def settings(self, budget: int | None = None) -> LoopSettings:
        """The settings of ``experiments.loop.run`` under the bench's protocol.

        budget : picks in each round, in place of the bench's own number.
        """
        values = PROTOCOLS[self.protocol]
        return LoopSettings(
            rounds=self.rounds,
            budget=budget or self.budget,
            l2=values.l2,
            intercept=values.intercept,
            fit=decided_fit(values, self.table.dataset),
            influence=InfluenceSettings(values.hessian),
            legacy_generator=self.protocol == Protocol.PAPER,
        )

    def l2(self, split: Split, seed: int) -> float:
        """The penalty that every method begins with on this split of ``seed``.

        Raises UserError if the protocol's rule cannot choose one.
        """
        known = self.chosen.get(_read_by_rule(split, seed)) if self.chosen else None
        return known or initial_l2(split, self.settings(), seed, as_tensor(split.X))

    def features(self, split: Split, seed: int) -> Features:
        """The features and the penalty of this split of ``seed``, for ``run``."""
        return Features.of(split, self.settings(), seed, self.l2(split, seed))

    def exact_model(self, split: Split, seed: int) -> LogisticRegression:
        """The protocol's model for this split, not fitted. Its fit is exact: influence is defined
        at an optimum, and the lbfgs fit of the paper's protocol stops short of it."""
        return LogisticRegression(self.l2(split, seed), self.settings().intercept, warm_start=True)

    def records(self, of_seed: Callable[["Bench", Split, int], Iterable[Any]]) -> pd.DataFrame:
        """What ``of_seed(bench, split, seed)`` yields for every seed, in one frame.

        of_seed : yields instances of a dataclass. Each is a row of the frame: a column ``seed``,
            then the fields of the dataclass.

        Raises UserError if a fit or a linear system cannot be solved.
        """
        tasks = spread(
            _rows_of_seed, (self, of_seed), self.seeds, Workers(min(self.jobs, len(self.seeds)))
        )
        done = tqdm(
            tasks,
            self.study,
            total=len(self.seeds),
            unit="seed",
            disable=self.quiet,
            leave=False,
        )
        return pd.DataFrame([row for rows in done for row in rows])

    def caption(self, first_seed_only: bool = False) -> str:
        """The data, the protocol and the seeds in a few words, for a picture."""
        seeds = self.seeds[:1] if first_seed_only else self.seeds
        return f"{short_title(self.table.dataset)}, {self.protocol} protocol, {seeds_words(seeds)}"

    def describe(self) -> str:
        """The data and the setting in words."""
        features = f", {self.pca} principal components" if self.pca else ""
        return (
            f"{self.table.dataset.name} ({self.table.file_names}{features}), "
            f"{self.protocol} protocol: {self.settings().describe()}, "
            f"{self.init} labeled rows, {seeds_words(self.seeds)}{self._describe_chosen()}"
        )

    def choose_l2(self) -> dict[str, float]:
        """The l2 that the protocol's rule chooses for every seed, by what the rule reads of its
        split; empty if the protocol's l2 is a number.

        Raises UserError if the rule cannot choose one.
        """
        if not isinstance(self.settings().l2, PenaltyRule):
            return {}
        records = self.records(_chosen_l2)
        return dict(zip(records["read"].tolist(), records["l2"].tolist(), strict=True))

    def _describe_chosen(self) -> str:
        """The range of the l2 of all seeds, if the protocol's rule chooses it."""
        chosen = self.chosen or self.choose_l2()
        return f", l2 of these seeds {value_range(list(chosen.values()))}" if chosen else ""


@dataclass(frozen=True)
class ChosenRecord:
    """The l2 that a seed begins with, and what decided it, as ``_read_by_rule`` gives it."""

    read: str
    l2: float


def _chosen_l2(bench: Bench, split: Split, seed: int) -> Iterator[ChosenRecord]:
    yield ChosenRecord(_read_by_rule(split, seed), bench.l2(split, seed))


def _read_by_rule(split: Split, seed: int) -> str:
    """A checksum of all that a rule for l2 reads: two parts of a split, and the folds' seed."""
    parts = [(split.X[rows], split.y[rows]) for rows in (split.labeled, split.validation)]
    return joblib.hash((parts, seed))


@contextmanager
def told_errors(bench: Bench, split: Split, seed: int) -> Iterator[None]:
    """Few threads, and a failure in arithmetic as a UserError, for the work on one seed."""
    with few_threads(split.X.size):
        try:
            yield
        except np.linalg.LinAlgError as error:
            raise UserError(f"{bench.study}, seed {seed}: {error}") from error


def _rows_of_seed(shared: tuple[Bench, Callable], seed: int) -> list[dict[str, Any]]:
    """The records of one seed as rows of a data frame."""
    bench, of_seed = shared
    split = bench.split(seed)
    plugin, where = plugin_with("STUDIES", bench.study), f"study {bench.study}, seed {seed}"
    with blamed(plugin, where), told_errors(bench, split, seed):
        return [_row(seed, record) for record in of_seed(bench, split, seed)]


def _row(seed: int, record: Any) -> dict[str, Any]:
    """The fields of a record by name; kinds become plain text, as a file has them."""
    values = {
        name: str(value) if isinstance(value, Enum) else value
        for name, value in asdict(record).items()
    }
    return {"seed": seed} | values


def positions(data: Split | Prepared, rows: Sequence[int] | pd.Series) -> np.ndarray:
    """The positions in ``data`` of these row numbers of the source file: (len(rows),)."""
    return pd.Series(np.arange(len(data.rows)), index=data.rows)[list(rows)].to_numpy(int)
