"""salutary_query as modAL's query_strategy: modAL picks the rows, the method labels them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from modAL.models import ActiveLearner

from data_utils import load
from labeling.labeler import SalutaryLabeler, salutary_query

data = load("waveform").data
order = np.random.default_rng(0).permutation(len(data.y))[:5_000]
X, X_val, X_pool, X_test = np.split(data.X[order], [300, 1_300, 3_500])
y, y_val, _, y_test = np.split(data.y[order], [300, 1_300, 3_500])

for _ in range(5):
    # modAL's own fit and teach call functions that scikit-learn has removed, so the estimator that
    # modAL gets is fitted already.
    labeler = SalutaryLabeler().fit(X, y, X_val, y_val)
    print(f"{len(y)} rows: {labeler.score(X_test, y_test):.3f}")
    learner = ActiveLearner(estimator=labeler, query_strategy=salutary_query)
    rows, _ = learner.query(X_pool, n_instances=20)
    given = labeler.label(X_pool[rows], budget=len(rows))  # or ask a person for the labels
    X, y = np.vstack([X, X_pool[rows[given.rows]]]), np.append(y, given.labels)
    X_pool = np.delete(X_pool, rows, axis=0)
