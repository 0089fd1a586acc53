"""What --list prints: the data sets and the strategies, a line each.

Nothing here waits for torch, scikit-learn or pandas, so that --list answers at once.
"""

from collections.abc import Iterable
from pathlib import Path

from common.kinds import LabelSource
from common.plugins import use_files
from common.registry import check_free
from data_prep.catalogue import DATASETS, SCRIPTS
from data_prep.places import state
from strategies.base import Reference
from strategies.registry import REFERENCES, STRATEGIES, VALIDATION_FORM, methods

LABELS = {LabelSource.TRUE: "true labels, bought", LabelSource.OWN: "no label bought"}


def use_plugins(paths: Iterable[Path], model: str = "") -> None:
    """Add what these files bring to the strategies, the references and the data sets.

    model : what --model names.
    Raises UserError if one of them cannot be used, or if a name or a title is taken.
    """
    use_files(paths, model)
    methods = {**STRATEGIES.data, **REFERENCES.data}
    check_free("method", methods, "STRATEGIES", "REFERENCES")
    check_free("data set", DATASETS.data, "DATASETS")


def data_sets_and_strategies() -> str:
    """The data sets, where each is, and the strategies."""
    lines = ["data sets"]
    for dataset in DATASETS.values():
        lines.append(
            f"  {dataset.name:14} {SCRIPTS[dataset.task]:15} {state(dataset):37} "
            f"{dataset.title}, {dataset.classes} classes ({dataset.source})"
        )
    return "\n".join([*lines, *strategy_lines()])


def strategy_lines() -> list[str]:
    """The strategies and references, with whose labels their picks get."""
    lines = ["strategies"]
    for name, method in methods().items():
        labels = "reference" if isinstance(method, Reference) else LABELS[method.labels]
        lines.append(f"  {name:23} {method.title:17} {labels:20} {method.summary}")
    return [
        *lines,
        f"A strategy that buys labels also trains on the validation rows as NAME{VALIDATION_FORM}; "
        "all leaves these forms out.",
    ]
