"""Agreement of stand-in and encoder, on small tables whose figures are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from llm.agreement import agreement, gains

STAND_IN = {"none": 0.5, "random": 0.6, "margin": 0.7, "salutary": 0.9}
TUNED = {"none": 0.6, "random": 0.8, "margin": 0.7, "salutary": 0.9}


def trainings(stand_in=STAND_IN, tuned=TUNED) -> pd.DataFrame:
    """Two seeds that differ by 0.02 in every accuracy, and a first round that gained nothing."""
    records = [
        {
            "method": method,
            "seed": seed,
            "round": number,
            "stand_in": stand_in[method if number != 1 else "none"] + 0.02 * seed,
            "tuned": tuned[method if number != 1 else "none"] - 0.02 * seed,
            "agreement": 0.75,
        }
        for method in stand_in
        for number in ([0] if method == "none" else [1, 2])
        for seed in (0, 1)
    ]
    return pd.DataFrame(records)


def test_a_gain_is_the_last_round_less_no_added_labels_on_the_same_seed():
    found = gains(trainings(), "tuned")
    for method, accuracy in TUNED.items():
        np.testing.assert_allclose(found[method], [accuracy - 0.6] * 2)


def test_gains_correlate_over_strategies_and_not_over_references():
    reference = {"full_pool": 0.1}
    found = agreement(trainings(STAND_IN | reference, TUNED | reference))
    assert found.strategies == 3
    assert found.share == pytest.approx(0.75)
    assert found.pearson == pytest.approx(pearsonr([0.1, 0.2, 0.4], [0.2, 0.1, 0.3]).statistic)
    assert found.spearman == pytest.approx(0.5)


@pytest.mark.parametrize(
    "stand_in",
    [
        {name: STAND_IN[name] for name in ("none", "random", "margin")},
        dict.fromkeys(STAND_IN, 0.5),
    ],
    ids=["two strategies", "all alike"],
)
def test_the_correlation_needs_three_strategies_that_differ(stand_in):
    assert "needs three strategies that differ" in str(agreement(trainings(stand_in)))
