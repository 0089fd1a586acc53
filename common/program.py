"""What a result depends on beside its data and options: this program's text, and its libraries."""

import hashlib
from collections.abc import Iterable, Iterator
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
