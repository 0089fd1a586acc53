"""scoring.py: the same picks for any chunks and any workers, in bounded memory."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from common.errors import UserError
from influence import benefit
from streaming.hessian import pool_hessian
from streaming.pools import chunks
from streaming.scoring import best
from tests.helpers import ROOT
from tests.streaming.cases import BUDGET, fitted, influence_of, pool_of, same


def expected(name, X, weighted=False):
    """By the whole matrix of benefits: best first. Equal rows are ties, in order of position."""
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


def test_a_pool_smaller_than_the_budget_is_refused():
    with pytest.raises(UserError, match="the pool has 9 rows"):
        best(influence_of("wine"), chunks(pool_of("wine")[:9]), 10)


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
from streaming.hessian import pool_hessian
from streaming.pools import chunks
from streaming.scoring import best
X = np.random.default_rng(0).standard_normal((400, 64))
y = (X[:, 0] > 0).astype(int)
model = LogisticRegression(1.0, True).fit(X, y)
# Not ru_maxrss: a process inherits it from the process that started it.
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
best(Influence(model, pool_hessian(model, chunks(X)), X, y), chunks(X), 100)
before = peak()
influence = Influence(model, pool_hessian(model, chunks(sys.argv[1])), X, y)
for pool in sys.argv[1], np.load(sys.argv[1], mmap_mode="r"), sys.argv[2]:
    best(influence, chunks(pool), 100)
    print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_memory_does_not_hold_the_pool(tmp_path):
    """A million × 64 float32, 256 MB, by path, by memory map, and as Parquet in one row group."""
    X = np.tile(np.random.default_rng(1).standard_normal((1_000, 64), dtype=np.float32), (1_000, 1))
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
