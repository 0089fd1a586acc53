"""A user's tables as arrays: labeled and validation rows whole, the pool in chunks.

The pool is never held whole. One pass over it draws a random sample of KEPT rows, which decides on
column types, medians and scales together with the labeled rows. Another pass keeps the KEPT rows
that score highest, for the method to pick from. A pool of up to KEPT rows is all kept, so that
nothing is approximated.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import UserError, check_known
from data_prep import tables
from data_prep.classes import classes_of, has_no_class, marks_held, stripped, unheld_notes
from data_prep.columns import Misfits, decision_lines
from data_prep.reading import AS_FOUND, TableReading
from data_prep.text_columns import TextRules
from labeling.added_columns import own_columns, prefix_beside, with_sources
from labeling.feature_maker import FeatureMaker
from labeling.known_content import KnownContent, row_hashes
from labeling.records import KnownRows, LabeledRows, split_off

KEPT = 50_000  # pool rows that the method picks from

Say = Callable[[str], None]  # prints a remark
Chunks = Iterable[pd.DataFrame]


@dataclass(frozen=True)
class TableFiles:
    """The files to read.

    labeled : also holds the pool, as rows whose target is blank, if ``unlabeled`` is None.
    validation : None if there is no such file. target : the column of classes.
    reading : how the files are read. A target is blank if it is empty, or if the reading says that
    its value means "no label".
    validates : whether validation rows are needed, which may come from the labeled table.
    free_text : how free text becomes features, but for what the reading says of it.
    """

    labeled: Path
    unlabeled: Path | None
    validation: Path | None
    target: str
    reading: TableReading = AS_FOUND
    validates: bool = True
    free_text: TextRules = TextRules()

    def known_rows(self, path: Path) -> pd.DataFrame:
        """The rows of the file whose target is not blank. Raises UserError if there are none."""
        rows = pd.concat(c[~self._is_blank(c)] for c in self._with_target(path))
        if rows.empty:
            raise UserError(
                f"{path} has no row with a {self.target!r}: give some rows their labels"
            )
        return rows

    def blank_count(self, path: Path) -> int:
        """How many rows of the file have a blank target."""
        return sum(int(self._is_blank(c).sum()) for c in self._with_target(path))

    def blank_rows(self) -> Iterator[pd.DataFrame]:
        """The rows of the labeled file whose target is blank, in chunks."""
        return (c[self._is_blank(c)] for c in self._with_target(self.labeled))

    @property
    def pool_name(self) -> str:
        """The file that holds the pool."""
        return str(self.unlabeled or self.labeled)

    def pool(self) -> Iterator[pd.DataFrame]:
        """A pass over the pool, in chunks."""
        if self.unlabeled is None:
            return self.blank_rows()
        return self._chunks(self.unlabeled)

    def _chunks(self, path: Path) -> Iterator[pd.DataFrame]:
        return (with_sources(chunk, path) for chunk in tables.chunks(path, self.reading))

    def unheld_notes(self) -> tuple[str, ...]:
        """A line for each value that means "no label", but that no file holds in the target."""
        if not any(self.reading.unlabeled_value):
            return ()
        paths = [path for path in (self.labeled, self.unlabeled, self.validation) if path]
        held = [
            marks_held(chunk[self.target], self.reading)
            for path in paths
            for chunk in tables.chunks(path, self.reading)
            if self.target in chunk
        ]
        names = ", ".join(map(str, paths))
        return unheld_notes(set().union(*held), self.reading, self.target, names)

    def _is_blank(self, chunk: pd.DataFrame) -> pd.Series:
        return has_no_class(chunk[self.target], self.reading)

    def _with_target(self, path: Path) -> Iterator[pd.DataFrame]:
        for chunk in self._chunks(path):
            check_known("--target", self.target, own_columns(chunk))
            yield chunk


@dataclass(frozen=True)
class KnownCells:
    """Labeled and validation rows as their files have them, and their classes y (n,) in arrays.

    spelling : the first cell of the labeled table that says each class.
    """

    labeled: pd.DataFrame
    y: np.ndarray
    validation: pd.DataFrame | None
    y_validation: np.ndarray
    spelling: dict


@dataclass(frozen=True)
class UserTables:
    """A user's tables, ready to use.

    files : where they were read. cells : the known rows as their files have them. known : the same
    rows as features and classes.
    sample : KEPT random rows of the pool, or all of them if there are no more. pool_size : rows of
    the whole pool. maker : makes features of cells.
    left_out : hashes of the known rows, if rows that equal them are no part of the pool.
    """

    files: TableFiles
    cells: KnownCells
    known: KnownRows
    sample: pd.DataFrame
    pool_size: int
    maker: FeatureMaker
    left_out: np.ndarray

    def pool(self, tell: Say | None = None) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """A pass over the pool: chunks of rows, and their features (n, D); no chunk is empty.

        tell : is told of the cells that do not fit, at the end.
        """
        misfits = Misfits(self.files.pool_name, partial=True)
        for chunk in self.files.pool():
            if chunk.empty:
                continue
            X = self.maker.features(chunk, misfits)
            kept = ~self._is_known(chunk, X) if len(self.left_out) else slice(None)
            if len(X[kept]):
                yield chunk[kept], X[kept]
        self.maker.columns.check(misfits)
        if tell:
            for note in misfits.notes():
                tell(note)

    def _is_known(self, rows: pd.DataFrame, X: np.ndarray) -> np.ndarray:
        return np.isin(row_hashes(self.maker.content(rows, X)), self.left_out)

    def random_features(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Features of ``count`` random rows of the sample, or of all if there are no more."""
        rows = rng.permutation(len(self.sample))[:count]
        return self.maker.features(self.sample.iloc[np.sort(rows)], self.files.pool_name)

    @property
    def pool_is_sampled(self) -> bool:
        """Whether the pool has more rows than can be held."""
        return self.pool_size > KEPT

    def candidates(self, score: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        """The rows to pick from: the whole pool or, if it is larger, its KEPT best rows.

        score : gives each row of features (n, D) a number (n,); more is better.
        """
        if not self.pool_is_sampled:
            return self.sample
        return highest_rows(((score(X), chunk) for chunk, X in self.pool()), KEPT)


def open_tables(files: TableFiles, budget: int, rng: np.random.Generator, say: Say) -> UserTables:
    """Read and check the tables, and decide by which rules their cells become features.

    Raises UserError for every mistake in a table, and if the pool has fewer than ``budget`` rows.
    """
    cells = read_known(files, say)
    sample, pool_size = random_rows(files.pool(), KEPT, rng)
    names = [name for name in own_columns(cells.labeled) if name != files.target]
    maker = FeatureMaker.fitted(
        files.reading,
        (str(files.labeled), cells.labeled[names]),
        (files.pool_name, sample[names]),
        free_text=files.free_text,
    )
    for line in decision_lines(maker.columns.decisions):
        say(line)
    validation = None
    if cells.validation is not None:
        misfits = Misfits(str(files.validation))
        validation = LabeledRows(maker.features(cells.validation, misfits), cells.y_validation)
        for note in misfits.notes():
            say(note)
    labeled = LabeledRows(maker.features(cells.labeled, str(files.labeled)), cells.y)
    known = KnownRows(labeled, validation)
    found = UserTables(files, cells, known, sample, pool_size, maker, np.empty(0, np.uint64))
    found = without_known_rows(found, rng, say)
    if found.pool_size < budget:
        raise UserError(f"--budget {budget}: the pool has {found.pool_size:,} rows, ask for fewer")
    say(
        f"{len(known.labeled):,} labeled rows, {found.pool_size:,} pool rows; "
        f"{known.labeled.X.shape[1]} features of {len(maker.columns.readers)} columns, "
        f"{len(cells.spelling)} classes"
    )
    return found


def without_known_rows(found: UserTables, rng: np.random.Generator, say: Say) -> UserTables:
    """The tables; without pool rows that equal a known row, if rows can be told apart.

    This also computes the features of the whole pool, so that an error in it comes now and not
    after the measurement. Raises UserError if no row of the pool is left.
    """
    maker, cells, known = found.maker, found.cells, found.known
    validation = None
    if cells.validation is not None and known.validation is not None:
        validation = maker.content(cells.validation, known.validation.X)
    content = KnownContent.of(maker.content(cells.labeled, known.labeled.X), validation)
    if found.pool_is_sampled:
        pool: Iterable = found.pool(say)
    else:
        pool = [(found.sample, maker.features(found.sample, found.files.pool_name))]
    overlap = content.count(maker.content(*part) for part in pool)
    for line in overlap.lines():
        say(line)
    if not overlap.is_left_out:
        return found
    if overlap.either == found.pool_size:
        raise UserError(
            f"each row of the pool, {found.files.pool_name}, equals a row "
            "whose class is known: there is nothing to label"
        )
    rest = replace(found, left_out=content.hashes)
    sample, pool_size = random_rows((chunk for chunk, _ in rest.pool()), KEPT, rng)
    return replace(rest, sample=sample, pool_size=pool_size)


# --- reading --------------------------------------------------------------------------------------


def read_known(files: TableFiles, say: Say) -> KnownCells:
    """The labeled and the validation rows, after the columns of all tables are compared."""
    labeled, validation = files.known_rows(files.labeled), None
    labeled = with_bare_classes(labeled, files, files.labeled, say)
    y = classes_of((str(files.labeled), labeled[files.target]), reading=files.reading)
    y_validation = y[:0]
    for note in tables.notes_of(labeled):
        say(note)
    if prefix := prefix_beside(own_columns(labeled)):
        say(f"{files.labeled} has a column of a name that label.py adds: ours begin with {prefix}")
    check_pool(files, labeled, say)
    for note in files.unheld_notes():
        say(note)
    if files.validation is not None:
        validation = files.known_rows(files.validation)
        for note in tables.notes_of(validation):
            say(note)
        check_same_columns(files, labeled, validation, files.validation)
        validation = with_bare_classes(validation[labeled.columns], files, files.validation, say)
        if skipped := files.blank_count(files.validation):
            say(f"{files.validation}: {skipped:,} rows without {files.target!r} are left out")
        y, y_validation = read_classes(files, labeled, validation)
    spelling: dict = {}
    for label, cell in zip(y, labeled[files.target], strict=True):
        spelling.setdefault(label, cell)
    needed = files.validates and validation is None
    if needed and not split_off(y, 0.25, np.random.default_rng(0)).any():
        raise UserError(
            f"{files.labeled} has too few labeled rows to split a validation part off: give "
            "--validation, or label more"
        )
    return KnownCells(labeled, y, validation, y_validation, spelling)


def with_bare_classes(rows: pd.DataFrame, files: TableFiles, path: Path, say: Say) -> pd.DataFrame:
    """The rows, their classes without the blanks around them, which are counted in a remark."""
    bare, notes = stripped(rows[files.target], str(path))
    for note in notes:
        say(note)
    return rows.assign(**{files.target: bare})


def check_pool(files: TableFiles, labeled: pd.DataFrame, say: Say) -> None:
    """Say which rows and cells are not used.

    Raises UserError if there is no pool, or if its columns are not those of the labeled table.
    """
    target, blank = files.target, files.blank_count(files.labeled)
    if files.unlabeled is None:
        if not blank:
            raise UserError(
                f"{files.labeled} has no row with a blank {target!r}, and --unlabeled is missing: "
                "there is no pool"
            )
        return
    if blank:
        say(f"{files.labeled}: {blank:,} rows without {target!r} are left out")
    first = next(files.pool())
    for note in tables.notes_of(first):
        say(note)
    check_same_columns(files, labeled, first, files.unlabeled)
    if target in first and not has_no_class(first[target], files.reading).all():
        say(f"{files.unlabeled}: its column {target!r} is not read")


def check_same_columns(
    files: TableFiles, labeled: pd.DataFrame, other: pd.DataFrame, path: Path
) -> None:
    """Raise UserError, with names, if ``path`` has other columns than the labeled table.

    It may lack the target.
    """
    lacking = [name for name in labeled if name not in other and name != files.target]
    extra = [name for name in other if name not in labeled]
    told = [f"{path} lacks {', '.join(map(repr, lacking[:5]))}"] if lacking else []
    told += [f"{files.labeled} lacks {', '.join(map(repr, extra[:5]))}"] if extra else []
    if told:
        raise UserError(f"the columns differ: {'; '.join(told)}")


def read_classes(
    files: TableFiles, labeled: pd.DataFrame, validation: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """The classes of labeled and validation rows, read together so that both are of one type.

    Raises UserError as ``classes_of`` does, and if the labeled rows lack one of the others.
    """
    named = ((files.labeled, labeled), (files.validation, validation))
    columns = [(str(path), rows[files.target]) for path, rows in named]
    y = classes_of(*columns, reading=files.reading)
    y, y_validation = y[: len(labeled)], y[len(labeled) :]
    unknown = np.setdiff1d(y_validation, y)
    if len(unknown):
        raise UserError(
            f"class {str(unknown[0])!r} is in {files.validation} but not in {files.labeled}: "
            "label a row of it, or leave it out"
        )
    return y, y_validation


# --- rows of a pool -------------------------------------------------------------------------------


def random_rows(chunks: Chunks, count: int, rng: np.random.Generator) -> tuple[pd.DataFrame, int]:
    """``count`` random rows, or all if there are no more, and how many rows there are."""
    size = 0

    def with_keys() -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
        nonlocal size
        for chunk in chunks:
            size += len(chunk)
            yield rng.random(len(chunk)), chunk

    return highest_rows(with_keys(), count), size


def highest_rows(scored: Iterable[tuple[np.ndarray, pd.DataFrame]], count: int) -> pd.DataFrame:
    """The ``count`` rows of highest score over all chunks, in their own order; ties to the earlier.

    It holds ``count`` rows and one chunk at any time.
    """
    scores, rows = np.empty(0), []
    for new, chunk in scored:
        rows.append(chunk)
        scores = np.append(scores, new)
        if len(scores) > count:
            kept = np.sort(np.argsort(-scores, kind="stable")[:count])
            rows, scores = [pd.concat(rows).iloc[kept]], scores[kept]
    return pd.concat(rows)
