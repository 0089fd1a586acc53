"""What every strategy keeps to, whichever rows it picks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from common.errors import UserError
from common.kinds import LabelSource, PenaltyRule
from experiments.loop import run
from experiments.settings import LoopSettings
from models import LogisticRegression
from strategies.base import highest
from strategies.registry import (
    PAPER,
    REFERENCES,
    STRATEGIES,
    VALIDATION_FORMS,
    chosen_methods,
    gives_own_labels,
    methods,
    titles,
)
from tests.helpers import main, pick, query_of, query_on, split_of, strict

DRAWING = ["random", "pred_infl", "badge", "typiclust", "qbc", "bald"]  # read query.rng


def test_the_registry_holds_the_papers_seven_and_only_salutary_labels_itself():
    assert " ".join(PAPER) == "random entropy margin uncertainty pred_infl isal salutary"
    assert tuple(STRATEGIES)[:7] == PAPER
    assert [name for name in PAPER if STRATEGIES[name].labels == LabelSource.OWN] == ["salutary"]


def test_the_registry_says_who_buys_and_who_refers():
    assert list(REFERENCES) == [
        "labeled_plus_validation", "full_pool", "self_training_pool", "label_spreading_pool"
    ]  # fmt: skip
    assert not set(REFERENCES) & {*PAPER, *STRATEGIES}
    own = [name for name in STRATEGIES if gives_own_labels(name)]
    assert own == ["salutary", "salutary_expected", "salutary_greedy", "salutary_plus", "pseudo",
                   "self_training", "label_spreading"]  # fmt: skip
    assert list(methods()) == [*STRATEGIES, *REFERENCES]
    assert all(name == method.name for name, method in methods().items())


def test_methods_are_chosen_by_name():
    assert chosen_methods(()) == PAPER
    assert chosen_methods(("all",)) == tuple(methods())
    both = chosen_methods(("random", "all", "margin+validation"))
    assert both == (*methods(), "margin+validation")
    with pytest.raises(UserError, match="did you mean 'salutary'"):
        chosen_methods(("random", "salutry"))


def test_all_may_stand_among_other_methods_on_the_command_line(tmp_path):
    words = "--dataset breast_cancer --init 20 --rounds 1 --budget 1 --no-plot --quiet".split()
    assert main("binary", [*words, "--methods", "salutary", "all", "--out", str(tmp_path)]) == 0
    ran = pd.read_csv(next(tmp_path.glob("*/curves.csv")))["method"]
    assert set(ran) == set(methods())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", STRATEGIES)
def test_every_strategy_picks_distinct_rows_the_same_ones_again(method, name):
    first, again = (pick(method, query_of(name)) for _ in range(2))
    assert len(set(first.rows)) == len(first.scores) == 10
    assert set(first.rows) <= set(range(len(query_of(name).X_pool)))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert np.isnan(first.scores).any() == (method == "random")
    assert (first.labels is None) == (STRATEGIES[method].labels == LabelSource.TRUE)


@pytest.mark.parametrize("method", DRAWING)
def test_random_draws_follow_the_generator(method):
    picks = [set(pick(method, query_of(seed=seed)).rows) for seed in (0, 0, 1)]
    assert picks[0] == picks[1]
    assert picks[0] != picks[2]


@pytest.mark.parametrize("method", STRATEGIES)
def test_classes_may_be_words(method):
    query = query_of("wine")
    y, y_validation = (
        np.array([f"class {label:02}" for label in labels])
        for labels in (query.y_labeled, query.y_validation)
    )
    model = LogisticRegression(query.model.l2).fit(query.X_labeled, y)
    words = replace(query, model=model, y_labeled=y, y_validation=y_validation)
    expected, picks = pick(method, query_of("wine")), pick(method, words)
    assert picks.rows.tolist() == expected.rows.tolist()
    if picks.labels is not None:
        assert picks.labels.tolist() == [f"class {label:02}" for label in expected.labels]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", STRATEGIES)
@pytest.mark.parametrize("different", [1, 2, 8])
def test_a_pool_of_twins_can_be_used_up(method, different):
    rng = np.random.default_rng(0)
    X_pool = np.tile(rng.normal(size=(different, 3)), (8 // different, 1))
    X, y = rng.normal(size=(6, 3)), np.array([0, 1, 2] * 2)
    picks = pick(method, query_on(X, y, X_pool, budget=8))
    assert sorted(picks.rows) == list(range(8))
    assert len(picks.scores) == 8


@pytest.mark.parametrize("method", STRATEGIES)
def test_a_strategy_leaves_the_models_and_arrays_it_is_shown_alone(method):
    query = query_of("bank")
    theta, labels = query.model.theta_.clone(), query.y_labeled.copy()
    pick(method, query)
    assert (query.model.theta_ == theta).all()
    assert (query.y_labeled == labels).all()


def test_twins_go_in_pool_order_however_their_scores_were_rounded():
    scores = torch.tensor([1.0, 3.0 - 1e-12, 3.0, -np.inf, 3.0 - 1e-6, 2.0], dtype=torch.float64)
    assert highest(scores, 4).tolist() == [1, 2, 4, 5]


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", STRATEGIES)
def test_the_whole_loop_runs_with_both_generators(method, name):
    split = split_of(name)
    settings = LoopSettings(rounds=2, budget=3, l2=1.0, legacy_generator=name == "bank")
    curve, picks = run(split, method, settings, 0)
    buys = STRATEGIES[method].labels == LabelSource.TRUE
    bought = [0, 3, 6] if buys else [0, 0, 0]
    assert [record.labels_bought for record in curve] == bought
    assert len({p.row for p in picks}) == 6
    true = dict(zip(split.rows, split.y, strict=True))
    assert all(p.true_label == true[p.row] for p in picks)
    if buys:
        assert all(p.label == p.true_label for p in picks)


def test_every_strategy_that_buys_has_a_form_that_trains_on_validation_rows_and_all_leaves_it_out():
    buys = [name for name in STRATEGIES if not gives_own_labels(name)]
    assert list(VALIDATION_FORMS) == [f"{name}+validation" for name in buys]
    assert chosen_methods(("margin+validation", "margin")) == ("margin+validation", "margin")
    assert not set(chosen_methods(("all",))) & set(VALIDATION_FORMS)
    assert titles()["margin+validation"] == "Margin + valid."
    for name in ("salutary", "full_pool"):
        with pytest.raises(UserError, match=f"{name} buys no labels.*: random, entropy, margin"):
            chosen_methods((f"{name}+validation",))


@pytest.mark.parametrize(
    ("l2", "retune"),
    [(1.0, False), (PenaltyRule.VALIDATION, True)],
)
def test_a_validation_form_is_the_strategy_on_labeled_and_validation_rows_joined(l2, retune):
    split = split_of("breast_cancer")
    joined = replace(split, labeled=np.append(split.labeled, split.validation))
    settings = replace(strict(rounds=2), l2=l2, retune=retune)
    curve, picks = run(split, "margin+validation", settings, 0)
    rule = l2 if l2 == 1.0 else PenaltyRule.CV  # nothing is chosen on rows that are trained on
    expected, expected_picks = run(joined, "margin", replace(settings, l2=rule), 0)
    assert [p.row for p in picks] == [p.row for p in expected_picks]
    assert [(r.test_accuracy, r.l2) for r in curve] == [(r.test_accuracy, r.l2) for r in expected]
    counts = [(r.labels_initial, r.labels_validation, r.labels_bought) for r in curve]
    sizes = len(split.labeled), len(split.validation)
    assert counts == [(*sizes, bought) for bought in (0, 5, 10)]
    assert {r.method for r in curve} == {p.method for p in picks} == {"margin+validation"}
