"""Converters of option values, and what is said at Ctrl-C."""

import argparse

import pytest

from common.cli import parse, penalty, run_command, seed_list, told_if_stopped
from common.kinds import PenaltyRule
from experiments.options import ExperimentOptions


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (3,)), ("0-4", (0, 1, 2, 3, 4)), ("7,0-2,2", (0, 1, 2, 7))]
)
def test_seed_lists(text, seeds):
    assert seed_list(text) == seeds


@pytest.mark.parametrize("given", ["isal,random", "isal random", "isal, random,isal"])
def test_methods_are_separated_by_commas_or_spaces(given):
    options, _ = parse(
        "main_binary.py", ["--methods", *given.split(), "--rounds", "1"], ExperimentOptions()
    )
    assert options.methods == ("isal", "random")


def test_a_penalty_is_a_number_above_zero_or_one_of_the_rules():
    convert = penalty(PenaltyRule.CV)
    assert convert("2.5") == 2.5
    assert convert("cv") is PenaltyRule.CV
    for wrong in ("validation", "0", "-1", "inf", "nan", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="neither cv nor a number above 0"):
            convert(wrong)


@pytest.mark.parametrize(
    ("outer", "inner", "said"),
    [
        ("two studies are kept", "", "two studies are kept"),
        ("two studies are kept", "a run is kept", "a run is kept"),
        ("", "", "no result was changed"),
    ],
)
def test_ctrl_c_says_what_is_kept(outer, inner, said, capsys):
    def action(options, given):
        with told_if_stopped(lambda: outer), told_if_stopped(lambda: inner):
            raise KeyboardInterrupt

    assert run_command("main_binary.py", ExperimentOptions(), action, []) == 130
    assert capsys.readouterr().err == f"\nstopped by Ctrl-C; {said}\n"
