"""Finished runs, kept: a run is one method on one seed, and is computed once.

A store is a folder ``runs/KEY`` beside the tables of an experiment. KEY stands for all that its
runs depend on but the method and the seed: the settings, the data, the libraries and the code of
the loop. Each file has the records of one run, and a hash of the code of its method. So a method or
a seed can be added later, and a change of one strategy's code makes only its own runs anew.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from inspect import getsourcefile, unwrap
from pathlib import Path

import numpy as np

from common.files import prepare_folder, write_files
from common.plugins import plugin_with
from common.program import ROOT, code_files, code_hash, library_versions
from common.seal import sealed, unsealed
from data_prep.catalogue import Dataset
from data_prep.reading import TableReading
from data_utils import Table
from experiments.loop import PickRecord, RoundRecord, RunRecords
from experiments.settings import Settings
from strategies.base import Reference
from strategies.registry import code_of, known_methods

# Imported by the loop, but without a say in its numbers: the lists, the reading of files (the data
# themselves are hashed), and the command line (the settings are hashed).
NO_SAY = frozenset(
    ROOT / f"{name}.py"
    for name in (
        "common/cli",
        "common/parallel",
        "common/plugins",
        "common/registry",
        "data_prep/arrays",
        "data_prep/catalogue",
        "data_prep/cells",
        "data_prep/classes",
        "data_prep/column_cells",
        "data_prep/column_kinds",
        "data_prep/columns",
        "data_prep/date_cells",
        "data_prep/deciding",
        "data_prep/feature_choice",
        "data_prep/files",
        "data_prep/list_cells",
        "data_prep/number_cells",
        "data_prep/own_tables",
        "data_prep/places",
        "data_prep/reading",
        "data_prep/row_ids",
        "data_prep/hub",
        "data_prep/tables",
        "data_prep/text_columns",
        "data_prep/text_encoder",
        "data_prep/text_tables",
        "data_prep/typed_tables",
        "experiments/options",
        "experiments/protocols",
        "strategies/registry",
    )
)
# Settings that change no run: which runs are made, by whom, and what is shown of them; and how a
# table is read, because the features and classes that come of it are hashed.
OF_NO_RUN = frozenset(
    "dataset labels source data_dir methods seeds jobs dask metric out plot quiet plugins "
    "variant".split()
) | {item.name for item in fields(TableReading)}


@cache
def engine_files() -> frozenset[Path]:
    """The files that every run depends on: the loop, the models, the influence, the splits."""
    return frozenset(code_files(ROOT / "experiments/loop.py", NO_SAY))


def method_code(method: str) -> str:
    """A hash of the file that defines a method, and of what that file imports beside the engine.

    method : a name that --methods takes.
    """
    known = known_methods()[method]
    functions = [known.rows, known.label_pool] if isinstance(known, Reference) else [known.pick]
    files = (_source_file(function) for function in functions if function)
    code = _code_of(frozenset(Path(file) for file in files if file))
    brought = code_of(method)  # with what its entry says, if the function is another file's
    return hashlib.sha256(brought + code.encode()).hexdigest() if brought else code


def _source_file(function: Callable) -> str | None:
    """The file that defines a function; None for other things that can be called."""
    with suppress(TypeError):
        return getsourcefile(unwrap(function))
    return None


@cache
def _code_of(files: frozenset[Path]) -> str:
    without = NO_SAY | engine_files()
    return code_hash(frozenset().union(*(code_files(file, without) for file in files)))


def store_key(settings: Settings, table: Table) -> str:
    """A name for all that the runs of an experiment depend on, but their method and seed."""
    data = table.data
    depends = [
        {name: value for name, value in settings.record().items() if name not in OF_NO_RUN},
        # Not the files: options of main_llm.py choose texts and columns of the same files.
        hashlib.sha256(np.ascontiguousarray(data.X).data).hexdigest(),
        hashlib.sha256(repr([data.y.tolist(), data.rows.tolist()]).encode()).hexdigest(),
        _own_rule(table.dataset),
        None if data.parts is None else hashlib.sha256("".join(data.parts).encode()).hexdigest(),
        library_versions(),
        code_hash(engine_files()),
    ]
    return hashlib.sha256(json.dumps(depends, default=str).encode()).hexdigest()[:16]


def _own_rule(dataset: Dataset) -> str:
    """The sha256 of the plugin whose own function splits a data set; "" if none does."""
    plugin = plugin_with("DATASETS", dataset.name)
    own = plugin and getattr(dataset.paper_parts, "__module__", "") == plugin.module_name
    return plugin.sha256 if plugin and own else ""


class UnusableRun(Exception):
    """A kept run that must be made anew; the text says why."""


@dataclass(frozen=True)
class Store:
    """The finished runs of one experiment, in ``folder``, which must exist.

    codes : ``method_code`` by method. A worker on another machine gets them and need not hash.
    """

    folder: Path
    codes: Mapping[str, str] = field(
        default_factory=lambda: {method: method_code(method) for method in known_methods()}
    )

    @classmethod
    def of(cls, folder: Path, settings: Settings, table: Table) -> "Store":
        """The store of an experiment whose tables are in ``folder``.

        Raises UserError if it cannot be written to.
        """
        runs = folder / "runs" / store_key(settings, table)
        prepare_folder(runs)
        return cls(runs)

    def recall(self, seed: int, method: str) -> RunRecords | None:
        """A finished run; None if there is none.

        Raises UnusableRun if its file is damaged, is that of another run, or was made by other code
        of the method.
        """
        path = self.folder / file_name(seed, method)
        if not path.is_file():
            return None
        try:
            text = unsealed(gzip.decompress(path.read_bytes()), self._key(seed, method))
            kept = json.loads(text)
            records = from_plain(kept)
            code = kept["code"]
        except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError) as error:
            raise UnusableRun(f"{path.name} is damaged") from error
        if code != self.codes.get(method):
            raise UnusableRun(f"{path.name} was made by other code of {method}")
        return records

    def keep(self, seed: int, method: str, records: RunRecords) -> None:
        """Put a finished run into the store. Raises UserError if the disk does not take it."""
        text = json.dumps({"code": self.codes[method], **as_plain(records)})
        packed = gzip.compress(sealed(text.encode(), self._key(seed, method)), mtime=0)
        write_files(self.folder, {file_name(seed, method): packed})

    def _key(self, seed: int, method: str) -> str:
        """What a file must belong to: the experiment, the method and the seed."""
        return f"{self.folder.name}/{file_name(seed, method)}"

    def runs(self) -> Iterator[tuple[int, str]]:
        """Seed and method of every run that has a file: ascending seeds, known methods in order."""
        order = {method: number for number, method in enumerate(known_methods())}
        named = [path.name.removesuffix(".json.gz") for path in self.folder.glob("*.json.gz")]
        parts = (name.rpartition("-") for name in named)
        pairs = [(int(seed), method) for method, _, seed in parts if seed.isdecimal()]
        yield from sorted(pairs, key=lambda run: (run[0], order.get(run[1], len(order)), run[1]))


def file_name(seed: int, method: str) -> str:
    """The file of a run."""
    return f"{method}-{seed}.json.gz"


def as_plain(records: RunRecords) -> dict[str, list]:
    """The records as lists of dicts of JSON's types."""
    plain = {name: list(map(asdict, part)) for name, part in records._asdict().items()}
    return json.loads(json.dumps(plain, default=lambda number: number.item()))


def from_plain(plain: Mapping[str, list]) -> RunRecords:
    """The records that ``as_plain`` wrote."""
    return RunRecords(
        [RoundRecord(**record) for record in plain["curve"]],
        [PickRecord(**record) for record in plain["picks"]],
    )
