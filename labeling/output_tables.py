"""The files that label.py writes: all labeled rows, the rows left for a person, verdict, page."""

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.errors import UserError
from common.files import Content, json_bytes, prepare_folder, write_files
from data_prep import formulas, tables
from labeling.added_columns import (
    LABELED_BY,
    OF_LABELS,
    PERSON,
    QUOTED,
    SALUTARY,
    Source,
    own_columns,
    prefix_beside,
)
from labeling.records import LabeledRows, Labels
from labeling.user_tables import UserTables

LONGEST_NAME = 200  # of 255: a file is written under a longer name before it gets its own


@dataclass(frozen=True)
class OutputFiles:
    """The files to write.

    labeled : for the labeled rows and the rows that were given a label. left : for the rows that
    are left for a person; None if no row can be left. verdict : the JSON file. page : the HTML
    file. model, predictions : of --model-out and --predictions; None if they are not asked for.
    excel_safe : texts that a spreadsheet would run get an apostrophe in front.
    """

    labeled: Path
    left: Path | None
    verdict: Path
    page: Path
    excel_safe: bool
    model: Path | None = None
    predictions: Path | None = None

    @property
    def all(self) -> list[Path]:
        return [
            *self.tables,
            self.verdict,
            self.page,
            *filter(None, (self.model, self.predictions)),
        ]

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
    """A file that was written. formulas : how many of its cells a spreadsheet would run.

    quoted : how many got an apostrophe, so that none would.
    """

    path: Path
    formulas: int
    quoted: int


def output_files(out: Path, *, abstains: bool, excel_safe: bool) -> OutputFiles:
    """The files to write: ``out`` and, beside it, verdict, page and what is left for a person.

    abstains : whether rows can be left for a person.
    Raises UserError if the name of ``out`` does not end as a table's name does, and for
    ``excel_safe`` if no spreadsheet opens such a file.
    """
    tables.form_of(out, tables.WRITTEN)
    if excel_safe and not tables.is_text(out):
        raise UserError(f"--excel-safe is for .csv and .tsv: leave it out for {out}")
    stem, dot, ends = out.name.partition(".")
    unpacked = out.with_name(re.sub(r"(?i)\.gz$", "", out.name))
    return OutputFiles(
        labeled=out,
        left=out.with_name(f"{stem}_left{dot}{ends}") if abstains else None,
        verdict=unpacked.with_suffix(".json"),
        page=unpacked.with_suffix(".html"),
        excel_safe=excel_safe,
    )


def with_model_files(
    outputs: OutputFiles, model: Path | None, predictions: Path | None
) -> OutputFiles:
    """The same files, and those of --model-out and --predictions.

    Raises UserError for a name that ends in another way, another folder, or a name given twice.
    """
    if model is not None and model.suffix != ".joblib":
        raise UserError(f"--model-out {model} should end in .joblib")
    if predictions is not None and not _is_text_name(predictions):
        raise UserError(f"--predictions {predictions} should end in .csv or .tsv (each also .gz)")
    folder, taken = outputs.labeled.parent, {path.name for path in outputs.all}
    for option, path in (("--model-out", model), ("--predictions", predictions)):
        if path is None:
            continue
        if path.parent.resolve() != folder.resolve():
            raise UserError(
                f"{option} {path} should be in the folder of --out, {folder}, so that all files "
                f"are written or none: name {folder / path.name}"
            )
        if path.name in taken:
            raise UserError(f"{option} {path} is written for something else: name another file")
        taken.add(path.name)
    return replace(outputs, model=model, predictions=predictions)


def _is_text_name(path: Path) -> bool:
    return re.search(r"(?i)\.[ct]sv(\.gz)?$", path.name) is not None


def check_outputs(outputs: OutputFiles, inputs: Collection[Path], *, force: bool) -> None:
    """Make the folder. Raises UserError if a file cannot be written there, or must not be.

    inputs : the files that are read. force : existing files may be written over.
    """
    check_places(outputs.all, inputs, force=force)


def check_places(
    paths: Collection[Path], inputs: Collection[Path], *, force: bool, option: str = "--out"
) -> None:
    """``check_outputs`` for these files of one folder, which ``option`` names."""
    read = [path.resolve() for path in inputs]
    for path in paths:
        if path.resolve() in read:
            raise UserError(f"{path} is one of the tables to read: name another file with {option}")
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file with {option}")
        if path.exists() and not force:
            raise UserError(f"{path} exists: name another file with {option}, or add --force")
        prepare_folder(path.parent)
    for path in paths:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            raise UserError(
                f"{option}: the name {path.name[:20]}… has more than {LONGEST_NAME} bytes: shorten "
                "it"
            )


def write_outputs(
    outputs: OutputFiles,
    user_tables: UserTables,
    pool: LabeledPool,
    manifest: Mapping[str, Any],
    *,
    more: Mapping[Path, Content] | None = None,
    force: bool,
) -> list[WrittenFile]:
    """Write all files, or none; returns the tables.

    The first has the labeled rows (round 0), then the rows that were given a label.
    manifest : what the JSON file says. more : other files, with
    their contents. force : existing files may be written over.
    Raises UserError if a cell cannot be written in the form of the file, if the disk is full, or if
    a file has appeared since ``check_outputs`` looked; one of the same bytes is no obstacle.
    """
    labels, known = pool.labels, user_tables.cells.labeled
    parts = [[as_written(known, None, user_tables)]]
    parts[0].append(as_written(pool.rows.iloc[labels.given.rows], labels.given, user_tables))
    if outputs.left is not None:
        left = labels.for_a_person
        parts.append([as_written(pool.rows.iloc[left.rows], left, user_tables)])
    numbers = columns_of_numbers(user_tables, pool)
    contents: dict[str, Content] = {
        outputs.verdict.name: json_bytes(manifest),
    }
    contents |= {path.name: content for path, content in (more or {}).items()}
    written = []
    for path, rows in zip(outputs.tables, parts, strict=True):
        frame = tables.below_each_other(rows, path)
        file = WrittenFile(path, formulas.would_run(frame) if tables.is_text(path) else 0, 0)
        if outputs.excel_safe:
            name = prefix_beside(own_columns(known)) + QUOTED
            frame, counts = formulas.quoted(frame)
            file = replace(file, quoted=int(counts.sum()))
            frame[name] = counts
        contents[path.name] = tables.as_file(frame, path, numbers)
        written.append(file)
    write_files(outputs.labeled.parent, contents, overwrite=force)
    return written


def as_written(rows: pd.DataFrame, labels: Labels | None, user_tables: UserTables) -> pd.DataFrame:
    """Rows as their file has them, with the added columns.

    labels : of these rows; they go to the target column, spelled as in the labeled table. None for
    labeled rows, whose round is 0.
    """
    own = own_columns(user_tables.cells.labeled)
    frame, prefix = rows.reindex(columns=own), prefix_beside(own)
    if labels is not None:
        spelling = user_tables.cells.spelling
        frame[user_tables.files.target] = [spelling[label] for label in labels.labels.tolist()]
    for name in OF_LABELS:
        of_known = 0 if name == "round" else np.nan
        frame[prefix + name] = of_known if labels is None else getattr(labels, name)
    for source in Source:
        frame[prefix + source.value] = rows[source]
    by = rows[Source.BY].where(rows[Source.BY].ne(""), PERSON)
    if labels is not None:
        by = np.where(labels.left, "", SALUTARY)
    frame[prefix + LABELED_BY] = by
    return frame


def columns_of_numbers(user_tables: UserTables, pool: LabeledPool) -> set[str]:
    """The columns that are numbers also if a file has them as texts, because it has no types."""
    files, numbers = user_tables.files, set(user_tables.maker.columns.numbers)
    read = ((files.labeled, user_tables.cells.labeled), (files.unlabeled, pool.rows))
    for path, rows in read:
        if path is not None and not tables.is_text(path):
            numbers -= {n for n in numbers if pd.api.types.infer_dtype(rows[n]) == "string"}
    return numbers


def output_lines(
    outputs: OutputFiles, written: list[WrittenFile], labeled_rows: int, pool: LabeledPool
) -> Iterator[str]:
    """What a user should know of the files that were written."""
    yield from formula_lines(written)
    labels = pool.labels
    yield f"{outputs.labeled}: {labeled_rows:,} labeled rows (round 0), {len(labels.given):,} more"
    if len(labels) < pool.asked:
        yield f"stopped after {len(labels):,} of {pool.asked:,}: no other label helps"
    if outputs.left is not None:
        left = len(labels.for_a_person)
        yield f"{outputs.left}: {left:,} rows left for a person, most useful first"
    yield f"{outputs.verdict}: this answer with all its numbers"


def formula_lines(written: list[WrittenFile]) -> Iterator[str]:
    """Which of the files hold cells that a spreadsheet would run."""
    for file in written:
        if file.quoted:
            yield f"{file.path}: {file.quoted:,} cells got a ' in front, so that none is a formula"
        elif file.formulas:
            yield (
                f"{file.path}: a spreadsheet would run {file.formulas:,} of its cells as formulas; "
                "--excel-safe writes them with a ' in front"
            )
