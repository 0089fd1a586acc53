"""The gain of a method: how it is measured, and how a study draws it over what is varied."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from data_utils import Split
from experiments.looks import COLOURS
from experiments.loop import Features, RoundRecord, RunRecords, run
from experiments.settings import LoopSettings
from strategies.registry import known_methods
from studies.drawing import GREY, RULE_COLOURS, bare_mean_line, mean_line, name_levels
from studies.wording import title_of

# The methods that are compared, and their lines.
LINES: dict[str, dict[str, Any]] = {
    "salutary": {"color": RULE_COLOURS["salutary"]},
    "salutary_plus": {"color": RULE_COLOURS["salutary_plus"]},
    "random": {"color": GREY, "ls": ":"},
    "margin": {"color": COLOURS[3], "ls": "-."},
    "labeled_plus_validation": {"color": COLOURS[5], "ls": "--"},
}
# Names in the legend, for methods whose title does not say which labels are trained on.
NAMES = {
    "random": "Random, true labels",
    "margin": "Margin, true labels",
    "labeled_plus_validation": "trained on validation rows",
}


@dataclass(frozen=True)
class GainRecord:
    """The gain of one method, in points, at one level of what is varied."""

    varied: str
    level: int
    method: str
    gain: float


def gain(
    split: Split,
    method: str,
    settings: LoopSettings,
    seed: int,
    features: Features | None = None,
) -> float:
    """Test accuracy after the last round minus that of round 0, in points."""
    return gain_of(run(split, method, settings, seed, features=features, scores=False).curve)


def runs_by_budget(
    split: Split,
    method: str,
    settings: LoopSettings,
    seed: int,
    budgets: Sequence[int],
    features: Features,
) -> dict[int, RunRecords]:
    """The records up to the last round for each number of picks in a round.

    A method that picks one by one picks the same rows however its picks are dealt to rounds. So it
    runs once, for the largest of the ``budgets``, and the others are the start of this run. Its
    rounds are as long as all budgets allow: a curve has other rounds than ``settings`` says,
    but the first record is of round 0, and the last one is after the last pick.
    """
    if not getattr(known_methods()[method], "one_by_one", False):
        return {
            picks: run(
                split,
                method,
                replace(settings, budget=picks),
                seed,
                features=features,
                scores=False,
            )
            for picks in budgets
        }
    in_round = settings.rounds * gcd(*budgets)
    rounds = {picks: settings.rounds * picks // in_round for picks in budgets}
    longest = replace(settings, budget=in_round, rounds=max(rounds.values()))
    curve, made = run(split, method, longest, seed, features=features, scores=False)
    return {
        picks: RunRecords(curve[: rounds[picks] + 1], made[: settings.rounds * picks])
        for picks in budgets
    }


def gain_of(curve: Sequence[RoundRecord]) -> float:
    """The gain of a run with these records."""
    return 100 * (curve[-1].test_accuracy - curve[0].test_accuracy)


def gain_lines(axes: Axes, records: pd.DataFrame, label: str) -> None:
    """The gain of each method at each level of what is varied, which ``label`` names.

    Of more than four methods only the two rules have intervals.
    """
    few = records["method"].nunique() <= 4
    axes.axhline(0, color=GREY, lw=0.8, zorder=1)
    for method, of_method in records.groupby("method", sort=False):
        name = NAMES.get(method) or title_of(method)
        draw = mean_line if few or method in RULE_COLOURS else bare_mean_line
        draw(axes, of_method, "level", "gain", label=name, **LINES[method])
    name_levels(axes, records["level"].unique(), label)


def gains_by_level(records: pd.DataFrame) -> dict[Any, pd.DataFrame]:
    """For each level the gains by seed (rows) and method (columns)."""
    return {
        level: of_level.pivot(index="seed", columns="method", values="gain")
        for level, of_level in records.groupby("level", sort=False)
    }
