"""The measurement: who is held out, and when a gain is clear."""

import numpy as np
import pytest

from labeling import cross_validation


def test_a_gain_is_clear_only_with_the_corrected_variance():
    """Nadeau and Bengio's t statistic, by hand, for ten differences over five folds."""
    differences = np.array([3, 1, 2, 4, 0, 2, 3, 1, 2, 2]) / 100
    gain = cross_validation.paired(differences)
    assert gain.mean == pytest.approx(0.02)
    assert gain.half == pytest.approx(2.2622 * np.std(differences, ddof=1) * 0.35**0.5, rel=1e-4)
    assert not cross_validation.paired(differences - 0.008).clear
    assert cross_validation.paired(differences).clear


def test_every_row_is_held_out_once_and_rare_classes_never():
    y = np.repeat([0, 1, 2], [60, 13, 9])
    parts = cross_validation.deal(y, np.random.default_rng(0))
    assert (parts[y == 2] == -1).all()
    assert set(np.bincount(parts[y < 2])) <= {14, 15}
    assert [set(np.bincount(parts[y == c])) for c in (0, 1)] == [{12}, {2, 3}]
