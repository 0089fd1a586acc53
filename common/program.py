"""What a result depends on beside its data and options: this program's text, and its libraries."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The libraries that decide the digits of a result: run.json records them, and Dask workers must
# have the same.
LIBRARIES = (
    "torch", "numpy", "scipy", "scikit-learn", "pandas", "modAL-python", "scikit-activeml",
)  # fmt: skip


def library_versions(names: Iterable[str] = LIBRARIES) -> dict[str, str]:
    """The installed version of each library, by name."""
    return {name: version(name) for name in names}


def source_files(root: Path) -> Iterator[Path]:
    """Every source file of the program: the modules at the root and in every package but tests."""
    yield from sorted(root.glob("*.py"))
    for package in sorted(path.parent for path in root.glob("*/__init__.py")):
        if package.name != "tests":
            yield from sorted(package.rglob("*.py"))


def program_hash(root: Path = ROOT) -> str:
    """A sha256 of the names and the bytes of all source files below ``root``."""
    whole = hashlib.sha256()
    for path in source_files(root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return whole.hexdigest()


# The program as this process has loaded it, not as its files may stand on the disk later.
PROGRAM_HASH = program_hash()


def code_files(start: Path, without: Collection[Path] = ()) -> set[Path]:
    """The file ``start`` and all files of this program that it imports, directly or through others.

    without : files that are left out, with what only they import.
    """
    found: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in found and path not in without:
            found.add(path)
            waiting += _imported_files(path.read_bytes())
    return found


@cache
def _imported_files(text: bytes) -> list[Path]:
    """The files of the program that the import statements of a source text name."""
    found: list[Path] = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if file.is_file():
                found.append(file.resolve())
    return found


def code_hash(files: Iterable[Path]) -> str:
    """A sha256 of the contents of these files, in whatever folder they lie."""
    contents = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256(" ".join(contents).encode()).hexdigest()
