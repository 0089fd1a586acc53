"""The study of the boundary, against the loop."""

import pandas as pd
import pytest


def test_boundary_agrees_with_the_loop(explored, last_rounds):
    boundary = pd.read_csv(explored / "boundary.csv").set_index("rule")
    last = last_rounds("breast_cancer", pca=2, init=30)
    after, share = 100 * last["test_accuracy"].mean(), 100 * last["wrong_share"].mean()
    assert boundary.loc["salutary", "accuracy_after"] == pytest.approx(after, abs=1e-5)
    assert boundary.loc["salutary", "not_true"] == pytest.approx(share, abs=1e-5)
