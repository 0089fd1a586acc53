"""--model names a scikit-learn classifier: it is judged, a linear stand-in picks and labels."""

import random
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import log_loss, roc_auc_score

import main_multi
from common.errors import UserError
from common.plugins import use_files
from experiments.estimators import judge_settings
from experiments.loop import run
from tests.helpers import error_of, split_of, strict

OWN = """
import random
import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

class Odd(ClassifierMixin, BaseEstimator):
    def __init__(self, how):
        self.how = how
    def fit(self, X, y):
        self.classes_ = np.unique(y)[self.how == "classes":]
        return self if self.how != "fit" else 1 / 0
    def predict_proba(self, X):
        P = np.full((len(X), len(self.classes_) - (self.how == "shape")), 0.5)
        return P * np.nan if self.how == "nan" else P
    def predict(self, X):
        return np.full(len(X), "a")

class Drawn(Odd):
    # Draws from generators of whole libraries, as skorch does from torch's.
    def predict_proba(self, X):
        p = (np.random.rand(len(X)) + random.random() + torch.rand(1).item()) / 3
        return np.column_stack([p, 1 - p])
    def predict(self, X):
        return np.zeros(len(X))

drawn = Drawn("")
classes, fit, shape, nan, predict = map(Odd, ("classes", "fit", "shape", "nan", "predict"))
same = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000)
forest = make_pipeline(FunctionTransformer(lambda X: X), RandomForestClassifier(5, random_state=7))
def boosted():
    return HistGradientBoostingClassifier(max_iter=5)
support, number = SVC(), 3
def needs(rows):
    return forest
"""
SETTINGS = strict(rounds=2, budget=5)


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    use_files([tmp_path / "own.py"], "own.same")
    return tmp_path / "own.py"


def judged(name: str, method: str, dataset: str = "breast_cancer", seed: int = 0):
    settings = replace(SETTINGS, judge=judge_settings(name))
    return run(split_of(dataset), method, settings, seed)


@pytest.mark.parametrize("method", ["salutary", "full_pool", "self_training_pool"])
def test_scikit_learns_logistic_regression_is_judged_as_the_model_itself(method, own):
    """The same loss, fitted to the optimum by another library: all metrics are the same."""
    itself = run(split_of("breast_cancer"), method, SETTINGS, 0)
    stand_in = judged("own.same", method)
    assert str(itself.picks) == str(stand_in.picks)
    for expected, found in zip(itself.curve, stand_in.curve, strict=True):
        expected, found = (asdict(replace(r, seconds=0, method=0)) for r in (expected, found))
        assert found == pytest.approx(expected, rel=1e-5, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "classifier", "seed"),
    [
        ("own.forest", RandomForestClassifier(5), 1),
        ("own.boosted", HistGradientBoostingClassifier(max_iter=5), 3),
    ],
)
def test_the_classifier_is_fitted_to_the_labels_that_the_stand_in_gave(name, classifier, seed, own):
    """By hand: the picks with their given labels, the metrics by scikit-learn."""
    split = split_of("wine")
    curve, picks = judged(name, "salutary", "wine", seed)
    assert str(picks) == str(run(split, "salutary", SETTINGS, seed).picks)
    position = pd.Series(np.arange(len(split.rows)), index=split.rows)
    rows = np.append(split.labeled, position[[pick.row for pick in picks]])
    labels = np.append(split.y[split.labeled], [pick.label for pick in picks])
    fitted = classifier.set_params(random_state=seed).fit(split.X[rows], labels)
    P, y = fitted.predict_proba(split.X[split.test]), split.y[split.test]
    assert curve[-1].test_accuracy == fitted.score(split.X[split.test], y)
    assert curve[-1].test_log_loss == pytest.approx(log_loss(y, P))
    assert curve[-1].test_auc == pytest.approx(roc_auc_score(y, P, multi_class="ovr"))
    y = split.y[split.validation]
    assert curve[-1].validation_accuracy == fitted.score(split.X[split.validation], y)
    assert curve[-1].validation_loss == pytest.approx(
        log_loss(y, fitted.predict_proba(split.X[split.validation]))
    )


def test_a_classifier_without_a_random_state_is_seeded_too_and_disturbs_no_one(own):
    losses, drawn_next = [], []
    for state in (1, 2):
        for seed_all in (random.seed, np.random.seed, torch.manual_seed):  # noqa: NPY002
            seed_all(state)
        losses.append([record.test_log_loss for record in judged("own.drawn", "random").curve])
        drawn_next.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert losses[0] == losses[1]
    assert judged("own.drawn", "random", seed=1).curve[0].test_log_loss != losses[0][0]
    fresh = random.Random(1).random(), np.random.RandomState(1).rand()  # noqa: NPY002
    assert drawn_next[0] == (
        *fresh,
        torch.rand(1, generator=torch.Generator().manual_seed(1)).item(),
    )


def test_the_settings_say_all_that_a_result_depends_on(own):
    forest, again = judge_settings("own.forest"), judge_settings("own.forest")
    assert forest == again
    assert "'randomforestclassifier__n_estimators': 5" in forest.parameters
    assert " at 0x" not in forest.parameters
    assert set(forest.versions) == {"own.py", "scikit-learn"}
    told = replace(SETTINGS, judge=judge_settings("sklearn.ensemble.RandomForestClassifier"))
    assert told.describe() == (
        "RandomForestClassifier trained on the rows and labels of a linear stand-in: l2 1, "
        "intercept, Hessian over the labeled set"
    )
    own.write_text(OWN + "# changed\n")
    use_files([own], "own.same")
    assert judge_settings("own.forest").versions != forest.versions


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sklearnn.Forest", "there is no module 'sklearnn' here"),
        ("sklearn.ensemble.RandomForestClasifier", "has no 'RandomForestClasifier': did you mean"),
        ("sklearn.linear_model.LinearRegression", "is no scikit-learn classifier"),
        ("sklearn.ensemble", "is no scikit-learn classifier"),
        ("sklearn.svm.LinearSVC", "has no predict_proba.* CalibratedClassifierCV"),
        ("sklearn.ensemble.StackingClassifier", r"needs arguments \(estimators\)"),
        ("own.support", "has no predict_proba"),
        ("own.number", "is no scikit-learn classifier, it is of type int"),
        ("own.needs", r"needs arguments \(rows\)"),
        ("own.nothing", "own.py has no 'nothing'"),
    ],
)
def test_a_name_of_no_classifier_is_told(name, message, own):
    with pytest.raises(UserError, match=f"^--model {name}.*{message}"):
        judge_settings(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("own.fit", "own.py, line 17: fit raised ZeroDivisionError"),
        ("own.classes", r"its classes_ are \[1\], not 0 to 1"),
        ("own.shape", r"predict_proba gave an array of shape \(114, 1\), not \(114, 2\)"),
        ("own.nan", "predict_proba gave numbers that are no probabilities"),
        ("own.predict", "predict raised ValueError"),
    ],
)
def test_a_classifier_that_fails_is_told_with_method_round_and_seed(name, message, own):
    with pytest.raises(UserError, match=f"^--model {name}, random, round 0, seed 2: .*{message}"):
        judged(name, "random", seed=2)


def test_on_the_command_line(own, tmp_path, capsys):
    command = f"--dataset wine --methods random --rounds 1 --budget 2 --no-plot --out {tmp_path}"
    named = ["--plugin", str(own), "--model"]
    assert main_multi.main([*command.split(), *named, "own.forest"]) == 0
    told = "own.forest trained on the rows and labels of a linear stand-in: l2 50, no intercept"
    assert told in capsys.readouterr().out
    assert main_multi.main([*command.split(), "--quiet", *named, "own.fit"]) == 2
    assert error_of(capsys).endswith("line 17: fit raised ZeroDivisionError")
    assert main_multi.main([*command.split(), "--model", "forest"]) == 2
    assert "'forest' is neither logistic, mlp nor a dotted name" in error_of(capsys)
