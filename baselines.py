"""Further strategies to compare with: of active learning, rivals that buy no label, references.

The first group buys true labels and comes from scikit-activeml, which does the picking; what is
here hands it our rows, our fitted model and a seed. The second group is what salutary labeling has
to beat to earn its name: the model's own predictions as labels, and its picks with true labels.
The third picks nothing: what the validation labels, or all labels, give when they are trained on.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import resample

from influence import class_numbers
from splits import Split
from strategies import Generator, Picks, Query, highest, isal, salutary, strategy

with warnings.catch_warnings():
    # scikit-activeml tries to import skorch, and that warns about setuptools 80 and 81.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
    from skactiveml.base import SingleAnnotatorPoolQueryStrategy
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge, CoreSet, GreedyBALD, QueryByCommittee, TypiClust
    from skactiveml.utils import MISSING_LABEL

MEMBERS = 10  # of a committee


def draw_seed(rng: Generator) -> int:
    """A seed for libraries that take no generator, drawn from the run's own."""
    return int((rng.integers if isinstance(rng, np.random.Generator) else rng.randint)(2**31 - 1))


def ask(query: Query, asked: SingleAnnotatorPoolQueryStrategy, **arguments) -> Picks:
    """Let a strategy of scikit-activeml pick; the scores are its utilities at the time of the pick.

    It sees the labeled rows, labels as class numbers, followed by the pool, labels missing.
    """
    size = len(query.X_labeled)
    X = np.concatenate([query.X_labeled, query.X_pool])
    y = np.full(len(X), MISSING_LABEL)
    y[:size] = class_numbers(query.model, query.y_labeled).cpu().numpy()
    picked, utilities = asked.query(
        X, y, batch_size=query.budget, return_utilities=True, **arguments
    )
    scores = utilities[np.arange(query.budget), picked]
    return without_repeats(np.asarray(picked) - size, scores, query)


def without_repeats(rows: np.ndarray, scores: np.ndarray, query: Query) -> Picks:
    """The picks, those that are there twice replaced by rows at random, without a score.

    TypiClust and BADGE draw at random where nothing is left that differs from what they have, and
    may draw a row twice there: small pools, and pools full of twins.
    """
    first = np.sort(np.unique(rows, return_index=True)[1])
    missing = query.budget - len(first)
    if missing:
        others = np.setdiff1d(np.arange(len(query.X_pool)), rows)
        rows = np.append(rows[first], query.rng.choice(others, missing, replace=False))
        scores = np.append(scores[first], np.full(missing, np.nan))
    return Picks(rows, None, scores)


def committee(query: Query) -> list[SklearnClassifier]:
    """Models like the query's, fitted to bootstrap resamples of the labeled set.

    Each class is resampled by itself, so that every member knows all of them: some classes have a
    single labeled row, which a plain bootstrap leaves out more than one time in three.
    """
    codes = class_numbers(query.model, query.y_labeled).cpu().numpy()
    members = []
    for _member in range(MEMBERS):
        seed = draw_seed(query.rng)
        X, y = resample(query.X_labeled, codes, stratify=codes, random_state=seed)
        members.append(SklearnClassifier(clone(query.model).fit(X, y)))
    return members


@strategy(
    "coreset", "Core-set", "farthest from all labeled rows (Sener & Savarese 2018)", labels="true"
)
def coreset(query: Query) -> Picks:
    """Greedy k-center (arXiv 1708.00489); a linear model has no embedding but its features."""
    return ask(query, CoreSet(random_state=draw_seed(query.rng)))


@strategy(
    "badge", "BADGE", "large and different gradients, by k-means++ (Ash et al. 2020)", labels="true"
)
def badge(query: Query) -> Picks:
    """k-means++ on the loss gradients under the predicted labels (arXiv 1906.03671)."""
    asked = Badge(random_state=draw_seed(query.rng))
    return ask(query, asked, clf=SklearnClassifier(query.model), fit_clf=False)


@strategy(
    "typiclust",
    "TypiClust",
    "most typical row of clusters without a label (Hacohen et al. 2022)",
    labels="true",
)
def typiclust(query: Query) -> Picks:
    """One cluster per labeled and wanted row, and the densest place of those that hold no label
    (arXiv 2202.02794)."""
    # The library's own k-means takes 0.6 s for Bank's pool: no need for the authors' mini-batches.
    asked = TypiClust(random_state=draw_seed(query.rng))
    with warnings.catch_warnings():  # fewer different rows than clusters: see without_repeats
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ask(query, asked)


@strategy("qbc", "QBC", "split votes of a committee (Seung et al. 1992)", labels="true")
def qbc(query: Query) -> Picks:
    """Query by committee, disagreement as the entropy of the votes, ties at random."""
    # Not the library's default, the divergence from the mean: that is BALD's score, see there.
    asked = QueryByCommittee(method="vote_entropy", random_state=draw_seed(query.rng))
    return ask(query, asked, ensemble=committee(query), fit_ensemble=False)


@strategy(
    "bald",
    "BALD",
    "most information about which member is right (Houlsby et al. 2011)",
    labels="true",
)
def bald(query: Query) -> Picks:
    """Mutual information of label and committee member: H(mean p) - mean H(p) (arXiv 1112.5745)."""
    # Not BatchBALD (Kirsch et al. 2019), which samples the joint entropy: for Bank's pool 0.8 s and
    # 320 MB at 1,000 samples against 0.04 s and 25 MB, and with 100 samples it picks another batch.
    asked = GreedyBALD(random_state=draw_seed(query.rng))
    return ask(query, asked, ensemble=committee(query), fit_ensemble=False)


@strategy(
    "pseudo",
    "Pseudo",
    "ISLA's rows with the predicted label (Lee 2013)",
    labels="own",
    reads_validation=True,
)
def pseudo(query: Query) -> Picks:
    """Salutary labeling without its choice of label: the largest benefit under the prediction."""
    picks = isal(query)
    return picks._replace(labels=query.model.predict(query.X_pool[picks.rows]))


@strategy(
    "self_training",
    "Self-training",
    "the surest predictions, with the predicted label (Lee 2013)",
    labels="own",
)
def self_training(query: Query) -> Picks:
    """Pseudo-labels in their plain form: what the model is surest of."""
    P = query.model.predict_proba(query.X_pool)  # (n, K)
    rows = highest(P.max(1), query.budget)
    return Picks(rows, query.model.classes_[P[rows].argmax(1)], P[rows].max(1))


@strategy(
    "salutary_truth",
    "Salutary, true",
    "salutary's rows with their true labels",
    labels="true",
    reads_validation=True,
)
def salutary_truth(query: Query) -> Picks:
    """How much of salutary labeling is its choice of rows, and how much its choice of labels."""
    return salutary(query)._replace(labels=None)


@strategy(
    "labeled_plus_validation",
    "Labeled + valid.",
    "no picks: trained on the labeled and the validation rows",
    labels="reference",
    reads_validation=True,
)
def labeled_plus_validation(split: Split) -> np.ndarray:
    """What the validation labels give when they are trained on, not read by the influence."""
    return np.append(split.labeled, split.validation)


@strategy(
    "full_pool",
    "Full pool",
    "no picks: trained on the labeled rows and the whole pool",
    labels="reference",
)
def full_pool(split: Split) -> np.ndarray:
    """What every label of the pool gives: no strategy that buys true labels ends elsewhere."""
    return np.append(split.labeled, split.pool)
