"""Further baselines that buy true labels, picked by scikit-activeml from our rows and seeds."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from common.kinds import LabelSource
from strategies.base import Generator, Picks, Query, strategy

if TYPE_CHECKING:  # what --list need not wait for
    from skactiveml.base import SingleAnnotatorPoolQueryStrategy
    from skactiveml.classifier import SklearnClassifier

MEMBERS = 10  # of a committee
ACTIVEML = ("skactiveml.classifier", "skactiveml.pool")


def activeml() -> ModuleType:
    """scikit-activeml with the modules used here: only its own strategies wait for it."""
    with warnings.catch_warnings():
        # It tries to import skorch, and that warns about setuptools 80 and 81.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        import skactiveml.classifier
        import skactiveml.pool
    return skactiveml


def draw_seed(rng: Generator) -> int:
    """A seed for libraries that take no generator, drawn from the run's own."""
    return int((rng.integers if isinstance(rng, np.random.Generator) else rng.randint)(2**31 - 1))


def ask(query: Query, asked: SingleAnnotatorPoolQueryStrategy, **arguments) -> Picks:
    """Let a strategy of scikit-activeml pick. The scores are its utilities when it picked.

    It gets the labeled rows with class numbers as labels, and then the pool without labels.
    """
    import torch

    from influence import class_numbers

    size = len(query.X_labeled)
    X = torch.cat([query.X_labeled, query.X_pool]).cpu().numpy()
    y = np.full(len(X), activeml().utils.MISSING_LABEL)
    y[:size] = class_numbers(query.model, query.y_labeled).cpu().numpy()
    picked, utilities = asked.query(
        X, y, batch_size=query.budget, return_utilities=True, **arguments
    )
    scores = utilities[np.arange(query.budget), picked]
    return without_repeats(np.asarray(picked) - size, scores, query)


def without_repeats(rows: np.ndarray, scores: np.ndarray, query: Query) -> Picks:
    """The picks. A row that was picked twice is replaced by a random one, without a score.

    TypiClust and BADGE draw at random if no row of the pool differs from the rows they have, and so
    may draw a row twice. This happens in small pools, and in pools with many equal rows.
    """
    first = np.sort(np.unique(rows, return_index=True)[1])
    missing = query.budget - len(first)
    if missing:
        others = np.setdiff1d(np.arange(len(query.left)), rows)
        rows = np.append(rows[first], query.rng.choice(others, missing, replace=False))
        scores = np.append(scores[first], np.full(missing, np.nan))
    return Picks(rows, None, scores)


def committee(query: Query) -> list[SklearnClassifier]:
    """Models like the query's, fitted to bootstrap resamples of the labeled set.

    Each class is resampled by itself, so that every member knows all classes. A plain bootstrap
    leaves a class with a single labeled row out more than one time in three.
    """
    from sklearn.base import clone
    from sklearn.utils import resample

    from influence import class_numbers

    codes = class_numbers(query.model, query.y_labeled).cpu().numpy()
    X_labeled, members = query.X_labeled.cpu().numpy(), []
    for _member in range(MEMBERS):
        seed = draw_seed(query.rng)
        X, y = resample(X_labeled, codes, stratify=codes, random_state=seed)
        members.append(activeml().classifier.SklearnClassifier(clone(query.model).fit(X, y)))
    return members


@strategy(
    "Core-set",
    "farthest from all labeled rows (Sener & Savarese 2018)",
    labels=LabelSource.TRUE,
    libraries=ACTIVEML,
)
def coreset(query: Query) -> Picks:
    """Greedy k-center (arXiv 1708.00489), on the features: a linear model has no embedding."""
    return ask(query, activeml().pool.CoreSet(random_state=draw_seed(query.rng)))


@strategy(
    "BADGE",
    "large and different gradients, by k-means++ (Ash et al. 2020)",
    labels=LabelSource.TRUE,
    libraries=ACTIVEML,
)
def badge(query: Query) -> Picks:
    """k-means++ on the loss gradients under the predicted labels (arXiv 1906.03671)."""
    asked = activeml().pool.Badge(random_state=draw_seed(query.rng))
    return ask(
        query, asked, clf=activeml().classifier.SklearnClassifier(query.model), fit_clf=False
    )


@strategy(
    "TypiClust",
    "most typical row of clusters without a label (Hacohen et al. 2022)",
    labels=LabelSource.TRUE,
    libraries=ACTIVEML,
)
def typiclust(query: Query) -> Picks:
    """As many clusters as labeled rows and picks; the densest row of each cluster without a label.

    arXiv 2202.02794.
    """
    from sklearn.exceptions import ConvergenceWarning

    # The library's own k-means takes 0.6 s for Bank's pool: no need for the authors' mini-batches.
    asked = activeml().pool.TypiClust(random_state=draw_seed(query.rng))
    with warnings.catch_warnings():  # fewer different rows than clusters: see without_repeats
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ask(query, asked)


@strategy(
    "QBC",
    "split votes of a committee (Seung et al. 1992)",
    labels=LabelSource.TRUE,
    libraries=ACTIVEML,
)
def qbc(query: Query) -> Picks:
    """Query by committee, disagreement as the entropy of the votes, ties at random."""
    # The library's default is the divergence from the mean, which is the score of BALD below.
    asked = activeml().pool.QueryByCommittee(
        method="vote_entropy", random_state=draw_seed(query.rng)
    )
    return ask(query, asked, ensemble=committee(query), fit_ensemble=False)


@strategy(
    "BALD",
    "most information about which member is right (Houlsby et al. 2011)",
    labels=LabelSource.TRUE,
    libraries=ACTIVEML,
)
def bald(query: Query) -> Picks:
    """Mutual information of label and committee member: H(mean p) - mean H(p) (arXiv 1112.5745)."""
    # Not BatchBALD (Kirsch et al. 2019), which samples the joint entropy: for Bank's pool 0.8 s and
    # 320 MB at 1,000 samples against 0.04 s and 25 MB, and with 100 samples it picks another batch.
    asked = activeml().pool.GreedyBALD(random_state=draw_seed(query.rng))
    return ask(query, asked, ensemble=committee(query), fit_ensemble=False)
