"""All strategies and references, in the order of tables and colours; plugins add to them.

To add a strategy, write its function in a file of this package and its name into the list here.
"""

from dataclasses import replace
from itertools import chain

from common.errors import UserError, check_known
from common.plugins import plugin_with
from common.registry import Registry
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

STRATEGIES: Registry[Strategy] = Registry(
    "STRATEGIES",
    (
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
    ),
)

VALIDATION_FORM = "+validation"


def _validation_form(strategy: Strategy) -> Strategy | None:
    if strategy.gives_labels:
        return None
    return replace(
        strategy,
        name=strategy.name + VALIDATION_FORM,
        title=f"{strategy.title} + valid.",
        reads_validation=True,
        trains_on_validation=True,
    )


# Every strategy that buys labels, in a form that trains on the validation rows too.
VALIDATION_FORMS: Registry[Strategy] = Registry(
    "STRATEGIES", STRATEGIES.data.values(), _validation_form
)

REFERENCES: Registry[Reference] = Registry(
    "REFERENCES",
    (
        labeled_plus_validation,
        full_pool,
        self_training_pool,
        label_spreading_pool,
    ),
)


def methods() -> dict[str, Strategy | Reference]:
    """What "all" means to --methods: all strategies and references, by name."""
    return {**STRATEGIES, **REFERENCES}


def known_methods() -> dict[str, Strategy | Reference]:
    """Everything that --methods can name, by name."""
    return {**methods(), **VALIDATION_FORMS}


def titles() -> dict[str, str]:
    """The title of every method, by name."""
    return {name: method.title for name, method in known_methods().items()}


def gives_own_labels(method: str) -> bool:
    """Whether the method is a strategy that gives labels of its own, and buys none."""
    return method in STRATEGIES and STRATEGIES[method].gives_labels


def code_of(method: str) -> bytes:
    """The text of the plugin that brings this method, b"" if none does: results depend on it."""
    name = method.removesuffix(VALIDATION_FORM)
    plugin = plugin_with("STRATEGIES", name) or plugin_with("REFERENCES", name)
    return plugin.text if plugin else b""


def chosen_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """The methods that --methods names: the paper's for none, and every one for "all".

    Raises UserError for an unknown name.
    """
    for name in names:
        baseline = name.removesuffix(VALIDATION_FORM)
        if baseline in methods() and name not in known_methods():
            have = ", ".join(form.removesuffix(VALIDATION_FORM) for form in VALIDATION_FORMS)
            raise UserError(
                f"--methods {name}: {baseline} buys no labels, and only strategies that do have a "
                f"form with {VALIDATION_FORM}: {have}"
            )
        check_known("strategy", name, [*known_methods(), "all"])
    every = (tuple(methods()) if name == "all" else (name,) for name in names)
    return tuple(dict.fromkeys(chain(*every))) or PAPER
