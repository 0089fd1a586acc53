"""The answer of label.py: as printed lines with two tables, and as the content of a JSON file."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from prettytable import PrettyTable

from experiments.penalty import l2_text
from labeling.evidence import FOLDS, Arm, Change, Evidence, Measure
from labeling.verdict import Advice, Verdict, clearly_less_found


@dataclass(frozen=True)
class ClassMix:
    """Rows of each class, (K,) each, and the class's names as the user's table spells them.

    labeled : in the labeled rows. predicted : in the pool, as the model on the labeled rows says.
    """

    names: list[str]
    labeled: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What label.py found. evidence : None if nothing could be measured."""

    verdict: Verdict
    evidence: Evidence | None
    mix: ClassMix

    @property
    def advice(self) -> Advice:
        return self.verdict.advice

    @property
    def reason(self) -> str:
        return self.verdict.reason

    @property
    def advises_use(self) -> bool:
        return self.advice == Advice.USE

    def lines(self) -> Iterator[str]:
        """The tables, the verdict, and what could be done with the same labels instead."""
        if self.evidence is None:
            yield f"not measured: {self.reason}"
            yield f"answer: {self.advice}."
            return
        yield arms_table(self.evidence).get_string()
        yield classes_table(self.evidence, self.mix).get_string()
        before, after = map(self.evidence.mean_recalls, (Arm.LABELED, Arm.SALUTARY))
        for k in np.flatnonzero(clearly_less_found(self.evidence)):
            yield (
                f"The recall of class {self.mix.names[k]!r} falls clearly, from "
                f"{percent(before[k])} to {percent(after[k])}."
            )
        yield f"answer: {self.reason}: {self.advice}."
        yield fair_alternative(self.evidence)

    def manifest(self) -> dict:
        """The same for a JSON file: fractions, counts, and changes with their 95 % half-widths."""
        return {
            "answer": self.advice,
            "reason": self.reason,
            "use": self.advises_use,
            "measured": None if self.evidence is None else measured(self.evidence),
            "classes": [self._class(k) for k in range(len(self.mix.names))],
        }

    def _class(self, k: int) -> dict:
        mix, evidence = self.mix, self.evidence
        found = {
            "class": mix.names[k],
            "labeled_rows": int(mix.labeled[k]),
            "predicted_in_the_pool": int(mix.predicted[k]),
        }
        if evidence is None:
            return found
        return found | {
            "labels_given_per_part": float(evidence.given[k]),
            "held_out_per_part": float(np.mean([part.held_out[k] for part in evidence.parts])),
            "recall": {arm: evidence.mean_recalls(arm)[k] for arm in evidence.arms},
            "recall_change": as_dict(evidence.recall_changes(Arm.SALUTARY)[k]),
            "recall_falls_clearly": bool(clearly_less_found(evidence)[k]),
        }


def fair_alternative(evidence: Evidence) -> str:
    """What the labels that choose the salutary labels would give if they were trained on."""
    if Arm.VALIDATION not in evidence.arms:
        return (
            "The fair alternative is the first column: it trains on all labeled rows, also on "
            "those that would be set aside to choose the labels."
        )
    with_validation, with_labels = (
        evidence.values(Measure.LOG_LOSS, arm).mean() for arm in (Arm.VALIDATION, Arm.SALUTARY)
    )
    return "The fair alternative, training on the validation labels instead, is " + (
        "better: if you may, do that." if with_validation < with_labels else "no better here."
    )


# --- tables ---------------------------------------------------------------------------------------


def arms_table(evidence: Evidence) -> PrettyTable:
    """Measures × arms, each with its change from the labeled rows alone."""
    out = PrettyTable(
        ["trained on", *map(str, evidence.arms)],
        title=f"held-out rows: {len(evidence.parts)} parts of {evidence.held_out:.0f}, "
        f"{evidence.given.sum():.0f} labels given; mean, and change with its 95 % interval",
        align="r",
    )
    out.align["trained on"] = "l"
    for measure in Measure:
        points = measure != Measure.LOG_LOSS
        cells = [str(measure)]
        for arm in evidence.arms:
            mean = evidence.values(measure, arm).mean()
            cell = percent(mean) if points else f"{mean:.3f}"
            if arm != Arm.LABELED:
                cell += f", {change_text(evidence.change(measure, arm), points)}"
            cells.append(cell)
        out.add_row(cells)
    penalties = [p for arm in evidence.arms if (p := evidence.penalties(arm)) is not None]
    if penalties:
        out.add_row(["l2, median", *(l2_text(np.median(found)) for found in penalties)])
    return out


def classes_table(evidence: Evidence, mix: ClassMix) -> PrettyTable:
    """Classes × their shares, and their recalls without and with salutary labels."""
    out = PrettyTable(
        ["class", str(Arm.LABELED), "predicted in pool", "labels given", "recall without", "with",
         "change (95 %)"],
        align="r",
    )  # fmt: skip
    out.align["class"] = "l"
    shares = [
        100 * counts / max(counts.sum(), 1)
        for counts in (mix.labeled, mix.predicted, evidence.given)
    ]
    recalls = [evidence.mean_recalls(arm) for arm in (Arm.LABELED, Arm.SALUTARY)]
    for k, change in enumerate(evidence.recall_changes(Arm.SALUTARY)):
        cells = [f"{share[k]:.1f} %" for share in shares]
        cells += [percent(recall[k]) for recall in recalls]
        cells.append("too few rows" if change is None else change_text(change, points=True))
        out.add_row([mix.names[k], *cells])
    return out


def percent(fraction: float | None) -> str:
    return "" if fraction is None else f"{100 * fraction:.1f} %"


def change_text(change: Change, points: bool) -> str:
    """A change and its half-width: in percentage points, or as it is."""
    if points:
        return f"{100 * change.mean:+.1f} ± {100 * change.half:.1f}"
    return f"{change.mean:+.3f} ± {change.half:.3f}"


# --- JSON -----------------------------------------------------------------------------------------


def measured(evidence: Evidence) -> dict:
    """The numbers of the first table, and those that it does not show."""
    arms = {}
    for arm in evidence.arms:
        arms[arm] = {
            measure.replace(" ", "_"): {
                "mean": float(evidence.values(measure, arm).mean()),
                "change": None if arm == Arm.LABELED else as_dict(evidence.change(measure, arm)),
            }
            for measure in Measure
        }
        if (penalties := evidence.penalties(arm)) is not None:
            arms[arm]["l2_of_each_part"] = penalties.tolist()
    shares = float(np.mean([part.shares_loss for part in evidence.parts]))
    return {
        "parts": len(evidence.parts),
        "folds": FOLDS,
        "held_out_per_part": evidence.held_out,
        "labels_given_per_part": float(evidence.given.sum()),
        "log_loss_of_the_class_shares": shares,
        "trained_on": arms,
    }


def as_dict(change: Change | None) -> dict | None:
    return None if change is None else {"mean": change.mean, "half_width_95": change.half}
