"""scikit-learn's semi-supervised learners as strategies, against their definitions."""

import numpy as np
import pytest

from tests.helpers import pick, query_of


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_self_training_takes_the_surest_rows_with_the_predicted_label(name):
    query = query_of(name)
    picks = pick("self_training", query)
    P = query.model.predict_proba(query.X_pool)
    surest = sorted(range(len(P)), key=lambda i: (-max(P[i]), i))[:10]
    assert picks.rows.tolist() == surest
    assert picks.labels.tolist() == query.model.predict(query.X_pool)[surest].tolist()
    np.testing.assert_array_equal(picks.scores, [max(P[i]) for i in surest])
