"""Labels of which, with 95 % confidence, at most a given share is wrong.

The labels are those of a model (bound_model.py). Half of the validation rows choose: models are
trained on them too, and they say which model is taken and where on the ladder of thresholds the
search starts. The other half calibrates: it says how often the model errs above a threshold. The
search goes from the most confident rows down and stops at the first threshold that fails (fixed-
sequence testing), so the confidence of each step is that of the whole search (Angelopoulos et al.
2021, Learn then Test, section 2.3).

All of this holds if pool and calibration rows are drawn from one source; source_test.py looks.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom, hypergeom

from common.errors import UserError
from labeling.bound_model import BOTH, Fit, Judged, SoftVote, fitted_votes, judge, out_of_fold
from labeling.records import LabeledRows, Labels
from labeling.source_test import Rows, SourceTest, compare_sources

CONFIDENCE = 0.95
STEPS = 20  # thresholds on the ladder: each takes in another twentieth of the rows


class TooFewToCalibrate(UserError):
    """Even without any error, so few rows cannot show that the share is small enough."""


@dataclass(frozen=True)
class Bound:
    """What is promised, and on what grounds.

    max_error : the share of wrong labels that was allowed. model : the name of the one that gives
        them. areas : under the risk-coverage curve of each model tried, by name; small is good.
    threshold : the least probability of a row that gets a label; None if no row gets one.
    covered, pool_rows : how many rows of the pool get a label, and how many there are.
    choosing, calibration : how many validation rows chose, and how many calibrated.
    above, wrong : how many calibration rows lie above the threshold, and on how many of these the
        model errs.
    bound : at most this share of the covered rows is wrong, with 95 % confidence; None if no row
        gets a label. source : whether pool and validation rows look like one source.
    """

    max_error: float
    model: str
    areas: dict[str, float]
    threshold: float | None
    covered: int
    pool_rows: int
    choosing: int
    calibration: int
    above: int
    wrong: int
    bound: float | None
    source: SourceTest

    @property
    def holds(self) -> bool:
        """Whether rows get a label, and nothing speaks against the promise."""
        return self.covered > 0 and not self.source.differs


@dataclass(frozen=True)
class BoundedLabels:
    """labels : all pool rows. ``labels.given`` is covered by the bound, the most confident first.

    ``labels.for_a_person`` are the other rows, and their labels are proposals. Those come first
    whose two most probable classes are closest. Benefits play no part, so they are NaN.
    """

    labels: Labels
    bound: Bound


def check_max_error(max_error: float) -> None:
    """Raise ValueError unless max_error is a share between 0 and 1."""
    if isinstance(max_error, bool) or not isinstance(max_error, int | float | np.number):
        raise ValueError(f"max_error is {max_error!r}: give a share between 0 and 1, such as 0.05")
    if not 0 < max_error < 1:
        raise ValueError(f"max_error is {max_error}: give a share between 0 and 1, such as 0.05")


def least_rows(max_error: float) -> int:
    """How many rows without any error show that the share of errors is at most ``max_error``."""
    return int(np.ceil(np.log(1 - CONFIDENCE) / np.log1p(-max_error)))


@dataclass(frozen=True)
class BoundSearch:
    """What the labels of any pool within a bound are made from.

    name, model : the one that gives the labels. chosen : the choosing rows, by the name of the
    model tried, each judged by such a model that was not trained on it. validation : all rows;
    calibrates (v,) : which of them calibrate. onlookers : for the test of the source, whose seed is
    ``seed``. The first has not seen the choosing rows, the second not the calibration rows.
    """

    name: str
    model: SoftVote
    chosen: dict[str, Judged]
    validation: LabeledRows
    calibrates: np.ndarray
    onlookers: tuple[SoftVote, SoftVote]
    seed: int

    def labels(self, X_pool: np.ndarray, max_error: float) -> BoundedLabels:
        """Labels for as many rows of X_pool (n, D) as the bound allows; the others are left."""
        calibration, model = self.validation[self.calibrates], self.model
        P, P_calibration = (model.predict_proba(X) for X in (X_pool, calibration.X))
        confidence, judged = P.max(1), judge(model, P_calibration, calibration.y)
        threshold, bound = last_step(confidence, judged, self.chosen[self.name], max_error)
        above, wrong = judged.above(np.inf if threshold is None else threshold)
        covered = confidence >= (np.inf if threshold is None else threshold)
        return BoundedLabels(
            as_labels(model.classes_, P, covered),
            Bound(
                max_error=float(max_error),
                model=self.name,
                areas={name: found.risk_coverage_area for name, found in self.chosen.items()},
                threshold=threshold,
                covered=int(covered.sum()),
                pool_rows=len(P),
                choosing=int((~self.calibrates).sum()),
                calibration=len(calibration),
                above=above,
                wrong=wrong,
                bound=bound,
                source=self.source(X_pool),
            ),
        )

    def source(self, X_pool: np.ndarray) -> SourceTest:
        """Whether the pool (n, D) and all validation rows look like one source."""
        known = self.seen(self.validation.X, self.calibrates.astype(int))
        pool = self.seen(X_pool, np.arange(len(X_pool)) % 2)
        return compare_sources(known, pool, np.random.default_rng(self.seed))

    def seen(self, X: np.ndarray, onlooker: np.ndarray) -> Rows:
        """The rows X (n, D), each as the onlooker of this number, (n,), sees it."""
        one, other = (model.predict_proba(X) for model in self.onlookers)
        return Rows(X, np.where(onlooker[:, None] == 0, one, other), onlooker)


def search(
    labeled: LabeledRows,
    validation: LabeledRows,
    *,
    fits: dict[str, Fit],
    chooses: np.ndarray,
    seed: int,
) -> BoundSearch:
    """The model that gives labels, and the rows that bound its error.

    fits : how each model is fitted to rows, by name. chooses (v,) : which validation rows choose;
    the others calibrate.
    """
    choosing, calibration = validation[chooses], validation[~chooses]
    chosen = out_of_fold(fits, labeled, choosing, seed)
    name = min(chosen, key=lambda tried: chosen[tried].risk_coverage_area)
    models = fitted_votes(fits, labeled.joined(choosing))
    onlookers = fitted_votes(fits, labeled.joined(calibration))[BOTH], models[BOTH]
    return BoundSearch(name, models[name], chosen, validation, ~chooses, onlookers, seed)


def check_enough(calibration: int, validation: int, max_error: float) -> None:
    """Raise TooFewToCalibrate if so many rows that calibrate, of so many, cannot be enough."""
    if calibration < (least := least_rows(max_error)):
        raise TooFewToCalibrate(
            f"to bound the error by {share_text(max_error)}, at least {least:,} rows must "
            f"calibrate, but of {validation:,} validation rows only {calibration:,} are "
            "left for it: give more validation rows, or allow more errors"
        )


def last_step(
    confidence: np.ndarray, judged: Judged, chosen: Judged, max_error: float
) -> tuple[float | None, float | None]:
    """The lowest threshold that passes for a pool of this confidence (n,), and its bound.

    judged : the calibration rows. chosen : the choosing rows. None and None if no threshold passes.
    """
    ladder = ladder_of(np.append(confidence, judged.confidence))
    threshold, bound = None, None
    for step in ladder[first_step(ladder, chosen, judged, max_error) :]:
        rows, wrong = judged.above(step)
        reached = upper_bound(wrong, rows, int((confidence >= step).sum()))
        if reached > max_error:
            break
        threshold, bound = float(step), reached
    return threshold, bound


def ladder_of(confidence: np.ndarray) -> np.ndarray:
    """Thresholds, descending: each takes in another 1/STEPS of these rows (n,)."""
    descending = np.sort(confidence)[::-1]
    last = np.ceil(np.arange(1, STEPS + 1) / STEPS * len(descending)).astype(int) - 1
    return np.unique(descending[last])[::-1]


def first_step(ladder: np.ndarray, chosen: Judged, judged: Judged, max_error: float) -> int:
    """The step of the ladder that the choosing rows say is the surest to pass.

    Of the calibration rows only the number above each step counts, not their classes.
    """
    p_values = []
    for step in ladder:
        seen, wrong = chosen.above(step)
        rows, _ = judged.above(step)
        expected = (wrong + 0.5) / (seen + 1) * rows
        p_values.append(binom.cdf(np.floor(expected), rows, max_error) if rows else 1.0)
    return int(np.argmin(p_values))


def upper_bound(wrong: int, rows: int, covered: int) -> float:
    """The share of wrong labels among ``covered`` rows, at most, with the confidence CONFIDENCE.

    wrong : on so many of the calibration rows above the threshold, ``rows``, the model errs.
    This is the larger of two bounds: of Clopper and Pearson, on the share among all rows that the
    source has; and of the hypergeometric distribution, on the share among just these ``covered``
    rows, which can by chance be the worse ones.
    """
    if wrong >= rows or not covered:
        return 1.0
    at_source = float(beta.ppf(CONFIDENCE, wrong + 1, rows - wrong))
    low, high = 0, covered  # how many of the covered rows may be wrong: bisection
    while low < high:
        more = (low + high + 1) // 2
        likely = hypergeom.cdf(wrong, rows + covered, wrong + more, rows) > 1 - CONFIDENCE
        low, high = (more, high) if likely else (low, more - 1)
    return max(at_source, low / covered)


def as_labels(classes: np.ndarray, P: np.ndarray, covered: np.ndarray) -> Labels:
    """All rows, whose probabilities are P (n, K): the covered ones, then the others."""
    confidence, (second, first) = P.max(1), np.sort(P, 1)[:, -2:].T
    given, left = np.flatnonzero(covered), np.flatnonzero(~covered)
    given = given[np.argsort(-confidence[given], kind="stable")]
    left = left[np.argsort((first - second)[left], kind="stable")]
    rows = np.append(given, left)
    unknown = np.full(len(rows), np.nan)
    return Labels(
        rows=rows,
        labels=classes[P.argmax(1)][rows],
        benefit=unknown,
        runner_up=unknown.copy(),
        probability=confidence[rows],
        benefits=np.full(P.shape, np.nan),
        round=np.ones(len(rows), int),
        left=np.repeat([False, True], [len(given), len(left)]),
    )


def share_text(share: float) -> str:
    """A share in percent, as short as it can be: 5 %, 2.5 %."""
    return f"{100 * share:.4g} %"
