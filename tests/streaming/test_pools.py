"""pools.py: the same rows from every source, and errors that name the place of what is wrong."""

import gzip

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from streaming.pools import chunks
from streaming.scoring import best
from tests.streaming.cases import BUDGET, influence_of, pool_of, same


@pytest.mark.parametrize(
    "name", ["pool.npy", "columns.npy", "swapped.npy", "pool.parquet", "pool.csv", "pool.tsv.gz"]
)
def test_every_source_gives_the_picks_of_the_array(files, name):
    influence, X = influence_of("wine"), pool_of("wine")
    found = best(influence, chunks(files / name, rows=300), BUDGET)
    assert same(found, best(influence, chunks(X), BUDGET))
    parts = list(chunks(files / name, rows=300))
    assert [start for start, _ in parts] == np.cumsum(
        [0, *(len(x) for _, x in parts[:-1])]
    ).tolist()
    assert max(len(x) for _, x in parts) == 300
    np.testing.assert_array_equal(np.vstack([x for _, x in parts]), X)


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_memory_map_is_a_source_and_keeps_what_was_written_to_it(files, tmp_path, mode):
    influence, X = influence_of("wine"), pool_of("wine").copy()
    np.save(tmp_path / "pool.npy", X)
    pool = np.load(tmp_path / "pool.npy", mmap_mode=mode)
    if mode != "r":
        pool[7], X[7] = 3.0, 3.0
    found = best(influence, chunks(pool[2:], rows=300), BUDGET)
    assert same(found, best(influence, chunks(X[2:]), BUDGET))
    np.testing.assert_array_equal(pool, X)


def test_parts_of_ones_own_are_a_source():
    influence, X = influence_of("wine"), pool_of("wine")
    parts = ((start, X[start : start + 500]) for start in range(0, len(X), 500))
    assert same(best(influence, parts, BUDGET), best(influence, chunks(X), BUDGET))
    with pytest.raises(UserError, match=r"rows from 0 on have shape \(9, 3\): the model knows 11"):
        best(influence, [(0, np.ones((9, 3)))], 2)
    with pytest.raises(UserError, match="the pool, row 12, column 1: nan is not a finite number"):
        best(influence, [(10, np.array([[1.0] * 11] * 2 + [[1, np.nan] + [0] * 9]))], 2)


SPELLINGS = {
    "semicolons.csv": ";".join,
    "said.csv": lambda cells: ("sep=;\n" if cells[0] == "x0" else "") + ";".join(cells),
    "comment.csv": lambda cells: ("# mine\n" if cells[0] == "x0" else "") + ",".join(cells),
    "trailing.csv": lambda cells: ",".join(cells) + ",",
    "blanks.csv": "  ".join,
    "POOL.TSV": "\t".join,
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_what_programs_write_around_a_table_is_understood(name, tmp_path):
    X = pool_of("wine")[:90]
    rows = [[f"x{j}" for j in range(X.shape[1])], *([repr(float(v)) for v in row] for row in X)]
    (tmp_path / name).write_text("".join(SPELLINGS[name](row) + "\n" for row in rows))
    pool = chunks(tmp_path / name, rows=40)
    assert pool.names == rows[0]
    np.testing.assert_array_equal(np.vstack([part for _, part in pool]), X)


def with_cell(value):
    frame = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)}).astype(object)
    frame.loc[13, "b"] = value
    return frame


CSV = "a,b\n" + "1,2\n" * 10
BAD = {
    "word.csv": (CSV + "1,x\n", "line 12, column 'b': 'x' is not a number"),
    "empty.csv": (CSV + "1,\n", "line 12, column 'b': '' is not a number"),
    "true.csv": ("a,b\n" + "1,True\n" * 9, "line 2, column 'b': 'True' is not a number"),
    "short.csv": (CSV + "1\n", "line 12, column 'b'"),
    "long.csv": (CSV + "1,2,3\n", "line 12"),
    "blank.csv": (CSV + "\n1,2\n", "line 12, column 'a'"),
    "inf.tsv": (CSV.replace(",", "\t") + "1\tinf\n", "line 12, column 'b': 'inf' is not"),
    "headless.csv": ("1,2\n" * 9, "no names of columns"),
    "nothing.csv": ("", "no names of columns in its first line: add them"),
    "cut.csv.gz": (
        gzip.compress(CSV.encode() * 99)[:-20],
        "cut short, or not packed by gzip: copy or",
    ),
    "cut.npy": (b"\x93NUMPY\x01\x00v\x00", "damaged, cut short, or no .npy file; save it again"),
    "cut.parquet": (b"PAR1....", "damaged, cut short, or no parquet file; save it again"),
    "twice.csv": (CSV.replace("a,b", "a,a"), "more than one column 'a': rename one"),
    "index.csv": (",a\n" + "1,2\n" * 9, "line 1: column 1 has no name: name it; or leave it out"),
    "more.csv": ("a,b,\n" + "1,2,\n" * 9 + "1,2,3\n", "line 11 has more cells than the header"),
    "comma.csv": ("# of 2026\na;b\n" + "1;2\n" * 9 + "1;2,5\n", "line 12, .*a decimal point$"),
    "title.csv": ("The pool\n" + CSV, "line 2 has 2 cells, but the header in line 1 has 1"),
    "quote.csv": (CSV + '1,"2\n', "line 12: a quotation mark is not closed"),
    "names.csv": ("a,b\n", "holds no rows"),
    "latin.csv": (CSV.replace("b", "ü").encode("latin-1"), "is not in UTF-8: save it as UTF-8"),
    "objects.npy": (np.array([[1, None]], object), "holds Python objects, which are not loaded"),
    "zip.npy": (b"PK\x03\x04" + b"\0" * 99, "damaged, cut short, or no .npy file"),
    "dates.parquet": (with_cell(1).astype("datetime64[ns]"), "column 'a': .* type timestamp"),
    "empty.parquet": (with_cell(1).astype(float)[:0], "holds no rows"),
    "pool.txt": ("1 2", "is no pool"),
    "pool.npy.gz": ("", "is no pool"),
    "null.parquet": (with_cell(None).astype(float).convert_dtypes(), "row 13, column 'b': it is"),
    "nan.parquet": (with_cell(np.nan).astype(float), "row 13, column '?b'?: "),
    "inf.parquet": (with_cell(np.inf).astype(float), "row 13, column 'b': inf is not a finite"),
    "word.parquet": (
        with_cell(1).astype(str),
        "column 'a': its cells are of type .*string: save them as",
    ),
    "inf.npy": (np.where(np.eye(20) == 1, np.inf, 1.0)[5:], "row 0, column 5: inf is not a finite"),
    "words.npy": (np.array([["a", "b"]]), "should hold numbers"),
    "flat.npy": (np.arange(9.0), r"its shape is \(9,\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_number_is_said_with_its_place(name, tmp_path):
    content, message = BAD[name]
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif isinstance(content, pd.DataFrame):
        content.to_parquet(path, index=False, row_group_size=8)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as caught:
        list(chunks(path, rows=4))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a file"):
        chunks(tmp_path / "pool.npy")
