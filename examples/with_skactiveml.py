"""salutary_query in a loop of scikit-activeml, whose y holds MISSING_LABEL for pool rows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.utils import MISSING_LABEL, labeled_indices, unlabeled_indices

from data_utils import load
from labeling.labeler import SalutaryLabeler, salutary_query

data = load("waveform").data
order = np.random.default_rng(0).permutation(len(data.y))[:4_000]
X, X_test = np.split(data.X[order], [2_500])
truth, y_test = np.split(data.y[order], [2_500])
y = np.full(len(X), MISSING_LABEL)
y[:300] = truth[:300]

for _ in range(5):
    classifier = SklearnClassifier(SalutaryLabeler(), classes=np.unique(truth)).fit(X, y)
    print(f"{len(labeled_indices(y))} rows: {classifier.score(X_test, y_test):.3f}")
    pool = unlabeled_indices(y)
    rows, _ = salutary_query(classifier, X[pool], n_instances=20)
    y[pool[rows]] = truth[pool[rows]]  # buys the true labels, as such loops do
