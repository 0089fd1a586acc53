"""References: no picks, but what the validation labels, or all labels, give to train on."""

import numpy as np

from data_utils import Split
from strategies.base import Reference


def _labeled_and_validation(split: Split) -> np.ndarray:
    return np.append(split.labeled, split.validation)


def _labeled_and_pool(split: Split) -> np.ndarray:
    return np.append(split.labeled, split.pool)


# What the validation labels give if they are trained on, not read by the influence.
labeled_plus_validation = Reference(
    "labeled_plus_validation",
    "Labeled + valid.",
    "no picks: trained on the labeled and the validation rows",
    _labeled_and_validation,
    reads_validation=True,
)

# What every label of the pool gives: each strategy that buys true labels ends here.
full_pool = Reference(
    "full_pool",
    "Full pool",
    "no picks: trained on the labeled rows and the whole pool",
    _labeled_and_pool,
)
