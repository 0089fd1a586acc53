"""A user's own data set: a table or an array, its classes and, if a column says so, its parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, check_known
from data_prep.arrays import (
    LABELS,
    check_lengths,
    facts_of,
    is_array_file,
    read_features,
    read_labels,
)
from data_prep.classes import classes_of, has_no_class, marks_held, stripped, unheld_notes
from data_prep.columns import Columns
from data_prep.features import Prepared
from data_prep.files import FileFacts
from data_prep.reading import AS_FOUND, FileReading, TableReading, of_use
from data_prep.split_rules import named_parts
from data_prep.tables import form_of, notes_of, read
from data_prep.text_columns import TextRules


@dataclass(frozen=True)
class LabeledTable:
    """The rows of a user's table whose class is known, and their classes y (n,).

    frame : all columns but the target and the split column; its index has the row numbers in the
    file, from 0. dropped : how many rows have no class. parts : the part of each row, (n,), if
    there is a split column. notes : what else a reader should know.
    """

    frame: pd.DataFrame
    y: np.ndarray
    facts: FileFacts
    dropped: tuple[tuple[int, str], ...]
    parts: np.ndarray | None = None
    notes: tuple[str, ...] = ()


def read_labeled(
    path: Path,
    target: str | None,
    split_column: str | None = None,
    reading: FileReading = AS_FOUND,
) -> LabeledTable:
    """A table with a column ``target`` of classes; see ``labeled_rows``.

    Raises UserError if the table cannot be read, if the reading has an option that is of no use for
    such a file, or as ``labeled_rows`` does.
    """
    reading.check_use(of_use(path), shown=str(path))
    frame = read(path, reading)
    if target is None:
        raise UserError(f"--target is missing: name the column of {path} that holds the classes")
    return labeled_rows(frame, path, target, split_column, reading)


def labeled_rows(
    frame: pd.DataFrame,
    path: Path,
    target: str,
    split_column: str | None,
    reading: FileReading = AS_FOUND,
) -> LabeledTable:
    """The rows of ``frame`` with a class; ``path`` is the file that it was read from.

    reading : says which values of the target mean "no label", see ``classes_of``.

    Raises UserError if the target or the split column is no column, if the target holds no classes,
    or if the split column holds anything but names of parts. Only rows of the pool may lack a
    class.
    """
    check_known("--target", target, frame)
    unknown, parts = has_no_class(frame[target], reading), None
    if split_column is not None:
        if split_column == target:
            raise UserError(f"--split-column and --target both name {target!r}")
        check_known("--split-column", split_column, frame)
        parts = named_parts(frame[split_column], unknown, str(path))
    known, empty = frame[~unknown], has_no_class(frame[target])
    reasons = {f"no {target!r}": empty, f"{target!r} is a mark of no label": unknown & ~empty}
    cells, notes = stripped(known[target], str(path))
    unheld = unheld_notes(marks_held(frame[target], reading), reading, target, str(path))
    return LabeledTable(
        known.drop(columns=[target, *([split_column] if split_column else [])]),
        classes_of((str(path), cells), reading=reading),
        facts_of(path, len(frame)),
        tuple((int(rows.sum()), reason) for reason, rows in reasons.items() if rows.any()),
        parts,
        (*notes_of(frame), *notes, *unheld),
    )


def own_table(
    path: Path,
    target: str | None = None,
    labels: Path | None = None,
    split_column: str | None = None,
    reading: TableReading = AS_FOUND,
    quiet: bool = True,
) -> tuple[Prepared, tuple[FileFacts, ...]]:
    """A user's data set as features and classes, and the facts of its files.

    path : a table, or an .npy or .npz of features. target : its column of classes. labels : the
    file of an array's labels; then ``target`` and ``split_column`` are its columns.
    reading : how the cells are found, and what each column is read as. quiet : show no bar while
    texts are encoded.
    ``columns.Columns`` says what becomes of each column of a table; missing cells are NaN.

    Raises UserError as ``read_labeled`` and ``arrays.read_features`` do, and if no feature is left.
    """
    if is_array_file(path):
        return _own_array(path, target, labels, split_column, reading)
    try:
        form_of(path)
    except UserError as error:
        raise UserError(f"{error}, or be an array: .npy or .npz") from error
    if labels is not None:
        raise UserError(
            f"--labels is for .npy and .npz: {path} has a column of classes, which --target names"
        )
    known = read_labeled(path, target, split_column, reading)
    rules = TextRules(fits=False, quiet=quiet)  # the rows of the test set are among these
    columns = Columns(reading, rules).fit((str(path), known.frame))
    X, rows = columns.transform(known.frame, str(path)), known.frame.index.to_numpy()
    prepared = Prepared(
        X,
        known.y,
        rows,
        known.dropped,
        known.notes,
        known.parts,
        tuple(columns.feature_names),
        tuple(columns.decisions),
    )
    return prepared, (known.facts,)


def _own_array(
    path: Path,
    target: str | None,
    labels: Path | None,
    split_column: str | None,
    reading: TableReading,
) -> tuple[Prepared, tuple[FileFacts, ...]]:
    files = f"{path} with {labels}" if labels else str(path)
    reading.check_use(of_use(path, labels), shown=files)
    beside = [target or LABELS, *([split_column] if split_column else [])]
    X, frame = read_features(path, () if labels else beside)
    facts, notes, source = [facts_of(path, len(X))], list[str](), path
    if labels is not None:
        frame, source = read_labels(labels, reading), labels
        facts.append(facts_of(labels, len(frame)))
        check_lengths(len(X), str(path), len(frame), str(labels))
    elif target not in frame and LABELS not in frame:
        lacking = f" and {path} has no array {beside[0]!r}" * (path.suffix.lower() == ".npz")
        raise UserError(
            f"--labels is missing{lacking}: name the file with the label of each row, a .csv, "
            ".tsv, .jsonl, .parquet, .xlsx, .npy or .txt"
        )
    target = target or _only_column(frame, split_column, source)
    known = labeled_rows(frame, source, target, split_column, reading)
    notes += known.notes
    if len(known.frame.columns):
        used = " and ".join(repr(name) for name in (target, split_column) if name)
        notes.append(f"{source}: no column but {used} is read")
    rows = known.frame.index.to_numpy()
    X = X if len(rows) == len(X) else X[rows]
    return Prepared(X, known.y, rows, known.dropped, tuple(notes), known.parts), tuple(facts)


def _only_column(frame: pd.DataFrame, split_column: str | None, path: Path) -> str:
    """The column of classes in a file that has no other; UserError if there are several."""
    names = [name for name in frame if name != split_column]
    if len(names) != 1:
        raise UserError(
            f"--target is missing: name the column of {path} that holds the labels: "
            + ", ".join(map(str, names[:8]))
        )
    return names[0]
