"""Texts with a class each: the tasks of main_llm.py, and tables of the user's own.

Four sets of texts rated by people ship in datasets/text. GLUE comes through Hugging Face's library
``datasets``: from a folder in the hub's layout, from the library's cache, or from the hub.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from common.errors import UserError, check_known
from common.escape import plain
from common.files import display_path
from data_prep.catalogue import is_own_table
from data_prep.files import File, FileFacts, existing, read_file
from data_prep.hub import failure_reason, go_offline_without_hub, hub, missing_package
from data_prep.own_tables import read_labeled
from data_prep.places import SHIPPED
from data_prep.reading import AS_FOUND, FileReading

NEUTRAL = 0.5  # a mean rating nearer to 0 than this is no opinion
GLUE_ON_HUB = "nyu-mll/glue"


@dataclass(frozen=True)
class Texts:
    """Texts and their classes.

    columns : one array of strings (n,), or two for pairs of texts.
    y (n,) : the classes. rows (n,) : row numbers in the source.
    files : that were read. place : where they were found.
    test : positions of the test set, if the task has one of its own.
    dropped : how many texts were left out, and why. notes : what else a reader should know.
    """

    name: str
    title: str
    columns: tuple[np.ndarray, ...]
    y: np.ndarray
    rows: np.ndarray
    files: tuple[FileFacts, ...]
    place: str
    test: np.ndarray | None = None
    dropped: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()

    def joined(self, separator: str) -> np.ndarray:
        """One string for each text or pair of texts: (n,)."""
        joined = [separator.join(parts) for parts in zip(*self.columns, strict=True)]
        return np.array(joined, object)

    def without(self, left_out: np.ndarray, reason: str) -> "Texts":
        """The texts that the mask ``left_out`` (n,) does not mark; ``dropped`` gets the reason."""
        keep, test = ~left_out, None
        if self.test is not None:
            in_test = np.zeros(len(self.y), bool)
            in_test[self.test] = True
            test = np.flatnonzero(in_test[keep])
        return replace(
            self,
            columns=tuple(column[keep] for column in self.columns),
            y=self.y[keep],
            rows=self.rows[keep],
            test=test,
            dropped=(*self.dropped, (int(left_out.sum()), reason)),
        )


@dataclass(frozen=True)
class Rated:
    """A shipped set of texts, each with the mean of its ratings by people, from -4 to 4.

    sha256 : of the uncompressed contents.
    """

    title: str
    rows: int
    sha256: str


RATED = {
    "movies": Rated(
        "Movie review snippets",
        10_605,
        "6a325856efa9a474ce6aa75c928fa20ab7ffe7f425e9cb398fae95168497e9ec",
    ),
    "tweets": Rated(
        "Tweet-like texts",
        4_200,
        "3bc6bee21ff382e4efcb8a6a07635067c5c3440f407b73cfe7de0a9fea82e252",
    ),
    "reviews": Rated(
        "Amazon review sentences",
        3_708,
        "57da75a2aba1ea2b576f57727ce5b5a7df4eb28fe9d1dd45125b5884c36f3e8b",
    ),
    "editorials": Rated(
        "Newspaper editorial sentences",
        5_190,
        "0ab7fd979090d1d6edf477b25ce7f09a6bf84f174a28fbfdb2790b741405cef9",
    ),
}
GLUE = {
    "sst2": ("sentence",),
    "mrpc": ("sentence1", "sentence2"),
    "rte": ("sentence1", "sentence2"),
    "cola": ("sentence",),
    "qnli": ("question", "sentence"),
    "wnli": ("sentence1", "sentence2"),
}
TASKS = (*RATED, *GLUE)


def task_lines() -> list[str]:
    """What --list says of the tasks, a line each."""
    rated = [
        f"  {name:11} here: {task.rows:,} texts        {task.title}, rated by people"
        for name, task in RATED.items()
    ]
    glue = [
        f"  {name:11} --data-dir or network   GLUE, {' + '.join(columns)}"
        for name, columns in GLUE.items()
    ]
    return ["tasks", *rated, *glue]


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    text_columns: Sequence[str] = (),
    target: str | None = None,
    reading: FileReading = AS_FOUND,
    most: int | None = None,
) -> Texts:
    """The texts of the task ``name``, or of the user's own table at that path, but no empty ones.

    data_dir : a folder to look into first.
    text_columns, target : the columns of an own table that hold the texts and the classes.
    reading : how the cells of an own table are found, and which of them say a class.
    most : if there are more texts beside the test set, keep so many, the same in every call.

    Raises UserError if the task is unknown or nowhere, if a file is damaged, or if fewer than two
    classes are left.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir} is not a folder")
    if is_own_table(name):
        texts = _own(Path(name), tuple(text_columns), target, reading)
    else:
        check_known("task", name, TASKS)
        texts = _rated(name, data_dir) if name in RATED else _glue(name, data_dir)
    empty = np.logical_or.reduce([[not t.strip() for t in column] for column in texts.columns])
    if empty.any():
        texts = texts.without(empty, "the text is empty")
    found = np.unique(texts.y)
    if len(found) < 2:
        held = f"only texts of class {found[0]}" if len(found) else "no text that is not empty"
        raise UserError(f"{texts.title} has {held}: two classes are needed")
    return _at_most(texts, most)


def _at_most(texts: Texts, most: int | None) -> Texts:
    """``most`` of the texts beside the test set, drawn in proportion to the classes."""
    others = np.setdiff1d(np.arange(len(texts.y)), [] if texts.test is None else texts.test)
    if most is None or len(others) <= most:
        return texts
    try:
        _, rest = train_test_split(
            others, train_size=most, random_state=0, stratify=texts.y[others]
        )
    except ValueError as error:
        raise UserError(f"--texts {most} leaves a class out: {error}") from error
    left_out = np.zeros(len(texts.y), bool)
    left_out[rest] = True
    return texts.without(
        left_out, f"--texts {most}: the others were drawn, in proportion to the classes"
    )


# --- the texts that ship --------------------------------------------------------------------------


def _rated(name: str, data_dir: Path | None) -> Texts:
    """A shipped set: the class is the sign of the rating, and neutral texts are left out."""
    rated = RATED[name]
    file = File(f"{name}.csv", rated.rows, ["rating", "text"], rated.sha256, text=["text"])
    folders = {"--data-dir": data_dir, "datasets/": SHIPPED / "text"}
    found = {place: existing(folder, [file]) for place, folder in folders.items() if folder}
    place, paths = next(((place, paths) for place, paths in found.items() if paths), ("", None))
    if paths is None:
        raise UserError(
            f"{name} is not here: put {file.name}.gz into {display_path(SHIPPED / 'text')}"
        )
    frame, facts = read_file(file, paths[0])
    ratings = frame["rating"].to_numpy()
    texts = Texts(
        name=name,
        title=rated.title,
        columns=(frame["text"].to_numpy(object),),
        y=np.where(ratings > 0, "positive", "negative"),
        rows=np.arange(len(frame)),
        files=(facts,),
        place=place,
    )
    return texts.without(np.abs(ratings) < NEUTRAL, f"rated nearer to 0 than {NEUTRAL}")


# --- GLUE -----------------------------------------------------------------------------------------


def _glue(name: str, data_dir: Path | None) -> Texts:
    """A task of GLUE, from the nearest place that has it."""
    folder = next(
        (f for f in (data_dir, SHIPPED / "glue") if f and any((f / name).glob("*.parquet"))), None
    )
    problem = None if folder else go_offline_without_hub()
    try:
        return _read_glue(name, folder)
    except ImportError as error:
        raise missing_package(error) from error
    except Exception as error:  # the library raises the errors of many other libraries
        raise UserError(
            f"{name} of GLUE cannot be loaded ({failure_reason(error, problem)}): put the files "
            f"{name}/train-*.parquet and {name}/validation-*.parquet of "
            f"{hub()}/datasets/{GLUE_ON_HUB} into {display_path(SHIPPED / 'glue')} or another "
            "folder, and name that with --data-dir"
        ) from error


def _read_glue(name: str, folder: Path | None) -> Texts:
    """The training texts and, as the test set, the validation texts: GLUE hides its test labels."""
    # Not at the top: the package is optional, and it reads its settings when it is imported.
    # mypy sees the folder datasets/ of this project in its place.
    from datasets import disable_progress_bars, load_dataset, logging  # type: ignore[attr-defined]

    disable_progress_bars()
    logging.set_verbosity(logging.CRITICAL)  # it would print an error before it raises it
    if folder:
        place = display_path(folder)
        parts = load_dataset(str(folder), data_dir=name)
    else:
        place = GLUE_ON_HUB
        parts = load_dataset(GLUE_ON_HUB, name)
    frames = {part: parts[part].to_pandas() for part in ("train", "validation")}
    class_names = getattr(parts["train"].features["label"], "names", None)
    both = pd.concat(frames.values(), join="inner", ignore_index=True)
    y = both["label"].to_numpy()
    return Texts(
        name=name,
        title=f"GLUE {name.upper()}",
        columns=tuple(both[column].to_numpy(object) for column in GLUE[name]),
        y=np.array(class_names)[y] if class_names else y,
        rows=np.arange(len(y)),
        files=tuple(
            FileFacts(
                f"{place}/{name} {part}",
                len(frame),
                hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest(),
            )
            for part, frame in frames.items()
        ),
        place=place if folder else f"{place}, by Hugging Face datasets",
        test=np.arange(len(frames["train"]), len(y)),
        notes=("the test set is GLUE's validation set; rows are counted through both",),
    )


# --- a table of the user's own --------------------------------------------------------------------


def _own(
    path: Path, text_columns: tuple[str, ...], target: str | None, reading: FileReading
) -> Texts:
    """The texts of a user's table whose class is known; a missing text is empty."""
    if not 1 <= len(text_columns) <= 2:
        raise UserError(
            f"--text-column: name the column of {path} that holds the texts, or two for pairs"
        )
    if target in text_columns:
        raise UserError(f"--target and --text-column both name {target!r}")
    table = read_labeled(path, target, reading=reading)
    for column in text_columns:
        check_known("--text-column", column, table.frame)
    return Texts(
        name=f"own-{plain(path.name.split('.')[0])}",
        title=plain(str(path)),
        columns=tuple(_as_strings(table.frame[column]) for column in text_columns),
        y=table.y,
        rows=table.frame.index.to_numpy(),
        files=(table.facts,),
        place="your own table",
        dropped=table.dropped,
        notes=table.notes,
    )


def _as_strings(cells: pd.Series) -> np.ndarray:
    return cells.astype(object).where(cells.notna(), "").map(str).to_numpy(object)
