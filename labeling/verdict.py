"""What the evidence says: use the salutary labels or not, and the table that shows why."""

from collections.abc import Iterator
from dataclasses import dataclass

from prettytable import PrettyTable

from labeling.cross_validation import Arm, Evidence, TooFewRows


@dataclass(frozen=True)
class Verdict:
    """Whether to use the labels, and the reason in words."""

    helps: bool
    reason: str


def verdict(evidence: Evidence) -> Verdict:
    """The labels help if all three of these hold.

    - The log loss clearly falls. On few rows the log loss tells more than the accuracy.
    - The mean accuracy does not fall.
    - With the labels the model knows more than how frequent the classes are. On random labels every
      pull towards the frequent class lowers the log loss, although nothing was learned.
    """
    if not evidence.loss_fall(Arm.SALUTARY).clear:
        return Verdict(False, "no clear gain: the log loss does not fall for certain")
    if evidence.accuracy_gain(Arm.SALUTARY).mean < 0:
        return Verdict(False, "the log loss falls, but the accuracy falls too")
    if not evidence.log_loss(Arm.SALUTARY).mean() < evidence.prior_loss:
        return Verdict(
            False, "with them the model still knows no more than how frequent the classes are"
        )
    return Verdict(True, "the log loss falls clearly, and the accuracy does not fall")


def answer_lines(evidence: Evidence) -> Iterator[str]:
    """The table, the verdict, and what could be done with the same labels instead."""
    yield evidence_table(evidence)
    found = verdict(evidence)
    advice = "use the labels" if found.helps else "do not use the labels"
    yield f"answer: {found.reason}: {advice}."
    if Arm.VALIDATION not in evidence.arms:
        yield (
            "The fair alternative is the first row: it trains on all labeled rows, also on those "
            "that would be set aside to choose the labels."
        )
        return
    with_validation, with_labels = map(evidence.log_loss, (Arm.VALIDATION, Arm.SALUTARY))
    better = with_validation.mean() < with_labels.mean()
    yield "The fair alternative, training on the validation labels instead, is " + (
        "better: if you may, do that." if better else "no better here."
    )


def unknown_lines(error: TooFewRows) -> Iterator[str]:
    """The answer if nothing could be measured."""
    yield f"not measured: {error}"
    yield "answer: whether the labels help here is unknown: do not use the labels."


def evidence_table(evidence: Evidence) -> str:
    """Arms × accuracy and log loss, each with its gain over the labeled rows alone."""
    out = PrettyTable(
        ["trained on", "accuracy", "gain (95 %)", "log loss", "fall (95 %)"],
        title=f"held-out rows: {len(evidence.parts)} parts of {evidence.held_out:.0f}, "
        f"{evidence.given:.0f} labels given",
        align="r",
    )
    out.align["trained on"] = "l"
    for arm in evidence.arms:
        gain, fall = evidence.accuracy_gain(arm), evidence.loss_fall(arm)
        gains = ["", ""]
        if arm != Arm.LABELED:
            gains = [
                f"{100 * gain.mean:+.1f} ± {100 * gain.half:.1f}",
                f"{fall.mean:+.3f} ± {fall.half:.3f}",
            ]
        accuracy, loss = evidence.accuracy(arm).mean(), evidence.log_loss(arm).mean()
        out.add_row([str(arm), f"{100 * accuracy:.1f} %", gains[0], f"{loss:.3f}", gains[1]])
    return out.get_string()
