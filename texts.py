"""Texts: the tasks of main_llm.py, and tables of the user's own, as strings with a class each.

Four sets of human-rated texts ship in datasets/text; GLUE comes through Hugging Face ``datasets``
from a folder in the hub's layout, from its cache, or from the hub.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

import tables
from data_utils import SHIPPED, is_path
from features import classes_of, read_own
from network import unreachable
from sources import File, UserError, choose, existing, read_file, shown

NEUTRAL = 0.5  # a mean rating nearer to 0 than this is no opinion
GLUE_ON_HUB = "nyu-mll/glue"


@dataclass(frozen=True)
class Texts:
    """Texts and their classes.

    columns : one array of strings (n,), or two for pairs of sentences; y (n,) classes; rows (n,)
    row numbers in the source; test : positions of a test set that the task fixes, or None.
    dropped, notes and facts (of the files) are what a reader should know.
    """

    name: str
    title: str
    columns: tuple[np.ndarray, ...]
    y: np.ndarray
    rows: np.ndarray
    facts: tuple[dict, ...]
    place: str
    test: np.ndarray | None = None
    dropped: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()

    def kept(self, keep: np.ndarray, **changes) -> "Texts":
        """Those of the mask ``keep`` (n,)."""
        test = None
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
            **changes,
        )


@dataclass(frozen=True)
class Rated:
    """A set of texts with a mean human rating from -4 to 4, which ships."""

    title: str
    rows: int
    sha256: str  # of the contents, uncompressed


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


def load(
    name: str,
    data_dir: Path | None = None,
    *,
    text_columns: Sequence[str] = (),
    target: str | None = None,
    most: int | None = None,
) -> Texts:
    """The task ``name``, or the table of the user's own at that path; empty texts are left out.

    most : where there are more texts beside the test set, so many of them, drawn once.
    Raises UserError where it is unknown, nowhere or damaged, or holds fewer than two classes.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"--data-dir {data_dir} is not a folder")
    if is_path(name):
        texts = _own(Path(name), tuple(text_columns), target)
    else:
        choose("task", name, TASKS)
        texts = _rated(name, data_dir) if name in RATED else _glue(name, data_dir)
    full = np.logical_and.reduce([[bool(t.strip()) for t in column] for column in texts.columns])
    if not full.all():
        dropped = (*texts.dropped, (int((~full).sum()), "the text is empty"))
        texts = texts.kept(full, dropped=dropped)
    found = np.unique(texts.y)
    if len(found) < 2:
        held = f"only texts of class {found[0]}" if len(found) else "no text that is not empty"
        raise UserError(f"{texts.title} has {held}: two classes are needed")
    return _at_most(texts, most)


def _at_most(texts: Texts, most: int | None) -> Texts:
    """``most`` of the texts beside the test set, in proportion to the classes, always the same."""
    outside = np.setdiff1d(np.arange(len(texts.y)), [] if texts.test is None else texts.test)
    if most is None or len(outside) <= most:
        return texts
    try:
        _, left_out = train_test_split(
            outside, train_size=most, random_state=0, stratify=texts.y[outside]
        )
    except ValueError as error:
        raise UserError(f"--texts {most} leaves a class out: {error}") from error
    keep = np.ones(len(texts.y), bool)
    keep[left_out] = False
    why = f"--texts {most}: the others were drawn, in proportion to the classes"
    return texts.kept(keep, dropped=(*texts.dropped, (len(left_out), why)))


# --- the texts that ship -------------------------------------------------------------------------


def _rated(name: str, data_dir: Path | None) -> Texts:
    """Label: the sign of the rating; those nearer to 0 than NEUTRAL are left out."""
    rated = RATED[name]
    file = File(f"{name}.csv", rated.rows, ["rating", "text"], rated.sha256, text=["text"])
    looked = {"--data-dir": data_dir, "datasets/": SHIPPED / "text"}
    found = {place: existing(folder, [file]) for place, folder in looked.items() if folder}
    place = next((place for place, paths in found.items() if paths), None)
    if place is None:
        raise UserError(f"{name} is not here: put {file.name}.gz into {shown(SHIPPED / 'text')}")
    frame, facts = read_file(file, found[place][0])
    ratings = frame["rating"].to_numpy()
    neutral = np.abs(ratings) < NEUTRAL
    texts = Texts(
        name,
        rated.title,
        (frame["text"].to_numpy(object),),
        np.where(ratings > 0, "positive", "negative"),
        np.arange(len(frame)),
        (facts,),
        place,
    )
    why = f"rated nearer to 0 than {NEUTRAL}"
    return texts.kept(~neutral, dropped=((int(neutral.sum()), why),))


# --- GLUE ----------------------------------------------------------------------------------------


def hub() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def stay_offline_without_a_hub() -> str | None:
    """Why the hub takes no connection; Hugging Face's libraries then look into their cache alone.

    To be called before they are imported: they read their settings then.
    """
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return "HF_HUB_OFFLINE is 1"
    problem = unreachable(hub())
    if problem:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return problem


def _glue(name: str, data_dir: Path | None) -> Texts:
    """The training texts and, as its test set, the validation texts: GLUE hides its test labels."""
    folder = next(
        (f for f in (data_dir, SHIPPED / "glue") if f and any((f / name).glob("*.parquet"))), None
    )
    problem = None if folder else stay_offline_without_a_hub()
    try:
        from datasets import disable_progress_bars, load_dataset
    except ImportError as error:
        raise missing_packages(error) from error
    disable_progress_bars()
    try:
        if folder:
            parts = load_dataset(str(folder), data_dir=name)
        else:
            parts = load_dataset(GLUE_ON_HUB, name)
        frames = {part: parts[part].to_pandas() for part in ("train", "validation")}
        names = getattr(parts["train"].features["label"], "names", None)
        columns = [
            np.concatenate([frame[column].to_numpy(object) for frame in frames.values()])
            for column in GLUE[name]
        ]
        y = np.concatenate([frame["label"].to_numpy() for frame in frames.values()])
    except ImportError as error:
        raise missing_packages(error) from error
    except Exception as error:  # the library raises errors of many others
        reason = f"{hub()} cannot be reached: {problem}" if problem else first_line(error)
        raise UserError(
            f"{name} of GLUE cannot be loaded ({reason}): put the files {name}/train-*.parquet and "
            f"{name}/validation-*.parquet of {hub()}/datasets/{GLUE_ON_HUB} into "
            f"{shown(SHIPPED / 'glue')} or another folder, and name that with --data-dir"
        ) from error
    facts = tuple(
        {
            "path": f"{shown(folder) if folder else GLUE_ON_HUB}/{name} {part}",
            "rows": len(frame),
            "sha256": hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest(),
            "known_contents": None,
        }
        for part, frame in frames.items()
    )
    train = len(frames["train"])
    return Texts(
        name,
        f"GLUE {name.upper()}",
        tuple(columns),
        np.array(names)[y] if names else y,
        np.arange(len(y)),
        facts,
        shown(folder) if folder else f"{GLUE_ON_HUB}, by Hugging Face datasets",
        test=np.arange(train, len(y)),
        notes=("the test set is GLUE's validation set; rows are counted through both",),
    )


def missing_packages(error: ImportError) -> UserError:
    return UserError(
        f"{error.name or error} is missing: make llm installs what language models need "
        "(or: pip install -r requirements-llm.txt)"
    )


def first_line(error: Exception) -> str:
    """The kind of an error and the first line of its message, shortened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {' '.join(lines[0].split())[:200]}" if lines else repr(error)


# --- a table of the user's own -------------------------------------------------------------------


def _own(path: Path, text_columns: tuple[str, ...], target: str | None) -> Texts:
    if not 1 <= len(text_columns) <= 2:
        raise UserError(
            f"--text-column: name the column of {path} that holds the texts, or two for pairs"
        )
    frame, facts = read_own(path)
    if target is None:
        raise UserError(f"--target is missing: name the column of {path} that holds the classes")
    for option, column in [("--target", target), *(("--text-column", c) for c in text_columns)]:
        choose(option, column, list(frame))
    if target in text_columns:
        raise UserError(f"--target and --text-column both name {target!r}")
    unknown = tables.is_missing(frame[target])
    dropped = ((int(unknown.sum()), f"no {target!r}"),) if unknown.any() else ()
    frame = frame[~unknown]
    return Texts(
        f"own-{path.name.split('.')[0]}",
        str(path),
        tuple(_as_strings(frame[column]) for column in text_columns),
        classes_of(frame[target]),
        frame.index.to_numpy(),
        (facts,),
        "your own table",
        dropped=dropped,
    )


def _as_strings(cells: pd.Series) -> np.ndarray:
    return cells.astype(object).where(cells.notna(), "").map(str).to_numpy(object)
