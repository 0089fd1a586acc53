"""The answer of label.py on whole tables: random labels, and a rare class that loses."""

import sys

import pytest

from tests.helpers import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import labels as benchmark


@pytest.mark.slow
def test_random_labels_are_advised_against(tmp_path):
    """A draw of benchmarks/labels.py, but of few labels; docs/label.md has twenty whole draws."""
    done = benchmark.trial(tmp_path, "random-skewed", 100, "--budget=20", "--method=salutary")
    assert not done.found["use"]


def test_a_rare_class_that_is_found_less_often_is_named(tmp_path):
    options = ("--budget=30", "--l2=20", "--method=salutary")
    done = benchmark.trial(tmp_path, "rare-collected", 100, *options)
    assert done.losing_classes == ["yes"]
    assert not done.found["use"]
    assert done.with_labels.accuracy > done.without.accuracy  # as a churn table hides it
