"""The error that a user can mend, and the check of a name against the known ones."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend: one full sentence, printed alone, exit code 2."""


def check_known(kind: str, name: str, known: Iterable[str]) -> None:
    """Raise UserError unless ``name`` is one of ``known``, with the nearest name as a hint."""
    known = list(known)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(known)}")
