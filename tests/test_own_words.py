"""No documented function passes on a sentence of another library, or fails inside of one.

Every function gets every kind of rows, labels, models and budgets. It may answer, or raise a
ValueError or TypeError in a file of this repository, in words of ours.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.linear_model
import torch

from influence import Influence, benefit, falls_by_row
from labeling.labeler import SalutaryLabeler, salutary_query
from models import MLP, LogisticRegression
from numerics.module_influence import module_benefit
from numerics.row_influence import row_influence
from streaming.hessian import pool_hessian
from streaming.pools import chunks
from streaming.scoring import best
from tests.helpers.foreign_words import raised

NAMES = list("abc")
RNG = np.random.default_rng(5)
X, X_VAL, POOL = (RNG.normal(size=(n, 3)) for n in (24, 16, 12))
y, Y_VAL = (np.arange(n) % 2 for n in (24, 16))
FRAME = pd.DataFrame(POOL, columns=NAMES)
MODEL = LogisticRegression(1.0, True).fit(X, y)
NAMED = LogisticRegression(1.0, True).fit(pd.DataFrame(X, columns=NAMES), y)
READY = Influence(MODEL, X, X_VAL, Y_VAL)
LABELER = SalutaryLabeler(l2=1.0).fit(X, y, X_VAL, Y_VAL)
OF_FRAMES = SalutaryLabeler(l2=1.0).fit(
    pd.DataFrame(X, columns=NAMES).assign(d=np.where(y, "u", "v")), y
)
NETWORK = MLP((2,), max_iter=2).fit(X, y)
MODULE = torch.nn.Linear(3, 2).double().eval()
EACH = torch.nn.CrossEntropyLoss(reduction="none")


def cell(value, dtype=object):
    A = POOL.astype(dtype)
    A[4, 2] = value
    return A


def sparse(kind):
    return getattr(scipy.sparse, f"{kind}_matrix")(POOL)


def reversed_rows():
    return POOL[::-1, ::-1]


ROWS = {
    **{f"sparse {k}": sparse(k) for k in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")},
    "sparse vector": scipy.sparse.csr_matrix(POOL[0]),
    "sparse with NaN": scipy.sparse.csr_matrix(cell(np.nan, float)),
    "negative strides": reversed_rows(),
    "big-endian": POOL.astype(">f8"),
    "long double": POOL.astype(np.longdouble),
    "float16": POOL.astype(np.float16),
    "uint16": np.arange(36, dtype=np.uint16).reshape(12, 3),
    "uint64": np.full((12, 3), 2**63 + 5, np.uint64),
    "integers too large": cell(10**400),
    "masked": np.ma.masked_array(POOL, np.eye(12, 3) > 0),
    "matrix": np.asmatrix(POOL),
    "record": np.zeros(12, [("a", float), ("b", float)]),
    "dates": np.full((12, 3), np.datetime64("2026-01-01")),
    "texts": np.full((12, 3), "red"),
    "texts of numbers": POOL.astype(str),
    "bytes": np.full((12, 3), b"1"),
    "None in it": cell(None),
    "a list in it": cell([1, 2]),
    "a tensor in it": cell(torch.ones(2)),
    "a dictionary in it": cell({"a": 1}),
    "complex in it": cell(1j),
    "0-d": np.array(3.0),
    "0-d object": np.array(None),
    "one row": POOL[0],
    "three dimensions": POOL[None],
    "no rows": POOL[:0],
    "no columns": POOL[:, :0],
    "a column more": np.c_[POOL, POOL],
    "a column less": POOL[:, 1:],
    "empty list": [],
    "uneven": [[1.0, 2.0, 3.0], [1.0]],
    "deeper": [[1.0, 2.0, [3.0]], [1.0, 2.0, 3.0]],
    "list of tensors": list(torch.tensor(POOL)),
    "list of uneven tensors": [torch.ones(3), torch.ones(2)],
    "list of arrays": list(POOL),
    "list of series": [row for _, row in FRAME.iterrows()],
    "list of dictionaries": FRAME.to_dict("records"),
    "tuples": tuple(map(tuple, POOL)),
    "half": torch.tensor(POOL).half(),
    "bfloat16": torch.tensor(POOL).bfloat16(),
    "meta": torch.ones(12, 3, device="meta"),
    "quantized": torch.quantize_per_tensor(torch.ones(12, 3), 0.1, 0, torch.qint8),
    "nested": torch.nested.nested_tensor([torch.ones(3), torch.ones(2)]),
    "complex tensor": torch.ones(12, 3, dtype=torch.complex64),
    "bool tensor": torch.ones(12, 3, dtype=torch.bool),
    "sparse csr tensor": torch.tensor(POOL).to_sparse_csr(),
    "0-d tensor": torch.tensor(1.0),
    "a generator": (row for row in POOL),
    "a number": 3,
    "a text": "pool",
    "a class": dict,
    "a set": {1, 2},
    "nothing": None,
    "series": FRAME["a"],
    "no names": pd.DataFrame(POOL),
    "named twice": pd.concat([FRAME, FRAME[["a"]]], axis=1),
    "named twice, as wide": FRAME.set_axis(["a", "a", "b"], axis=1),
    "mixed names": FRAME.set_axis(["a", 1, None], axis=1),
    "NaN for a name": FRAME.set_axis(["a", np.nan, "c"], axis=1),
    "MultiIndex": FRAME.set_axis(pd.MultiIndex.from_product([["u"], NAMES]), axis=1),
    "other order": FRAME[NAMES[::-1]],
    "Float64 with NA": FRAME.astype("Float64").mask(FRAME > 1),
    "Int64": FRAME.round().astype("Int64"),
    "boolean": (FRAME > 0).astype("boolean"),
    "categorical": FRAME.assign(a=pd.Categorical(["u", "v"] * 6)),
    "categorical numbers": FRAME.round().astype("category"),
    "dates in a frame": FRAME.assign(a=pd.date_range("2026", periods=12)),
    "durations": FRAME.assign(a=pd.to_timedelta(np.arange(12), "D")),
    "texts in a frame": FRAME.assign(a="red"),
    "lists in a frame": FRAME.assign(a=[[1, 2]] * 12),
    "sparse frame": pd.DataFrame.sparse.from_spmatrix(sparse("csr"), columns=NAMES),
    "pyarrow frame": FRAME.astype("float64[pyarrow]"),
    "empty frame": pd.DataFrame(),
}
LABELS = {
    "bool": Y_VAL == 1,
    "a row": Y_VAL[None],
    "a column": Y_VAL[:, None],
    "too few": Y_VAL[:-1],
    "one": Y_VAL[:1],
    "none": Y_VAL[:0],
    "one-hot": np.eye(2)[Y_VAL],
    "0-d": np.array(1),
    "a number": 1,
    "a text": "yes",
    "texts": np.where(Y_VAL, "b", "a"),
    "objects": Y_VAL.astype(object),
    "mixed": np.array([0, "1"] * 8, object),
    "lists in it": [[1], [0, 1]] * 8,
    "NaN": np.where(Y_VAL, np.nan, 0),
    "infinite": np.where(Y_VAL, np.inf, 0),
    "fractions": Y_VAL + 0.5,
    "None": None,
    "None in it": np.where(Y_VAL, None, 0),
    "NA in it": pd.Series(np.where(Y_VAL, 1, 0), dtype="Int64").mask(Y_VAL > 0),
    "categorical": pd.Series(pd.Categorical(Y_VAL)),
    "boolean": pd.Series(Y_VAL == 1, dtype="boolean"),
    "string": pd.Series(np.where(Y_VAL, "b", "a"), dtype="string"),
    "pyarrow": pd.Series(Y_VAL, dtype="int64[pyarrow]"),
    "frame of two columns": pd.DataFrame({"a": Y_VAL, "b": Y_VAL}),
    "dates": np.full(16, np.datetime64("2026-01-01")),
    "complex": Y_VAL.astype(complex),
    "sparse": scipy.sparse.csr_matrix(Y_VAL),
    "masked": np.ma.masked_array(Y_VAL, Y_VAL > 0),
    "half": torch.tensor(Y_VAL).half(),
    "meta": torch.ones(16, device="meta"),
    "list of tensors": list(torch.tensor(Y_VAL)),
    "integers too large": [10**30, 0] * 8,
    "a dictionary": {0: 1},
    "one class": np.zeros(16),
    "another class": np.full(16, 7),
}
BUDGETS = [0, -1, 1.5, True, "3", None, np.nan, [3], 10**30, np.int64(2), np.array(2)]
MODELS = [
    None, "model", dict, LogisticRegression, LogisticRegression(), NETWORK, MODULE,
    sklearn.linear_model.LogisticRegression().fit(X, y), LABELER, SalutaryLabeler(),
]  # fmt: skip

OF_ROWS = {
    "benefit, pool": lambda A: benefit(MODEL, X, X_VAL, Y_VAL, A),
    "benefit, named": lambda A: benefit(NAMED, X, X_VAL, Y_VAL, A),
    "benefit, Hessian": lambda A: benefit(MODEL, A, X_VAL, Y_VAL, POOL),
    "benefit, validation": lambda A: benefit(MODEL, X, A, Y_VAL[:12], POOL),
    "Influence.finite": READY.finite,
    "falls_by_row": lambda A: falls_by_row(MODEL, X, X_VAL, Y_VAL, A, 1),
    "chunks": lambda A: list(chunks(A, 5)),
    "best": lambda A: best(READY, A, 2),
    "best, chunks": lambda A: best(READY, chunks(A), 2),
    "pool_hessian": lambda A: pool_hessian(MODEL, A).dense(),
    "module_benefit, pool": lambda A: module_benefit(
        MODULE, EACH, X, y, X_VAL, Y_VAL, A, [0, 1], l2=1.0
    ),
    "module_benefit, Hessian": lambda A: module_benefit(
        MODULE, EACH, A, Y_VAL[:12], X_VAL, Y_VAL, POOL, [0, 1], l2=1.0
    ),
    "row_influence": lambda A: row_influence(MODULE, EACH, A, y[:12], A, y[:12], damping=1.0),
    "fit": lambda A: LogisticRegression(1.0).fit(A, Y_VAL[:12]),
    "predict": MODEL.predict,
    "predict_proba, named": NAMED.predict_proba,
    "MLP.fit": lambda A: MLP((2,), max_iter=2).fit(A, Y_VAL[:12]),
    "MLP.embed": NETWORK.embed,
    "labeler.fit": lambda A: SalutaryLabeler(l2=1.0).fit(A, Y_VAL[:12]),
    "labeler.fit, validation": lambda A: SalutaryLabeler(l2=1.0).fit(X, y, A, Y_VAL[:12]),
    "label": lambda A: LABELER.label(A, 2, rounds=1),
    "label, frames": lambda A: OF_FRAMES.label(A, 2, rounds=1),
    "labeler.predict": LABELER.predict,
    "labeler.predict, frames": OF_FRAMES.predict,
    "salutary_query": lambda A: salutary_query(LABELER, A, 2),
}
OF_LABELS = {
    "benefit": lambda b: benefit(MODEL, X, X_VAL, b, POOL),
    "falls_by_row": lambda b: falls_by_row(MODEL, X, X_VAL, Y_VAL, POOL[0], b),
    "module_benefit": lambda b: module_benefit(
        MODULE, EACH, X_VAL, b, X_VAL, Y_VAL, POOL, [0, 1], l2=1.0
    ),
    "module_benefit, classes": lambda b: module_benefit(
        MODULE, EACH, X, y, X_VAL, Y_VAL, POOL, b, l2=1.0
    ),
    "row_influence": lambda b: row_influence(MODULE, EACH, X_VAL, b, X, y, damping=1.0),
    "fit": lambda b: LogisticRegression(1.0).fit(X_VAL, b).predict(POOL),
    "MLP.fit": lambda b: MLP((2,), max_iter=2).fit(X_VAL, b).predict(POOL),
    "labeler.fit": lambda b: SalutaryLabeler(l2=1.0).fit(X_VAL, b).label(POOL, 2, rounds=1),
    "labeler.fit, validation": lambda b: SalutaryLabeler(l2=1.0).fit(X, y, X_VAL, b),
}
OF_BUDGETS = {
    "best": lambda k: best(READY, chunks(POOL), k),
    "chunks": lambda k: chunks(POOL, k or 0),
    "label": lambda k: LABELER.label(POOL, k),
    "label, rounds": lambda k: LABELER.label(POOL, 2, rounds=k),
    "salutary_query": lambda k: salutary_query(LABELER, POOL, k),
}
OF_MODELS = {
    "benefit": lambda m: benefit(m, X, X_VAL, Y_VAL, POOL),
    "pool_hessian": lambda m: pool_hessian(m, POOL),
    "best": lambda m: best(m, POOL, 2),
    "module_benefit": lambda m: module_benefit(m, EACH, X, y, X_VAL, Y_VAL, POOL, [0, 1], l2=1.0),
    "row_influence": lambda m: row_influence(m, EACH, X, y, X_VAL, Y_VAL, damping=1.0),
    "salutary_query": lambda m: salutary_query(m, POOL, 2),
}
ALL = [
    *((name, call, ROWS) for name, call in OF_ROWS.items()),
    *((name, call, LABELS) for name, call in OF_LABELS.items()),
    *((name, call, {repr(k): k for k in BUDGETS}) for name, call in OF_BUDGETS.items()),
    *((name, call, {repr(m)[:30]: m for m in MODELS}) for name, call in OF_MODELS.items()),
]


@pytest.mark.parametrize(("name", "call", "inputs"), ALL, ids=[name for name, _, _ in ALL])
def test_an_answer_or_a_sentence_of_ours(name, call, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = {kind: raised(lambda given=given: call(given)) for kind, given in inputs.items()}
    assert {kind: reason for kind, reason in wrong.items() if reason} == {}
