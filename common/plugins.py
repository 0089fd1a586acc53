"""Files of a user's own that bring strategies, references, data sets and studies: --plugin mine.py.

A plugin is one Python file. It names what it brings in the lists of ``LISTS``; nothing registers
itself by being imported. Each process executes the text that the caller has read. So workers need
no file, and a plugin is the same in all of them.
"""

import hashlib
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from traceback import walk_tb
from types import ModuleType
from typing import Any

import numpy as np

from common.errors import UserError
from common.files import display_path
from common.program import ROOT, source_files


@dataclass(frozen=True)
class ListOf:
    """A list that a plugin may have: what its entries are called, and their class.

    The class is named, not imported: it lies on a higher floor.
    """

    noun: str
    module: str
    name: str

    def holds(self, entry: Any) -> bool:
        """Whether ``entry`` is an instance of the class."""
        expected = self.module, self.name
        return any((of.__module__, of.__qualname__) == expected for of in type(entry).__mro__)


LISTS = {
    "STRATEGIES": ListOf("strategy", "strategies.base", "Strategy"),
    "REFERENCES": ListOf("reference", "strategies.base", "Reference"),
    "DATASETS": ListOf("data set", "data_prep.catalogue", "Dataset"),
    "STUDIES": ListOf("study", "studies.base", "Study"),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
WORDS = ("all", "available", "none", "paper")  # mean something else on the command line


@dataclass(frozen=True)
class Plugin:
    """A plugin by its absolute path, and its text. Pickle loads it where it arrives.

    problem : why it cannot be used here, or "".
    """

    path: str
    text: bytes
    problem: str = ""

    def __reduce__(self):
        return arrived, (self.path, self.text)

    @property
    def name(self) -> str:
        """The file's name without its end, as --model has it."""
        return Path(self.path).stem

    @property
    def shown(self) -> str:
        """The path as messages have it."""
        return display_path(Path(self.path))

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    @property
    def module_name(self) -> str:
        """Its name in ``sys.modules``: no library's, and another for another path or text."""
        whole = hashlib.sha256(self.path.encode() + b"\0" + self.text).hexdigest()
        return f"plugin_{re.sub(r'[^A-Za-z0-9]', '_', self.name)}_{whole[:12]}"

    @property
    def module(self) -> ModuleType:
        return sys.modules[self.module_name]

    def entries(self, list_name: str) -> list[Any]:
        """What it brings in this list."""
        return list(getattr(self.module, list_name, ()))

    def line_of(self, error: BaseException) -> str:
        """ ", line 12": the last line of this file that ``error`` passed; "" if it passed none."""
        lines = [
            line
            for frame, line in walk_tb(error.__traceback__)
            if frame.f_code.co_filename == self.path
        ]
        return f", line {lines[-1]}" if lines else ""


# --- loading --------------------------------------------------------------------------------------


def read_plugin(path: Path, model: str = "") -> Plugin:
    """Read, execute and check a plugin.

    model : what --model names; a plugin that has the model needs no list.

    Raises UserError if there is no such file, if it is not Python, if it raises, or if it brings
    nothing or something that cannot be used.
    """
    if path.suffix != ".py":
        raise UserError(f"--plugin {path} should be a Python file: its name should end in .py")
    if not path.is_file():
        raise UserError(f"--plugin {path} does not exist: give the path of a Python file")
    try:
        plugin = Plugin(str(path.resolve()), path.read_bytes())
    except OSError as error:
        raise UserError(f"--plugin {path} cannot be read: {error.strerror}") from error
    _execute(plugin)
    _check_lists(plugin, lists_needed=not model.startswith(f"{plugin.name}."))
    return plugin


def arrived(path: str, text: bytes) -> Plugin:
    """The plugin on a worker. If it cannot be loaded there, it says so once it is used."""
    plugin = Plugin(path, text)
    try:
        _execute(plugin)
    except UserError as error:
        return Plugin(path, text, f"{error} (on {gethostname()})")
    return plugin


def _execute(plugin: Plugin) -> None:
    """Make the module, unless this process has it."""
    if plugin.module_name in sys.modules:
        return
    module = ModuleType(plugin.module_name)
    module.__file__ = plugin.path
    sys.modules[plugin.module_name] = module  # dataclasses look their module up there
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(plugin.text, plugin.path, "exec"), module.__dict__)
    except KeyboardInterrupt:
        del sys.modules[plugin.module_name]
        raise
    except BaseException as error:  # SystemExit too
        del sys.modules[plugin.module_name]
        raise UserError(_why_not_executed(plugin, error)) from error


def _why_not_executed(plugin: Plugin, error: BaseException) -> str:
    shown, line = f"--plugin {plugin.shown}", plugin.line_of(error)
    if isinstance(error, UserError):
        return f"{shown}{line}: {error}"
    if isinstance(error, SyntaxError | ValueError) and not line:  # of compile
        number = getattr(error, "lineno", None)
        return f"{shown}{f', line {number}' if number else ''}: this is not Python: mend it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        first = error.name.split(".")[0]
        if (Path(plugin.path).parent / f"{first}.py").is_file():
            return (
                f"{shown}{line}: a plugin is one file, it cannot import {first}.py beside it: put "
                f"what it needs of {first}.py into it"
            )
        return f"{shown}{line}: there is no module {error.name} here: install it, or mend the name"
    return f"{shown}{line}: {type(error).__name__} while the file was executed: mend that line"


def _check_lists(plugin: Plugin, lists_needed: bool) -> None:
    """Raise UserError unless the plugin has lists, each of entries of its class with a name."""
    shown, known = f"--plugin {plugin.shown}", vars(plugin.module)
    if not any(known.get(list_name) for list_name in LISTS) and lists_needed:
        raise UserError(
            f"{shown} brings nothing: name what it brings in a list, such as STRATEGIES = [...]; "
            f"the lists are {', '.join(LISTS)}"
        )
    for list_name, of in LISTS.items():
        entries = known.get(list_name, [])
        if not isinstance(entries, list | tuple):
            raise UserError(
                f"{shown}: {list_name} is of type {type(entries).__name__}: make it a list"
            )
        for position, entry in enumerate(entries):
            if not of.holds(entry):
                raise UserError(
                    f"{shown}: {list_name}[{position}] is of type {type(entry).__name__}: each "
                    f"entry should be a {of.name} of {of.module}, see docs/extend.md"
                )
            _check_entry(f"{shown}: {of.noun} {entry.name!r}", entry)


def _check_entry(shown: str, entry: Any) -> None:
    """Raise UserError for a name or a title that the command line or a table cannot have."""
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        raise UserError(
            f"{shown}: the command line cannot name it: use letters, digits, _ and - alone"
        )
    if entry.name in WORDS:
        raise UserError(f"{shown}: the command line uses this word itself: give another name")
    title = entry.title
    if not isinstance(title, str) or not title.strip() or not title.isprintable():
        raise UserError(f"{shown} needs a title of one line")


# --- the plugins in use ---------------------------------------------------------------------------


_in_use: tuple[Plugin, ...] = ()


def in_use() -> tuple[Plugin, ...]:
    """The plugins of this process's command or task, as they were given."""
    return _in_use


def use(plugins: Sequence[Plugin]) -> None:
    """Let these plugins, and no others, add to the registries of this process.

    Raises UserError if one of them could not be loaded here.
    """
    global _in_use
    check_loaded(plugins)
    _in_use = tuple(plugins)


def check_loaded(plugins: Sequence[Plugin]) -> None:
    """Raise UserError if one of them could not be loaded in this process."""
    for plugin in plugins:
        if plugin.problem:
            raise UserError(plugin.problem)


def use_files(paths: Iterable[Path], model: str = "") -> None:
    """``use`` the plugins at these paths.

    model : what --model names. Raises UserError as ``read_plugin`` does, and if two plugins have
    the same name.
    """
    plugins: dict[str, Plugin] = {}
    for path in paths:
        plugin = read_plugin(path, model)
        if plugins.setdefault(plugin.name, plugin).path != plugin.path:
            raise UserError(
                f"--plugin {plugins[plugin.name].shown} and {plugin.shown} have the same name: "
                "rename one of the files"
            )
    use(tuple(plugins.values()))


def plugin_with(list_name: str, name: str) -> Plugin | None:
    """The plugin in use that brings the entry ``name`` of this list; None if none does."""
    for plugin in _in_use:
        if any(entry.name == name for entry in plugin.entries(list_name)):
            return plugin
    return None


@contextmanager
def blamed(plugin: Plugin | None, where: str) -> Iterator[None]:
    """Make a UserError of what a plugin's code raises: its file, its line, ``where``, and the kind.

    A UserError passes. So does a linear system of this program's own that cannot be solved: the
    caller reports it. If ``plugin`` is None, everything passes.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        line = plugin.line_of(error) if plugin else ""
        if plugin is None or (isinstance(error, np.linalg.LinAlgError) and _raised_here(error)):
            raise
        raise UserError(
            f"{plugin.shown}{line}: {where}: it raised {type(error).__name__}: mend the plugin"
        ) from error


def _raised_here(error: BaseException) -> bool:
    """Whether a file of this program raised it, and not a library that it calls."""
    *_, (last, _) = walk_tb(error.__traceback__)
    return Path(last.f_code.co_filename) in source_files(ROOT)  # the libraries may lie below ROOT


def breach(plugin: Plugin | None, where: str, told: str) -> Exception:
    """The error of a broken contract: the user's if a plugin broke it, else the program's own."""
    if plugin is None:
        return AssertionError(f"{where} {told}")
    return UserError(f"{plugin.shown}: {where} {told}: mend the plugin")
