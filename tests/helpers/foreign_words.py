"""Words by which a sentence of another library is known, and the check of what is raised."""

import traceback
from collections.abc import Callable

from sklearn.exceptions import NotFittedError

from tests.helpers import ROOT

FOREIGN = (
    # scikit-learn; of its phrases that check_estimator demands, none is here
    "Expected 2D array", "Found input variables", "Found array with", "Input X contains",
    "was expected", "classes are missing", "estimator_name",
    # pandas
    "index_col", "Usecols", "Error tokenizing", "Length of header", "Length mismatch",
    "not in index", "duplicate axis", "boolean value of NA", "Unable to parse", "Expected bytes",
    "cannot safely cast", "Passing a bool", "EmptyDataError", "No columns to parse",
    "cannot reindex", "Categorical",
    # pyarrow
    "ArrowInvalid", "Parquet magic", "Couldn't deserialize", "Arrow",
    # NumPy and SciPy
    "could not convert", "truth value of an array", "setting an array element", "inhomogeneous",
    "could not be broadcast", "operands", "only 0-dimensional", "allow_pickle", "cannot reshape",
    "ufunc", "object arrays", "invalid literal", "not supported between", "negative strides",
    "strides is negative", "Cannot load file", "mmap length", "byte order different",
    # torch
    "mat1 and mat2", "size of tensor", "must match the size", "expected scalar type", "Expected all"
    " tensors", "requires grad", "meta tensor", "can't convert", "Tensor.item", "sparse tensors",
    "new(): ", "torch.cat()", "aten::", "only one element tensors",
    # Python
    "object is not", "object has no", "unhashable", "list index",
    "positional argument", "codec can't", "takes no arguments",
)  # fmt: skip


def foreign_words(sentence: str) -> list[str]:
    """Those of FOREIGN that the sentence has."""
    return [words for words in FOREIGN if words.lower() in sentence.lower()]


def raised(call: Callable[[], object]) -> str | None:
    """What is wrong with the error that ``call`` raises; None if it raises none or a good one.

    A good one is a ValueError or TypeError, raised by a file of this repository, without foreign
    words and in one line.
    """
    try:
        call()
    except (ValueError, TypeError, NotFittedError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not last.filename.startswith(str(ROOT)):
            return f"raised by {last.filename}:{last.lineno}: {error}"
        if words := foreign_words(str(error)):
            return f"foreign words {words}: {error}"
        return f"not one line: {error}" if "\n" in str(error).strip() else None
    except Exception as error:  # of another kind, whatever it says
        return f"{type(error).__name__}: {error}"
    return None
