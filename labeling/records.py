"""The records that travel through this package: known rows, a plan, and the labels given."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd

from labeling.added_columns import prefix_beside


@dataclass(frozen=True)
class LabeledRows:
    """Features X (n, D) and labels y (n,) of the same n rows."""

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: np.ndarray) -> "LabeledRows":
        """These rows: positions, or a mask (n,)."""
        return LabeledRows(self.X[rows], self.y[rows])

    def joined(self, other: "LabeledRows") -> "LabeledRows":
        """These rows, followed by the other ones."""
        return LabeledRows(np.vstack([self.X, other.X]), np.append(self.y, other.y))


@dataclass(frozen=True)
class KnownRows:
    """All rows whose class is known: the labeled set, and the validation set if there is one."""

    labeled: LabeledRows
    validation: LabeledRows | None = None

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The arguments of ``SalutaryLabeler.fit``: X and y, then X_val and y_val if given."""
        parts = [self.labeled] if self.validation is None else [self.labeled, self.validation]
        return tuple(array for part in parts for array in (part.X, part.y))


def share_of(text: str) -> float:
    """The share that a text such as "20%" names. Raises ValueError for another text."""
    number = text.removesuffix("%").strip()
    try:
        share = float(number) / 100
    except ValueError:
        share = -1.0
    if not text.endswith("%") or not 0 < share < 1:
        raise ValueError(f"{text!r} is no share between 0% and 100%, such as 20%")
    return share


@dataclass(frozen=True)
class LabelPlan:
    """How the labels of a pool are given.

    budget : how many rows to pick. rounds : in how many rounds; more than ``budget`` are as many.
    abstain : leave a row for a person if its benefit is less than this above the runner-up's, or,
        as a text such as "20%", if it is among so many of the picked rows for which this
        difference is smallest; None leaves no row.
    details : compute benefit, runner-up and probability of every pick. Without them these are NaN,
        unless ``abstain`` needs them, and the methods that refit after every pick are faster.
    """

    budget: int
    rounds: int = 10
    abstain: float | str | None = None
    details: bool = True

    def __post_init__(self):
        """Raise ValueError for an ``abstain`` that is neither."""
        if isinstance(self.abstain, str):
            share_of(self.abstain)
        elif self.abstain is not None and not self.abstain >= 0:
            raise ValueError(f"abstain is {self.abstain}: give a number of 0 or more, or a share")

    @property
    def needs_details(self) -> bool:
        return self.details or self.abstain is not None

    def leaves(self, benefit: np.ndarray, runner_up: np.ndarray) -> np.ndarray:
        """Which rows (b,) are left for a person by their own numbers: bool (b,)."""
        if self.abstain is None or isinstance(self.abstain, str):
            return np.zeros(len(benefit), bool)
        return benefit - runner_up < self.abstain

    def with_share_left(self, labels: "Labels") -> "Labels":
        """All picks, the closest of them left for a person if ``abstain`` is a share."""
        if not isinstance(self.abstain, str):
            return labels
        closest = np.argsort(labels.benefit - labels.runner_up, kind="stable")
        left = np.zeros(len(labels), bool)
        left[closest[: round(share_of(self.abstain) * len(labels))]] = True
        return replace(labels, left=left)


@dataclass(frozen=True)
class Labels:
    """Pool rows with the labels given to them, in the order of the picks.

    Each field is (b,) but ``benefits``, which is (b, K).

    rows : positions in the pool. labels : the label given to each.
    benefit : predicted fall of the summed validation loss if the row joins the training set with
        this label (by the finite step; by first order for models with more parameters than
        ``labeling.wide.finite_parameters``).
    runner_up : the largest benefit among the other labels. It may be above ``benefit`` if the
        method weighs benefits by the model's probabilities.
    probability : the model's own p(label|x) at the time of the pick.
    benefits : of every class, in the order of the sorted classes.
    round : 1, 2, …
    left : whether the row is left for a person (see ``SalutaryLabeler.label``); then its label is a
        proposal.
    pool : the data frame that ``rows`` are positions in; None for an array.
    """

    rows: np.ndarray
    labels: np.ndarray
    benefit: np.ndarray
    runner_up: np.ndarray
    probability: np.ndarray
    benefits: np.ndarray
    round: np.ndarray
    left: np.ndarray
    pool: pd.DataFrame | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, mask) -> "Labels":
        return replace(self, **{name: getattr(self, name)[mask] for name in _OF_A_PICK})

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def joined(cls, parts: Sequence["Labels"]) -> "Labels":
        """The picks of all parts, in order; at least one part."""
        joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in _OF_A_PICK}
        return replace(parts[0], **joined)

    @property
    def given(self) -> "Labels":
        """The rows that are not left for a person."""
        return self[~self.left]

    @property
    def for_a_person(self) -> "Labels":
        """The rows that are left for a person, the largest benefit first."""
        left = self[self.left]
        return left[np.argsort(-left.benefit, kind="stable")]

    def to_frame(self) -> pd.DataFrame:
        """The picks as a data frame: label, benefit, runner_up, probability, round, left of each.

        If the pool was a data frame, each row has its own index and cells, and these columns follow
        them, with ``salutary_`` in front if the pool has one of these names. Otherwise the index is
        the row's position in the pool.
        """
        shown = {"label" if name == "labels" else name: name for name in _OF_A_PICK[1:]}
        del shown["benefits"]  # a table of its own
        if self.pool is None:
            frame, prefix = pd.DataFrame(index=pd.Index(self.rows, name="row")), ""
        else:
            frame = self.pool.iloc[self.rows].copy()
            prefix = prefix_beside(list(map(str, frame)), list(shown))
        for name, field_name in shown.items():
            frame[prefix + name] = getattr(self, field_name)
        return frame


_OF_A_PICK = tuple(item.name for item in fields(Labels) if item.name != "pool")


def split_off(y: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Which rows of y (n,) to set aside: bool (n,).

    Each class gives ``fraction`` of its rows, drawn at random, but keeps at least one.
    """
    held = np.zeros(len(y), bool)
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        held[rows[: min(round(fraction * len(rows)), len(rows) - 1)]] = True
    return held
