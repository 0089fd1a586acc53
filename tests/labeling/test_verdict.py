"""The advice of label.py on true and on random labels."""

import sys

from tests.helpers import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import labels as benchmark


def test_random_labels_are_advised_against_and_true_ones_lose_nothing(tmp_path):
    """benchmarks/labels.py with fewer seeds and labels; its ten seeds are in the README."""
    for kind in benchmark.KINDS[1:]:
        assert not benchmark.trial(tmp_path, 0, kind, "--budget=40").says_use
    result = benchmark.trial(tmp_path, 1, "true", "--budget=40")
    assert not result.says_use or result.with_labels >= result.without
