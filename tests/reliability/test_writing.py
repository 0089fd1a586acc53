"""The files of a run appear together or not at all, also after SIGKILL (rows F2 and P8)."""

import errno
import os
import shutil
import signal
import subprocess

import pytest

from common import files
from common.errors import UserError
from tests.helpers import error_of, main
from tests.helpers.processes import forked

OLD = {"a.csv": b"old a", "b.json": b"old b", "gone.png": b"old gone"}
FILES = {"a.csv": b"new a", "b.json": b"new b", "c.pdf": b"new c", "gone.png": None}
NEW = {name: content for name, content in FILES.items() if content is not None}


def contents(folder):
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    files.write_files(tmp_path, OLD)
    assert contents(tmp_path) == OLD
    return tmp_path


def test_a_folder_in_the_place_of_a_file_changes_nothing(folder):
    """F2."""
    (folder / "c.pdf").mkdir()
    with pytest.raises(UserError, match=r"c\.pdf is a folder there; nothing there was changed"):
        files.write_files(folder, FILES)
    assert contents(folder) == {**OLD, "c.pdf": None}


@pytest.mark.parametrize("stuck", FILES)
def test_one_file_that_cannot_be_replaced_brings_the_old_ones_back(folder, stuck, monkeypatch):
    """F2: as with an immutable file, whose rename and removal the system refuses."""
    replace, unlink = os.replace, os.unlink

    def refuse(path):
        if str(path) == str(folder / stuck):
            raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    def no_replace(old, new):
        refuse(new)
        replace(old, new)

    def no_unlink(path, **options):
        refuse(path)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", no_replace)
        patch.setattr("os.unlink", no_unlink)
        with pytest.raises(UserError, match="Operation not permitted") as error:
            files.write_files(folder, FILES)
    assert f"{stuck}: Operation not permitted; nothing there was changed" in str(error.value)
    assert contents(folder) == OLD


@pytest.mark.parametrize("stuck", OLD)
def test_an_immutable_file_brings_the_old_ones_back(folder, stuck):
    """F2: a real one, if this user may make it."""
    chattr = shutil.which("chattr")
    if not chattr or subprocess.run([chattr, "+i", folder / stuck], capture_output=True).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        with pytest.raises(UserError, match="Operation not permitted; nothing there was changed"):
            files.write_files(folder, FILES)
        assert contents(folder) == OLD
    finally:
        subprocess.run([chattr, "-i", folder / stuck], check=True)


@pytest.mark.parametrize("hard_links", [True, False])
def test_an_old_file_comes_back_without_hard_links_too(folder, hard_links, monkeypatch):
    """F2."""
    replace, seen = os.replace, []

    def third(*paths):
        seen.append(paths)
        if len(seen) == 3:
            raise OSError(errno.EIO, "Input/output error", str(paths[0]))
        replace(*paths)

    def no_links(*paths, **_):
        raise OSError(errno.EPERM, "no hard links")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", third)
        if not hard_links:
            patch.setattr("os.link", no_links)
        message = r"b\.json: Input/output error; nothing there was changed"
        with pytest.raises(UserError, match=message):
            files.write_files(folder, FILES)
    assert contents(folder) == OLD


def write_until(folder, number, when):
    """Write FILES, and kill this process before or after that rename."""
    replace, left = os.replace, [number]

    def counted(*paths):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted
    files.write_files(folder, FILES)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_killed_at_any_rename_is_finished_or_undone_by_the_next(tmp_path, when):
    """F2, P8: there is one rename of the journal, and one of each new file."""
    states = []
    for number in range(1, 6):
        folder = tmp_path / str(number)
        folder.mkdir()
        files.write_files(folder, OLD)
        code = forked(lambda folder=folder, number=number: write_until(folder, number, when))
        assert code == (-signal.SIGKILL if number < 5 else 0)
        files.prepare_folder(folder)  # as the next run begins
        states.append(contents(folder))
    begun = 1 if when == "before" else 0  # the first that was killed with a journal
    assert states == [OLD] * begun + [NEW] * (5 - begun)


def test_an_undoing_that_was_killed_goes_on(folder, monkeypatch):
    """F2: killed between two renames back."""
    replace, seen = os.replace, []

    class Killed(BaseException):
        pass

    def fails(*paths):
        seen.append(paths)
        if len(seen) == 3:
            raise OSError(errno.EIO, "Input/output error", str(paths[0]))
        if len(seen) == 5:
            raise Killed
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", fails)
        with pytest.raises(Killed):
            files.write_files(folder, FILES)
    assert contents(folder) != OLD
    files.write_files(folder, {"d.csv": b"another run"})
    assert contents(folder) == {**OLD, "d.csv": b"another run"}


def test_a_journal_cannot_name_files_elsewhere(tmp_path):
    folder, outside = tmp_path / "results", tmp_path / "mine.txt"
    (folder / files.STAGE / files.NEW).mkdir(parents=True)
    outside.write_text("mine")
    (folder / files.STAGE / files.REDO).write_text('{"../mine.txt": false}')
    with pytest.raises(UserError, match="is damaged"):
        files.prepare_folder(folder)
    assert outside.read_text() == "mine"


def test_a_run_tells_which_file_is_in_its_way_before_and_after(tmp_path, capsys):
    """F2 by the command line: curves.csv is a folder; what was there stays."""
    quick = "--dataset breast_cancer --rounds 1 --budget 3 --methods random --no-plot --quiet"
    arguments = [*quick.split(), "--out", str(tmp_path)]
    assert main("binary", arguments) == 0
    folder = tmp_path / "breast_cancer-paper"
    (folder / "picks.csv").unlink()
    (folder / "picks.csv").mkdir()
    before = {name: text for name, text in contents(folder).items() if name != "runs"}
    capsys.readouterr()
    assert main("binary", [*arguments, "--seeds", "1"]) == 2
    assert "picks.csv is a folder there; nothing there was changed" in error_of(capsys)
    after = {name: text for name, text in contents(folder).items() if name != "runs"}
    assert after == before
