"""The paper's baselines, by brute force and by modAL's own scores."""

import numpy as np
import pytest
from modAL.uncertainty import classifier_entropy, classifier_margin, classifier_uncertainty

from influence import benefit
from models import LogisticRegression
from tests.helpers import pick, query_of


@pytest.mark.parametrize(
    ("method", "score", "sign"),
    [
        ("entropy", classifier_entropy, -1),
        ("margin", classifier_margin, 1),
        ("uncertainty", classifier_uncertainty, -1),
    ],
)
def test_modal_baselines_pick_the_extremes_of_modals_scores(method, score, sign):
    query = query_of()
    picks = pick(method, query)
    scores = score(query.model, query.X_pool.numpy())
    assert set(picks.rows) == set(np.argsort(sign * scores)[:10])
    np.testing.assert_allclose(picks.scores, scores[picks.rows])


def test_isal_scores_the_models_own_label():
    query = query_of()
    picks = pick("isal", query)
    predicted = query.model.predict(query.X_pool)
    columns = np.searchsorted(query.model.classes_, predicted)
    own = query.benefit().numpy()[np.arange(len(predicted)), columns]
    assert picks.rows.tolist() == np.argsort(-own)[:10].tolist()
    np.testing.assert_allclose(picks.scores, own[picks.rows])


def test_pred_infl_uses_the_first_labeled_rows_alone_and_the_tree_of_the_paper():
    query = query_of()
    picks = pick("pred_infl", query)
    X, y = query.X_labeled[: query.initial], query.y_labeled[: query.initial]
    model = LogisticRegression(0.01).fit(X, y)
    scores = benefit(model, X, query.X_validation, query.y_validation, X).numpy()
    own = {scores[i, list(model.classes_).index(label)] for i, label in enumerate(y)}
    # a full-grown tree answers with the influence of some labeled row
    near = 1e-8 * max(map(abs, own))  # it is fitted to so many digits
    assert all(min(abs(value - s) for s in own) < near for value in picks.scores)
    assert (np.diff(picks.scores) >= 0).all()
