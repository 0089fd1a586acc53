"""SalutaryLabeler on a NumPy array, on a data frame with text columns, and in a pipeline."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.places import SHIPPED
from data_utils import load
from labeling.labeler import SalutaryLabeler

# An array, of embeddings for example: 300 labeled rows, 1,000 validation rows, pool, test rows.
data = load("waveform").data
order = np.random.default_rng(0).permutation(len(data.y))[:5_000]
X, X_val, X_pool, X_test = np.split(data.X[order], [300, 1_300, 3_500])
y, y_val, _, y_test = np.split(data.y[order], [300, 1_300, 3_500])

labeler = SalutaryLabeler().fit(X, y, X_val, y_val)
given = labeler.label(X_pool, budget=100)
plain = LogisticRegression(max_iter=1_000).fit(X, y)
plus = LogisticRegression(max_iter=1_000).fit(
    np.vstack([X, X_pool[given.rows]]), np.append(y, given.labels)
)
print(f"array: {plain.score(X_test, y_test):.3f} without, {plus.score(X_test, y_test):.3f} with")

# A data frame: text columns become indicators, as label.py makes them.
bank = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(frac=1, random_state=0)
X_bank, y_bank = bank.drop(columns="y"), bank["y"]
labeler = SalutaryLabeler().fit(X_bank[:300], y_bank[:300], X_bank[300:1300], y_bank[300:1300])
left = labeler.label(X_bank[1300:3600], budget=30, abstain=2.0)
print(f"frame: {len(left.given)} rows labeled, {len(left.for_a_person)} left for a person")

# In a pipeline, the last step sets some of its labeled rows aside for validation.
pipeline = make_pipeline(StandardScaler(), SalutaryLabeler(standardise=False)).fit(X, y)
scaler, labeler = pipeline[:-1], pipeline[-1]
given = labeler.label(scaler.transform(X_pool), budget=20)
print(f"pipeline: {len(given)} rows, chosen by {labeler.n_validation_} of the labeled ones")
