"""The measurement: who is held out, the scores, and when a change is clear."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, recall_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit, StratifiedKFold

from experiments.penalty import GRID
from labeling import cross_validation, evidence
from labeling.evidence import Arm, Change, Evidence, Measure, PartResult, Score
from labeling.fitting import fitted_model
from labeling.labeler import SalutaryLabeler
from labeling.records import LabeledRows
from labeling.verdict import Advice, clearly_less_found, verdict
from models import LogisticRegression
from tests.helpers import split_of


def rows(split, positions) -> LabeledRows:
    return LabeledRows(split.X[positions], split.y[positions])


def test_a_change_is_clear_only_with_the_corrected_variance():
    """Nadeau and Bengio's t statistic, by hand, for ten differences over five folds."""
    differences = np.array([3, 1, 2, 4, 0, 2, 3, 1, 2, 2]) / 100
    change = evidence.paired(differences)
    assert change.mean == pytest.approx(0.02)
    assert change.half == pytest.approx(2.2622 * np.std(differences, ddof=1) * 0.35**0.5, rel=1e-4)
    assert not evidence.paired(differences - 0.008).clear_rise
    assert change.clear_rise
    assert evidence.paired(-differences).clear_fall
    assert not change.clear_fall


def test_every_row_is_held_out_once_and_rare_classes_never():
    y = np.repeat([0, 1, 2], [60, 13, 9])
    parts = cross_validation.deal(y, np.random.default_rng(0))
    assert (parts[y == 2] == -1).all()
    assert set(np.bincount(parts[y < 2])) <= {14, 15}
    assert [set(np.bincount(parts[y == c])) for c in (0, 1)] == [{12}, {2, 3}]


def test_the_scores_are_those_of_scikit_learn():
    split = split_of("wine")
    model = LogisticRegression(5.0, True).fit(*split_rows(split, split.labeled))
    test = rows(split, split.test)
    test = test[test.y != model.classes_[-1]]  # so that a class has no row
    found = cross_validation.score(model, test)
    predicted, P = model.predict(test.X), model.predict_proba(test.X)
    own = np.unique(test.y)
    expected = recall_score(test.y, predicted, labels=own, average=None)
    np.testing.assert_allclose(found.recalls[np.isin(model.classes_, own)], expected)
    assert np.isnan(found.recalls[-1])
    assert found.l2 == 5.0
    assert found.of(Measure.ACCURACY) == (predicted == test.y).mean()
    assert found.of(Measure.BALANCED) == pytest.approx(balanced_accuracy_score(test.y, predicted))
    assert found.of(Measure.LOG_LOSS) == pytest.approx(log_loss(test.y, P, labels=model.classes_))


def split_rows(split, positions):
    return split.X[positions], split.y[positions]


def test_each_model_has_the_l2_that_scikit_learn_finds_with_human_rows_held_out():
    """The given labels train in every fold and are never judged by.

    Here they contradict a model of small l2. So human labels alone would choose a smaller value,
    and given labels among the judges a larger one.
    """
    split = split_of("bank")
    human, pool = rows(split, split.labeled), split.X[split.pool[:100]]
    labeler = SalutaryLabeler(standardise=False).fit(human.X, human.y)
    overfitted = LogisticRegression(0.01, True).fit(human.X, human.y)
    given = LabeledRows(pool, 1 - overfitted.predict(pool))
    fold_of = np.full(len(human) + len(given), -1)
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    for fold, (_, held_out) in enumerate(splitter.split(human.X, human.y)):
        fold_of[held_out] = fold
    both, chosen = human.joined(given), {}
    for name, training in (("human", human), ("both", both)):
        search = GridSearchCV(
            SklearnRegression(tol=1e-8, max_iter=10_000),
            {"C": [1 / l2 for l2 in GRID]},
            scoring=held_out_loss,
            cv=PredefinedSplit(fold_of[: len(training)]),
            refit=False,
        ).fit(training.X, training.y)
        chosen[name] = 1 / search.cv_results_["param_C"][search.cv_results_["rank_test_score"] == 1]
    assert labeler.l2_ == pytest.approx(chosen["human"][0])
    assert fitted_model(labeler, human, given).l2 == pytest.approx(chosen["both"][0])
    judged_by_all = fitted_model(labeler, human.joined(given)).l2
    assert 2 * chosen["human"][0] < chosen["both"][0] < judged_by_all / 2


def held_out_loss(model, X, y) -> float:
    return -log_loss(y, model.predict_proba(X)) * len(y)


# --- the verdict ----------------------------------------------------------------------------------


def made(
    loss: float, accuracy: float = 0.9, recalls=(0.9, 0.9), shares_loss=0.6, held_out=(20, 20)
) -> Evidence:
    """Ten parts: without labels a log loss of 0.5, 90 % right in each class; with labels these."""
    noise = np.random.default_rng(0).normal(0, 0.001, 10)
    before = Score(1.0, 0.9, 0.5, np.array([0.9, 0.9]))
    parts = [
        PartResult(
            {Arm.LABELED: before, Arm.SALUTARY: Score(1.0, accuracy, loss + n, recalls + n)},
            shares_loss,
            np.array(held_out),
            np.array([5, 5]),
        )
        for n in noise
    ]
    return Evidence(np.array([0, 1]), parts)


@pytest.mark.parametrize(
    ("found", "advice", "reason"),
    [
        (made(0.4), Advice.USE, "the log loss falls clearly"),
        (made(0.5), Advice.DO_NOT_USE, "no clear gain"),
        (made(0.6), Advice.HARM, "clearly rises"),
        (made(0.4, accuracy=0.89), Advice.DO_NOT_USE, "the accuracy falls too"),
        (made(0.4, shares_loss=0.4), Advice.DO_NOT_USE, "how frequent the classes are"),
        (made(0.4, recalls=(0.92, 0.8)), Advice.DO_NOT_USE, "the recall of a class falls clearly"),
        (made(0.4, recalls=(0.8, 0.99)), Advice.DO_NOT_USE, "the recall of a class falls clearly"),
        (made(0.4, recalls=(0.88, 0.99)), Advice.USE, "the log loss falls clearly"),
        (made(0.4, recalls=(0.92, 0.8), held_out=(20, 1)), Advice.USE, "the log loss falls"),
    ],
)  # fmt: skip
def test_the_verdict_has_four_conditions(found, advice, reason):
    """The 80 % of two of these cases are a clear fall; with one held-out row nobody can say."""
    judged = verdict(found)
    assert judged.advice == advice
    assert reason in judged.reason


def test_only_the_class_that_loses_is_named():
    assert clearly_less_found(made(0.4, recalls=(0.92, 0.8))).tolist() == [False, True]
    assert made(0.4).change(Measure.LOG_LOSS, Arm.SALUTARY) == Change(
        pytest.approx(-0.1, abs=0.001), pytest.approx(0.0013, abs=0.001)
    )
