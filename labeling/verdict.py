"""What the evidence says: use the salutary labels or not."""

from dataclasses import dataclass

import numpy as np

from common.kinds import TextEnum
from labeling.evidence import Arm, Evidence, Measure


class Advice(TextEnum):
    """What label.py advises, in its own words."""

    USE = "use the labels"
    DO_NOT_USE = "do not use the labels"
    HARM = "the labels do harm: do not use the labels"
    UNKNOWN = "whether the labels help here is unknown: do not use the labels"


@dataclass(frozen=True)
class Verdict:
    """The advice, and the reason in words."""

    advice: Advice
    reason: str


def verdict(evidence: Evidence) -> Verdict:
    """Use the labels if all four of these hold.

    - The log loss clearly falls. On few rows the log loss tells more than the accuracy. If it
      clearly rises, the labels do harm.
    - The mean accuracy does not fall.
    - With the labels the model clearly knows more than how frequent the classes are. On random
      labels every pull towards the frequent class lowers the log loss, although nothing was
      learned. The labels can also carry the class shares of the validation rows, so these count.
    - No recall of a class clearly falls, unless the mean of all recalls, the balanced accuracy,
      rises.
    """
    loss = evidence.change(Measure.LOG_LOSS, Arm.SALUTARY)
    if loss.clear_fall:
        return _of_a_lower_loss(evidence)
    if loss.clear_rise:
        return Verdict(Advice.HARM, "the log loss clearly rises")
    return Verdict(Advice.DO_NOT_USE, "no clear gain: the log loss does not fall for certain")


def _of_a_lower_loss(evidence: Evidence) -> Verdict:
    """The verdict if the log loss clearly falls: do the other three conditions hold?"""
    if evidence.change(Measure.ACCURACY, Arm.SALUTARY).mean < 0:
        return Verdict(Advice.DO_NOT_USE, "the log loss falls, but the accuracy falls too")
    if not evidence.over_shares(Arm.SALUTARY).clear_rise:
        return Verdict(
            Advice.DO_NOT_USE,
            "with them, the model does not clearly know more than how frequent the classes are",
        )
    balanced = evidence.change(Measure.BALANCED, Arm.SALUTARY)
    if any(clearly_less_found(evidence)) and balanced.mean <= 0:
        return Verdict(
            Advice.DO_NOT_USE,
            "the log loss falls, but the recall of a class falls clearly, and the balanced "
            "accuracy does not rise",
        )
    return Verdict(Advice.USE, "the log loss falls clearly, and the accuracy does not fall")


def clearly_less_found(evidence: Evidence) -> np.ndarray:
    """The classes whose recall clearly falls with the salutary labels: bool (K,)."""
    changes = evidence.recall_changes(Arm.SALUTARY)
    return np.array([change is not None and change.clear_fall for change in changes])
