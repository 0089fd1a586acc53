"""Fixtures for the tests of this folder."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.streaming.cases import pool_of


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    """Every test of this folder runs on one thread."""


@pytest.fixture(scope="package")
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
