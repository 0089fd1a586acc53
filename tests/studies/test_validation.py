"""The study of bad validation sets: how they are changed, and the gains with them."""

import numpy as np
import pandas as pd

from studies import validation
from tests.helpers import split_of


def test_validation_sets_are_changed_as_they_say_and_nothing_else_is():
    split = split_of("bank")
    found: dict[str, dict] = {}
    for varied, level, changed in validation.validation_sets(split, 0):
        found.setdefault(varied, {})[level] = changed
        for part in ("X", "rows", "labeled", "pool", "test"):
            assert getattr(changed, part) is getattr(split, part)
        assert np.isin(changed.validation, split.validation).all()
        assert len(np.unique(changed.validation)) == len(changed.validation)
    size = len(split.validation)
    assert [len(s.validation) for s in found["size"].values()] == [10, 30, 100, 300, size]
    for percent, changed in found["noise"].items():
        wrong = np.flatnonzero(changed.y != split.y)
        assert len(wrong) == round(size * percent / 100)
        assert np.isin(wrong, split.validation).all()
    (kept,) = {len(changed.validation) for changed in found["imbalance"].values()}
    for percent, changed in found["imbalance"].items():
        share = 100 * np.mean(changed.y[changed.validation] == 0)
        assert abs(share - percent) <= 50 / kept + 1e-9
    X = split.X[np.append(split.labeled, split.pool)]
    direction = np.linalg.svd(X - X.mean(0), full_matrices=False)[2][0]
    means = [(s.X[s.validation] @ direction).mean() for s in found["shift"].values()]
    assert (np.diff(means) < 0).all() or (np.diff(means) > 0).all()
    assert {len(s.validation) for s in found["shift"].values()} == {round(size / 10)}


def test_validation_of_full_size_is_the_plain_run_and_noise_hurts(explored, compared):
    curves, _ = compared
    table = pd.read_csv(explored / "validation.csv").set_index(["varied", "level"])
    accuracy = curves.pivot(index=["method", "seed"], columns="round", values="test_accuracy")
    gains = 100 * (accuracy[2] - accuracy[0]).groupby("method").mean()
    last = curves[curves["round"] == 2].groupby("method")["wrong_share"].mean()
    for level in (("size", 114), ("noise", 0)):
        np.testing.assert_allclose(table.loc[level, gains.index].astype(float), gains, atol=1e-5)
        for rule in ("salutary", "salutary_plus"):
            labels_true = table.loc[level, f"{rule}_labels_true"]
            np.testing.assert_allclose(labels_true, 100 * (1 - last[rule]), atol=1e-5)
    assert table.loc[("noise", 50), "salutary"] < table.loc[("noise", 0), "salutary"]


def test_one_seed_is_enough_for_the_sentences(bench_of, monkeypatch):
    monkeypatch.setattr(validation, "SIZES", (10, 30))
    bench = bench_of("breast_cancer", rounds=1, budget=1)
    assert "% are true with 10 validation rows" in validation.validation(bench).sentences[0]
