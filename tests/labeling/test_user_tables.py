"""A user's tables: every form, chunks, and the rows that are kept."""

import numpy as np
import pandas as pd
import pytest

from data_prep import tables
from labeling import user_tables
from tests.helpers import error_of

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.mark.parametrize("form", ["tsv", "csv.gz", "parquet", "semicolons", "utf-16", "latin-1"])
def test_every_form_and_encoding_gives_the_same_picks(form, folder, run):
    assert run(folder, "--quiet") == 0
    expected = pd.read_csv(folder / "plus.csv")
    suffix = form if form in ("tsv", "csv.gz", "parquet") else "csv"
    for name in ("labeled", "pool", "validation"):
        frame = pd.read_csv(folder / f"{name}.csv")
        if form == "parquet":
            frame.to_parquet(folder / f"{name}2.parquet")
        else:
            separator = {"tsv": "\t", "semicolons": ";"}.get(form, ",")
            encoding = form if form in ("utf-16", "latin-1") else "utf-8"
            path = folder / f"{name}2.{suffix}"
            frame.to_csv(path, index=False, sep=separator, encoding=encoding)
    names = {name: f"{name}2.{suffix}" for name in ("labeled", "pool", "validation")}
    options = ["--encoding=latin-1"] if form == "latin-1" else []
    assert run(folder, f"--out={folder}/other.{suffix}", "--quiet", *options, **names) == 0
    if suffix == "parquet":
        found = pd.read_parquet(folder / "other.parquet")
    else:
        found = pd.read_csv(folder / f"other.{suffix}", sep="\t" if suffix == "tsv" else ",")
    files = {str(folder / f"{name}.csv"): str(folder / file) for name, file in names.items()}
    expected["source_file"] = expected["source_file"].map(files)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_another_encoding_is_told_with_the_way_out(folder, capsys, run):
    text = (folder / "pool.csv").read_text().replace("management", "Geschäftsführung")
    (folder / "pool.csv").write_bytes(text.encode("latin-1"))
    assert run(folder) == 2
    assert (
        "is not in UTF-8: save it as UTF-8, or name its encoding, such as --encoding latin-1"
        in error_of(capsys)
    )
    assert run(folder, "--encoding=latin-1", "--quiet") == 0


def test_one_file_with_blank_targets_is_labeled_rows_and_pool(folder, capsys, run, cells):
    both = pd.concat([cells(folder / f"{name}.csv") for name in ("labeled", "pool")])
    both.fillna("").to_csv(folder / "both.csv", index=False)
    assert run(folder, "--quiet") == 0
    assert run(folder, f"--out={folder}/other.csv", "--quiet", labeled="both.csv", pool=None) == 0
    plus, other = cells(folder / "plus.csv"), cells(folder / "other.csv")
    sources = ["source_file", "source_row"]
    pd.testing.assert_frame_equal(other.drop(columns=sources), plus.drop(columns=sources))
    assert set(other["source_file"]) == {str(folder / "both.csv")}
    moved = plus["source_row"].astype(int) + 120 * plus["source_file"].str.endswith("pool.csv")
    assert (other["source_row"].astype(int) == moved).all()
    assert run(folder, f"--out={folder}/third.csv", pool=None) == 2
    assert "no row with a blank 'y'" in error_of(capsys)


@pytest.mark.slow
def test_chunks_change_nothing_and_a_short_list_is_said(folder, monkeypatch, capsys, run, cells):
    assert run(folder, "--quiet") == 0
    whole = (folder / "plus.csv").read_bytes()
    read = tables.chunks
    monkeypatch.setattr(tables, "chunks", lambda path, reading: read(path, reading, rows=37))
    assert run(folder, "--quiet", "--force") == 0
    assert (folder / "plus.csv").read_bytes() == whole
    monkeypatch.setattr(user_tables, "KEPT", 60)
    assert run(folder, "--force", "--unseen=other") == 0
    assert "picking from the 60 pool rows of largest first-order benefit" in capsys.readouterr().out
    assert len(cells(folder / "plus.csv")) > 120


def test_the_running_best_is_that_of_all_rows_at_once():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 50, 1_000)  # with ties
    frame = pd.DataFrame({"row": np.arange(1_000)})
    parts = ((scores[i : i + 70], frame[i : i + 70]) for i in range(0, 1_000, 70))
    expected = np.sort(np.argsort(-scores, kind="stable")[:90])
    np.testing.assert_array_equal(user_tables.highest_rows(parts, 90)["row"], expected)
