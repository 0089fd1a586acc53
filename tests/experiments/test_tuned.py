"""The tuned protocol: one l2 for all methods of a seed, counted, recorded, chosen anew if asked."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from common.kinds import PenaltyRule
from experiments.loop import run
from experiments.penalty import GRID, Rows, chosen_on_validation
from experiments.pipeline import chosen_l2_text
from models import LogisticRegression
from tests.helpers import ROOT, main, split_of, strict

TUNED = replace(strict(), l2=PenaltyRule.VALIDATION)
BY_CV = replace(strict(), l2=PenaltyRule.CV)


def chosen(split, rows, labels) -> float:
    training = Rows(torch.as_tensor(split.X[rows]), np.asarray(labels))
    validation = Rows(torch.as_tensor(split.X[split.validation]), split.y[split.validation])
    return chosen_on_validation(LogisticRegression(fit_intercept=True), training, validation)


@pytest.mark.parametrize("method", ["random", "salutary_plus", "full_pool"])
def test_all_methods_begin_with_one_l2_that_the_validation_labels_chose(method):
    split = split_of("bank")
    curve = run(split, method, TUNED, 0).curve
    l2 = chosen(split, split.labeled, split.y[split.labeled])
    assert curve[0].l2 == l2 != 1.0
    model = SklearnRegression(C=1 / l2, tol=1e-10, max_iter=10_000)
    model.fit(split.X[split.labeled], split.y[split.labeled])
    P = model.predict_proba(split.X[split.validation])
    assert curve[0].validation_loss == pytest.approx(log_loss(split.y[split.validation], P))
    read = [record.labels_validation for record in curve]
    used = len(split.validation)
    assert read == ([used, 0, 0, 0] if method == "full_pool" else [used] * 4)
    assert method == "full_pool" or {record.l2 for record in curve} == {l2}


def test_a_reference_chooses_by_cross_validation_on_the_rows_that_it_trains_on():
    split = split_of("bank")
    curve = run(split, "labeled_plus_validation", TUNED, 5).curve
    rows = np.append(split.labeled, split.validation)
    search = GridSearchCV(
        SklearnRegression(tol=1e-6, max_iter=1_000),
        {"C": [1 / l2 for l2 in GRID]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=5),
    ).fit(split.X[rows], split.y[rows])
    assert [1 / record.l2 for record in curve[1:]] == pytest.approx(3 * [search.best_params_["C"]])
    predicted = search.predict(split.X[split.test])
    assert curve[1].test_accuracy == (predicted == split.y[split.test]).mean()


def test_cross_validation_reads_no_validation_label():
    split = split_of("bank")
    curve = run(split, "random", BY_CV, 0).curve
    assert {record.labels_validation for record in curve} == {0}
    y = split.y.copy()
    y[split.validation] = 1 - y[split.validation]
    assert run(replace(split, y=y), "random", BY_CV, 0).curve[-1].l2 == curve[-1].l2


def test_retune_chooses_again_on_the_labels_of_every_round():
    split = split_of("bank")
    curve, picks = run(split, "salutary_plus", replace(TUNED, retune=True), 0)
    place = {row: i for i, row in enumerate(split.rows)}
    for record in curve:
        added = [pick for pick in picks if pick.round <= record.round]
        rows = [*split.labeled, *(place[pick.row] for pick in added)]
        labels = [*split.y[split.labeled], *(pick.label for pick in added)]
        assert record.l2 == chosen(split, rows, labels)
        model = LogisticRegression(record.l2, True).fit(split.X[rows], labels)
        assert model.score(split.X[split.test], split.y[split.test]) == record.test_accuracy
    assert len({record.l2 for record in curve}) > 1


def test_a_table_of_ones_own_is_tuned_unless_an_option_says_otherwise(tmp_path, capsys):
    own = tmp_path / "clients.csv"
    pd.read_csv(ROOT / "datasets/bank/bank.csv.gz").head(1500).to_csv(own, index=False)
    arguments = ["--dataset", str(own), "--target", "y", "--methods", "random,salutary"]
    arguments += ["--rounds", "2", "--budget", "5", "--no-plot", "--out", str(tmp_path)]
    assert main("binary", arguments) == 0
    printed = capsys.readouterr().out
    assert "tuned protocol: l2 chosen on the validation rows, intercept" in printed
    assert "below always answering" not in printed
    curves = pd.read_csv(tmp_path / "own-clients-tuned/curves.csv")
    (l2,) = curves["l2"].unique()
    assert f"l2 of the methods: {l2:.3g} (seed 0)" in printed
    assert chosen_l2_text({0: 1e3, 1: 0.01, 2: 0.01}) == "0.01 (seeds 1,2); 1000 (seed 0)"
    told = json.loads((tmp_path / "own-clients-tuned/run.json").read_text())
    assert told["options"]["l2"] == "validation"
    assert told["l2"]["initial"] == {"0": l2}
    assert told["l2"]["last"] == {"random": {"0": l2}, "salutary": {"0": l2}}
    assert main("binary", [*arguments, "--protocol", "paper", "--l2", "cv"]) == 0
    printed = capsys.readouterr().out
    assert "paper protocol but for l2: l2 chosen by cross-validation" in printed
