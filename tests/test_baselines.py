"""baselines.py: every pick against a formula written out here, by numpy, scipy and scikit-learn."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import shell, split_of
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.cluster import KMeans
from test_strategies import query_of

from baselines import MEMBERS, committee, draw_seed
from experiment import Settings, run
from models import LogisticRegression
from strategies import PAPER, STRATEGIES, Query

BOUGHT = ["coreset", "badge", "typiclust", "qbc", "bald", "salutary_truth"]
OWN = ["pseudo", "self_training"]


def query_on(X_labeled, y_labeled, X_pool, budget):
    """A query over a few rows; they are the validation set as well."""
    return Query(
        model=LogisticRegression(1.0, True).fit(X_labeled, y_labeled),
        X_labeled=X_labeled,
        y_labeled=y_labeled,
        initial=len(X_labeled),
        pool=torch.as_tensor(X_pool),
        left=np.arange(len(X_pool)),
        X_validation=X_labeled,
        y_validation=y_labeled,
        budget=budget,
        hessian="labeled",
        rng=np.random.default_rng(0),
    )


def test_the_registry_says_which_of_them_buy():
    references = [method for method, s in STRATEGIES.items() if s.labels == "reference"]
    assert references == ["labeled_plus_validation", "full_pool"]
    assert not set(references) & set(PAPER)
    of_baselines = [m for m, s in STRATEGIES.items() if s.pick.__module__ == "baselines"]
    assert sorted(of_baselines) == sorted(BOUGHT + OWN + references)
    assert {STRATEGIES[method].labels for method in OWN} == {"own"}
    assert {STRATEGIES[method].labels for method in BOUGHT} == {"true"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", BOUGHT + OWN)
def test_they_pick_distinct_pool_rows_the_same_ones_again(method, name):
    first, again = (STRATEGIES[method].pick(query_of(name)) for _ in range(2))
    assert len(set(first.rows)) == len(first.scores) == 10
    assert set(first.rows) <= set(range(len(query_of(name).X_pool)))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert not np.isnan(first.scores).any()
    assert (first.labels is None) == (method in BOUGHT)


@pytest.mark.parametrize("method", ["badge", "typiclust", "qbc", "bald"])
def test_random_ones_follow_the_generator(method):
    picks = [set(STRATEGIES[method].pick(query_of(seed=seed)).rows) for seed in (0, 0, 1)]
    assert picks[0] == picks[1]
    assert picks[0] != picks[2]


@pytest.mark.parametrize("method", BOUGHT + OWN)
def test_classes_may_be_words(method):
    query = query_of("wine")
    y, y_validation = (
        np.array([f"class {label:02}" for label in labels])
        for labels in (query.y_labeled, query.y_validation)
    )
    model = LogisticRegression(query.model.l2).fit(query.X_labeled, y)
    words = replace(query, model=model, y_labeled=y, y_validation=y_validation)
    expected, picks = STRATEGIES[method].pick(query_of("wine")), STRATEGIES[method].pick(words)
    assert picks.rows.tolist() == expected.rows.tolist()
    if method in OWN:
        assert picks.labels.tolist() == [f"class {label:02}" for label in expected.labels]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", BOUGHT + OWN)
@pytest.mark.parametrize("different", [1, 2, 8])
def test_a_pool_of_twins_can_be_used_up(method, different):
    rng = np.random.default_rng(0)
    X_pool = np.tile(rng.normal(size=(different, 3)), (8 // different, 1))
    X, y = rng.normal(size=(6, 3)), np.array([0, 1, 2] * 2)
    picks = STRATEGIES[method].pick(query_on(X, y, X_pool, budget=8))
    assert sorted(picks.rows) == list(range(8))
    assert len(picks.scores) == 8


def test_coreset_takes_the_farthest_row_each_time():
    query = query_of("bank")
    picks = STRATEGIES["coreset"].pick(query)
    centres = query.X_labeled
    for row, score in zip(picks.rows, picks.scores, strict=True):
        nearest = cdist(query.X_pool, centres).min(1)
        assert nearest[row] == pytest.approx(nearest.max())
        assert score == pytest.approx(nearest.max())
        centres = np.vstack([centres, query.X_pool[row]])
    first = cdist(query.X_pool, query.X_labeled).min(1).argmax()
    assert picks.rows[0] == first


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_badge_starts_at_the_largest_gradient_and_goes_on_by_squared_distance(name):
    query = query_of(name)
    picks = STRATEGIES["badge"].pick(query)
    P = query.model.predict_proba(query.X_pool)
    residual = P - (P.max(1, keepdims=True) == P)
    gradients = np.einsum("nk,nd->nkd", residual, query.X_pool).reshape(len(P), -1)
    assert picks.rows[0] == np.linalg.norm(gradients, axis=1).argmax()
    for i in range(1, 10):
        squares = cdist(gradients, gradients[picks.rows[:i]], "sqeuclidean").min(1)
        squares = np.minimum(squares, (gradients**2).sum(1))  # the library starts from the origin
        assert picks.scores[i] == pytest.approx(squares[picks.rows[i]] / squares.sum())


def test_typiclust_takes_the_middle_of_each_cluster_without_a_label():
    rng = np.random.default_rng(1)
    centres = np.array([[0, 0], [40, 0], [0, 40], [40, 40]])
    blobs = [np.vstack([c, c + rng.normal(size=(30, 2))]) for c in centres]  # its middle first
    query = query_on(centres[:2] + 0.5, np.array([0, 1]), np.concatenate(blobs), budget=2)
    picks = STRATEGIES["typiclust"].pick(query)
    assert {row // 31 for row in picks.rows} == {2, 3}
    for row in picks.rows:
        distances = np.sort(cdist(blobs[row // 31], blobs[row // 31]), axis=1)[:, :6]
        assert row % 31 == distances.sum(1).argmin()


def test_typiclust_takes_the_typical_row_of_the_largest_uncovered_clusters():
    query = query_of("bank", seed=3)
    picks = STRATEGIES["typiclust"].pick(query)
    first = len(query.X_labeled)
    X = np.concatenate([query.X_labeled, query.X_pool])
    seed = draw_seed(np.random.default_rng(3))
    cluster = KMeans(first + 10, random_state=seed).fit_predict(X)
    sizes = Counter(cluster[first:])
    free = {c: size for c, size in sizes.items() if c not in set(cluster[:first])}
    assert len(set(cluster[first + picks.rows])) == 10
    taken = [free[c] for c in cluster[first + picks.rows]]
    assert taken == sorted(free.values(), reverse=True)[:10]
    for row, score in zip(picks.rows, picks.scores, strict=True):
        members = query.X_pool[cluster[first:] == cluster[first + row]]
        near = min(5, len(members) - 1)
        if near:
            sums = np.sort(cdist(members, members), axis=1)[:, : near + 1].sum(1)
            assert score == pytest.approx(near / sums.min(), rel=1e-4)


def test_committee_members_differ_and_know_all_classes_and_only_their_resample():
    query = query_of("wine")
    assert min(Counter(query.y_labeled.tolist()).values()) < 3  # a plain bootstrap would lose some
    members = committee(query)
    assert len(members) == MEMBERS
    classes = np.arange(len(query.model.classes_))
    assert all(member.classes_.tolist() == classes.tolist() for member in members)
    assert len({member.coef_.tobytes() for member in members}) == MEMBERS
    assert {member.estimator.l2 for member in members} == {query.model.l2}
    # together they are about the model that has all rows
    mean = np.mean([member.coef_ for member in members], axis=0)
    assert np.corrcoef(mean.ravel(), query.model.coef_.ravel())[0, 1] > 0.9


def committee_probabilities(query):
    draw_seed(query.rng)  # the strategy's own, for its ties
    return np.stack([member.predict_proba(query.X_pool) for member in committee(query)])


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_qbc_takes_the_most_divided_votes(name):
    picks = STRATEGIES["qbc"].pick(query_of(name))
    votes = committee_probabilities(query_of(name)).argmax(2)  # (members, n)
    shares = np.stack([(votes == c).mean(0) for c in range(votes.max() + 1)])
    scores = entropy(shares, axis=0)
    np.testing.assert_allclose(picks.scores, scores[picks.rows])
    np.testing.assert_allclose(picks.scores, np.sort(scores)[::-1][:10])


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_bald_takes_the_highest_mutual_information(name):
    picks = STRATEGIES["bald"].pick(query_of(name))
    P = committee_probabilities(query_of(name))
    scores = entropy(P.mean(0), axis=1) - entropy(P, axis=2).mean(0)
    np.testing.assert_allclose(picks.scores, scores[picks.rows], atol=1e-5)
    np.testing.assert_allclose(picks.scores, np.sort(scores)[::-1][:10], atol=1e-5)


def test_pseudo_gives_isals_rows_the_predicted_label():
    query = query_of()
    picks, isal = STRATEGIES["pseudo"].pick(query), STRATEGIES["isal"].pick(query)
    scores, classes = query.benefit(), list(query.model.classes_)
    predicted = query.model.predict(query.X_pool)
    own = np.array([scores[i, classes.index(label)] for i, label in enumerate(predicted)])
    assert picks.rows.tolist() == isal.rows.tolist() == np.argsort(-own)[:10].tolist()
    assert picks.labels.tolist() == query.model.predict(query.X_pool)[picks.rows].tolist()


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_self_training_takes_the_surest_rows_with_the_predicted_label(name):
    query = query_of(name)
    picks = STRATEGIES["self_training"].pick(query)
    P = query.model.predict_proba(query.X_pool)
    surest = sorted(range(len(P)), key=lambda i: (-max(P[i]), i))[:10]
    assert picks.rows.tolist() == surest
    assert picks.labels.tolist() == query.model.predict(query.X_pool)[surest].tolist()
    np.testing.assert_array_equal(picks.scores, [max(P[i]) for i in surest])


@pytest.mark.parametrize("name", ["bank", "wine"])
@pytest.mark.parametrize("method", BOUGHT + OWN)
def test_the_whole_loop_runs_with_both_generators(method, name):
    split = split_of(name)
    settings = Settings(rounds=2, budget=3, l2=1.0, legacy_generator=name == "bank")
    curve, picks = run(split, method, settings, 0)
    bought = [0, 3, 6] if method in BOUGHT else [0, 0, 0]
    assert [record["labels_bought"] for record in curve] == bought
    assert len({p["row"] for p in picks}) == 6
    true = dict(zip(split.rows, split.y, strict=True))
    assert all(p["true_label"] == true[p["row"]] for p in picks)
    if method in BOUGHT:
        assert all(p["label"] == p["true_label"] for p in picks)


def test_salutary_truth_picks_what_salutary_picks_and_buys_the_true_labels():
    split, settings = split_of("bank"), Settings(rounds=2, budget=10)
    (_, own), (curve, true) = (run(split, m, settings, 0) for m in ("salutary", "salutary_truth"))
    first, first_true = ([p for p in picks if p["round"] == 1] for picks in (own, true))
    assert [(p["row"], p["score"]) for p in first] == [(p["row"], p["score"]) for p in first_true]
    assert [p["label"] for p in first_true] == [p["true_label"] for p in first]
    assert [p["label"] for p in first_true] != [p["label"] for p in first]
    assert curve[-1]["labels_bought"] == 20


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])  # noqa: NPY002
def test_seeds_are_drawn_from_either_generator(make):
    rng, again = make(5), make(5)
    seeds = [draw_seed(rng) for _ in range(3)]
    assert seeds == [draw_seed(again) for _ in range(3)]
    assert len(set(seeds)) == 3
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)


def test_loading_says_nothing_even_where_skorch_warns(tmp_path):
    (tmp_path / "skorch.py").write_text(
        "import warnings\nwarnings.warn('pkg_resources is deprecated as an API.')\n"
        "raise ImportError('no skorch')\n"
    )
    done = shell("-c", "import baselines", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
