"""500 malformed tables: each is read, or refused in one line of ours."""

import contextlib
import csv
import datetime
import decimal
import gzip
import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as draw

from common.errors import UserError
from data_prep import tables
from data_prep.columns import Columns
from tests.helpers.foreign_words import foreign_words

pytestmark = pytest.mark.usefixtures("unmeasured")

CELL = draw.one_of(
    draw.sampled_from(
        ["", "?", "NA", "1", "0", "-2.5", "yes", "no", "=1+1", "inf", "1e308", "1e999"]
    ),
    draw.sampled_from(
        ["1,5", "1.234,5", "1,234", "€ 3", "12 %", "(4)", "-", ".", "n/a", "1 234", "007", "−1"]
    ),
    draw.sampled_from(
        ["2024-01-31", "31.01.2024", "01/02/2024", "20240131", "9999-12-31", "2024-13-45", "12:30"]
    ),
    draw.sampled_from(
        ["[1, 2]", "[1 2]", "[1 ... 2]", "[]", "{}", "I like it a lot", "yes ", "YES"]
    ),
    draw.integers(-3, 3).map(str),
    draw.text(max_size=4),
)
ROWS = draw.lists(draw.lists(CELL, min_size=1, max_size=4), max_size=16)
SEPARATOR = draw.sampled_from([",", ",", ",", ";", "\t"])
HEADER = draw.sampled_from([["a", "b", "y"], ["a", "y"], ["y"], ["a", "a", "y"], ["", "b", "y"]])
ENCODING = draw.sampled_from(["utf-8", "utf-8", "utf-16", "utf-8-sig", "latin-1"])


@draw.composite
def files(a_draw):
    """A table's bytes: a header, rows of any length, in any encoding, or no table at all."""
    if a_draw(draw.integers(0, 9)) == 0:
        content = a_draw(draw.binary(max_size=200))
        return content if a_draw(draw.booleans()) else gzip.compress(content)[:-2]
    separator, header = a_draw(SEPARATOR), a_draw(HEADER)
    width = len(header)
    rows = a_draw(ROWS)
    if a_draw(draw.booleans()):  # most tables are whole, so that the later steps see some
        rows = [(row + ["1", "2", "3"])[:width] for row in rows]
    lines = "\n".join(separator.join(row) for row in [header, *rows])
    return lines.encode(a_draw(ENCODING), errors="replace")


FORMS = draw.sampled_from(["csv", "csv", "csv", "tsv", "csv.gz", "parquet"])
QUIETLY = dict(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@settings(max_examples=320, **QUIETLY)
@given(content=files(), form=FORMS)
def test_a_malformed_table_is_read_or_refused(content, form):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mine.{form}"
        path.write_bytes(content)
        read_or_refused(path)


def read_or_refused(path):
    """Read the table, decide on its columns, and make features of it; or be refused by us."""
    told = ""
    try:
        frame = tables.read(path)
        Columns().fit((str(path), frame)).transform(frame)
    except UserError as error:  # any other exception fails
        told = str(error)
    assert "\n" not in told
    assert not foreign_words(told.replace(str(path), ""))


TYPED = {
    "whole numbers": [1, 2, 3],
    "fractions": [0.5, np.nan, np.inf],
    "truth values": [True, False, None],
    "lists": [[1.0, 2.0], [3.0, 4.0], None],
    "lists of several lengths": [[1], [1, 2], []],
    "lists of texts": [["a"], ["b", "c"]],
    "lists of lists": [[[1.0]], [[2.0]]],
    "objects": [{"a": 1}, {"b": [2]}],
    "dates": [datetime.date(2024, 1, 31), datetime.date(1, 1, 1)],
    "times": [datetime.datetime(2024, 1, 31, 12), None],
    "times of day": [datetime.time(12), datetime.time(13)],
    "durations": [datetime.timedelta(1), datetime.timedelta(2)],
    "decimals": [decimal.Decimal("1.50"), decimal.Decimal("NaN"), None],
    "bytes": [b"ab", b"\xff"],
    "texts": ["a", " a", "", "NA", "\ud7ff"],
    "all missing": [None],
    "too large": [2**70, -(2**70)],
}


@draw.composite
def typed_files(a_draw):
    """A table with typed cells as the bytes of a Parquet, Excel or JSON lines file; its ending."""
    size, form = (
        a_draw(draw.integers(1, 24)),
        a_draw(draw.sampled_from(["parquet", "xlsx", "jsonl"])),
    )
    kinds = a_draw(draw.lists(draw.sampled_from(list(TYPED)), min_size=1, max_size=3))
    made = {}
    for place, kind in enumerate(kinds):
        cells = a_draw(draw.lists(draw.sampled_from(TYPED[kind]), min_size=size, max_size=size))
        made[f"c{place}"] = pd.Series(cells, dtype=a_draw(draw.sampled_from([None, object])))
    frame, buffer = pd.DataFrame(made), io.BytesIO()
    try:
        if form == "parquet":
            frame.to_parquet(buffer)
        elif form == "xlsx":
            frame.to_excel(buffer, index=a_draw(draw.booleans()))
        else:
            frame.to_json(buffer, orient="records", lines=True, default_handler=str)
    except Exception:  # no program could write such a file
        reject()
    return buffer.getvalue(), form


@settings(max_examples=120, **QUIETLY)
@given(file=typed_files())
def test_a_malformed_typed_table_is_read_or_refused(file):
    content, form = file
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mine.{form}"
        path.write_bytes(content)
        read_or_refused(path)


@draw.composite
def pairs(a_draw):
    """Two tables of odd cells that fit together, so that the later steps are reached."""
    names = a_draw(
        draw.lists(draw.text("abc=,\"'é ", max_size=3), min_size=1, max_size=3, unique=True)
    )
    size, column = a_draw(draw.integers(8, 40)), draw.lists(CELL, min_size=1, max_size=6)
    label_cell = draw.sampled_from(["yes", "no", "", "-1", "=x"])
    tables_made = []
    for classes in (a_draw(draw.lists(label_cell, min_size=2, max_size=6)), [""]):
        made = {name: np.resize(np.array(a_draw(column), object), size) for name in names}
        frame = pd.DataFrame(made | {"y": np.resize(np.array(classes, object), size)})
        try:
            text = frame.to_csv(index=False)
        except csv.Error:  # Python 3.10 writes no null character
            reject()
        tables_made.append(text.encode(a_draw(ENCODING), errors="replace"))
    return tables_made


OPTIONS = "--unlabeled-value=-1 --unlabeled-value= --separator=; --encoding=latin-1 --decimal=,"
MARKS = draw.sampled_from([[], *([option] for option in OPTIONS.split())])
BOTH = draw.one_of(draw.tuples(files(), files()), pairs())


@settings(max_examples=60, **QUIETLY)
@given(both=BOTH, form=FORMS, blank=draw.booleans(), marks=MARKS)
def test_label_py_ends_in_no_traceback_on_malformed_tables(both, form, blank, marks, run):
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for name, content in zip(("labeled", "pool"), both, strict=True):
            (Path(folder) / f"{name}.{form}").write_bytes(content)
        stack.enter_context(redirect_stdout(io.StringIO()))
        told = stack.enter_context(redirect_stderr(io.StringIO()))
        code = run(
            Path(folder),
            "--budget=1",
            "--quiet",
            *marks,
            labeled=f"labeled.{form}",
            pool=None if blank else f"pool.{form}",
            validation=None,
        )
    assert code in (0, 2)
    if code == 2:
        assert told.getvalue().strip().count("\n") == 0
        assert not foreign_words(told.getvalue())
