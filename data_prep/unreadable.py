"""Why a file cannot be read, in one sentence of ours: for every reader of tables and arrays."""

import csv
import gzip
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow

from common.errors import UserError
from common.escape import shorten_path

BAD_PACKING = (EOFError, zlib.error, gzip.BadGzipFile)
UNREADABLE = (
    OSError, ValueError, TypeError, LookupError, OverflowError, StopIteration, AttributeError,
    NotImplementedError, RuntimeError, Warning, SyntaxError, EOFError, zlib.error, csv.Error,
    pyarrow.ArrowException, zipfile.BadZipFile,
)  # fmt: skip


@contextmanager
def our_words(path: Path, form: str, encoding: str = "save it as UTF-8") -> Iterator[None]:
    """Turn what a library raises while it reads ``path`` into a UserError.

    form : what the file should be, such as "parquet". encoding : what to do if it is not in UTF-8.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder: name a file in it") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read: change its permissions") from error
    except UnicodeError as error:
        raise UserError(f"{path} is not in UTF-8: {encoding}") from error
    except MemoryError as error:
        raise UserError(f"{path} does not fit into memory: give fewer rows or columns") from error
    except ImportError as error:
        raise UserError(
            f"{path}: an {form} file needs openpyxl: pip install -r requirements.txt"
        ) from error
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno:  # the system's reason, not a library's
            reason = f"{shorten_path(path)} cannot be read: {os.strerror(error.errno)}"
            raise UserError(reason) from error
        if isinstance(error, BAD_PACKING) and path.name.lower().endswith(".gz"):
            raise UserError(
                f"{path} is damaged or cut short, or not packed by gzip: copy or save it again"
            ) from error
        if isinstance(error, ValueError) and "bject" in str(error):  # Object arrays, Python objects
            raise UserError(
                f"{path} holds Python objects, which are not loaded: save an array of numbers, or "
                "of texts as labels"
            ) from error
        raise UserError(
            f"{path} cannot be read: it is damaged, cut short, or no {form} file; save it again"
        ) from error
