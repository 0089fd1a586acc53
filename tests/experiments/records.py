"""Hand-made records of two methods, for tests of tables and pictures."""

import numpy as np
import pandas as pd

from experiments import results
from experiments.loop import RoundRecord

ACCURACIES = [0.5, 0.6, 0.7], [0.5, 0.65, 0.6]  # of the first method and of the second, by round


def curves_frame(rounds=2, seeds=(0,), methods=("margin", "salutary")) -> pd.DataFrame:
    """The first method buys ten labels a round, the second reads 40 of the validation set."""
    records = [
        RoundRecord(
            method=method,
            seed=seed,
            round=r,
            test_accuracy=accuracies[r % 3] + 0.02 * seed,
            test_log_loss=1.0 - accuracies[r % 3] - 0.02 * seed,
            test_balanced_accuracy=0.5,
            test_macro_f1=0.5,
            test_auc=np.nan,
            validation_accuracy=0.5,
            validation_loss=1.0,
            labels_bought=10 * r if first else 0,
            seconds=0.5 if first else 0.25,
            labels_initial=30,
            labels_validation=40 if r and not first else 0,
            wrong_share=np.nan,
            pick_norm=np.nan,
            gap=0.0,
            condition=10.0,
            l2=1.0,
        )
        for method, accuracies, first in zip(methods, ACCURACIES, (True, False), strict=True)
        for seed in seeds
        for r in range(rounds + 1)
    ]
    return results.curves_frame(records, "bank", "strict")
