"""The loop keeps pool labels to itself, counts human labels, and repeats itself."""

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss

from common.errors import UserError
from common.kinds import LabelSource, ModelKind
from experiments import pick_benefits
from experiments.loop import RunRecords, run
from experiments.store import as_plain, from_plain
from models import MLP, LogisticRegression
from strategies import registry
from strategies.base import Picks, Query
from strategies.registry import REFERENCES, STRATEGIES, methods
from tests.helpers import split_of, strict

SETTINGS = strict(rounds=3, budget=5)


def without(records, *keys):
    """As text, where NaN equals NaN."""
    return str([{k: v for k, v in asdict(record).items() if k not in keys} for record in records])


@cache
def run_of(name, method):
    """Curve and picks of a method, for tests that compare another run with it."""
    return run(split_of(name), method, SETTINGS, 0)


def with_shuffled_pool_labels(split):
    y = split.y.copy()
    y[split.pool] = np.random.default_rng(0).permutation(y[split.pool])
    return replace(split, y=y)


@pytest.mark.parametrize(
    ("method", "name"),
    [("salutary", "bank"), ("salutary", "wine"), ("self_training_pool", "wine"),
     ("label_spreading_pool", "bank")],
)  # fmt: skip
def test_whoever_gives_labels_never_sees_a_pool_label(method, name):
    """Shuffling the pool's labels changes nothing but the record of what they were."""
    curve, picks = run_of(name, method)
    shuffled = with_shuffled_pool_labels(split_of(name))
    other_curve, other_picks = run(shuffled, method, SETTINGS, 0)
    unseen = "seconds", "wrong_share"
    assert without(curve, *unseen) == without(other_curve, *unseen)
    assert without(picks, "true_label") == without(other_picks, "true_label")
    assert curve[1].wrong_share != other_curve[1].wrong_share
    assert all(record.labels_bought == 0 for record in curve)


@pytest.mark.parametrize(
    "method", [m for m, s in STRATEGIES.items() if s.labels == LabelSource.TRUE]
)
def test_strategies_that_pay_see_labels_only_after_paying(method):
    curve, picks = run_of("bank", method)
    shuffled = with_shuffled_pool_labels(split_of("bank"))
    other_curve, other_picks = run(shuffled, method, SETTINGS, 0)
    first, other_first = ([p.row for p in q if p.round == 1] for q in (picks, other_picks))
    assert first == other_first
    assert without(curve[1:], "seconds") != without(other_curve[1:], "seconds")
    assert [record.labels_bought for record in curve] == [0, 5, 10, 15]
    assert all(p.label == p.true_label for p in picks)


def test_records_can_be_recomputed_from_the_picks():
    split = split_of("waveform")
    curve, picks = run(split, "salutary", SETTINGS, 0)
    place = {row: i for i, row in enumerate(split.rows)}
    for record in curve:
        added = [p for p in picks if p.round <= record.round]
        assert len(added) == 5 * record.round
        rows = [*split.labeled, *(place[p.row] for p in added)]
        labels = [*split.y[split.labeled], *(p.label for p in added)]
        model = LogisticRegression(1.0, True).fit(split.X[rows], labels)
        assert model.score(split.X[split.test], split.y[split.test]) == record.test_accuracy
    assert len({p.row for p in picks}) == 15
    assert {place[p.row] for p in picks} <= set(split.pool)


def benefits_by_autograd(split, rows, labels, row) -> np.ndarray:
    """∇l(x, c)ᵀ H⁻¹ g for the source position ``row`` under each class, by autograd alone: (K,).

    The model is the strict protocol's, fitted to ``rows`` with ``labels``; H is over these rows.
    """
    X, y = torch.as_tensor(split.X), split.y
    model = LogisticRegression(1.0, True).fit(split.X[rows], labels)
    shape = model.theta_.shape

    def loss(theta, part, answers):
        Z = X[part] @ theta.reshape(shape)[:, :-1].T + theta.reshape(shape)[:, -1]
        codes = torch.as_tensor(np.searchsorted(model.classes_, answers))
        logits = torch.cat([torch.zeros_like(Z), Z], 1) if shape[0] == 1 else Z
        return torch.nn.functional.cross_entropy(logits, codes, reduction="sum")

    def penalised(theta):
        return loss(theta, rows, labels) + (theta.reshape(shape)[:, :-1] ** 2).sum() / 2

    theta = model.theta_.flatten().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta, split.validation, y[split.validation]), theta)
    V = torch.linalg.pinv(torch.autograd.functional.hessian(penalised, theta)) @ g
    gradients = (torch.autograd.grad(loss(theta, [row], [c]), theta)[0] for c in model.classes_)
    return np.array([float(gradient @ V) for gradient in gradients])


@pytest.mark.parametrize(
    ("name", "method"),
    [("bank", "margin"), ("bank", "salutary_plus"), ("waveform", "salutary_greedy"),
     ("waveform", "pseudo")],
)  # fmt: skip
def test_benefits_in_picks_are_those_of_autograd_at_the_model_that_picked(name, method):
    """One-by-one rules pick with the model that has learned the round's earlier picks."""
    split = split_of(name)
    _, picks = run(split, method, replace(SETTINGS, rounds=1, budget=3), 0)
    place = {row: i for i, row in enumerate(split.rows)}
    for number, pick in enumerate(picks):
        before = picks[:number] if STRATEGIES[method].one_by_one else []
        rows = [*split.labeled, *(place[p.row] for p in before)]
        labels = [*split.y[split.labeled], *(p.label for p in before)]
        expected = benefits_by_autograd(split, rows, labels, place[pick.row])
        assert list(pick.benefits) == [str(c) for c in np.unique(split.y)]
        np.testing.assert_allclose(list(pick.benefits.values()), expected, rtol=1e-5, atol=1e-7)
        given = np.flatnonzero(np.unique(split.y) == pick.label)
        assert pick.runner_up == pytest.approx(np.delete(expected, given).max(), rel=1e-5)
    (kept,) = from_plain(as_plain(RunRecords([], picks[:1]))).picks
    assert kept == replace(picks[0], label=kept.label, true_label=kept.true_label)


@pytest.mark.parametrize("reason", ["many weights", "a singular Hessian"])
def test_a_method_without_influence_runs_where_benefits_cannot_be_had(reason, monkeypatch):
    def singular(query):
        raise np.linalg.LinAlgError("singular")

    if reason == "many weights":
        monkeypatch.setattr(pick_benefits, "DENSE_PARAMETERS", 10)
        _, picks = run(split_of("bank"), "salutary", replace(SETTINGS, rounds=1), 0)
        best = [max(pick.benefits.values()) for pick in picks]
        assert best == pytest.approx([pick.score for pick in picks], rel=1e-12)
    else:
        monkeypatch.setattr(Query, "influence", singular)
    _, picks = run(split_of("bank"), "entropy", replace(SETTINGS, rounds=1), 0)
    assert len(picks) == 5
    assert all(np.isnan([pick.runner_up, *pick.benefits.values()]).all() for pick in picks)


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", ["salutary", "salutary_plus", "margin"])
def test_an_mlp_is_picked_for_on_its_last_layer_and_measured_as_a_whole(method, name, monkeypatch):
    """Each round's network can be trained again from the picks; strategies see its embedding."""
    split, queries = split_of(name), []
    watched = STRATEGIES[method]
    spy = replace(watched, pick=lambda query: queries.append(query) or watched.pick(query))
    monkeypatch.setitem(registry.STRATEGIES, method, spy)
    curve, picks = run(split, method, replace(SETTINGS, model=ModelKind.MLP, rounds=2), 4)
    place = {row: i for i, row in enumerate(split.rows)}
    X_test, y_test = split.X[split.test], split.y[split.test]
    for record, query in zip(curve, [*queries, None], strict=True):
        added = [p for p in picks if p.round <= record.round]
        rows = [*split.labeled, *(place[p.row] for p in added)]
        labels = [*split.y[split.labeled], *(p.label for p in added)]
        mlp = MLP(l2=1.0, random_state=4).fit(split.X[rows], labels)
        assert (mlp.predict(X_test) == y_test).mean() == record.test_accuracy
        P = mlp.predict_proba(split.X[split.validation])
        codes = np.searchsorted(mlp.classes_, split.y[split.validation])
        loss = -np.log(P[np.arange(len(P)), codes]).mean()
        assert record.validation_loss == pytest.approx(loss, rel=1e-9)
        loss = log_loss(y_test, mlp.predict_proba(X_test), labels=mlp.classes_)
        assert record.test_log_loss == pytest.approx(loss, rel=1e-9)
        if query:
            pool = np.setdiff1d(split.pool, rows, assume_unique=True)
            np.testing.assert_allclose(query.X_pool, mlp.embed(split.X[pool]), atol=1e-12)
            np.testing.assert_allclose(query.X_labeled, mlp.embed(split.X[rows]), atol=1e-12)
            np.testing.assert_array_equal(query.model.coef_, mlp.head_.coef_)


@pytest.mark.parametrize("method", list(methods()))
def test_every_strategy_runs_on_an_mlp(method):
    settings = replace(SETTINGS, model=ModelKind.MLP, rounds=1)
    curve, picks = run(split_of("wine"), method, settings, 0)
    assert len(curve) == 2
    assert len(picks) == (0 if method in REFERENCES else 5)


@pytest.mark.parametrize("method", list(methods()))
def test_the_same_run_twice_gives_the_same_records(method):
    first, again = run_of("bank", method), run(split_of("bank"), method, SETTINGS, 0)
    assert without(first[0], "seconds") == without(again[0], "seconds")
    assert without(first[1]) == without(again[1])


@pytest.mark.parametrize("method", list(methods()))
def test_every_human_label_is_counted(method):
    """Shuffled validation labels change the models of exactly those that count them as used."""
    split = split_of("bank")
    y = split.y.copy()
    y[split.validation] = np.random.default_rng(0).permutation(y[split.validation])
    curve, _ = run_of("bank", method)
    other_curve, _ = run(replace(split, y=y), method, SETTINGS, 0)
    accuracies, others = ([r.test_accuracy for r in c] for c in (curve, other_curve))
    reads = methods()[method].reads_validation
    assert (accuracies != others) == reads
    used = len(split.validation) if reads else 0
    assert [record.labels_validation for record in curve] == [0, used, used, used]
    assert {record.labels_initial for record in curve} == {len(split.labeled)}
    bought = 5 if method in STRATEGIES and STRATEGIES[method].labels == LabelSource.TRUE else 0
    if method != "full_pool":
        assert [record.labels_bought for record in curve] == [0, bought, 2 * bought, 3 * bought]


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize(("method", "part"), [("labeled_plus_validation", "validation"),
                                              ("full_pool", "pool")])  # fmt: skip
def test_references_pick_nothing_and_are_models_of_true_labels(method, part, name):
    split, told = split_of(name), []
    curve, picks = run(split, method, SETTINGS, 0, lambda: told.append(1))
    rows = np.concatenate([split.labeled, getattr(split, part)])
    model = LogisticRegression(1.0, True).fit(split.X[rows], split.y[rows])
    accuracy = model.score(split.X[split.test], split.y[split.test])
    random, _ = run(split, "random", SETTINGS, 0)
    start = random[0].test_accuracy
    assert [r.test_accuracy for r in curve] == [start, accuracy, accuracy, accuracy]
    assert picks == []
    assert [r.round for r in curve] == [0, 1, 2, 3]
    assert len(told) == 4
    spent = len(split.pool) if part == "pool" else 0
    assert [r.labels_bought for r in curve] == [0, spent, spent, spent]
    assert all(np.isnan(r.wrong_share) and np.isnan(r.pick_norm) for r in curve)


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", ["salutary", "pseudo", "random"])
def test_the_audit_agrees_with_the_picks(method, name):
    split = split_of(name)
    records, picked = run(split, method, SETTINGS, 0)
    curve, picks = pd.DataFrame(records), pd.DataFrame(picked)
    place = {row: i for i, row in enumerate(split.rows)}
    picks["x"] = [np.linalg.norm(split.X[place[row]]) for row in picks["row"]]
    np.testing.assert_allclose(picks["norm"], picks["x"])
    of_pool = np.mean([np.linalg.norm(x) for x in split.X[split.pool]])
    expected = [np.nan, *(picks.groupby("round")["x"].mean() / of_pool)]
    np.testing.assert_allclose(curve["pick_norm"], expected)
    wrong = picks["label"] != picks["true_label"]
    shares = [np.nan, *(wrong[picks["round"] <= r].mean() for r in (1, 2, 3))]
    np.testing.assert_allclose(curve["wrong_share"], [np.nan] * 4 if method == "random" else shares)
    gap = curve["validation_accuracy"] - curve["test_accuracy"]
    np.testing.assert_array_equal(curve["gap"], gap)


def test_a_pool_too_small_is_refused():
    with pytest.raises(UserError, match=r"picks 3,000 rows, the pool has 2,412"):
        run(split_of("bank"), "random", replace(SETTINGS, rounds=300, budget=10), 0)


def test_the_whole_pool_can_be_used_up():
    split = split_of("bank")
    small = replace(split, pool=split.pool[:15])
    curve, picks = run(small, "salutary", SETTINGS, 0)
    assert len(picks) == 15
    assert curve[-1].round == 3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            Picks(np.zeros(5, int), np.zeros(5, int), np.zeros(5)),
            "5 different rows, it picked 1",
        ),
        (Picks(np.arange(5), None, np.zeros(5)), "labels='own'"),
        (Picks(np.arange(5) + 10**6, np.zeros(5, int), np.zeros(5)), "rows must be 0 to"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_caught(bad, message, monkeypatch):
    cheat = replace(STRATEGIES["salutary"], pick=lambda query: bad)
    monkeypatch.setitem(registry.STRATEGIES, "salutary", cheat)
    with pytest.raises(AssertionError, match=message):
        run(split_of("bank"), "salutary", SETTINGS, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", ["bank", "wine"])
def test_a_cuda_device_gives_the_same_picks(name):
    on_cpu, on_cuda = (
        run(split_of(name), "salutary", replace(SETTINGS, device=device), 0)[1]
        for device in ("cpu", "cuda")
    )
    assert without(on_cpu, "score") == without(on_cuda, "score")
