"""Statistics against scipy's own tests and hand-made curves."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel, wilcoxon

from experiments import statistics


def curves(table):
    """Curves from {method: array (seeds, rounds + 1)} of accuracies in %."""
    return pd.DataFrame(
        [
            {"method": method, "seed": seed, "round": r, "test_accuracy": value / 100}
            for method, values in table.items()
            for seed, row in enumerate(values)
            for r, value in enumerate(row)
        ]
    )


def drawn(seeds=12, rounds=5):
    rng = np.random.default_rng(0)
    base = 70 + rng.normal(size=(seeds, 1)) + np.arange(rounds + 1)
    return {
        "zeta": base + rng.normal(0, 0.1, base.shape),
        "good": base + 1 + rng.normal(0, 0.3, base.shape),
        "alpha": base + 0.9 + rng.normal(0, 0.3, base.shape),
        "bad": base - 2 + rng.normal(0, 0.3, base.shape),
    }


def test_aulc_is_the_mean_height_of_the_curve():
    area = statistics.aulc(statistics.accuracies(curves({"a": np.array([[50.0, 60.0, 80.0]])})))
    assert area.iloc[0] == pytest.approx((55 + 70) / 2)


def test_summary_is_what_scipy_says_of_every_pair_corrected_by_holm():
    table = drawn()
    out = statistics.summary(curves(table))
    assert list(out.index) == list(table)
    area = {m: np.trapezoid(v, axis=1) / 5 for m, v in table.items()}
    best, second = sorted(area, key=lambda m: -area[m].mean())[:2]
    raw = {}
    for method in table:
        rival = second if method == best else best
        assert out.loc[method, "against"] == rival
        assert out.loc[method, "aulc"] == pytest.approx(area[method].mean())
        assert out.loc[method, "final_sd"] == pytest.approx(table[method][:, -1].std(ddof=1))
        raw[method] = wilcoxon(area[method] - area[rival]).pvalue
    running = 0.0
    for place, method in enumerate(sorted(raw, key=raw.get)):  # Holm, by hand
        running = max(running, min(1.0, (len(raw) - place) * raw[method]))
        assert out.loc[method, "p"] == pytest.approx(running)
    assert out.loc["bad", "verdict"] == "worse"
    assert out.loc["zeta", "verdict"] == "worse"
    assert out.loc[best, "verdict"] in ("", "better")


def test_equal_methods_are_not_told_apart_and_one_seed_tells_nothing():
    values = drawn()["good"]
    out = statistics.summary(curves({"a": values, "b": values.copy()}))
    assert out["p"].tolist() == [1.0, 1.0]
    assert out["verdict"].tolist() == ["", ""]
    assert statistics.summary(curves({"a": values[:1], "b": values[:1] + 1}))["p"].isna().all()


def test_penalties_count_the_rounds_that_a_paired_t_test_decides():
    table = drawn()
    matrix = statistics.penalties([curves(table), curves(table)])
    for i in table:
        for j in table:
            wins = 0
            for r in range(1, 6):
                test = ttest_rel(table[i][:, r], table[j][:, r])
                wins += test.pvalue < 0.05 and test.statistic > 0
            assert matrix.loc[i, j] == pytest.approx(2 * wins / 5)
    assert (np.diag(matrix) == 0).all()
    assert matrix.loc["good", "bad"] == 2


def test_references_are_shown_but_neither_tested_nor_rivals():
    table = drawn()
    table["everything"] = table["good"] + 5
    out = statistics.summary(curves(table), {"everything"})
    assert np.isnan(out.loc["everything", "p"])
    assert "everything" not in set(out["against"])
    expected = statistics.summary(curves(drawn()))
    pd.testing.assert_frame_equal(out.drop("everything"), expected, check_names=False)
