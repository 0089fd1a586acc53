"""What the held-out parts showed: scores of models with and without salutary labels, and changes.

Differences are paired. The parts of one table share training rows, so the variance is corrected as
Nadeau and Bengio (2003) do: J differences d of parts that hold out a fraction q have the squared
error s²(d)·(1/J + q/(1 − q)).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from common.kinds import TextEnum

FOLDS, REPEATS = 5, 2
ENOUGH = 10  # rows of a class that are held out, each counted once, to judge its recall by


class Arm(TextEnum):
    """The training sets that are compared, under their names in the printed table."""

    LABELED = "labeled rows"
    SALUTARY = "and salutary labels"
    VALIDATION = "labeled and validation rows"


class Measure(TextEnum):
    """What a model is judged by, under its name in the printed table."""

    ACCURACY = "accuracy"
    BALANCED = "balanced accuracy"
    LOG_LOSS = "log loss"


@dataclass(frozen=True)
class Score:
    """One model on held-out rows.

    l2 : its penalty; None for a user's own estimator. accuracy : a fraction. log_loss : per row.
    recalls : of each class, (K,); NaN if no row of it is held out.
    """

    l2: float | None
    accuracy: float
    log_loss: float
    recalls: np.ndarray

    def of(self, measure: Measure) -> float:
        """The measure's value. The balanced accuracy is the mean of the recalls."""
        if measure == Measure.BALANCED:
            return float(np.nanmean(self.recalls))
        return self.accuracy if measure == Measure.ACCURACY else self.log_loss


@dataclass(frozen=True)
class PartResult:
    """What one held-out part showed.

    scores : of each arm's model. shares_loss : log loss per row of always answering the class
    shares of the labeled and the validation rows. held_out, given : held-out rows and salutary
    labels of each class, (K,).
    """

    scores: dict[Arm, Score]
    shares_loss: float
    held_out: np.ndarray
    given: np.ndarray


@dataclass(frozen=True)
class Change:
    """A mean paired difference and the half-width of its 95 % interval."""

    mean: float
    half: float

    @property
    def clear_rise(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.mean - self.half > 0

    @property
    def clear_fall(self) -> bool:
        """Whether the whole interval is below 0."""
        return self.mean + self.half < 0


@dataclass(frozen=True)
class Evidence:
    """The results of all J held-out parts. classes : sorted, (K,)."""

    classes: np.ndarray
    parts: Sequence[PartResult]

    @property
    def arms(self) -> list[Arm]:
        """The arms that were compared, in the order of the table."""
        return [arm for arm in Arm if arm in self.parts[0].scores]

    def values(self, measure: Measure, arm: Arm) -> np.ndarray:
        """The measure of the arm's model on each part: (J,)."""
        return np.array([part.scores[arm].of(measure) for part in self.parts])

    def change(self, measure: Measure, arm: Arm) -> Change:
        """The measure's change from the labeled rows alone to this arm."""
        return paired(self.values(measure, arm) - self.values(measure, Arm.LABELED))

    def penalties(self, arm: Arm) -> np.ndarray | None:
        """The l2 of the arm's model on each part, (J,); None if its models have none."""
        found = [part.scores[arm].l2 for part in self.parts]
        return None if None in found else np.array(found)

    def recalls(self, arm: Arm) -> np.ndarray:
        """The recall of each class on each part, (J, K); NaN if no row of it is held out."""
        return np.array([part.scores[arm].recalls for part in self.parts])

    def mean_recalls(self, arm: Arm) -> list[float | None]:
        """The mean recall of each class, K of them; None if no row of it is held out."""
        recalls = self.recalls(arm)
        held_out = ~np.isnan(recalls)
        return [
            float(recalls[rows, k].mean()) if (rows := held_out[:, k]).any() else None
            for k in range(len(self.classes))
        ]

    def recall_changes(self, arm: Arm) -> list[Change | None]:
        """The change of each class's recall from the labeled rows alone to this arm, K of them.

        None if fewer than ENOUGH rows of the class are held out, or none in one of the parts.
        """
        held_out = np.array([part.held_out for part in self.parts])  # (J, K)
        enough = (held_out.sum(0) >= REPEATS * ENOUGH) & (held_out > 0).all(0)
        differences = self.recalls(arm) - self.recalls(Arm.LABELED)
        return [paired(differences[:, k]) if enough[k] else None for k in range(len(self.classes))]

    def over_shares(self, arm: Arm) -> Change:
        """How much lower the log loss is than that of always answering the class shares."""
        shares = np.array([part.shares_loss for part in self.parts])
        return paired(shares - self.values(Measure.LOG_LOSS, arm))

    @property
    def held_out(self) -> float:
        """Mean number of rows in a part."""
        return float(np.mean([part.held_out.sum() for part in self.parts]))

    @property
    def given(self) -> np.ndarray:
        """Mean number of labels of each class that were given, (K,)."""
        return np.mean([part.given for part in self.parts], axis=0)


def paired(differences: np.ndarray, folds: int = FOLDS) -> Change:
    """Mean and 95 % half-width of differences (J,) over repeated folds, variance corrected."""
    count = len(differences)
    error = differences.std(ddof=1) * np.sqrt(1 / count + 1 / (folds - 1))
    return Change(float(differences.mean()), float(student.ppf(0.975, count - 1) * error))
