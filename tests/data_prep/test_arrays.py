"""Embeddings as data: .npy and .npz files, label files, list columns. Digits are the embeddings."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from common.errors import UserError
from data_prep.columns import Columns
from data_utils import load

DIGITS = load("digits").data  # multiples of 1/16, exact in every type of float
ROWS = 200
X, Y = DIGITS.X[:ROWS], DIGITS.y[:ROWS]


def save(folder, name, content):
    """The path of a file that holds ``content``, written by the library of its form."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    elif sparse.issparse(content):
        sparse.save_npz(path, content)
    elif isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False) if path.suffix == ".csv" else content.to_parquet(path)
    elif isinstance(content, str):
        path.write_text(content)
    else:
        np.save(path, content)
    return path


FEATURES = {
    "X.npy": X,
    "fortran.npy": np.asfortranarray(X),
    "half.npy": X.astype(np.float16),
    "whole.npy": (X * 16).astype(np.uint8),
    "big-endian.npy": X.astype(">f4"),
    "X.npz": {"X": X, "other": np.zeros((2, 2))},
    "one.npz": {"embeddings": X.astype(np.float32)},
    "csr.npz": sparse.csr_matrix(X),
    "csc.npz": sparse.csc_array(X),
    "coo.npz": sparse.coo_matrix(X),
}


@pytest.mark.parametrize("name", FEATURES)
def test_every_form_of_features_gives_the_matrix(name, tmp_path):
    path = save(tmp_path, name, FEATURES[name])
    data = load(str(path), labels=save(tmp_path, "y.npy", Y)).data
    np.testing.assert_array_equal(data.X, X * 16 if "whole" in name else X)
    np.testing.assert_array_equal(data.y, Y)
    assert data.X.dtype == np.float64


WORDS = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
LABELS = {
    "y.npy": Y.astype(np.int16),
    "column.npy": Y.reshape(-1, 1).astype(float),
    "words.npy": WORDS[Y],
    "bytes.npy": WORDS[Y].astype("S"),
    "y.txt": "\n".join(WORDS[Y]),
    "end.txt": "".join(f"{word}\r\n" for word in WORDS[Y]),
    "y.csv": pd.DataFrame({"class": WORDS[Y]}),
    "y.parquet": pd.DataFrame({"class": Y}),
}


@pytest.mark.parametrize("name", LABELS)
def test_every_form_of_labels_gives_the_classes(name, tmp_path):
    path, labels = save(tmp_path, "X.npy", X), save(tmp_path, name, LABELS[name])
    table = load(str(path), labels=labels)
    numbers = name in ("y.npy", "column.npy", "y.parquet")
    np.testing.assert_array_equal(table.data.y, Y if numbers else WORDS[Y])
    assert [(file.rows, len(file.sha256)) for file in table.files] == [(ROWS, 64)] * 2


def test_an_npz_with_its_labels_needs_no_file_of_labels(tmp_path):
    path = save(tmp_path, "own.npz", {"X": X, "y": Y, "words": WORDS[Y]})
    np.testing.assert_array_equal(load(str(path)).data.y, Y)
    np.testing.assert_array_equal(load(str(path), target="words").data.y, WORDS[Y])


def test_rows_without_a_label_are_left_out_and_the_others_keep_their_numbers(tmp_path):
    known = np.arange(ROWS) % 7 != 3
    path = save(tmp_path, "X.npy", X)
    frame = pd.DataFrame({"id": range(ROWS), "digit": pd.Series(Y, dtype="Int64").where(known)})
    lines = "".join(f"{label}\n" for label in np.where(known, Y.astype(str), ""))
    gaps = np.where(known, Y, np.nan)
    for name, content in {"y.csv": frame, "y.txt": lines, "y.npy": gaps}.items():
        labels = save(tmp_path, name, content)
        data = load(str(path), labels=labels, target="digit" if name == "y.csv" else None).data
        np.testing.assert_array_equal(data.rows, np.flatnonzero(known))
        np.testing.assert_array_equal(data.X, X[known])
        np.testing.assert_array_equal(data.y, Y[known])
        assert [count for count, _ in data.dropped] == [(~known).sum()]


def packed(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def with_cell(value, dtype=float):
    array = X.astype(dtype)
    array[7, 3] = value
    return array


def out_of_bounds():
    """A matrix whose index points behind its last column, as a damaged file may."""
    matrix = sparse.csr_matrix(X)
    matrix.indices[5] = 10**6
    return matrix


def not_compressed_any_more() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=X)
    content = bytearray(buffer.getvalue())
    content[200:260] = bytes(60)
    return bytes(content)


def no_array_in_it() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    return buffer.getvalue()


SPOILT_FEATURES = {
    "NaN": ("f.npy", with_cell(np.nan), "row 7, column 3 holds nan"),
    "infinite": ("f.npy", with_cell(-np.inf, np.float16), "row 7, column 3 holds -inf"),
    "a sparse NaN": ("f.npz", sparse.csr_matrix(with_cell(np.nan)), "row 7, column 3 holds nan"),
    "1-D": ("f.npy", X[0], "the shape (64): features are a table"),
    "3-D": ("f.npy", X.reshape(ROWS, 8, 8), "the shape (200, 8, 8): features are a table"),
    "complex": ("f.npy", X * 1j, "complex numbers"),
    "sparse complex": ("f.npz", sparse.csr_matrix(X * 1j), "complex numbers"),
    "texts": ("f.npy", X.astype(str), "holds texts"),
    "records": ("f.npy", np.zeros((3, 2), [("a", "f4")]), "cells of type"),
    "objects": ("f.npy", packed(X.astype(object)), "holds Python objects"),
    "objects in npz": ("f.npz", {"X": X.astype(object)}, "holds Python objects"),
    "no rows": ("f.npy", X[:0], "is empty: it has the shape (0, 64)"),
    "no columns": ("f.npy", X[:, :0], "is empty: it has the shape (200, 0)"),
    "equal rows": ("f.npy", X * 0, "no column to learn from"),
    "cut short": ("f.npy", packed(X)[:5_000], "damaged, cut short, or no .npy file"),
    "a cut header": ("f.npy", packed(X)[:40], "damaged, cut short, or no .npy file"),
    "nothing": ("f.npy", b"", "damaged, cut short, or no .npy file"),
    "a table": ("f.npy", b"a,b\n1,2\n", "damaged, cut short, or no .npy file"),
    "a pickle": ("f.npz", b"\x80\x04K\x01.", "damaged, cut short, or no .npz file"),
    "a cut npz": ("f.npz", not_compressed_any_more()[:900], "damaged, cut short, or no .npz"),
    "a changed npz": ("f.npz", not_compressed_any_more(), "damaged, cut short, or no .npz file"),
    "no array": ("f.npz", no_array_in_it(), "damaged, cut short, or no .npz file"),
    "npy named npz": ("f.npz", packed(X), "damaged, cut short, or no .npz file"),
    "a bad index": ("f.npz", out_of_bounds(), "damaged, cut short, or no .npz file"),
    "two arrays": ("f.npz", {"a": X, "b": X}, "holds a, b: name the array of features X"),
    "too large": ("f.npz", sparse.csr_matrix((10**6, 10**6)), "a quarter of this machine's memory"),
}


@pytest.mark.parametrize("fault", SPOILT_FEATURES)
def test_spoilt_features_are_refused_in_one_line(fault, tmp_path):
    name, content, message = SPOILT_FEATURES[fault]
    path = save(tmp_path, name, content)
    with pytest.raises(UserError) as caught:
        load(str(path), labels=save(tmp_path, "y.npy", Y))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


TWO = pd.DataFrame({"digit": Y, "writer": Y % 3})
SPOILT_LABELS = {
    "none": (None, None, "--labels is missing"),
    "not there": ("gone.csv", None, "gone.csv does not exist"),
    "fewer": ("y.npy", Y[:-1], "X.npy has 200 rows, "),
    "more": ("y.txt", "1\n" * 201, "y.txt has 201: there should be one label for each row"),
    "no lines": ("y.txt", "", "holds no labels"),
    "a table of them": ("y.npy", np.eye(10)[Y], "the shape (200, 10): labels are one for each"),
    "dates": ("y.npy", Y.astype("M8[D]"), "labels are integers or texts"),
    "fractions": ("y.npy", Y / 3, "holds fractions"),
    "one class": ("y.npy", Y * 0, "has 1 values"),
    "objects": ("y.npy", packed(Y.astype(object)), "holds Python objects"),
    "an image": ("y.png", b"x", "should end in .csv, .tsv, .parquet, .jsonl, .xlsx, .npy or .txt"),
    "Latin-1": ("y.txt", "größe\n".encode("latin-1"), "not in UTF-8"),
    "two columns": ("y.csv", TWO, "--target is missing: name the column of"),
}


@pytest.mark.parametrize("fault", SPOILT_LABELS)
def test_spoilt_labels_are_refused_in_one_line(fault, tmp_path):
    name, content, message = SPOILT_LABELS[fault]
    labels = name and (tmp_path / name if content is None else save(tmp_path, name, content))
    with pytest.raises(UserError) as caught:
        load(str(save(tmp_path, "X.npy", X)), labels=labels)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_are_for_arrays(tmp_path):
    labels = save(tmp_path, "y.npy", Y)
    table = save(tmp_path, "table.csv", TWO)
    with pytest.raises(UserError, match="table.csv has a column of classes, which --target names"):
        load(str(table), target="digit", labels=labels)
    with pytest.raises(UserError, match="--labels is for your own tables"):
        load("bank", labels=labels)
    with pytest.raises(UserError, match="no array 'y': name the file with the label of each row"):
        load(str(save(tmp_path, "X.npz", {"X": X})))


# --- a column of lists ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.uint8, bool])
def test_a_column_of_lists_becomes_a_feature_for_each_place(dtype, tmp_path):
    lists = (X > 0.5).astype(dtype)
    frame = pd.DataFrame({"before": X[:, 9], "lists": list(lists), "after": WORDS[Y % 2], "y": Y})
    data = load(str(save(tmp_path, "own.parquet", frame)), target="y").data
    expected = np.column_stack([X[:, 9], lists, frame["after"] == "zero"])
    np.testing.assert_array_equal(data.X, expected)
    columns = Columns().fit(("own", frame.drop(columns="y")))
    assert columns.names == ["before", *["lists"] * 64, "after"]
    assert columns.numbers == ["before"]


SPOILT_LISTS = {
    "ragged": ([0.0] * 63, "holds a list of 63 numbers, but the others have 64"),
    "no list": ("x", "holds no list, but other rows do"),
    "a missing place": ([None, *[0.5] * 63], "place 0 of the list is no finite number"),
    "infinite": ([*[0.5] * 63, np.inf], "place 63 of the list is no finite number"),
}


@pytest.mark.parametrize("fault", SPOILT_LISTS)
def test_spoilt_lists_are_refused_with_their_row(fault, tmp_path):
    cell, message = SPOILT_LISTS[fault]
    frame = pd.DataFrame({"lists": [*X[:5].tolist(), cell, *X[6:].tolist()]})
    if isinstance(cell, list):  # Parquet cannot hold a text beside lists
        frame = pd.read_parquet(save(tmp_path, "own.parquet", frame))
    with pytest.raises(UserError) as caught:
        Columns().fit(("own.parquet", frame))
    assert "own.parquet, row 5, column 'lists'" in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_list_is_missing_in_each_place(tmp_path):
    frame = pd.DataFrame({"lists": [*X[:5].tolist(), None, *X[6:].tolist()], "y": Y})
    data = load(str(save(tmp_path, "own.parquet", frame)), target="y").data
    np.testing.assert_array_equal(np.delete(data.X, 5, axis=0), np.delete(X, 5, axis=0))
    assert np.isnan(data.X[5]).all()


@pytest.mark.parametrize("cell", [["a", "b"], [[1.0], [2.0]], [[1.0], [2.0, 3.0]], [{"a": 1}]])
def test_lists_of_something_else_than_numbers_are_left_out(cell, tmp_path):
    frame = pd.DataFrame({"lists": [cell] * ROWS, "y": Y})
    with pytest.raises(UserError, match="'lists': lists of something else than numbers"):
        load(str(save(tmp_path, "own.parquet", frame)), target="y")
