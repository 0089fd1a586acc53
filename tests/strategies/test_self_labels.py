"""ISLA's rows with the predicted labels, and Salutary's rows with their true labels."""

import numpy as np

from experiments.loop import run
from experiments.settings import LoopSettings
from tests.helpers import pick, query_of, split_of


def test_pseudo_gives_isals_rows_the_predicted_label():
    query = query_of()
    picks, isal = pick("pseudo", query), pick("isal", query)
    scores, classes = query.benefit(), list(query.model.classes_)
    predicted = query.model.predict(query.X_pool)
    own = np.array([scores[i, classes.index(label)] for i, label in enumerate(predicted)])
    assert picks.rows.tolist() == isal.rows.tolist() == np.argsort(-own)[:10].tolist()
    assert picks.labels.tolist() == query.model.predict(query.X_pool)[picks.rows].tolist()


def test_salutary_truth_picks_what_salutary_picks_and_buys_the_true_labels():
    split, settings = split_of("bank"), LoopSettings(rounds=2, budget=10)
    (_, own), (curve, true) = (run(split, m, settings, 0) for m in ("salutary", "salutary_truth"))
    first, first_true = ([p for p in picks if p.round == 1] for picks in (own, true))
    assert [(p.row, p.score) for p in first] == [(p.row, p.score) for p in first_true]
    assert [p.label for p in first_true] == [p.true_label for p in first]
    assert [p.label for p in first_true] != [p.label for p in first]
    assert curve[-1].labels_bought == 20
