"""Every pick of scikit-activeml against a formula, by NumPy, scipy and scikit-learn."""

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from sklearn.cluster import KMeans

from strategies.baselines import MEMBERS, committee, draw_seed
from tests.helpers import pick, query_of, query_on, shell


def test_coreset_takes_the_farthest_row_each_time():
    query = query_of("bank")
    picks = pick("coreset", query)
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
    picks = pick("badge", query)
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
    picks = pick("typiclust", query)
    assert {row // 31 for row in picks.rows} == {2, 3}
    for row in picks.rows:
        distances = np.sort(cdist(blobs[row // 31], blobs[row // 31]), axis=1)[:, :6]
        assert row % 31 == distances.sum(1).argmin()


def test_typiclust_takes_the_typical_row_of_the_largest_uncovered_clusters():
    query = query_of("bank", seed=3)
    picks = pick("typiclust", query)
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
    picks = pick("qbc", query_of(name))
    votes = committee_probabilities(query_of(name)).argmax(2)  # (members, n)
    shares = np.stack([(votes == c).mean(0) for c in range(votes.max() + 1)])
    scores = entropy(shares, axis=0)
    np.testing.assert_allclose(picks.scores, scores[picks.rows])
    np.testing.assert_allclose(picks.scores, np.sort(scores)[::-1][:10])


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_bald_takes_the_highest_mutual_information(name):
    picks = pick("bald", query_of(name))
    P = committee_probabilities(query_of(name))
    scores = entropy(P.mean(0), axis=1) - entropy(P, axis=2).mean(0)
    np.testing.assert_allclose(picks.scores, scores[picks.rows], atol=1e-5)
    np.testing.assert_allclose(picks.scores, np.sort(scores)[::-1][:10], atol=1e-5)


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
    done = shell("-c", "import strategies.baselines", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
