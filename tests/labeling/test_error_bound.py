"""Labels within a bound on their error: the bound, the test of the source, the command."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, binomtest, hypergeom
from sklearn.dummy import DummyClassifier

from data_prep.places import SHIPPED
from labeling import bound_model, source_test
from labeling.bound_model import BOTH, Judged, judge, out_of_fold, two_fits
from labeling.error_bound import last_step, search, upper_bound
from labeling.labeler import SalutaryLabeler
from labeling.records import LabeledRows, split_off
from labeling.source_test import Rows, compare_sources
from tests.helpers import error_of


def test_the_bound_is_that_of_clopper_and_pearson_and_not_below_the_hypergeometric_one():
    exact = binomtest(7, 200, alternative="less").proportion_ci(0.95, "exact").high
    assert upper_bound(7, 200, 10**7) == pytest.approx(exact, rel=1e-3)
    covered = 150  # so few rows that chance among them matters
    most = round(upper_bound(7, 200, covered) * covered)
    likely = [hypergeom.cdf(7, 200 + covered, 7 + wrong, 200) for wrong in (most, most + 1)]
    assert likely[0] > 0.05 >= likely[1]
    assert most / covered > exact
    assert upper_bound(3, 3, 10) == upper_bound(0, 0, 10) == 1


def test_the_promise_is_broken_in_at_most_a_twentieth_of_draws():
    """Rows of known error rate: 1 − confidence for the true source, and drawn from it."""
    rng, broken, labeled = np.random.default_rng(0), 0, 0
    for _ in range(100):
        parts = []
        for size in (600, 600, 800):  # choosing, calibration, pool
            confidence = rng.uniform(0.7, 1, size)
            errs = rng.random(size) < 1 - confidence
            parts.append(Judged(confidence, errs))
        chosen, judged, pool = parts
        threshold, _ = last_step(pool.confidence, judged, chosen, 0.1)
        if threshold is not None:
            rows, wrong = pool.above(threshold)
            broken += wrong > 0.1 * rows
            labeled += rows
    assert broken <= binom.ppf(0.999, 100, 0.05)
    assert labeled / 100 / 800 > 0.2  # two thirds lie above 0.8, and there 10 % are wrong


@pytest.fixture
def few_trees(monkeypatch):
    """A forest that is quick to grow."""
    monkeypatch.setattr(bound_model, "TREES", 20)


def test_the_model_is_taken_whose_errors_come_last(few_trees):
    """One forest, one linear model: each wins where it should, by an oracle's count."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    straight, ring = X[:, 0] + 0.5 * rng.normal(size=600) > 0, (X**2).sum(1) > 2.4
    labeler = SalutaryLabeler(l2=1.0, random_state=0)
    for y, worst in ((straight, "a random forest"), (ring, "the linear model with l2 = 1")):
        labeled, validation = (LabeledRows(X[r], y[r]) for r in (slice(200), slice(200, 600)))
        half = np.arange(400) % 2 == 0
        fits = two_fits(labeler, labeled.joined(validation[half]))
        tried = out_of_fold(fits, labeled, validation[half], 0)
        assert list(tried) == ["the linear model with l2 = 1", "a random forest", BOTH]
        for judged in tried.values():
            in_order = judged.errs[np.argsort(-judged.confidence, kind="stable")]
            risks = [in_order[:n].mean() for n in range(1, 201)]
            assert judged.risk_coverage_area == pytest.approx(np.mean(risks))
        areas = {name: judged.risk_coverage_area for name, judged in tried.items()}
        assert max(areas, key=areas.get) == worst
    found = search(labeled, validation, fits=fits, chooses=half, seed=0)
    assert areas[found.name] == min(areas.values())
    linear, forest = (fit(labeled.joined(validation[~half])) for fit in fits.values())
    P = (linear.predict_proba(X) + forest.predict_proba(X)) / 2
    np.testing.assert_allclose(found.onlookers[0].predict_proba(X), P, rtol=0, atol=1e-12)
    assert judge(found.onlookers[0], P, ring).errs.mean() == (((P[:, 1] > 0.5) != ring).mean())


def test_the_users_estimator_takes_the_place_of_the_forest(arrays):
    (X, y), (X_val, y_val), (pool, _) = arrays
    labeler = SalutaryLabeler(l2=10.0, estimator=DummyClassifier()).fit(X, y, X_val, y_val)
    bound = labeler.label_within(pool, max_error=0.15).bound
    assert list(bound.areas) == ["the linear model with l2 = 10", "your estimator", BOTH]
    assert bound.areas["your estimator"] > 0.5  # one answer for three classes; a forest has 0.1
    assert bound.model != "your estimator"


@pytest.fixture
def few_exchanges(monkeypatch):
    """A coarser p-value that costs a fifth."""
    monkeypatch.setattr(source_test, "EXCHANGES", 199)


def test_the_source_test_warns_of_a_shift_and_seldom_without_one(few_exchanges):
    rng = np.random.default_rng(0)
    same, shifted = [], []
    for _ in range(40):
        first, second = (
            Rows(rng.normal(size=(n, 5)), rng.dirichlet([1, 1, 1], n), np.arange(n) % 2)
            for n in (200, 400)
        )
        same.append(compare_sources(first, second, rng).differs)
        moved = replace(second, X=second.X + [0.5, 0, 0, 0, 0])
        shifted.append(compare_sources(first, moved, rng).differs)
    assert sum(same) <= binom.ppf(0.999, 40, 0.05)
    assert sum(shifted) >= 36


def test_the_source_test_warns_of_another_class_mix_that_hides_among_many_features(few_exchanges):
    """Half of the first class's rows are missing; only the model's answers tell the class."""
    rng = np.random.default_rng(0)
    warned = []
    for _ in range(20):
        sets = []
        for n, share in ((300, 0.5), (900, 1 / 3)):
            P = rng.dirichlet([1, 1, 1], n)
            P[:, 0] += (rng.random(n) < share) * 3
            P /= P.sum(1, keepdims=True)
            sets.append(Rows(rng.normal(size=(n, 40)), P, np.arange(n) % 2))
        warned.append(compare_sources(*sets, rng).differs)
    assert sum(warned) >= 18


def test_rows_of_two_models_that_answer_otherwise_are_of_one_source(few_exchanges):
    """Of one set most rows are judged by the first model, of the other by the second."""
    rng, warned = np.random.default_rng(0), []
    for _ in range(20):
        sets = []
        for n, share in ((300, 0.2), (300, 0.8)):
            model = (rng.random(n) < share).astype(int)
            p = rng.beta(2 + 6 * model, 3)
            sets.append(Rows(rng.normal(size=(n, 3)), np.column_stack([p, 1 - p]), model))
        warned.append(compare_sources(*sets, rng).differs)
    assert sum(warned) <= binom.ppf(0.999, 20, 0.05)


@pytest.fixture(scope="module")
def arrays():
    """Labeled, validation and pool rows of the shipped waveform, and the true classes."""
    frame = pd.read_csv(SHIPPED / "waveform/waveform.csv.gz").sample(frac=1, random_state=3)
    X, y = frame.drop(columns="class").to_numpy(), frame["class"].to_numpy()
    return [(X[rows], y[rows]) for rows in np.split(np.arange(1_900), [300, 1_100])]


def test_labels_within_in_python(arrays, few_trees):
    (X, y), (X_val, y_val), (pool, true) = arrays
    labeler = SalutaryLabeler(l2=10.0).fit(X, y, X_val, y_val)
    found = labeler.label_within(pool, max_error=0.15)
    given, left, bound = found.labels.given, found.labels.for_a_person, found.bound
    assert sorted([*given.rows, *left.rows]) == list(range(len(pool)))
    assert len(given) == bound.covered > 300
    assert bound.holds
    assert bound.bound <= 0.15
    assert given.probability.min() >= bound.threshold > left.probability.max()
    assert (np.diff(given.probability) <= 0).all()
    assert (given.labels != true[given.rows]).mean() <= 0.15
    again = labeler.label_within(pool, max_error=0.15)
    assert again.bound == bound
    # The calibrating rows are not trained on: with other classes, they change no label.
    half = split_off(y_val, 0.5, np.random.default_rng(0))
    parts = LabeledRows(X, y), LabeledRows(X_val, y_val)
    spoilt = LabeledRows(X_val, np.where(half, y_val, 1))
    fits = two_fits(labeler, parts[0].joined(parts[1][half]))
    first, second = (
        search(parts[0], rows, fits=fits, chooses=half, seed=0) for rows in (parts[1], spoilt)
    )
    np.testing.assert_array_equal(first.model.predict_proba(pool), second.model.predict_proba(pool))
    assert second.labels(pool, 0.15).bound.covered == 0
    shifted = labeler.label_within(pool + np.eye(40)[3] * 2, max_error=0.15).bound
    assert shifted.source.differs
    assert not shifted.holds


@pytest.mark.parametrize("share", [0, 1, -0.1, 5, float("nan"), "5%", True])
def test_no_share_is_a_value_error(share, arrays):
    (X, y), (X_val, y_val), (pool, _) = arrays
    labeler = SalutaryLabeler(l2=10.0).fit(X, y, X_val, y_val)
    with pytest.raises(ValueError, match="give a share between 0 and 1"):
        labeler.label_within(pool, share)
    with pytest.raises(ValueError, match="at least 59 rows must calibrate"):
        SalutaryLabeler(l2=10.0).fit(X, y, X_val[:60], y_val[:60]).label_within(pool, 0.05)


# --- the command ----------------------------------------------------------------------------------


def bounded(run, folder, *options, **files):
    """label.py without the budget that the fixture gives."""
    return run(folder, *options, without=("--budget",), **files)


def test_the_command_labels_what_the_bound_covers_and_leaves_the_rest(folder, capsys, run, cells):
    assert bounded(run, folder, "--max-error=20%", anyway=False) == 0
    printed = capsys.readouterr().out
    plus, left = cells(folder / "plus.csv"), cells(folder / "plus_left.csv")
    found = json.loads((folder / "plus.json").read_text())
    bound = found["max_error"]
    assert len(plus) - 120 == bound["covered"] > 100
    assert len(plus) - 120 + len(left) == bound["pool_rows"] == 400
    assert (bound["choosing"] + bound["calibration"], bound["holds"]) == (300, True)
    assert sum(found["file"]["labels_given"].values()) == bound["covered"]
    assert f"at most 20 % of these {bound['covered']} labels are wrong: use the labels." in printed
    probability = left["probability"].astype(float)
    assert probability.is_monotonic_increasing  # two classes: least sure first
    rows = {*plus["source_row"][120:], *left["source_row"]}
    assert len(rows) == 400
    page = (folder / "plus.html").read_text("utf-8")
    assert "How many of the labels are wrong?" in page
    assert '"bounded":true' in page


def test_a_shifted_pool_gets_no_labels_unless_anyway(folder, capsys, run, cells):
    pool = cells(folder / "pool.csv")
    pool["age"] = (pool["age"].astype(int) + 15).astype(str)
    pool.to_csv(folder / "pool.csv", index=False)
    assert bounded(run, folder, "--max-error=0.2", anyway=False) == 3
    printed = capsys.readouterr().out
    assert "do not look like one source, so no bound holds: do not use the labels" in printed
    assert "plus.csv is not written: --anyway writes it" in printed
    assert not (folder / "plus.csv").exists()
    assert bounded(run, folder, "--max-error=0.2") == 0
    assert json.loads((folder / "plus.json").read_text())["max_error"]["holds"] is False


def test_if_nothing_can_be_promised_all_rows_are_left(folder, capsys, run, cells):
    assert bounded(run, folder, "--max-error=0.021") == 0
    printed = capsys.readouterr().out
    assert "of no set of pool rows is it certain that at most 2.1 %" in printed
    assert "do not use the labels" in printed
    assert (len(cells(folder / "plus.csv")), len(cells(folder / "plus_left.csv"))) == (120, 400)


@pytest.mark.parametrize(
    ("options", "files", "message"),
    [
        (
            ["--max-error=0.05", "--budget=5"],
            {},
            "--budget is for salutary labels, and --max",
        ),
        (["--max-error=0.05", "--abstain=20%"], {}, "--abstain is for salutary labels"),
        (["--max-error=1.5"], {}, "'1.5' is no share between 0 and 1"),
        (["--max-error=0%"], {}, "'0%' is no share"),
        (["--max-error=0.01"], {}, "at least 299 rows must calibrate, but of 300 validation rows"),
        (
            ["--max-error=0.1"],
            {"validation": None},
            "of 30 validation rows only 15 are left",
        ),
        (["--abstain=0%"], {}, "'0%' is no share"),
        (["--abstain=fifth"], {}, "'fifth' is not a number of 0 or more"),
    ],
)
def test_bad_input_ends_in_one_line(options, files, message, folder, capsys, run):
    before = sorted(folder.iterdir())
    given = any(option.startswith("--budget") for option in options)
    assert run(folder, *options, without=() if given else ("--budget",), **files) == 2
    assert message in error_of(capsys)
    assert sorted(folder.iterdir()) == before


# --- abstain as a share ---------------------------------------------------------------------------


def test_a_share_leaves_the_closest_of_the_picks(arrays):
    (X, y), (X_val, y_val), (pool, _) = arrays
    labeler = SalutaryLabeler("salutary", l2=10.0).fit(X, y, X_val, y_val)
    free, given = labeler.label(pool, 20), labeler.label(pool, 20, abstain="20%")
    np.testing.assert_array_equal(given.rows, free.rows)
    margin = free.benefit - free.runner_up
    assert set(np.flatnonzero(given.left)) == set(np.argsort(margin)[:4])
    for wrong in ("20", "0%", "100%", "x%", -1.0):
        with pytest.raises(ValueError, match="20%|give a number of 0 or more"):
            labeler.label(pool, 5, abstain=wrong)


def test_the_command_leaves_a_fifth(folder, run, cells):
    assert run(folder, "--abstain=20%", "--budget=10", "--method=salutary", "--rounds=1") == 0
    assert (len(cells(folder / "plus.csv")), len(cells(folder / "plus_left.csv"))) == (128, 2)
