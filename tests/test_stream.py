"""stream.py and pools.py: the same picks for any chunks, sources and workers, in bounded memory."""

import gzip
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from conftest import ROOT, split_of
from pyarrow import parquet

from influence import Influence, benefit, hessian
from models import LogisticRegression
from pools import chunks
from sources import UserError
from stream import StreamedHessian, best, pool_hessian

BUDGET = 40


@pytest.fixture(autouse=True)
def _one_thread():
    """Two threads gain nothing on small chunks, and wait for each other on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fitted(name):
    split = split_of(name)
    model = LogisticRegression(1.0, True).fit(split.X[split.labeled], split.y[split.labeled])
    return split, model


def influence_of(name, X_hessian=None):
    split, model = fitted(name)
    X_hessian = split.X[split.labeled] if X_hessian is None else X_hessian
    return Influence(model, X_hessian, split.X[split.validation], split.y[split.validation])


def pool_of(name):
    """The pool, then its first rows again in another order: a tie for many of the best rows."""
    split = split_of(name)
    X = split.X[split.pool]
    return np.vstack([X, X[np.random.default_rng(0).permutation(len(X))]])


def expected(name, X, weighted=False):
    """From the whole matrix of benefits: best first, ties, which are exact repeats, by position."""
    split, model = fitted(name)
    scores = benefit(
        model, split.X[split.labeled], split.X[split.validation], split.y[split.validation], X
    )
    if weighted:
        scores = scores * model.predict_proba(X)
    _, groups = np.unique(X, axis=0, return_inverse=True)
    top = pd.Series(scores.max(1)).groupby(groups.ravel()).transform("first").to_numpy()
    rows = np.lexsort((np.arange(len(X)), -top))[:BUDGET]
    return rows, model.classes_[scores[rows].argmax(1)], scores[rows].max(1)


def same(one, other):
    return all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["bank", "waveform", "wine"])
def test_one_chunk_and_a_thousand_give_the_same_bits_and_those_of_the_whole_matrix(name, weighted):
    influence, X = influence_of(name), pool_of(name)
    whole = best(influence, chunks(X, rows=len(X)), BUDGET, weighted=weighted)
    rows, labels, scores = expected(name, X, weighted)
    np.testing.assert_array_equal(whole[0], rows)
    np.testing.assert_array_equal(whole[1], labels)
    np.testing.assert_allclose(whole[2], scores, rtol=1e-9)
    assert len(np.unique(whole[2])) < BUDGET  # there are ties
    for size in (-(-len(X) // 1000), 7, 1009):
        assert same(whole, best(influence, chunks(X, rows=size), BUDGET, weighted=weighted))


def test_of_rows_that_are_all_the_same_the_first_are_picked():
    influence = influence_of("wine")
    X = np.repeat(pool_of("wine")[5:6], 5_000, axis=0)
    for size in (5_000, 100, 33):
        rows, _, scores = best(influence, chunks(X, rows=size), BUDGET)
        assert rows.tolist() == list(range(BUDGET))
        assert len(set(scores)) == 1


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The wine pool in every form, as float64."""
    folder = tmp_path_factory.mktemp("pools")
    X = pool_of("wine")
    np.save(folder / "pool.npy", X)
    np.save(folder / "columns.npy", np.asfortranarray(X))
    np.save(folder / "swapped.npy", X.astype(">f8"))
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(X.shape[1])])
    parquet.write_table(pa.Table.from_pandas(frame), folder / "pool.parquet", row_group_size=1_000)
    frame.to_csv(folder / "pool.csv", index=False)
    frame.to_csv(folder / "pool.tsv.gz", index=False, sep="\t")
    return folder


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


def test_a_pool_smaller_than_the_budget_is_refused():
    with pytest.raises(UserError, match="the pool has 9 rows"):
        best(influence_of("wine"), chunks(pool_of("wine")[:9]), 10)


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
    "nothing.csv": ("", "no whole table"),
    "cut.csv.gz": (gzip.compress(CSV.encode() * 99)[:-20], "no whole table"),
    "cut.npy": (b"\x93NUMPY\x01\x00v\x00", "no whole .npy"),
    "cut.parquet": (b"PAR1....", "no whole Parquet"),
    "pool.txt": ("1 2", "is no pool"),
    "pool.npy.gz": ("", "is no pool"),
    "null.parquet": (with_cell(None).astype(float).convert_dtypes(), "row 13, column 'b': it is"),
    "nan.parquet": (with_cell(np.nan).astype(float), "row 13, column '?b'?: "),
    "inf.parquet": (with_cell(np.inf).astype(float), "row 13, column 'b': inf is not a finite"),
    "word.parquet": (with_cell(1).astype(str), "column 'a': .* is no type of number"),
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


# --- the Hessian ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bank", "wine"])
def test_the_hessian_in_chunks_is_the_hessian(name, files):
    split, model = fitted(name)
    X = split.X[split.pool]
    true, G = hessian(model, X), influence_of(name).gradient
    summed, streamed = pool_hessian(model, chunks(X, rows=313)), StreamedHessian(model, chunks(X))
    V = torch.ones_like(G)
    for made in (summed, streamed):
        torch.testing.assert_close(made.dense(), true.dense())
        torch.testing.assert_close(made.product(V), true.product(V))
        torch.testing.assert_close(made.solve(G), true.solve(G))
        torch.testing.assert_close(made.solve(G, solver="cg"), true.solve(G), rtol=1e-6, atol=1e-9)
    picked = best(influence_of(name, summed), chunks(X, rows=100), BUDGET)
    direct = best(influence_of(name, X), chunks(X), BUDGET)
    np.testing.assert_array_equal(picked[0], direct[0])
    np.testing.assert_allclose(picked[2], direct[2], rtol=1e-6)


def test_many_parameters_are_solved_by_passes_over_the_pool(monkeypatch):
    monkeypatch.setattr("stream.DENSE_PARAMETERS", 10)
    split, model = fitted("bank")
    made = pool_hessian(model, chunks(split.X[split.pool], rows=500))
    monkeypatch.setattr(made, "dense", None)
    influence = influence_of("bank", made)
    influence.solver = "cg"
    true = influence_of("bank", split.X[split.pool]).solution
    torch.testing.assert_close(influence.solution, true, rtol=1e-6, atol=1e-9)


# --- workers -------------------------------------------------------------------------------------


def test_two_processes_and_a_cluster_give_the_bits_of_one_process(files, two):
    influence, X = influence_of("wine"), pool_of("wine")
    model = influence.model
    whole = best(influence, chunks(X), BUDGET)
    H = pool_hessian(model, chunks(files / "pool.npy", rows=500)).dense()
    assert same(whole, best(influence, chunks(files / "pool.parquet", rows=300), BUDGET, jobs=2))
    for pool in (X, files / "pool.npy", files / "pool.parquet", files / "pool.csv"):
        assert same(whole, best(influence, chunks(pool, rows=300), BUDGET, dask=two.address))
    parts = chunks(files / "pool.npy", rows=500)
    assert torch.equal(pool_hessian(model, parts, dask=two.address).dense(), H)
    parts = chunks(files / "pool.npy")
    (files / "pool.npy").rename(files / "moved.npy")
    try:
        with pytest.raises(UserError, match="where every worker sees it"):
            best(influence, parts, BUDGET, dask=two.address)
    finally:
        (files / "moved.npy").rename(files / "pool.npy")


# --- memory --------------------------------------------------------------------------------------

MEMORY = """
import re, sys
import numpy as np
from influence import Influence
from models import LogisticRegression
from stream import best, chunks, pool_hessian
X = np.random.default_rng(0).standard_normal((400, 64))
y = (X[:, 0] > 0).astype(int)
model = LogisticRegression(1.0, True).fit(X, y)
# Not ru_maxrss: a process inherits that of the one which started it.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
best(Influence(model, pool_hessian(model, chunks(X)), X, y), chunks(X), 100)
before = peak()
influence = Influence(model, pool_hessian(model, chunks(sys.argv[1])), X, y)
for pool in sys.argv[1], np.load(sys.argv[1], mmap_mode="r"), sys.argv[2]:
    best(influence, chunks(pool), 100)
    print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_memory_does_not_hold_the_pool(tmp_path):
    """A million × 64 float32, 256 MB, by path, by memory map, and as Parquet in one row group."""
    X = np.random.default_rng(1).standard_normal((1_000_000, 64), dtype=np.float32)
    np.save(tmp_path / "pool.npy", X)
    table = pa.table({f"f{i}": X[:, i] for i in range(64)})
    parquet.write_table(table, tmp_path / "pool.parquet", compression=None, use_dictionary=False)
    paths = [str(tmp_path / name) for name in ("pool.npy", "pool.parquet")]
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *paths], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in tmp_path.iterdir():
        path.unlink()
    by_path, by_map, by_groups = map(float, done.stdout.split())  # each the peak so far
    assert by_path <= by_map < 120
    assert by_groups < 220  # a page of each column, and its decoder
