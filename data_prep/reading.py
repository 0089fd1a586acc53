"""How a user's own table is to be read: the options of every script that reads one.

Standard library only. From Python, ``TableReading(decimal=",")`` is an argument of the functions
that read a table.
"""

import codecs
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from common.cli import option
from common.errors import UserError

UNSEEN = ("error", "other")
TEXT_FEATURES = ("tfidf", "encoder")
BLANKS = r"\s+"  # as pandas names columns that any number of blanks or tabs keeps apart
SEPARATORS = {"tab": "\t", r"\t": "\t", "blanks": BLANKS, BLANKS: BLANKS, " ": BLANKS}
GROUP = "how your own tables are read"


def _reading(default: Any, text: str, **argument: Any) -> Any:
    return option(default, text, group=GROUP, **argument)


def _columns(text: str) -> Any:
    """An option that names a column and can be given several times."""
    return _reading((), f"{text}; can be given several times", action="append", metavar="COLUMN")


@dataclass(frozen=True)
class FileReading:
    """How the cells of a file are found, and which of them say a class.

    Raises UserError for an encoding that Python does not know, and for a separator that is neither
    a character that can be one nor a word for it.
    """

    unlabeled_value: tuple[str, ...] = _reading(
        (),
        "value of --target that means \"no label\", such as -1 or NA, as an empty cell does; '' if "
        "all values are classes; can be given several times",
        action="append",
        metavar="VALUE",
    )
    encoding: str | None = _reading(
        None,
        "encoding of your text files (default: UTF-8, or UTF-16 if they begin with its mark)",
    )
    separator: str | None = _reading(
        None,
        "what separates the cells of your text files: one character, tab, or blanks "
        "(default: found in the first lines)",
    )
    decimal: str | None = _reading(
        None,
        "decimal sign of the numbers in your tables (default: found for each column)",
        choices=(".", ","),
    )

    def __post_init__(self):
        if self.encoding is not None:
            try:
                io.TextIOWrapper(io.BytesIO(), encoding=self.encoding)
            except (LookupError, ValueError) as error:
                raise UserError(f"--encoding {self.encoding!r} is unknown: try latin-1") from error
        if self.separator is not None and not _separates(self.delimiter or ""):
            raise UserError(
                f"--separator {self.separator!r} is no separator: give one character such as ';', "
                "or the word tab or blanks"
            )

    @property
    def delimiter(self) -> str | None:
        """What separates cells: a character, or BLANKS; None if the file is to say it."""
        return SEPARATORS.get(self.separator or "", self.separator)

    @property
    def codec(self) -> str | None:
        """The encoding, UTF-8 with the mark that may precede it; None if the file is to say it."""
        if self.encoding and codecs.lookup(self.encoding).name == "utf-8":
            return "utf-8-sig"
        return self.encoding

    @classmethod
    def of(cls, options: "FileReading") -> Any:
        """What a script's options, which inherit these fields, say of reading: a ``cls``."""
        return cls(**{item.name: getattr(options, item.name) for item in fields(cls)})

    def chosen(self) -> list[str]:
        """The fields that differ from their defaults."""
        return [item.name for item in fields(self) if getattr(self, item.name) != item.default]

    def check_use(self, *files: Collection[str], shown: str) -> None:
        """Raise UserError for an option that is set, but of no use for any of the files.

        files : what is of use for each, see ``of_use``. shown : names them in the error.
        """
        for name in self.chosen():
            if not any(name in useful for useful in files):
                kind = FOR.get(name, "tables, not for arrays")
                raise UserError(f"{as_option(name)} is for {kind}: it says nothing about {shown}")


def _separates(text: str) -> bool:
    """Whether a table can have this text between its cells."""
    if text == BLANKS:
        return True
    return len(text) == 1 and text.isascii() and not text.isalnum() and text not in '"\r\n\0'


@dataclass(frozen=True)
class TableReading(FileReading):
    """The same, and what each column is read as. Column names are as in the file."""

    numeric: tuple[str, ...] = _columns("a column to read as numbers")
    categorical: tuple[str, ...] = _columns("a column to read as categories, one for each text")
    text: tuple[str, ...] = _columns("a column to read as free text")
    text_features: str | None = _reading(
        None,
        "what becomes of free text: tfidf, weights of its words and 100 components of their SVD, "
        "or encoder, the numbers of the pretrained encoder that make llm installs (default: "
        "encoder if it is installed)",
        choices=TEXT_FEATURES,
    )
    date: tuple[str, ...] = _reading(
        (),
        "a column to read as dates, if need be with their form, as in day:%%d/%%m/%%Y; can be "
        "given several times",
        action="append",
        metavar="COLUMN[:FORM]",
    )
    drop: tuple[str, ...] = _columns("a column to leave out")
    unseen: str = _reading(
        "error",
        "what becomes of a category that only other rows have than those that decide: an error, or "
        "none of the indicators of its column (default: error)",
        choices=UNSEEN,
    )


AS_FOUND = TableReading()
COLUMN_OPTIONS = frozenset(
    item.name for item in fields(TableReading) if item.name not in vars(FileReading())
)
FOR = {
    "encoding": "text files such as .csv, .tsv or .jsonl",
    "separator": ".csv and .tsv",
}


def as_option(name: str) -> str:
    """The option of a field, as on the command line."""
    return "--" + name.replace("_", "-")


def of_use(path: Path, labels: Path | None = None) -> frozenset[str]:
    """The fields that say something about a user's data set in this file.

    labels : of an array's rows, in a file of their own.
    """
    if path.suffix.lower() in (".npy", ".npz"):
        return frozenset({"unlabeled_value"}) | (_of_text(labels) if labels else frozenset())
    return COLUMN_OPTIONS | {"unlabeled_value", "decimal"} | _of_text(path)


def _of_text(path: Path) -> frozenset[str]:
    end = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if end in ("csv", "tsv"):
        return frozenset({"encoding", "separator"})
    return frozenset({"encoding"} if end in ("jsonl", "txt") else ())


# --- columns without a name -----------------------------------------------------------------------


def with_places(names: Sequence[str]) -> list[str]:
    """The names; a column without one is named by its place, "(column 3, no name)"."""
    return [name if name.strip() else f"(column {k}, no name)" for k, name in enumerate(names, 1)]


def is_place(name: str) -> bool:
    """Whether ``with_places`` made this name."""
    return name.startswith("(column ") and name.endswith(", no name)")
