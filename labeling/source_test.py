"""Do two sets of rows look as if they were drawn from one source? A classifier two-sample test.

A classifier learns to tell the two sets apart, and is asked about rows that it has not seen (Lopez-
Paz and Oquab 2017). The classifier is a ridge regression: its answers to each row left out have a
closed form, so the answers for hundreds of random exchanges of rows between the sets, which say
what chance does, cost little more than one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.preprocessing import StandardScaler

EXCHANGES = 199  # random exchanges of rows between the two sets
LEVEL = 0.05  # how often two sets of one source are taken for two sources
MOST = 4_000  # rows of a set that are looked at


@dataclass(frozen=True)
class SourceTest:
    """auc : how well unseen rows of the two sets are told apart; 0.5 is not at all.

    p_value : how often chance does as well.
    """

    auc: float
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the two sets do not look like one source."""
        return self.p_value <= LEVEL


def compare_sources(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> SourceTest:
    """Whether rows (n, D) and (m, D) look like one source.

    Of each set, at most MOST random rows are looked at.
    """
    parts = [X[rng.permutation(len(X))[:MOST]] for X in (first, second)]
    X = StandardScaler().fit_transform(np.vstack(parts))
    of_second = np.repeat([0.0, 1.0], list(map(len, parts)))
    exchanged = [of_second, *(rng.permutation(of_second) for _ in range(EXCHANGES))]
    auc = areas(left_out_answers(X, np.array(exchanged).T), of_second.sum(), exchanged)
    return SourceTest(float(auc[0]), float((auc >= auc[0] - 1e-12).mean()))


def left_out_answers(X: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Answers of a ridge regression to each row of X (n, D) when it is left out: (n, c).

    Z (n, c) : c targets. The penalty is as large as the number of columns.
    """
    U, s, _ = np.linalg.svd(X, full_matrices=False)
    shrunk = U * (s**2 / (s**2 + X.shape[1]))
    leverage = (shrunk * U).sum(1)[:, None]
    Z = Z - Z.mean(0)  # the shares of the two sets are known, so they are not left out
    return (shrunk @ (U.T @ Z) - leverage * Z) / (1 - leverage)


def areas(answers: np.ndarray, ones: float, exchanged: list[np.ndarray]) -> np.ndarray:
    """The area under the ROC curve of each column of answers (n, c), for 0/1 targets: (c,)."""
    zeros = len(answers) - ones
    ranks = rankdata(answers, axis=0)
    sums = (ranks * np.array(exchanged).T).sum(0)
    return (sums - ones * (ones + 1) / 2) / (ones * zeros)
