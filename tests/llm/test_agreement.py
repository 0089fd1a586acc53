"""Agreement of stand-in and encoder, and who leads, on small tables whose figures are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from llm.agreement import agreement, gains
from llm.leaders import leader_line

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


def test_the_leader_is_compared_with_the_best_of_another_kind_on_the_same_seeds():
    accuracy = {
        "none": [0.60, 0.60],
        "random": [0.70, 0.76],
        "margin": [0.71, 0.71],
        "salutary": [0.72, 0.75],
        "salutary_plus": [0.71, 0.75],
        "labeled_plus_validation": [0.80, 0.85],
    }

    def line(*methods):
        rows = [
            {"method": method, "seed": seed, "round": int(method != "none"), "tuned": value}
            for method in methods
            for seed, value in enumerate(accuracy[method])
        ]
        return leader_line(pd.DataFrame(rows), 1_000)

    assert line(*accuracy) == (
        "1,000 labels: Salutary leads with 73.5 ± 2.1 %; it is 0.5 ± 2.1 points above Random, the "
        "best of the methods that buy their labels, and ahead on 1 of 2 seeds; Labeled + valid. is "
        "9.0 ± 1.4 points above it"
    )
    assert "Random leads with 73.0 ± 4.2 %; it is 13.0 ± 4.2 points above No added labels, and" in (
        line("none", "random", "margin")
    )
    accuracy["none"] = [0.9, 0.9]
    assert (
        "No added labels leads with 90.0 ± 0.0 %; it is 16.5 ± 2.1 points above Salutary, the "
        in (line("none", "salutary", "salutary_plus"))
    )
