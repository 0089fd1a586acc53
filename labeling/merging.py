"""``label.py merge``: one table of all labels, and the rest of the pool.

A person's label wins over a given one. Of given labels the last file's wins. Labels of persons that
differ are an error, or with ``--newest`` the last file's wins.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common.cli import narrator
from common.errors import UserError
from common.escape import terminal
from common.files import write_files
from data_prep import tables
from data_prep.reading import FileReading, of_use
from labeling.added_columns import (
    PERSON,
    SALUTARY,
    Source,
    own_columns,
    prefix_beside,
    with_sources,
)
from labeling.output_tables import check_places
from labeling.sheet_options import MergeOptions
from labeling.sheets import (
    Classes,
    Key,
    Sheet,
    Vote,
    differing,
    keys_of,
    plain,
    read_sheet,
    source_tables,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Resolved:
    """The vote that decides on each row that has one, by its key; and what was decided.

    overruled : given labels that differ from a person's. replaced : given labels that differ from a
    later one.
    """

    deciding: dict[Key, Vote]
    classes: dict[Vote, str]
    overruled: int
    replaced: int

    def label(self, key: Key) -> str:
        """The class of a row, "" if it has none."""
        vote = self.deciding.get(key)
        return self.classes.get(vote, "") if vote else ""


def run(options: MergeOptions) -> int:
    """Write the merged table. Raises UserError for every mistake that the user can mend."""
    say = narrator(options.quiet)
    reading, target = settle(options), options.target or ""
    sheets = [read_sheet(path, target, reading) for path in dict.fromkeys(options.files)]
    for sheet in sheets:
        for note in sheet.notes:
            say(note)
    own = shared_columns(sheets, target, say)
    classes = Classes(sheets, options.new_class, target, reading)
    resolved = resolve(sheets, classes, options.newest, say)
    pool = None if options.pool is None else with_sources(
        tables.read(options.pool, reading), options.pool
    )  # fmt: skip
    if pool is not None and (differ := ({*own} ^ {*own_columns(pool)}) - {target}):
        name = min(differ)
        lacks = shown(options.files) if name in pool else options.pool
        raise UserError(f"the columns differ: {lacks} lacks {name!r}")
    cells, notes = original_cells(options, sheets, own, pool, reading)
    for note in notes:
        say(note)
    keys = list(dict.fromkeys(key for sheet in sheets for key in sheet.keys))
    labeled = [key for key in keys if resolved.label(key)]
    if not labeled:
        raise UserError(f"no row of {shown(options.files)} has a label in {target!r}")
    table = as_table(cells, labeled, resolved, target)
    numbers = columns_of_numbers(sheets, own)
    contents = {table_path(options): file_of(table, table_path(options), own, numbers)}
    lines = table_lines(options, table, resolved)
    unlabeled = [key for key in keys if not resolved.label(key)]
    if options.pool_out is None:
        if unlabeled:
            lines.append(
                f"{len(unlabeled):,} rows without a label are left out: --pool-out keeps them"
            )
    else:
        rest, told = rest_of_pool(cells, table, pool, unlabeled, target)
        contents[options.pool_out] = file_of(rest, options.pool_out, own, numbers)
        lines += [f"{options.pool_out}: {line}" for line in told]
    files = {path.name: content for path, content in contents.items()}
    write_files(table_path(options).parent, files, overwrite=options.force)
    for line in lines:
        print(terminal(line))
    return 0


def table_path(options: MergeOptions) -> Path:
    """``options.out``, which ``settle`` has checked."""
    assert options.out is not None
    return options.out


def settle(options: MergeOptions) -> FileReading:
    """How the files are read; the folder of the outputs is made.

    Raises UserError for an option that is missing or of no use, and if a file cannot be written.
    """
    if not options.files:
        raise UserError("no files to merge (label.py merge --help lists the options)")
    if options.target is None or options.out is None:
        missing = "--target" if options.target is None else "--out"
        raise UserError(f"{missing} is missing (label.py merge --help lists the options)")
    if options.pool is not None and options.pool_out is None:
        raise UserError("--pool-out is missing: name a file for what is left of the pool")
    outs = [path for path in (options.out, options.pool_out) if path]
    for path in outs:
        tables.form_of(path, tables.WRITTEN)
    if len({path.resolve() for path in outs}) < len(outs):
        raise UserError(f"--pool-out {options.pool_out} is the file that --out names too")
    if len({path.parent.resolve() for path in outs}) > 1:
        raise UserError(f"--pool-out {options.pool_out} should lie in the folder of {options.out}")
    inputs = [*options.files, *([options.pool] if options.pool else [])]
    reading = FileReading.of(options)
    reading.check_use(*map(of_use, inputs), shown=shown(inputs))
    for path, option in zip(outs, ("--out", "--pool-out"), strict=False):
        check_places([path], inputs, force=options.force, option=option)
    return reading


def shown(paths: Collection[Path]) -> str:
    """The files in a sentence."""
    return ", ".join(map(str, paths))


def shared_columns(sheets: Sequence[Sheet], target: str, say: Say) -> list[str]:
    """The columns of the table: those of the first file that is no output, or of the first.

    Raises UserError if a file lacks one of them, or if a labeled table has another; of other files
    such a column, as of a person's remarks, is left out and told.
    """
    first = next((sheet for sheet in sheets if not sheet.is_output), sheets[0])
    own = own_columns(first.rows)
    for sheet in sheets:
        theirs = own_columns(sheet.rows)
        lacking = [name for name in own if name not in theirs]
        extra = [name for name in theirs if name not in own]
        if lacking:
            raise UserError(f"the columns differ: {sheet.path} lacks {lacking[0]!r}")
        if extra and not sheet.is_output:
            raise UserError(f"the columns differ: {first.path} lacks {extra[0]!r}")
        if extra:
            names = ", ".join(map(repr, extra))
            say(f"{sheet.path}: not in {first.path} and so left out: {names}")
    return own


# --- labels ---------------------------------------------------------------------------------------


def resolve(sheets: Sequence[Sheet], classes: Classes, newest: bool, say: Say) -> Resolved:
    """Decide on every row. Raises UserError as ``spelled`` does, and if persons disagree."""
    votes: dict[Key, list[Vote]] = {}
    for sheet in sheets:
        for key, vote in zip(sheet.keys, sheet.votes, strict=True):
            if vote is not None:
                votes.setdefault(key, []).append(vote)
    cast = [vote for found in votes.values() for vote in found if vote.label is not None]
    made, notes = classes.spelled(cast)
    for note in notes:
        say(note)
    deciding, disputed, overruled, replaced = {}, [], 0, 0
    for key, found in votes.items():
        persons = [vote for vote in found if vote.by_person]
        persons = [vote for vote in persons if not vote.kept] or persons
        last = deciding[key] = (persons or found)[-1]
        others = [vote for vote in persons if made.get(vote) != made.get(last)]
        if others:
            disputed.append((key, others[0], last))
        given = any(made[v] != made.get(last) for v in found if not v.by_person)
        overruled += given and bool(persons)
        replaced += given and not persons
    if disputed and not newest:
        raise UserError(disagreement(disputed))
    if disputed:
        say(f"persons' labels differ in {len(disputed):,} rows: the newest is taken")
    return Resolved(deciding, made, overruled, replaced)


def disagreement(disputed: Sequence[tuple[Key, Vote, Vote]]) -> str:
    """What persons disagree on, with the first five rows."""
    named = "; ".join(
        f"row {key[1]} of {Path(key[0]).name} is {one.told} and {other.told}"
        for key, one, other in disputed[:5]
    )
    return (
        f"persons' labels differ in {len(disputed):,} rows: {named}: make them one, or add "
        "--newest, which takes the last file's"
    )


# --- cells ----------------------------------------------------------------------------------------


def original_cells(
    options: MergeOptions,
    sheets: Sequence[Sheet],
    own: Sequence[str],
    pool: pd.DataFrame | None,
    reading: FileReading,
) -> tuple["Cells", list[str]]:
    """The cells of all rows as they were first: in their source table, the pool, or a sheet.

    Raises UserError if the cells of a sheet differ from those before it, unless ``restore`` is set,
    or if a row came from none of the rows of its table. The second value are notes.
    """
    target = options.target or ""
    sources, notes = source_tables(sheets, own, target, reading)
    cells, features = Cells(own), [name for name in own if name != target]
    for rows in [*sources.values(), *([] if pool is None else [pool])]:
        cells.add(rows)
    changed, first = 0, ""
    for sheet in sheets:
        check_sources(sheet, sources)
        known = [k for k, key in enumerate(sheet.keys) if key in cells.place]
        was, now = cells.rows([sheet.keys[k] for k in known]), sheet.rows.iloc[known]
        odd = differing(now[features], was[features])
        if odd.any():
            row, column = (int(each[0]) for each in np.nonzero(odd))
            before, name = was.iloc[row], features[column]
            first = first or (
                f"{sheet.path}, row {known[row]}, column {name!r}: {str(now.iloc[row][name])!r} "
                f"was {str(before[name])!r} in row {before[Source.ROW]} of {before[Source.FILE]}"
            )
        changed += int(odd.sum())
        cells.add(sheet.rows)
    if changed:
        told = f"{changed:,} cells are not what they were, such as {first}"
        if not options.restore:
            raise UserError(f"{told}: undo this, or add --restore, which takes the cells of before")
        notes.append(f"{told}: all are as before")
    return cells, notes


def check_sources(sheet: Sheet, sources: Mapping[str, pd.DataFrame]) -> None:
    """Raise UserError if a row is said to be from a row that its table does not have."""
    sizes = {
        file: len(rows)
        for file, rows in sources.items()
        if (rows[Source.ROW].to_numpy() == np.arange(len(rows))).all()  # as it was at first
    }
    for row, (file, place) in enumerate(sheet.keys):
        if place >= sizes.get(file, np.inf):
            raise UserError(
                f"{sheet.path}, row {row}: its source is row {place} of {file}, which has "
                f"{sizes[file]:,} rows: undo what changed there"
            )


class Cells:
    """The rows of several tables, each once: as the first table has it.

    place : the table and the position of each row, by its key.
    """

    def __init__(self, own: Sequence[str]):
        self.own = list(own)
        self.frames: list[pd.DataFrame] = []
        self.place: dict[Key, tuple[int, int]] = {}

    def add(self, frame: pd.DataFrame) -> None:
        """Rows that count if they have not been there."""
        for position, key in enumerate(keys_of(frame)):
            self.place.setdefault(key, (len(self.frames), position))
        self.frames.append(frame.reindex(columns=[*self.own, *Source]))

    def rows(self, keys: Sequence[Key]) -> pd.DataFrame:
        """These rows, in this order; their ``Source`` columns too."""
        where = np.array([self.place[key] for key in keys], int).reshape(-1, 2)
        parts, order = [pd.DataFrame(columns=[*self.own, *Source], dtype=object)], [np.arange(0)]
        for number, frame in enumerate(self.frames):
            mine = np.flatnonzero(where[:, 0] == number)
            if len(mine):
                parts.append(frame.iloc[where[mine, 1]].astype(object))  # each cell as it is
                order.append(mine)
        return pd.concat(parts, ignore_index=True).iloc[np.argsort(np.concatenate(order))]


# --- outputs --------------------------------------------------------------------------------------


def as_table(cells: Cells, labeled: Sequence[Key], resolved: Resolved, target: str) -> pd.DataFrame:
    """The labeled rows, their classes, and who gave them."""
    by = [PERSON if resolved.deciding[key].by_person else SALUTARY for key in labeled]
    labels = pd.Series([resolved.label(key) for key in labeled], dtype=object)
    rows = cells.rows(labeled).reset_index(drop=True)
    return with_by(rows.assign(**{target: labels}), by)


def with_by(rows: pd.DataFrame, by: Any) -> pd.DataFrame:
    """The rows, labeled by these."""
    made = rows.copy(deep=False)
    made[Source.BY] = by
    return made


def rest_of_pool(
    cells: Cells,
    table: pd.DataFrame,
    pool: pd.DataFrame | None,
    unlabeled: Sequence[Key],
    target: str,
) -> tuple[pd.DataFrame, list[str]]:
    """The pool without the rows of the table, then the rows that have no label; and what was done.

    A row of the table that has another source than all rows of the pool takes the rows with it that
    equal it in every cell, if all such rows differ from each other.
    """
    keys, lines = [] if pool is None else keys_of(pool), []
    has_label, in_pool = set(keys_of(table)), set(keys)
    kept = np.array([key not in has_label for key in keys], bool)
    features = [name for name in cells.own if name != target]
    others = table[[key not in in_pool for key in keys_of(table)]]
    same = np.zeros(len(keys), bool)
    if pool is not None and len(others):
        known = content(others[features])
        same = kept & np.isin(content(pool[features]), known)
        if len(np.unique(known)) < len(known) and same.any():
            lines.append(
                f"{int(same.sum()):,} rows equal a labeled row of another source; they stay, "
                "because some labeled rows equal each other too"
            )
            same[:] = False
    kept &= ~same
    removed, back = len(kept) - int(kept.sum()), [key for key in unlabeled if key not in in_pool]
    stay = [key for key, stays in zip(keys, kept, strict=True) if stays]
    rest = with_by(cells.rows([*stay, *back]).assign(**{target: ""}), "")
    told = f"{len(rest):,} rows without a label"
    if pool is None:
        return rest, [told]
    told += f"; {removed:,} of the pool have one now"
    if same.any():
        told += f", {int(same.sum()):,} of them found by their cells"
    if back:
        told += f", and {len(back):,} rows are back in it"
    return rest, [told, *lines]


def content(rows: pd.DataFrame) -> np.ndarray:
    """A hash of the cells of each row, (n,)."""
    shown_cells = rows.apply(lambda cells: pd.Series(plain(cells), dtype=object))
    return pd.util.hash_pandas_object(shown_cells, index=False).to_numpy()


def columns_of_numbers(sheets: Sequence[Sheet], own: Sequence[str]) -> list[str]:
    """The columns that no file with types holds as texts."""
    typed = [sheet.rows for sheet in sheets if not tables.is_text(sheet.path)]
    kinds = {n: {pd.api.types.infer_dtype(rows[n], skipna=True) for rows in typed} for n in own}
    return [name for name in own if "string" not in kinds[name]]


def file_of(rows: pd.DataFrame, path: Path, own: Sequence[str], numbers: Sequence[str]) -> bytes:
    """The rows as a file: their own columns, then where they are from and who labeled them.

    numbers : see ``tables.as_file``.
    """
    prefix = prefix_beside(own)
    frame = rows.rename(columns={source: prefix + source.value for source in Source})
    frame = tables.below_each_other([frame], path)
    return tables.as_file(frame, path, numbers)


def table_lines(options: MergeOptions, table: pd.DataFrame, resolved: Resolved) -> list[str]:
    """What a user should know of the table."""
    persons = int(table[Source.BY].eq(PERSON).sum())
    lines = [
        f"{options.out}: {len(table):,} labeled rows, {persons:,} by a person, "
        f"{len(table) - persons:,} by label.py"
    ]
    if resolved.overruled:
        lines.append(f"a person's label won over a given one in {resolved.overruled:,} rows")
    if resolved.replaced:
        lines.append(f"a later given label replaced another in {resolved.replaced:,} rows")
    return lines
