"""All methods on all seeds: whoever runs beside, the same records."""

from dataclasses import asdict, replace

import pytest

from common.errors import UserError
from experiments.runner import Plan, run_methods
from strategies.registry import methods
from tests.helpers import split_of, strict

SETTINGS = strict(rounds=3, budget=5)


def without(records, *keys):
    """As text, where NaN equals NaN."""
    return str([{k: v for k, v in asdict(record).items() if k not in keys} for record in records])


def test_a_method_does_the_same_whoever_runs_beside_it():
    def curve_of_random(names):
        records, _ = run_methods(Plan(lambda seed: split_of("bank"), SETTINGS, names), [0])
        return without([r for r in records if r.method == "random"], "seconds")

    assert curve_of_random(["random"]) == curve_of_random(["pred_infl", "salutary", "random"])


def test_round_zero_is_the_same_for_every_method_and_rounds_are_told():
    told = []
    plan = Plan(lambda seed: split_of("bank"), SETTINGS, list(methods()))
    records, _ = run_methods(plan, [0], on_rounds=told.append)
    assert len({r.test_accuracy for r in records if r.round == 0}) == 1
    assert sum(told) == len(records) == 4 * len(methods())


def test_failing_arithmetic_becomes_a_message():
    plan = Plan(lambda s: split_of("bank"), replace(SETTINGS, l2=1e-300), ["random"])
    with pytest.raises(UserError, match=r"random, seed 0: .* larger l2"):
        run_methods(plan, [0])
