"""Do two sets of rows look as if they were drawn from one source? Two tests in one.

A classifier learns to tell the two sets apart, and is asked about rows that it has not seen (Lopez-
Paz and Oquab 2017). It is a ridge regression: its answers to each row left out have a closed form,
so the answers for a thousand random exchanges of rows between the sets, which say what chance
does, cost little more than one.

Another mix of classes shifts every feature a little and the model's answers most (Lipton et al.
2018, Detecting and Correcting for Label Shift). So the means of the probabilities of the two sets
are compared too, by Hotelling's statistic and the same exchanges.

The p-value of both tests is that of the smaller of their two (Westfall and Young 1993, min-P): how
often an exchange has so small a one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler

EXCHANGES = 999  # random exchanges of rows between the two sets
LEVEL = 0.05  # how often two sets of one source are taken for two sources
MOST = 4_000  # rows of a set that are looked at
# The classifier's p-value counts so many times. It is far below the level for a shifted feature;
# another mix of classes is the harder one to see, and takes most of the level.
WEIGHT = 4


@dataclass(frozen=True)
class Rows:
    """X (n, D) : features. P (n, K) : the probabilities that a model gives to its classes.

    model (n,) : the number of this model, which has seen none of these rows. Rows of one model are
    compared with each other.
    """

    X: np.ndarray
    P: np.ndarray
    model: np.ndarray

    def some(self, rng: np.random.Generator) -> "Rows":
        """At most MOST random rows of them."""
        rows = rng.permutation(len(self.X))[:MOST]
        return Rows(self.X[rows], self.P[rows], self.model[rows])


@dataclass(frozen=True)
class SourceTest:
    """auc : how well unseen rows of the two sets are told apart; 0.5 is not at all.

    mix : the largest difference between the two sets in a class's mean probability. p_value : how
    often chance does as well, by the test that finds more.
    """

    auc: float
    mix: float
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the two sets do not look like one source."""
        return self.p_value <= LEVEL


def compare_sources(first: Rows, second: Rows, rng: np.random.Generator) -> SourceTest:
    """Whether two sets of rows look like one source.

    Of each set, at most MOST random rows are looked at.
    """
    first, second = first.some(rng), second.some(rng)
    P, model = np.vstack([first.P, second.P]), np.append(first.model, second.model)
    logs = within(model, np.log(np.maximum(P, 1e-9)))
    X, P = np.hstack([np.vstack([first.X, second.X]), logs]), within(model, P)
    of_second = np.repeat([0.0, 1.0], [len(first.X), len(second.X)])
    Z = np.array([of_second, *(exchanged(of_second, model, rng) for _ in range(EXCHANGES))]).T
    auc = areas(left_out_answers(StandardScaler().fit_transform(X), Z), Z)
    gaps = gaps_of_means(P, Z)
    smaller = np.minimum(WEIGHT * p_values(auc), p_values(hotelling(gaps, P)))
    p_value = (smaller <= smaller[0]).mean()
    return SourceTest(float(auc[0]), float(np.abs(gaps[:, 0]).max()), float(p_value))


def within(model: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (n, K), less their means over the rows of the same model (n,): (n, K)."""
    _, of = np.unique(model, return_inverse=True)
    sums = np.zeros((of.max() + 1, values.shape[1]))
    np.add.at(sums, of, values)
    return values - (sums / np.bincount(of)[:, None])[of]


def exchanged(of_second: np.ndarray, model: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The sets of the rows (n,), exchanged at random among rows of the same model (n,)."""
    order, drawn = np.argsort(model, kind="stable"), np.lexsort([rng.random(len(model)), model])
    made = np.empty_like(of_second)
    made[order] = of_second[drawn]
    return made


def p_values(statistics: np.ndarray) -> np.ndarray:
    """For each of the statistics (c,), the share of them that is at least as large: (c,)."""
    return rankdata(-statistics.round(12), method="max") / len(statistics)


def gaps_of_means(P: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Mean of the rows of P (n, K) where Z (n, c) is 1, less the mean where it is 0: (K, c)."""
    return P.T @ (Z / Z.sum(0) - (1 - Z) / (1 - Z).sum(0))


def hotelling(gaps: np.ndarray, P: np.ndarray) -> np.ndarray:
    """The squared length of each column of gaps (K, c) in units of P's (n, K) scatter: (c,)."""
    scatter = np.atleast_2d(np.cov(P.T))
    return (gaps * (np.linalg.pinv(scatter, rcond=1e-10, hermitian=True) @ gaps)).sum(0)


def left_out_answers(X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Answers of a ridge regression to each row of X (n, D) when it is left out: (n, c).

    Z (n, c) : c targets. The penalty is as large as the number of columns.
    """
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    shrunk = U * (s**2 / (s**2 + X.shape[1]))
    leverage = (shrunk * U).sum(1)[:, None]
    Z = Z - Z.mean(0)  # the shares of the two sets are known, so they are not left out
    return (shrunk @ (U.T @ Z) - leverage * Z) / (1 - leverage)


def areas(answers: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """The area under the ROC curve of each column of answers (n, c), for targets Z (n, c): (c,)."""
    ones = Z.sum(0)
    sums = (rankdata(answers, axis=0) * Z).sum(0)
    return (sums - ones * (ones + 1) / 2) / (ones * (len(Z) - ones))
