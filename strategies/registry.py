"""All strategies and references, in the order of tables and colours.

To add a strategy, write its function in a file of this package and its name into the list here.
"""

from common.errors import check_known
from strategies.active import entropy, isal, margin, pred_infl, random, uncertainty
from strategies.base import Reference, Strategy
from strategies.baselines import badge, bald, coreset, qbc, typiclust
from strategies.references import (
    full_pool,
    label_spreading_pool,
    labeled_plus_validation,
    self_training_pool,
)
from strategies.salutary import salutary, salutary_expected, salutary_greedy, salutary_plus
from strategies.self_labels import pseudo, salutary_truth
from strategies.semi_supervised import label_spreading, self_training

# The methods of the paper's figures: the default of --methods.
PAPER = ("random", "entropy", "margin", "uncertainty", "pred_infl", "isal", "salutary")

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        random,
        entropy,
        margin,
        uncertainty,
        pred_infl,
        isal,
        salutary,
        salutary_expected,
        salutary_greedy,
        salutary_plus,
        coreset,
        badge,
        typiclust,
        qbc,
        bald,
        pseudo,
        self_training,
        salutary_truth,
        label_spreading,
    )
}

REFERENCES: dict[str, Reference] = {
    reference.name: reference
    for reference in (
        labeled_plus_validation,
        full_pool,
        self_training_pool,
        label_spreading_pool,
    )
}


def methods() -> dict[str, Strategy | Reference]:
    """Everything that --methods can name, by name."""
    return {**STRATEGIES, **REFERENCES}


def titles() -> dict[str, str]:
    """The title of every method, by name."""
    return {name: method.title for name, method in methods().items()}


def gives_own_labels(method: str) -> bool:
    """Whether the method is a strategy that gives labels of its own, and buys none."""
    return method in STRATEGIES and STRATEGIES[method].gives_labels


def chosen_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """The methods that --methods names: the paper's for none, and every one for "all".

    Raises UserError for an unknown name.
    """
    if names == ("all",):
        return tuple(methods())
    for name in names:
        check_known("strategy", name, [*methods(), "all"])
    return names or PAPER
