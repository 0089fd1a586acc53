"""Every documented function takes the same forms of data, and refuses the same mistakes.

The oracle: what is taken gives the result of the plain arrays; what is refused is refused by a
sentence of this project, so the error is raised in one of its files and names what is wrong.
"""

import traceback

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import influence
from influence import Influence, benefit, falls_by_row
from labeling.labeler import SalutaryLabeler
from models import MLP, LogisticRegression
from streaming.hessian import pool_hessian
from streaming.pools import chunks
from streaming.scoring import best
from tests.helpers import ROOT

NAMES = list("abcde")
RNG = np.random.default_rng(3)
WEIGHTS = RNG.normal(size=5)


def draw(n):
    X = RNG.normal(size=(n, 5))
    return X, (X @ WEIGHTS + RNG.normal(size=n) > 0).astype(int)


(X, y), (X_VAL, Y_VAL), (POOL, _) = draw(40), draw(30), draw(25)
MODEL = LogisticRegression(1.0, True).fit(pd.DataFrame(X, columns=NAMES), y)
NETWORK = MLP((3,), max_iter=3).fit(pd.DataFrame(X, columns=NAMES), y)
LABELER = SalutaryLabeler(l2=1.0).fit(pd.DataFrame(X, columns=NAMES), y, X_VAL, Y_VAL)
READY = Influence(MODEL, X, X_VAL, Y_VAL)


def fitted_theta(A, b=y):
    return LogisticRegression(1.0, True).fit(A, b).theta_


# Functions of rows that a fitted model knows: they check the width, too.
OF_ROWS = {
    "benefit, pool": lambda A: benefit(MODEL, X, X_VAL, Y_VAL, A),
    "benefit, Hessian": lambda A: benefit(MODEL, A, X_VAL, Y_VAL, POOL),
    "benefit, validation": lambda A: benefit(MODEL, X, A, Y_VAL[:25], POOL),
    "benefit by CG, Hessian": lambda A: benefit(MODEL, A, X_VAL, Y_VAL, POOL, solver="cg"),
    "benefit by CG, validation": lambda A: benefit(MODEL, X, A, Y_VAL[:25], POOL, solver="cg"),
    "benefit of no row, Hessian": lambda A: benefit(MODEL, A, X_VAL, Y_VAL, POOL[:0]),
    "benefit of no row, validation": lambda A: benefit(MODEL, X, A, Y_VAL[:25], POOL[:0]),
    "solution, Hessian": lambda A: Influence(MODEL, A, X_VAL, Y_VAL).solution,
    "solution, validation": lambda A: Influence(MODEL, X, A, Y_VAL[:25]).solution,
    "benefit, finite": lambda A: benefit(MODEL, X, X_VAL, Y_VAL, A, step="finite"),
    "first": READY.first,
    "finite": READY.finite,
    "class_probabilities": READY.class_probabilities,
    "falls_by_row, Hessian": lambda A: falls_by_row(MODEL, A, X_VAL, Y_VAL, POOL[0], 1),
    "falls_by_row, validation": lambda A: falls_by_row(MODEL, X, A, Y_VAL[:25], POOL[0], 1),
    "loss": lambda A: influence.loss(MODEL, A, Y_VAL[:25]),
    "gradient": lambda A: influence.gradient(MODEL, A, Y_VAL[:25]),
    "hessian": lambda A: influence.hessian(MODEL, A).dense(),
    "pool_hessian": lambda A: pool_hessian(MODEL, chunks(A)).dense(),
    "best": lambda A: best(READY, chunks(A, 7), 3)[2],
    "predict_proba": MODEL.predict_proba,
    "MLP.predict_proba": NETWORK.predict_proba,
    "MLP.embed": NETWORK.embed,
    "labeler.label": lambda A: LABELER.label(A, 3).rows,
    "labeler.screen": LABELER.screen,
    "labeler, validation": lambda A: (
        SalutaryLabeler(l2=1.0).fit(X, y, A, Y_VAL[:25]).label(POOL, 3).benefit
    ),
}
FITS = {
    "fit": lambda A: fitted_theta(A, Y_VAL[:25]),
    "MLP.fit": lambda A: MLP((3,), max_iter=3).fit(A, Y_VAL[:25]).head_.theta_,
    "labeler.fit": lambda A: SalutaryLabeler(l2=1.0).fit(A, Y_VAL[:25], X, y).model_.theta_,
}
FORMS = {
    "frame": lambda A: pd.DataFrame(A, columns=NAMES),
    "frame without names": pd.DataFrame,
    "objects": lambda A: A.astype(object),
    "lists": lambda A: A.tolist(),
    "sparse": scipy.sparse.csr_matrix,
    "sparse array": scipy.sparse.coo_array,
    "tensor with gradient": lambda A: torch.tensor(A, requires_grad=True),
    "sparse tensor": lambda A: torch.tensor(A).to_sparse(),
    "fortran": np.asfortranarray,
    "big-endian": lambda A: A.astype(">f8"),
    "long double": lambda A: A.astype(np.longdouble),
    "negative strides": lambda A: A[::-1, ::-1].copy()[::-1, ::-1],
    "masked nowhere": np.ma.masked_array,
    "list of tensors": lambda A: list(torch.tensor(A)),
    "sparse frame": lambda A: pd.DataFrame(A, columns=NAMES).astype(pd.SparseDtype(float)),
}


def with_cell(value, dtype=float):
    A = POOL.astype(dtype)
    A[4, 2] = value
    return A


BAD_ANYWHERE = {
    "NaN": (with_cell(np.nan), "row 4, column 2: .*(NaN|nan) is not a finite"),
    "infinite": (with_cell(np.inf), "row 4, column 2: inf is not a finite"),
    "minus infinite": (with_cell(-np.inf), "row 4, column 2: -inf is not a finite"),
    "NaN in a tensor": (torch.tensor(with_cell(np.nan)), "row 4, column 2"),
    "a missing object": (with_cell(pd.NA, object), "row 4, column 2"),
    "a text": (with_cell("red", object), "row 4, column 2: 'red' is not a number"),
    "masked": (np.ma.masked_array(POOL, np.eye(25, 5, -2) > 0), "row 2, column 0"),
    "an integer too large": (with_cell(10**400, object), "row 4, column 2: the number is too"),
    "on meta": (torch.ones(25, 5, device="meta"), "on the device meta, without numbers"),
    "two names alike": (pd.DataFrame(POOL, columns=list("abcda")), "more than one column 'a'"),
    "complex": (POOL.astype(complex), "real numbers|hold numbers"),
    "one row": (POOL[0], "rows and columns"),
    "three dimensions": (POOL[None], "rows and columns"),
    "uneven lists": ([[1.0, 2.0, 3.0, 4.0, 5.0], [1.0]], "differ in length"),
}
BAD_FOR_A_MODEL = {
    "a column more": (np.c_[POOL, POOL[:, 0]], "6 features.*5 features|the model knows 5"),
    "a column less": (POOL[:, 1:], "4 features.*5 features|the model knows 5"),
    "another order": (pd.DataFrame(POOL, columns=NAMES[::-1]), "column 1 is 'e' and should be 'a'"),
    "another name": (pd.DataFrame(POOL, columns=[*"abcd", "z"]), "lacks the column 'e'.*'z'"),
}
NAMELESS_LABELER = "labeler, validation"  # its fit sees no names


def refused(call, message, kinds=(ValueError, TypeError)):
    with pytest.raises(kinds, match=message) as caught:
        call()
    last = traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert last.startswith(str(ROOT)), f"a sentence of {last}"


def as_array(result):
    return np.asarray(result.detach() if isinstance(result, torch.Tensor) else result)


@pytest.mark.filterwarnings("ignore:X (has|does not have) ")
@pytest.mark.parametrize("function", [*OF_ROWS, *FITS])
def test_every_form_of_the_rows_gives_the_same(function):
    call = (OF_ROWS | FITS)[function]
    expected = as_array(call(POOL))
    for form, made in FORMS.items():
        if function == NAMELESS_LABELER and form in ("frame", "sparse frame"):
            continue
        np.testing.assert_allclose(
            as_array(call(made(POOL))), expected, rtol=1e-9, atol=1e-12, err_msg=form
        )


@pytest.mark.filterwarnings("ignore:X (has|does not have) ")
@pytest.mark.parametrize("bad", BAD_ANYWHERE)
@pytest.mark.parametrize("function", [*OF_ROWS, *FITS])
def test_every_function_refuses_bad_rows(function, bad):
    A, message = BAD_ANYWHERE[bad]
    refused(lambda: (OF_ROWS | FITS)[function](A), message)


@pytest.mark.parametrize("bad", BAD_FOR_A_MODEL)
@pytest.mark.parametrize("function", [name for name in OF_ROWS if name != NAMELESS_LABELER])
def test_every_function_refuses_other_columns_than_those_of_fit(function, bad):
    A, message = BAD_FOR_A_MODEL[bad]
    refused(lambda: OF_ROWS[function](A), message)


OF_LABELS = {
    "benefit": lambda b: benefit(MODEL, X, X_VAL, b, POOL),
    "Influence": lambda b: Influence(MODEL, X, X_VAL, b).first(POOL),
    "falls_by_row": lambda b: falls_by_row(MODEL, X, X_VAL, b, POOL[0], 1),
    "loss": lambda b: influence.loss(MODEL, X_VAL, b),
    "gradient": lambda b: influence.gradient(MODEL, X_VAL, b),
    "labeler": lambda b: SalutaryLabeler(l2=1.0).fit(X, y, X_VAL, b).label(POOL, 3).benefit,
    "fit": lambda b: fitted_theta(X_VAL, b),
}
LABEL_FORMS = {
    "column": lambda b: b[:, None],
    "frame": lambda b: pd.DataFrame({"y": b}),
    "series with another index": lambda b: pd.Series(b, index=np.arange(len(b))[::-1] + 100),
    "list": lambda b: b.tolist(),
    "floats with gradient": lambda b: torch.tensor(b.astype(float), requires_grad=True),
    "objects": lambda b: b.astype(object),
    "nullable": lambda b: pd.Series(b, dtype="Int64"),
    "bool": lambda b: b == 1,
    "uint8": lambda b: torch.tensor(b, dtype=torch.uint8),
}
BAD_LABELS = {
    "one label": (Y_VAL[:1], r"\b1\b"),
    "a label too few": (Y_VAL[:-1], r"\b29\b"),
    "a row": (Y_VAL[None], r"\(1, 30\)"),
    "none": (Y_VAL[:0], r"\b0\b"),
    "masked": (np.ma.masked_array(Y_VAL, np.arange(30) == 7), "masked in row 7"),
    "one-hot": (np.eye(2)[Y_VAL], r"\(30, 2\)"),
    "an unknown class": (np.where(np.arange(30) == 7, 5, Y_VAL), " 5 is "),
    "a NaN": (np.where(np.arange(30) == 7, np.nan, Y_VAL), "(?i)nan"),
}


@pytest.mark.filterwarnings("ignore:A column-vector y")
@pytest.mark.parametrize("function", OF_LABELS)
def test_every_form_of_the_labels_gives_the_same(function):
    expected = as_array(OF_LABELS[function](Y_VAL))
    for form, made in LABEL_FORMS.items():
        result = as_array(OF_LABELS[function](made(Y_VAL)))
        np.testing.assert_allclose(result, expected, rtol=1e-9, err_msg=form)


@pytest.mark.parametrize("bad", BAD_LABELS)
@pytest.mark.parametrize("function", [name for name in OF_LABELS if name != "fit"])
def test_every_function_refuses_bad_labels(function, bad):
    b, message = BAD_LABELS[bad]
    refused(lambda: OF_LABELS[function](b), message)


MODELS = {
    "unfitted": (LogisticRegression(), "not fitted yet"),
    "an MLP": (NETWORK, "give head_"),
    "the class": (LogisticRegression, "the class LogisticRegression"),
    "nothing": (None, "NoneType"),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "call",
    [
        lambda model: benefit(model, X, X_VAL, Y_VAL, POOL),
        lambda model: Influence(model, X, X_VAL, Y_VAL),
        lambda model: falls_by_row(model, X, X_VAL, Y_VAL, POOL[0], 1),
        lambda model: influence.loss(model, X, y),
        lambda model: pool_hessian(model, chunks(POOL)),
    ],
)
def test_another_model_is_refused(call, model):
    refused(lambda: call(MODELS[model][0]), MODELS[model][1])


@pytest.mark.parametrize("budget", [0, -1, 2.5, True, None, "3"])
def test_best_refuses_a_budget_that_is_no_count(budget):
    refused(lambda: best(READY, chunks(POOL), budget), "budget is .*: give a whole number of 1")


@pytest.mark.parametrize("kind", ["csv", "parquet", "frame"])
def test_a_pool_with_its_columns_in_another_order_is_refused(kind, tmp_path):
    frame = pd.DataFrame(POOL, columns=NAMES)[NAMES[::-1]]
    source = frame if kind == "frame" else tmp_path / f"pool.{kind}"
    if kind == "csv":
        frame.to_csv(source, index=False)
    elif kind == "parquet":
        frame.to_parquet(source)
    for call in (lambda: best(READY, source, 3), lambda: pool_hessian(MODEL, source)):
        refused(call, "pool.* another order than in fit: column 1 is 'e' and should be 'a'")


@pytest.mark.parametrize("pool", [5, [1.0, 2.0], [POOL]])
def test_best_refuses_what_is_no_pool(pool):
    refused(lambda: best(READY, pool, 3), "the pool")


def test_benefits_too_large_for_the_type_are_told_as_such():
    far = READY.solution[:, :5].sign().numpy() * 1.7e308
    for step in ("first", "finite"):
        refused(lambda s=step: benefit(MODEL, X, X_VAL, Y_VAL, far, step=s), "row 0 of the pool is")


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(1.0), MLP((3,), max_iter=3), SalutaryLabeler(l2=1.0)]
)
def test_a_failed_fit_leaves_the_estimator_unfitted(estimator):
    for begin in (lambda: None, lambda: estimator.fit(X, y)):
        begin()
        refused(lambda: estimator.fit(X, np.zeros(40)), "y has one class, 0.0$")
        assert not [name for name in vars(estimator) if name.endswith("_")]
        refused(lambda: estimator.predict(POOL), "not fitted yet")
    assert estimator.fit(X, y).predict(POOL).shape == (25,)


def test_no_validation_rows_and_a_start_of_another_model_are_refused():
    nothing = X_VAL[:0], Y_VAL[:0]
    refused(lambda: Influence(MODEL, X, *nothing), "X_validation has no rows: give at least one")
    for start in (READY.solution[:, :3], READY.solution[0], READY.solution * np.nan, "near"):
        refused(lambda s=start: Influence(MODEL, X, X_VAL, Y_VAL, start=s), "start has shape")
    started = Influence(MODEL, X, X_VAL, Y_VAL, start=READY.solution)
    assert started.first(POOL[:0]).shape == started.without_rows().first(POOL[:0]).shape == (0, 2)


@pytest.mark.parametrize("order", [list("dcba"), list("badc")])
def test_a_labeler_of_frames_with_texts_goes_by_name(order):
    def frame(A):
        return pd.DataFrame(A[:, :3], columns=list("abc")).assign(d=np.where(A[:, 3] > 0, "u", "v"))

    labeler = SalutaryLabeler(l2=1.0).fit(frame(X), y, frame(X_VAL), Y_VAL)
    given = labeler.label(frame(POOL)[order], 3)
    np.testing.assert_array_equal(given.rows, labeler.label(frame(POOL), 3).rows)
    refused(lambda: labeler.label(frame(POOL)[list("abd")], 3), "lacks the column 'c'")
    refused(lambda: labeler.label(POOL[:, :4], 3), "give a data frame with the columns")
    twice = pd.concat([frame(X), frame(X)[["d"]]], axis=1)
    refused(lambda: SalutaryLabeler(l2=1.0).fit(twice, y), "more than one column 'd': rename one")
