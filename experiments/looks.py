"""How methods look in pictures: which of them are highlighted, their colours, markers and lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strategies.registry import (
    REFERENCES,
    STRATEGIES,
    VALIDATION_FORM,
    VALIDATION_FORMS,
    gives_own_labels,
)

Dashes = str | tuple[int, tuple[float, ...]]

# Any two of them, and the grey of the other methods, can also be told apart with protanopia,
# deuteranopia or tritanopia: tests/experiments/test_looks.py simulates these.
COLOURS = ("#0072B2", "#CC3311", "#661100", "#E69F00", "#332288", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
OTHERS = "#B8B8B8"
LEVELS = "#1A1A1A"

MOST = len(COLOURS)  # highlighted methods
FIRST = ("salutary", "salutary_plus", "random")  # highlighted whenever they run

# The places in COLOURS and MARKERS that methods get if they are free.
_PLACES = {
    "salutary": 0, "salutary_plus": 1, "random": 2, "entropy": 3, "margin": 3, "uncertainty": 3,
    "isal": 4, "pseudo": 5, "pred_infl": 5,
}  # fmt: skip
_LEVEL_DASHES: dict[str, Dashes] = {
    "labeled_plus_validation": (0, (1, 1.3)),
    "full_pool": (0, (7, 2)),
    "self_training_pool": (0, (5, 1.5, 1, 1.5)),
    "label_spreading_pool": (0, (5, 1.5, 1, 1.5, 1, 1.5)),
}


@dataclass(frozen=True)
class Look:
    """Colour and marker of a method, as matplotlib takes them."""

    colour: str
    marker: str


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """A look for each of these methods. After MOST methods colours come again, with other markers.

    A form that trains on the validation rows wants the look of its baseline.
    """
    free = list(range(max(MOST, len(methods))))
    wishes = {name: _PLACES.get(name.removesuffix(VALIDATION_FORM)) for name in methods}
    places: dict[str, int] = {}
    for name in sorted(methods, key=lambda name: wishes[name] is None):  # those with a wish first
        wish = wishes[name]
        # The others begin at the back, where the colours of the salutary rules are last.
        places[name] = wish if wish in free else min(free, key=lambda at: (at // MOST, -at))
        free.remove(places[name])
    return {name: _look(places[name]) for name in methods}


def _look(place: int) -> Look:
    again = place // MOST
    return Look(COLOURS[place % MOST], MARKERS[(place + again) % MOST])


def dashes(method: str) -> Dashes:
    """The line of a method: solid if it gives its own labels, dashed if it buys true ones,
    dash-dotted if it trains on the validation rows too. Each reference has a line of its own."""
    if method in REFERENCES:
        return _LEVEL_DASHES.get(method, ":")
    if method in VALIDATION_FORMS:
        return 0, (2.5, 1, 0.8, 1)
    return "-" if gives_own_labels(method) else (0, (4, 1.5))


def highlighted(areas: Sequence[pd.Series], most: int = MOST) -> list[str]:
    """The methods that a picture shows in colour, the most important one first.

    areas : for each data set, a number by method; the larger, the better. Without references.

    If there are more than ``most`` methods: FIRST, then the best method that buys true labels and
    reads no validation label, then the best of the others. The best method has the best mean rank
    over the data sets; of two equal ones the first is taken.
    """
    ranks = pd.DataFrame([area.rank(ascending=False, na_option="bottom") for area in areas]).mean()
    names = list(dict.fromkeys(name for area in areas for name in area.index))
    best = [names[i] for i in np.argsort(ranks[names].to_numpy(), kind="stable")]
    first = [name for name in FIRST if name in names]
    baselines = [name for name in best if name not in first and _is_baseline(name)][:1]
    return list(dict.fromkeys([*first, *baselines, *best]))[:most]


def _is_baseline(name: str) -> bool:
    """Whether it is a strategy that buys true labels and reads no validation label."""
    strategy = STRATEGIES.get(name)
    return strategy is not None and not strategy.gives_labels and not strategy.reads_validation
