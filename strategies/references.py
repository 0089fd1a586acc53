"""References: no picks, but what other labels give to train on.

They are true labels of the validation rows or of the pool, or labels that semi-supervised learning
gives the whole pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from strategies.base import Reference
from strategies.semi_supervised import LIBRARIES, self_trained_labels, spread_labels

if TYPE_CHECKING:  # what --list need not wait for
    from data_utils import Split


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

# If labels are free, why not label everything? No validation label is read here.
self_training_pool = Reference(
    "self_training_pool",
    "Self-trained pool",
    "no picks: trained on the labeled rows and the whole pool, which self-training labels",
    _labeled_and_pool,
    label_pool=self_trained_labels,
    libraries=LIBRARIES,
)

label_spreading_pool = Reference(
    "label_spreading_pool",
    "Spread pool",
    "no picks: trained on the labeled rows and the whole pool, which label spreading labels",
    _labeled_and_pool,
    label_pool=spread_labels,
    libraries=LIBRARIES,
)
