"""What is behind a single pick: benefits, validation rows, nearest labeled rows, features."""

from dataclasses import dataclass, replace

import numpy as np

import influence
from common.kinds import HessianRows
from data_utils import Split
from experiments.loop import PickRecord, run
from models import LogisticRegression
from strategies.base import Reference, start_rows
from strategies.registry import known_methods
from studies.bench import Bench, positions

SHOWN_PICKS = 3  # if the user names no other number


@dataclass(frozen=True)
class Explanation:
    """A pick, seen by the model that picked it. Rows are positions in the split.

    pick, row : its record, and its position. classes (K,) : of the model.
    probabilities (K,), benefits (K,) : p(c|x), and the first-order benefit of each class.
    falls (v,) : by which the loss of each validation row falls as predicted; their sum is the
        benefit of the label given. own (v,) : p of each validation row's own label.
    labeled (m,), labels (m,), distances (m,) : the rows that the model is trained on with their
        labels, nearest first, by the Euclidean distance of the features that the model sees.
    contributions (D,) : of each feature to log(p(label given) / p(likeliest other label)). They add
        up to it, but for the intercept.
    """

    pick: PickRecord
    row: int
    classes: np.ndarray
    probabilities: np.ndarray
    benefits: np.ndarray
    falls: np.ndarray
    own: np.ndarray
    labeled: np.ndarray
    labels: np.ndarray
    distances: np.ndarray
    contributions: np.ndarray

    @property
    def given(self) -> int:
        """The position of the label given in ``classes``."""
        return int(np.flatnonzero(self.classes == self.pick.label)[0])

    @property
    def runner_up(self) -> int:
        """The position of the label with the highest benefit but that given."""
        return int(np.argmax(np.where(self.classes == self.pick.label, -np.inf, self.benefits)))


def explain(bench: Bench, split: Split, seed: int) -> list[Explanation]:
    """The explained picks of the bench, in the order of the round.

    Raises UserError as ``run`` does, and LinAlgError if a fit or a solve fails.
    """
    wanted = bench.explained
    method = known_methods()[wanted.method]
    assert not isinstance(method, Reference)  # it picks nothing
    settings = replace(bench.settings(), rounds=wanted.round)
    features = bench.features(split, seed)
    curve, picks = run(split, method.name, settings, seed, features=features)
    earlier = [pick for pick in picks if pick.round < wanted.round]
    of_round = picks[len(earlier) :]
    shown = of_round[: wanted.count or SHOWN_PICKS]
    start, explanations = start_rows(method, split), []
    pool_left = np.setdiff1d(split.pool, positions(split, [pick.row for pick in earlier]))
    model = settings.classifier(seed, curve[wanted.round - 1].l2)
    for number, pick in enumerate(shown):
        learned = [*earlier, *(of_round[:number] if method.one_by_one else [])]
        rows = np.append(start, positions(split, [p.row for p in learned]))
        labels = np.append(split.y[start], np.array([p.label for p in learned], split.y.dtype))
        model = model.fit(split.X[rows], labels)
        of_hessian = pool_left if settings.influence.hessian == HessianRows.POOL else rows
        explanations.append(explain_pick(model, split, pick, of_hessian, rows, labels))
    return explanations


def explain_pick(
    model: LogisticRegression,
    split: Split,
    pick: PickRecord,
    of_hessian: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
) -> Explanation:
    """Explain one pick by a model that is fitted to ``rows`` (m,) of the split with ``labels``.

    of_hessian : the rows that the Hessian sums over. Raises LinAlgError if it is singular.
    """
    (row,) = positions(split, [pick.row])
    x, y_validation = split.X[row], split.y[split.validation]
    data = model, split.X[of_hessian], split.X[split.validation], y_validation
    probabilities = model.predict_proba(x[None])[0]
    codes = np.searchsorted(model.classes_, y_validation)
    own = model.predict_proba(split.X[split.validation])[np.arange(len(codes)), codes]
    distances = np.linalg.norm(split.X[rows] - x, axis=1)
    nearest = np.argsort(distances, kind="stable")
    given = int(np.flatnonzero(model.classes_ == pick.label)[0])
    other = int(np.argmax(np.where(np.arange(len(probabilities)) == given, -1.0, probabilities)))
    weights = model.coef_  # (U, D)
    if len(weights) == 1:
        weights = np.vstack([np.zeros_like(weights), weights])
    return Explanation(
        pick=pick,
        row=int(row),
        classes=model.classes_,
        probabilities=probabilities,
        benefits=influence.benefit(*data, x[None])[0],
        falls=influence.falls_by_row(*data, x, pick.label).cpu().numpy(),
        own=own,
        labeled=rows[nearest],
        labels=labels[nearest],
        distances=distances[nearest],
        contributions=(weights[given] - weights[other]) * x,
    )
