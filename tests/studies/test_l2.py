"""The study of the penalty, against the main script."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import main_binary
from common.kinds import Protocol
from studies import bench
from studies.wording import value_range


def test_l2_is_what_the_main_script_says_with_a_number_and_with_the_rule(
    small, explored, compared, bench_of, tmp_path
):
    """The description of a bench under tuned names the chosen values too."""
    table = pd.read_csv(explored / "l2.csv").set_index("level")
    assert table.index.tolist() == ["1", "20", "chosen"]
    rule = "--l2 validation --methods salutary,margin,labeled_plus_validation --no-plot --quiet"
    assert main_binary.main([*small, *rule.split(), "--out", str(tmp_path)]) == 0
    chosen = pd.read_csv(tmp_path / "breast_cancer-strict,l2=validation/curves.csv")
    for level, curves in (("1", compared[0]), ("chosen", chosen)):
        accuracy = 100 * curves.groupby(["round", "method"])["test_accuracy"].mean()
        for method, before in accuracy[0].items():
            gain = accuracy[2, method] - before
            assert table.loc[level, method] == pytest.approx(gain, abs=1e-5)
            assert table.loc[level, "before"] == pytest.approx(before, abs=1e-5)
    first = chosen[chosen["round"] == 0]["l2"]
    tuned = replace(bench_of("breast_cancer", seeds=(0, 1)), protocol=Protocol.TUNED)
    assert f"l2 of these seeds {value_range(first)}" in tuned.describe()


def test_an_l2_is_chosen_once_for_a_split_and_anew_for_a_changed_one(bench_of, monkeypatch):
    asked = []
    choose = bench.initial_l2
    monkeypatch.setattr(bench, "initial_l2", lambda *of: asked.append(of) or choose(*of))
    tuned = replace(bench_of("breast_cancer", seeds=(0, 1)), protocol=Protocol.TUNED)
    chosen = tuned.choose_l2()
    assert len(asked) == len(chosen) == 2
    knowing = replace(tuned, chosen=chosen)
    split = knowing.split(1)
    assert knowing.features(split, 1).l2 == tuned.l2(split, 1) == list(chosen.values())[1]
    assert knowing.describe() == tuned.describe()
    assert len(asked) == 5  # two of them by tuned.describe()
    few, wrong = split.validation[:30], np.roll(split.y, 1)
    for changed in (replace(split, validation=few), replace(split, y=wrong)):
        assert knowing.l2(changed, 1) == tuned.l2(changed, 1)
    assert len(asked) == 9
