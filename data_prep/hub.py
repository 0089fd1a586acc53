"""The Hugging Face hub and its libraries: whether they are here, and what to say if they fail."""

import os

from common.errors import UserError
from data_prep.addresses import address_in, unreachable


def hub() -> str:
    """The address of the hub. Raises UserError if HF_ENDPOINT is none."""
    return address_in("HF_ENDPOINT", "https://huggingface.co")


def go_offline_without_hub() -> str | None:
    """The reason why the hub takes no connection, or None if it does.

    If it takes none, Hugging Face's libraries are told to read their cache alone. They read this
    setting when they are imported, so this function has to be called before.
    """
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return "HF_HUB_OFFLINE is 1"
    problem = unreachable(hub())
    if problem:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return problem


def missing_package(error: ImportError) -> UserError:
    """The error to raise if a package for language models is not installed."""
    return UserError(
        f"{error.name or error} is missing: make llm installs what language models need "
        "(or: pip install -r requirements-llm.txt)"
    )


def failure_reason(error: Exception, problem: str | None = None) -> str:
    """Why something could not be fetched or loaded, in a few words.

    problem : why the hub takes no connection, if it takes none. Otherwise the reason is the error's
    type and the first line of its message, shortened.
    """
    if problem:
        return f"{hub()} cannot be reached: {problem}"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {' '.join(lines[0].split())[:200]}" if lines else repr(error)
