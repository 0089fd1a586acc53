"""Tables whose cells have types: Parquet, Excel, JSON lines."""

import json
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import UserError
from data_prep.text_tables import named_once


def parquet_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The table, ``rows`` rows at a time; an index with a name is a column, in front.

    Raises UserError for a name given twice, for a column of maps, and for one that pandas cannot
    hold.
    """
    with pq.ParquetFile(path) as file:
        schema, start = file.schema_arrow, 0
        _no_maps(schema, path)
        index = (schema.pandas_metadata or {}).get("index_columns", [])
        counted = [level for level in index if isinstance(level, dict) and level.get("name")]
        named_once(path, [*(level["name"] for level in counted), *schema.names])
        for batch in file.iter_batches(batch_size=rows):
            part = _as_frame(batch, path)
            stored = [name for name in part.index.names if name is not None and len(index)]
            stored = [] if counted else stored
            unnamed = [k for k, name in enumerate(part.index.names) if name is None or counted]
            named_once(path, [*map(str, stored), *map(str, part.columns)])
            part = part.reset_index(level=unnamed, drop=True) if unnamed else part
            part = part.reset_index() if stored else part
            for level in counted:
                places = np.arange(start, start + len(part)) * level["step"] + level["start"]
                part.insert(0, level["name"], places)
            start += len(part)
            names = ", ".join(map(repr, [*(level["name"] for level in counted), *stored]))
            if names:
                part.attrs["notes"] = [f"{path}: the index {names} is read as a column"]
            yield part


def _no_maps(schema: pa.Schema, path: Path) -> None:
    """Raise UserError for a column of maps: as pairs of two types they could not be written."""
    for field in schema:
        if "map<" in str(field.type):
            raise UserError(
                f"{path}, column {field.name!r}: its cells of type {field.type} cannot be read: "
                "save their parts as columns of their own"
            )


def _as_frame(batch: pa.RecordBatch, path: Path) -> pd.DataFrame:
    try:
        return batch.to_pandas()
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                column.to_pandas()
            except (pa.ArrowException, ValueError, TypeError, NotImplementedError):
                raise UserError(
                    f"{path}, column {name!r}: its cells of type {column.type} cannot be read: "
                    "save them as numbers or texts"
                ) from error
        raise


def excel_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The first sheet, ``rows`` rows at a time; its first row that is not empty has the names.

    Raises UserError for a name given twice and for a cell beside the named columns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts of the workbook that are no cells
        with pd.ExcelFile(path, engine="openpyxl") as book:
            sheets = book.sheet_names
            cells = book.parse(0, header=None, dtype=object, na_filter=False)
    filled = (cells != "").to_numpy()
    if not filled.any():
        return
    first = int(filled.any(axis=1).argmax())
    names = ["" if name == "" else str(name) for name in cells.iloc[first]]
    named_once(path, names)
    kept = [k for k, name in enumerate(names) if name.strip() or filled[:, k].any()]
    lacking = [k for k in kept if not names[k].strip()]
    if lacking:
        row = int(filled[:, lacking[0]].argmax())
        raise UserError(
            f"{path}, row {row + 1} of sheet {sheets[0]!r} has a cell in column {lacking[0] + 1}, "
            f"which row {first + 1} gives no name: name it, or remove what is above the names"
        )
    table = cells.iloc[first + 1 :, kept].loc[filled[first + 1 :].any(axis=1)]
    table.columns = [names[k] for k in kept]
    if len(sheets) > 1:
        table.attrs["notes"] = [
            f"{path}: the first of {len(sheets)} sheets, {sheets[0]!r}, is read"
        ]
    for start in range(0, len(table), rows):
        yield _typed(table.iloc[start : start + rows])


def json_chunks(text: TextIO, path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """A row for each line, an object such as {"age": 31, "job": "cook"}; ``rows`` at a time.

    The columns are the keys of the first ``rows`` lines; a line may lack some. Raises UserError,
    with the line, for anything but an object, a key given twice, and a key that comes later.
    """
    lines = ((k, line) for k, line in enumerate(text, 1) if line.strip())
    names: list[str] = []
    while found := [(k, _object(line, path, k)) for k, line in islice(lines, rows)]:
        keys = {key: k for k, row in reversed(found) for key in row}
        if not names:
            names = list(dict.fromkeys(key for _, row in found for key in row))
        if later := [key for key in keys if key not in names]:
            raise UserError(
                f"{path}, line {keys[later[0]]} has a key {later[0]!r}, which none of the first "
                f"{rows:,} lines has: give the first line all keys"
            )
        cells = [{name: row.get(name) for name in names} for _, row in found]
        part = pd.DataFrame(cells, columns=names, dtype=object)
        yield _typed(part)


def _typed(part: pd.DataFrame) -> pd.DataFrame:
    """Whole columns get their types; 1 beside a missing cell stays 1 and does not become 1.0."""
    whole = [name for name in part if part[name].notna().all()]
    return part.assign(**{str(name): part[name].infer_objects() for name in whole})


def _object(line: str, path: Path, number: int) -> dict:
    def once(pairs: list[tuple[str, object]]) -> dict:
        row = dict(pairs)
        if len(row) < len(pairs):
            raise UserError(f"{path}, line {number} has a key twice: rename one of them")
        return row

    try:
        row = json.loads(line, object_pairs_hook=once)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"{path}, line {number} is no JSON: each line should be an object, such as "
            '{"age": 31, "job": "cook"}'
        ) from error
    if not isinstance(row, dict):
        raise UserError(
            f"{path}, line {number} is no JSON object: each line should be one, such as "
            '{"age": 31, "job": "cook"}'
        )
    if "\\ud" in line.lower():  # two halves make a character, but one cannot be written
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{path}, line {number} holds half of a character: remove the \\ud… in it"
            ) from error
    nested = [key for key, cell in row.items() if isinstance(cell, dict)]
    if nested:
        raise UserError(
            f"{path}, line {number}, key {nested[0]!r} holds an object: give its parts as keys of "
            "their own"
        )
    return row
