"""--estimator and SalutaryLabeler(estimator=…): the user's classifier is what is judged."""

import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from common.errors import UserError
from labeling import cross_validation
from labeling.evidence import Arm, Measure
from labeling.labeler import SalutaryLabeler
from labeling.records import KnownRows, LabeledRows, LabelPlan
from tests.helpers import error_of, split_of

PLUGIN = """
from sklearn.naive_bayes import GaussianNB
model = GaussianNB(var_smoothing=0.1)
class Fails(GaussianNB):
    def fit(self, X, y):
        return 1 / 0
"""


class Forgetful(ClassifierMixin, BaseEstimator):
    """Cannot be cloned: its parameter changes in __init__."""

    def __init__(self, words=()):
        self.words = list(words)

    def fit(self, X, y):
        return self


@pytest.fixture(scope="module")
def parts():
    split = split_of("wine")
    words = np.array([f"grade {c}" for c in split.y.tolist()])  # classes that are texts
    return tuple((split.X[r], words[r]) for r in (split.labeled, split.validation, split.pool))


def test_every_arm_is_the_estimator_and_the_picks_are_those_of_the_linear_model(parts, monkeypatch):
    """scikit-learn alone, on the rows and labels of each part, gives the same scores."""
    labeled, validation, (pool, _) = parts
    known = KnownRows(LabeledRows(*labeled), LabeledRows(*validation))
    monkeypatch.setattr(cross_validation, "REPEATS", 1)
    tree = DecisionTreeClassifier(max_features=2, min_samples_leaf=5)
    labeler = SalutaryLabeler(l2=5.0, standardise=False, estimator=tree)
    evidence = cross_validation.measure(labeler, known, pool, LabelPlan(6, 2))
    folds = cross_validation.folds(known, np.random.default_rng(0))
    linear = clone(labeler).set_params(estimator=None)
    for part, fold in zip(evidence.parts, folds, strict=True):
        human = fold.training.labeled
        given = linear.fit(*fold.training.arrays()).label(pool, 6, rounds=2)
        arms = {
            Arm.LABELED: human,
            Arm.SALUTARY: human.joined(LabeledRows(pool[given.rows], given.labels)),
            Arm.VALIDATION: human.joined(fold.training.validation),
        }
        for arm, rows in arms.items():
            alone = clone(tree).set_params(random_state=0).fit(rows.X, rows.y)
            P = alone.predict_proba(fold.test.X)
            expected = log_loss(fold.test.y, P, labels=alone.classes_)
            assert part.scores[arm].log_loss == pytest.approx(expected)
            assert part.scores[arm].accuracy == alone.score(fold.test.X, fold.test.y)
    assert evidence.penalties(Arm.LABELED) is None
    assert np.isfinite(evidence.values(Measure.LOG_LOSS, Arm.SALUTARY)).all()


@pytest.mark.parametrize("estimator", [GaussianNB(), "sklearn.naive_bayes.GaussianNB"])
def test_the_labeler_predicts_with_the_estimator(estimator, parts):
    (X, y), (X_val, y_val), (pool, _) = parts
    labeler = SalutaryLabeler(l2=5.0, standardise=False, estimator=estimator)
    labeler.fit(X, y, X_val, y_val)
    alone = GaussianNB().fit(X, y)
    np.testing.assert_allclose(labeler.predict_proba(pool), alone.predict_proba(pool))
    np.testing.assert_array_equal(labeler.predict(pool), alone.predict(pool))
    assert not hasattr(labeler, "decision_function")  # it would be that of the linear model
    linear = SalutaryLabeler(l2=5.0, standardise=False).fit(X, y, X_val, y_val)
    np.testing.assert_array_equal(labeler.label(pool, 4).rows, linear.label(pool, 4).rows)
    assert not isinstance(labeler.estimator, GaussianNB) or not hasattr(estimator, "classes_")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (GaussianNB, "^estimator GaussianNB is a class: give an instance"),
        (LinearSVC(), "^estimator LinearSVC has no predict_proba.*CalibratedClassifierCV$"),
        (Forgetful(), "^estimator Forgetful cannot be cloned"),
        (7, "^estimator int is no scikit-learn classifier"),
        ("sklearn.linear_model.Ridge", "^--estimator sklearn.linear_model.Ridge is no scikit"),
        (SklearnRegression(C=-1), "^estimator LogisticRegression, on .* rows: fit raised"),
    ],
)
def test_what_cannot_be_judged_is_told(estimator, message, parts):
    with pytest.raises(UserError, match=message):
        SalutaryLabeler(l2=5.0, estimator=estimator).fit(*parts[0])


def test_on_the_command_line(folder, capsys, run):
    (folder / "mine.py").write_text(PLUGIN)
    plugin = f"--plugin={folder / 'mine.py'}"
    assert run(folder, plugin, "--estimator=mine.model") == 0
    printed = capsys.readouterr().out
    assert "log loss" in printed
    assert "l2, median" not in printed
    found = json.loads((folder / "plus.json").read_text())
    assert found["options"]["estimator"] == "mine.model"
    assert "l2_of_each_part" not in found["measured"]["trained_on"]["labeled rows"]
    first = (folder / "plus.csv").read_bytes()
    assert run(folder, "--force", "--quiet") == 0
    assert (folder / "plus.csv").read_bytes() == first  # the linear model picks
    assert json.loads((folder / "plus.json").read_text())["measured"] != found["measured"]
    capsys.readouterr()
    for options, told in (
        ((plugin, "--estimator=mine.Fails"), "mine.py, line 6: fit raised ZeroDivisionError"),
        ((plugin,), "name it, as in --estimator mine.model"),
        (("--estimator=forest",), "'forest' is no dotted name"),
        (("--estimator=sklearn.svm.LinearSVC",), "has no predict_proba"),
        (("--estimator=sklearn.svm.SVM",), "sklearn.svm has no 'SVM': did you mean"),
    ):
        assert run(folder, "--force", *options) == 2
        assert told in error_of(capsys)
