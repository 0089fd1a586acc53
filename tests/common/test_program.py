"""One hash of the program: it changes with every source file of every package."""

import shutil

import pytest

from common.program import PROGRAM_HASH, program_hash, source_files
from tests.helpers import ROOT

PACKAGES = [path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for path in source_files(ROOT):
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    return folder


def test_a_copy_of_the_program_has_the_same_hash(copy):
    assert program_hash(copy) == PROGRAM_HASH


@pytest.mark.parametrize("package", [*PACKAGES, "."])
def test_one_byte_in_any_package_changes_the_hash(copy, package):
    before = program_hash(copy)
    path = sorted((copy / package).glob("*.py"))[-1]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert program_hash(copy) != before
    path.write_bytes(content)
    assert program_hash(copy) == before


def test_a_renamed_or_new_file_changes_the_hash(copy):
    before = program_hash(copy)
    (copy / "models.py").rename(copy / "modelz.py")
    assert program_hash(copy) != before
    (copy / "modelz.py").rename(copy / "models.py")
    (copy / "numerics" / "new.py").write_text("")
    assert program_hash(copy) != before
    (copy / "numerics" / "new.py").unlink()
    assert program_hash(copy) == before


def test_every_file_that_can_be_imported_is_in_it():
    found = {path.relative_to(ROOT).as_posix() for path in source_files(ROOT)}
    assert {"main_binary.py", "models.py", "numerics/hessian.py", "studies/page.py"} <= found
    assert not any(name.startswith(("tests/", "benchmarks/", "datasets/")) for name in found)
