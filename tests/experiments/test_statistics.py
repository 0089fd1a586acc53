"""Statistics against scipy's own tests and hand-made curves."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel, wilcoxon

from common.kinds import MetricName
from experiments import statistics
from experiments.metrics import ACCURACY, METRICS, by_round


def curves(table):
    """Curves from {method: array (seeds, rounds + 1)} of accuracies in %."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "seed": seed,
                "round": r,
                "test_accuracy": value / 100,
                "test_log_loss": -value,
                "test_auc": value / 100 if seed else np.nan,  # undefined in the first seed
            }
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
    area = statistics.aulc(by_round(curves({"a": np.array([[50.0, 60.0, 80.0]])})))
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


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_of_log_losses_the_smaller_is_better():
    """The negative of an accuracy has its verdicts, rivals and penalties."""
    table, log_loss = curves(drawn()), METRICS[MetricName.LOG_LOSS]
    expected, found = (statistics.summary(table, (), m) for m in (ACCURACY, log_loss))
    same = ["against", "p", "verdict", "seeds", "final_sd", "aulc_sd"]
    pd.testing.assert_frame_equal(found[same], expected[same])
    np.testing.assert_allclose(found[["final", "aulc"]], -expected[["final", "aulc"]])
    assert "worse" in set(found["verdict"])
    found, expected = (statistics.penalties([table], m) for m in (log_loss, ACCURACY))
    pd.testing.assert_frame_equal(found, expected)


def test_seeds_without_a_value_are_left_out(no_warnings):
    table = curves(drawn())
    defined = table[table["seed"] > 0]
    auc = METRICS[MetricName.AUC]
    pd.testing.assert_frame_equal(
        statistics.summary(table, (), auc), statistics.summary(defined, (), ACCURACY)
    )
    pd.testing.assert_frame_equal(
        statistics.penalties([table], auc), statistics.penalties([defined], ACCURACY)
    )
    nowhere = statistics.summary(table[table["seed"] == 0], (), auc)
    assert nowhere[["final", "aulc", "p"]].isna().all(axis=None)
    assert (nowhere["verdict"] == "").all()
    assert (statistics.penalties([table[table["seed"] == 0]], auc) == 0).all(axis=None)


@pytest.mark.parametrize("seeds", [1, 2, 5, 15])
def test_ties_constants_and_few_seeds_raise_no_warning(seeds, no_warnings):
    """The same but for rounding, higher by a constant, and higher in the last seed alone."""
    good = drawn(seeds)["good"].round(1)
    last = good + (np.arange(seeds) == seeds - 1)[:, None]
    table = curves({"a": good, "same": good + 1e-12, "above": good + 0.1, "last": last})
    out = statistics.summary(table)
    wins = statistics.penalties([table])
    assert wins.loc["same", "a"] == wins.loc["a", "same"] == wins.loc["last", "a"] == 0
    assert wins.loc["above", "a"] == (seeds > 1)
    if seeds > 1:
        assert (out["p"] <= 1).all()


@pytest.mark.parametrize("methods", [3, 18])
def test_the_seeds_that_a_comparison_is_said_to_need_are_those_it_needs(methods):
    """Every method is as far from the others in each seed as can be: p is the smallest there is."""

    def compared(seeds):
        drift = np.linspace(0, 0.4, seeds)[:, None]  # no two differences are tied
        table = {f"m{i}": 50.0 - i + (1 + i) * drift.repeat(2, 1) for i in range(methods)}
        return statistics.summary(curves(table))

    few = compared(2)
    said = statistics.reach(few)
    least, enough = re.search(r"reach is (.+), so no ▲ or ▼ can appear; (\d+) seeds", said).groups()
    assert said.startswith(f"2 seeds: the smallest p that {methods} methods can reach is")
    assert few["p"].min() == pytest.approx(float(least), abs=5e-4)
    assert (compared(int(enough) - 1)["verdict"] == "").all()
    assert (compared(int(enough))["verdict"] != "").any()
    assert statistics.reach(compared(int(enough))) == ""


def test_labels_are_counted_in_the_last_round():
    table = curves(drawn()).assign(labels_validation=lambda t: np.where(t["round"] == 0, 40, 7))
    assert set(statistics.summary(table)["labels_validation"]) == {7}
