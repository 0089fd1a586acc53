"""The files that label.py writes: all labeled rows, the rows left for a person, the verdict."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from common.errors import UserError
from common.files import json_bytes, prepare_folder, write_files
from data_prep import tables
from labeling.records import ADDED_COLUMNS, LabeledRows, Labels
from labeling.user_tables import UserTables


@dataclass(frozen=True)
class OutputFiles:
    """The files to write.

    labeled : for the labeled rows and the rows that were given a label. left : for the rows that
    are left for a person; None if no row can be left. verdict : the JSON file.
    """

    labeled: Path
    left: Path | None
    verdict: Path

    @property
    def tables(self) -> list[Path]:
        return [self.labeled] if self.left is None else [self.labeled, self.left]


@dataclass(frozen=True)
class LabeledPool:
    """The pool rows that the method picked from, as their file has them, and what it picked.

    given : the rows that were given a label, as features. asked : how many labels were asked for.
    """

    rows: pd.DataFrame
    labels: Labels
    given: LabeledRows
    asked: int


@dataclass(frozen=True)
class WrittenFile:
    """A file that was written. quoted : how many of its cells a spreadsheet would have run."""

    path: Path
    quoted: int


def output_files(out: Path, abstains: bool) -> OutputFiles:
    """The files to write: ``out`` and, beside it, the verdict and what is left for a person.

    abstains : whether rows can be left for a person.
    Raises UserError if the name of ``out`` does not end as a table's name does.
    """
    tables.form_of(out, tables.WRITTEN)
    stem, dot, ends = out.name.partition(".")
    return OutputFiles(
        labeled=out,
        left=out.with_name(f"{stem}_left{dot}{ends}") if abstains else None,
        verdict=out.with_name(re.sub(r"(?i)\.gz$", "", out.name)).with_suffix(".json"),
    )


def check_outputs(outputs: OutputFiles, inputs: Collection[Path], *, force: bool) -> None:
    """Make the folder. Raises UserError if a file cannot be written there, or must not be.

    inputs : the files that are read. force : existing files may be written over.
    """
    read = [path.resolve() for path in inputs]
    for path in [*outputs.tables, outputs.verdict]:
        if path.resolve() in read:
            raise UserError(f"{path} is one of the tables to read: name another file with --out")
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file with --out")
        if path.exists() and not force:
            raise UserError(f"{path} exists: name another file with --out, or add --force")
    prepare_folder(outputs.labeled.parent)


def write_outputs(
    outputs: OutputFiles, user_tables: UserTables, pool: LabeledPool, manifest: Mapping[str, Any]
) -> list[WrittenFile]:
    """Write all files, or none; returns the tables.

    The first has the labeled rows (round 0), then the rows that were given a label.
    manifest : what the JSON file says.
    Raises UserError if a cell cannot be written in the form of the file, or the disk is full.
    """
    labeled = user_tables.cells.labeled
    given = with_labels(pool.rows, pool.labels.given, user_tables)
    frames = [pd.concat([labeled.assign(round=0), given])]
    if outputs.left is not None:
        frames.append(with_labels(pool.rows, pool.labels.for_a_person, user_tables))
    contents, written = {outputs.verdict.name: json_bytes(manifest)}, []
    for path, frame in zip(outputs.tables, frames, strict=True):
        frame = frame.reindex(columns=[*labeled.columns, *ADDED_COLUMNS])
        frame["round"] = frame["round"].astype(int)
        contents[path.name], quoted = tables.as_file(frame, path, user_tables.maker.columns.numbers)
        written.append(WrittenFile(path, quoted))
    write_files(outputs.labeled.parent, contents)
    return written


def with_labels(pool_rows: pd.DataFrame, labels: Labels, user_tables: UserTables) -> pd.DataFrame:
    """The picked rows as their file has them, with their labels and the added columns.

    A label goes to the target column, spelled as in the labeled table.
    """
    frame = pool_rows.iloc[labels.rows].copy()
    spelling = user_tables.cells.spelling
    frame[user_tables.files.target] = [spelling[label] for label in labels.labels.tolist()]
    return frame.assign(**{name: getattr(labels, name) for name in ADDED_COLUMNS})


def output_lines(
    outputs: OutputFiles, written: list[WrittenFile], labeled_rows: int, pool: LabeledPool
) -> Iterator[str]:
    """What a user should know of the files that were written."""
    for file in written:
        if file.quoted:
            yield (
                f"{file.path}: {file.quoted:,} cells that a spreadsheet would run begin with ' "
                "there"
            )
    labels = pool.labels
    yield f"{outputs.labeled}: {labeled_rows:,} labeled rows (round 0), {len(labels.given):,} more"
    if len(labels) < pool.asked:
        yield f"stopped after {len(labels):,} of {pool.asked:,}: no other label helps"
    if outputs.left is not None:
        left = len(labels.for_a_person)
        yield f"{outputs.left}: {left:,} rows left for a person, most useful first"
    yield f"{outputs.verdict}: this answer with all its numbers"
