"""The study of the numbers of picks and labels, against the main script."""

import numpy as np
import pandas as pd

import main_binary


def test_budget_gains_are_those_of_the_main_script(small, explored, compared, tmp_path):
    curves, _ = compared
    table = pd.read_csv(explored / "budget.csv").set_index(["varied", "level"])
    assert table.loc["picks in a round"].index.tolist() == [1, 3, 5]
    assert table.loc["labeled rows at the start"].index.tolist() == [50, 100, 200, 300]
    methods = "--init 50 --methods salutary_plus --protocol strict --no-plot --quiet".split()
    assert main_binary.main([*small, *methods, "--out", str(tmp_path)]) == 0
    fewer = pd.read_csv(tmp_path / "breast_cancer-strict/curves.csv")
    for curve, level in (
        (curves, ("picks in a round", 3)),
        (curves, ("labeled rows at the start", 100)),
        (fewer, ("labeled rows at the start", 50)),
    ):
        accuracy = curve.pivot(index=["method", "seed"], columns="round", values="test_accuracy")
        gains = 100 * (accuracy[2] - accuracy[0]).groupby("method").mean()
        np.testing.assert_allclose(table.loc[level, gains.index].astype(float), gains, atol=1e-5)
