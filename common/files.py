"""Files of results: written together or not at all, by one run at a time.

The files of one call are written into a folder of their own beside their places (STAGE), with hard
links to the files that they replace. A journal in it says that the renames begin. A run that is
killed before leaves the old files; after, the next run that writes there ends the renames. The
folder is locked meanwhile, by a lock that the kernel lets go when its process ends.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from common.errors import UserError
from common.escape import shorten_path, spreadsheet
from common.leftovers import remove_leftovers

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd

try:
    import fcntl
except ImportError:  # not on Windows: there, two runs at once are not kept apart
    fcntl = None  # type: ignore[assignment]

Content = bytes | Callable[[BinaryIO], object]  # a function writes what is too large to hold

STAGE = ".salutary-labeling.part"  # a folder; NEW and OLD are folders in it
NEW, OLD, REDO, UNDO = "new", "old", "redo.json", "undo.json"
LOCK = ".salutary-labeling.lock"  # only where a folder itself cannot be locked, as on NFS
PATIENCE = 60.0  # seconds to wait for another run that is writing


def display_path(path: Path) -> str:
    """``path`` as a person would write it: relative if it lies below the current folder."""
    inside = path.resolve().is_relative_to(Path.cwd())
    return str(path.resolve().relative_to(Path.cwd()) if inside else path)


def text_bytes(text: str) -> bytes:
    """The text in UTF-8; bytes of a file's name that are not in UTF-8 are spelled out."""
    return text.encode("utf-8", "backslashreplace")


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The frame as a CSV file in UTF-8, without its index. No text in it is a formula."""
    import pandas as pd

    frame = frame.rename(columns=_cell)
    for name in frame.columns[~frame.dtypes.map(pd.api.types.is_numeric_dtype)]:
        frame[name] = frame[name].map(_cell)
    return text_bytes(csv_text(frame))


def csv_text(frame: pd.DataFrame, separator: str = ",") -> str:
    """The frame as a CSV, without its index.

    Python 3.11 leaves a carriage return unquoted, which ends a row for a spreadsheet.
    """
    text = frame.to_csv(index=False, lineterminator="\n", sep=separator)
    if "\r" not in text:
        return text
    quoting = csv.QUOTE_NONNUMERIC
    return frame.to_csv(index=False, lineterminator="\n", sep=separator, quoting=quoting)


def _cell(value: Any) -> Any:
    return spreadsheet(value) if isinstance(value, str) else value


def json_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The mapping as an indented JSON file in UTF-8."""
    return text_bytes(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` and check that files can be written there, before anything is computed.

    What a killed run left there is finished or undone. Raises UserError if it cannot be, or if no
    file can be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone_in(folder):
            _stage(folder, {"probe": b""})
            _clear(folder)
            remove_leftovers(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_files(
    folder: Path, files: Mapping[str, Content | None], *, overwrite: bool = True
) -> None:
    """Write ``files``, content by name, into ``folder``, all or none; None removes an old file.

    overwrite : if it is False, a file of other content that is there must stay, and nothing is
    written; nor if a file is there whose content a function is to write.

    Raises UserError, which says what was changed, if the disk does not take them, if one of the
    old files cannot be replaced, or if another run keeps writing there.
    """
    try:
        with alone_in(folder):
            _check_places(folder, files, overwrite)
            try:
                _stage(folder, files)
                _put_in_place(folder, files)
            finally:
                if not (folder / STAGE / UNDO).exists():
                    _clear(folder)
            remove_leftovers(folder, files)
    except OSError as error:
        raise _unwritable(folder, error) from error


# --- one run at a time ----------------------------------------------------------------------------


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; what a killed run left there is finished or undone first.

    Raises UserError if another process holds it for PATIENCE seconds.
    """
    handle = _lock_of(folder)
    try:
        _recover(folder)
        yield
    finally:
        if handle is not None:
            os.close(handle)  # the lock goes with it


def _lock_of(folder: Path) -> int | None:
    """The locked folder, or a file in it if folders cannot be locked; None if nothing can be."""
    if fcntl is None:
        return None
    deadline = time.monotonic() + PATIENCE
    for path, how in ((folder, os.O_RDONLY), (folder / LOCK, os.O_RDWR | os.O_CREAT)):
        handle = os.open(path, how, 0o666)
        try:
            while not _locked(handle):
                if time.monotonic() > deadline:
                    raise UserError(
                        f"another run has been writing to {folder} for {PATIENCE:.0f} s: end it, "
                        "or name another folder with --out"
                    )
                time.sleep(0.02)
            return handle
        except OSError:  # this file system has no such lock
            os.close(handle)
        except BaseException:
            os.close(handle)
            raise
    return None


def _locked(handle: int) -> bool:
    """Lock a file: whether it was free. Raises OSError where there are no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def temporary_file(prefix: str) -> Iterator[Path]:
    """An empty file in the system's temporary folder, removed at the end.

    Files of the same prefix whose processes were killed are removed, too: nobody locks them.
    """
    with suppress(OSError):
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            _remove_if_free(left)
    handle, name = tempfile.mkstemp(prefix=prefix)
    path = Path(name)
    try:
        if fcntl:
            _locked(handle)
        path.touch()  # again, if another process took it for a leftover just now
        yield path
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def _remove_if_free(path: Path) -> None:
    if fcntl is None:
        return
    with suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid == os.getuid() and _locked(handle):
                path.unlink()
        finally:
            os.close(handle)


# --- all or none ----------------------------------------------------------------------------------


def _check_places(folder: Path, files: Mapping[str, Content | None], overwrite: bool) -> None:
    for name, content in files.items():
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            raise UserError(
                f"cannot write to {folder}: {name} is a folder there; nothing there was changed, "
                "move it away or name another folder with --out"
            )
        if overwrite or not os.path.lexists(path):
            continue
        if callable(content) or path.read_bytes() != content:
            raise UserError(
                f"{path} was written by someone else while this command ran; nothing there was "
                "changed: name another file with --out, or add --force"
            )


def _stage(folder: Path, files: Mapping[str, Content | None]) -> None:
    """Write the new files into NEW, and link the old ones in OLD."""
    stage = folder / STAGE
    for part in (stage, stage / NEW, stage / OLD):
        part.mkdir()
    for name, content in files.items():
        if content is not None:
            _write_synced(stage / NEW / name, content)
        if _needs_journal(files) and os.path.lexists(folder / name):
            try:
                os.link(folder / name, stage / OLD / name, follow_symlinks=False)
            except (
                OSError,
                NotImplementedError,
            ):  # a file system without hard links, or another user's file
                shutil.copy2(folder / name, stage / OLD / name, follow_symlinks=False)
    _sync(stage / NEW)


def _needs_journal(files: Mapping[str, Content | None]) -> bool:
    """A single rename is all or none by itself."""
    return len(files) > 1 or None in files.values()


def _put_in_place(folder: Path, files: Mapping[str, Content | None]) -> None:
    """Rename what is staged; if one file cannot be replaced, the old ones come back."""
    stage, arrives = folder / STAGE, {name: files[name] is not None for name in files}
    if _needs_journal(files):
        _write_synced(stage / "journal", json.dumps(arrives).encode())
        os.replace(stage / "journal", stage / REDO)
        _sync(stage)
    try:
        _redo(folder, arrives)
    except BaseException:
        if _needs_journal(files):
            os.replace(stage / REDO, stage / UNDO)
            _undo(folder, arrives)
        raise


def _redo(folder: Path, arrives: Mapping[str, bool]) -> None:
    """Rename every new file that is still staged, and remove old ones; it can be done again.

    arrives : by name, whether there is a new file.
    """
    for name, new in arrives.items():
        staged = folder / STAGE / NEW / name
        if not new:
            (folder / name).unlink(missing_ok=True)
        elif staged.exists():
            os.replace(staged, folder / name)
    _sync(folder)


def _undo(folder: Path, names: Iterable[str]) -> None:
    """Put every old file back; raises UserError, which names those that cannot be."""
    stage, stuck = folder / STAGE, []
    for name in names:
        try:
            if (stage / NEW / name).exists():
                continue  # not yet renamed
            if os.path.lexists(stage / OLD / name):
                os.replace(stage / OLD / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        except OSError:
            if not _is_back(folder, name):
                stuck.append(name)
    if stuck:
        raise UserError(
            f"cannot put the old files back in {folder}: {', '.join(stuck)} changed, the others "
            f"did not; the old ones are in {stage / OLD}, and the next run there tries again"
        )
    (stage / UNDO).unlink()
    _sync(folder)


def _is_back(folder: Path, name: str) -> bool:
    """Whether the old file is in its place: it never went, if it cannot be removed."""
    with suppress(OSError):
        return (folder / STAGE / OLD / name).read_bytes() == (folder / name).read_bytes()
    return False


def _recover(folder: Path) -> None:
    """Finish or undo what a killed run left in the folder, and remove it."""
    stage = folder / STAGE
    if not os.path.lexists(stage):
        return
    if (stage / UNDO).exists():
        _undo(folder, _journal(stage / UNDO))
    elif (stage / REDO).exists():
        arrives = _journal(stage / REDO)
        try:
            _redo(folder, arrives)
        except OSError:
            os.replace(stage / REDO, stage / UNDO)
            _undo(folder, arrives)
    _clear(folder)


def _journal(path: Path) -> dict[str, bool]:
    """A journal; UserError if it is none, or if a name leads out of the folder."""
    with suppress(ValueError):
        arrives = json.loads(path.read_bytes())
        if isinstance(arrives, dict) and all(
            name == os.path.basename(name) and name.strip(".") for name in arrives
        ):
            return arrives
    raise UserError(f"{path} is damaged: look at the files beside it, then remove that folder")


def _clear(folder: Path) -> None:
    """Remove the stage, the journal first: without it nothing is done again."""
    stage = folder / STAGE
    (stage / REDO).unlink(missing_ok=True)
    if stage.is_dir() and not stage.is_symlink():
        shutil.rmtree(stage, ignore_errors=True)  # the next run tries again


def _write_synced(path: Path, content: Content) -> None:
    with path.open("wb") as file:
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Put the names in a folder on the disk, where a folder can be opened for that."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unwritable(folder: Path, error: OSError) -> UserError:
    name = Path(str(error.filename)).name if error.filename else ""
    which = f"{name}: " if name not in ("", folder.name, STAGE) else ""
    return UserError(
        f"cannot write to {shorten_path(folder)}: {which}{error.strerror}; nothing there was "
        "changed, make room or name another folder with --out"
    )
