"""SalutaryLabeler as the command: half-labeled frames, labels as a frame, a model refitted."""

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from common.errors import UserError
from data_prep.places import SHIPPED
from data_prep.reading import TableReading
from labeling.labeler import SalutaryLabeler
from models import LogisticRegression
from tests.helpers import split_of


@pytest.fixture(scope="module")
def half():
    """Rows of the bank, the last ones without a label; numbers and texts are missing in some."""
    frame = pd.read_csv(SHIPPED / "bank/bank.csv.gz").sample(500, random_state=0)
    rng = np.random.default_rng(0)
    frame["balance"] = frame["balance"].mask(rng.random(500) < 0.1)
    frame["job"] = frame["job"].mask(rng.random(500) < 0.1)
    frame["y"] = frame["y"].where(np.arange(500) < 150, None)
    frame.index = [f"customer {k}" for k in frame.index]
    return frame


def test_a_half_labeled_frame_is_labeled_as_the_command_labels_the_file(half, tmp_path, run, cells):
    half.to_csv(tmp_path / "half.csv", index=False)
    assert run(tmp_path, "--quiet", labeled="half.csv", pool=None, validation=None) == 0
    expected = cells(tmp_path / "plus.csv")[150:]
    labeler = SalutaryLabeler(l2=1.0).fit_half(half, target="y")
    given = labeler.label(budget=6).to_frame()
    assert list(given.index) == list(half.index[expected["source_row"].astype(int)])
    assert list(given["label"]) == list(expected["y"])
    for name in ("benefit", "runner_up", "probability"):
        np.testing.assert_allclose(given[name], expected[name].astype(float), rtol=1e-6)
    pd.testing.assert_frame_equal(given[list(half)], half.loc[given.index])  # its own cells
    assert set(labeler.columns_["column"]) == set(half) - {"y"}
    assert list(labeler.pool_.index) == list(half.index[150:])


def test_labels_as_a_frame_keep_the_pools_columns_apart_from_theirs(half):
    known = half[half["y"].notna()]
    X, y = known.drop(columns="y"), known["y"]
    X = X.rename(columns={"day": "round"})
    labeler = SalutaryLabeler(l2=1.0).fit(X[:120], y[:120])
    given = labeler.label(X[120:], 4, abstain=1e9)
    frame = given.to_frame()
    assert list(frame)[-6:] == [
        f"salutary_{n}" for n in ("label", "benefit", "runner_up", "probability", "round", "left")
    ]
    assert frame["round"].equals(X["round"].loc[frame.index])
    assert frame["salutary_left"].all()
    assert len(given.given.to_frame()) == 0
    assert list(given.for_a_person.to_frame()["salutary_benefit"]) == sorted(
        given.benefit, reverse=True
    )


def test_an_array_gives_positions_and_refit_trains_on_the_labels():
    split = split_of("wine")
    X, y, pool = split.X[split.labeled], split.y[split.labeled], split.X[split.pool]
    known = (X, y, split.X[split.validation], split.y[split.validation])
    labeler = SalutaryLabeler(l2=5.0, standardise=False).fit(*known)
    before = labeler.predict_proba(pool)
    given = labeler.label(pool, 5)
    np.testing.assert_array_equal(labeler.predict_proba(pool), before)  # as ever
    assert list(given.to_frame().index) == given.rows.tolist()
    assert given.to_frame().index.name == "row"
    labeler.label(pool, 5, refit=True)
    training = np.vstack([X, pool[given.rows]]), np.append(y, given.labels)
    alone = LogisticRegression(5.0, True).fit(*training)
    np.testing.assert_allclose(labeler.predict_proba(pool), alone.predict_proba(pool))
    np.testing.assert_array_equal(labeler.label(pool, 5).rows, given.rows)
    tree = SalutaryLabeler(
        l2=5.0, standardise=False, estimator=DecisionTreeClassifier(random_state=1)
    ).fit(*known)
    tree.label(pool, 5, refit=True)
    alone = DecisionTreeClassifier(random_state=1).fit(*training)
    np.testing.assert_array_equal(tree.predict(pool), alone.predict(pool))


def test_validation_rows_and_marks_of_no_label(half):
    frame = half.assign(y=half["y"].fillna("later"))
    reading = TableReading(unlabeled_value=("later",))
    labeler = SalutaryLabeler(l2=1.0, reading=reading)
    labeler.fit_half(frame[50:], "y", validation=frame[:50])
    assert labeler.n_validation_ == 0
    assert len(labeler.pool_) == 350
    with pytest.raises(UserError, match="^1 validation rows have no 'y': leave them out"):
        labeler.fit_half(frame[50:], "y", validation=frame[100:151])


def test_a_column_that_is_left_out_is_told_where_fit_was_called(half):
    frame = half.assign(number=[f"no. {k}" for k in range(500)])
    with pytest.warns(UserWarning, match="leaves columns out: 'number', an id") as told:
        labeler = SalutaryLabeler(l2=1.0).fit_half(frame, "y")
    assert told[0].filename == __file__
    left = labeler.columns_.set_index("column")["read_as"]
    assert left["number"] == "left out"
    assert set(left.index) == set(frame) - {"y"}


def test_bad_calls_are_told(half):
    labeler = SalutaryLabeler(l2=1.0)
    with pytest.raises(UserError, match="^unknown target 'yy': did you mean 'y'"):
        labeler.fit_half(half, "yy")
    with pytest.raises(UserError, match="'y' has no row without a label"):
        labeler.fit_half(half[:150], "y")
    with pytest.raises(UserError, match="'y' has no row with a label"):
        labeler.fit_half(half[150:], "y")
    with pytest.raises(TypeError, match="the frame is of type ndarray: give a data frame"):
        labeler.fit_half(half.to_numpy(), "y")
    labeler.fit_half(half, "y")
    with pytest.raises(TypeError, match="there is no budget: say how many"):
        labeler.label()
    labeler.fit(half[:150].drop(columns="y"), half["y"][:150])
    with pytest.raises(TypeError, match="there is no pool: give X_pool"):
        labeler.label(budget=5)
