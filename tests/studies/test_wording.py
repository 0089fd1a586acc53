"""The words for differences over seeds."""

import numpy as np

from studies.seed_statistics import clearly_positive
from studies.wording import value_range, verdict, with_interval


def test_words_for_differences_follow_their_interval():
    up = [1.0, 1.1, 0.9, 1.0, 1.0]
    assert verdict(up) == "higher by 1.00 ± 0.09 points"
    assert verdict(-np.array(up)) == "lower by 1.00 ± 0.09 points"
    assert verdict([1, -1, 1, -1, 0.5]) == "not clearly different (+0.10 ± 1.27 points)"
    assert "too few seeds to tell" in verdict([5.0, 5.0])
    assert with_interval(up) == "1.00 ± 0.09"
    assert with_interval([2.0, 4.0]) == "3.00"
    assert value_range([21.54, 8.254]) == "8.25 to 21.5"
    assert value_range([21.54, 21.54]) == "21.5"
    assert value_range([0.01, 1000.0]) == "0.01 to 1000"
    assert clearly_positive(up)
    assert not clearly_positive(up[:4])
    assert not clearly_positive([1, -1, 1, -1, 0.5])
