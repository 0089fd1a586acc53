"""Salutary labels for your own table: label.py measures whether they help, then writes them.

python label.py --labeled labeled.csv --unlabeled pool.csv --target outcome --out labeled_plus.csv
python label.py ask … writes a sheet of rows for a person, python label.py merge … reads it.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from common.cli import interruptible_imports, run_command
from labeling.options import LabelOptions
from labeling.sheet_options import AskOptions, MergeOptions


def run(options: LabelOptions, given: dict[str, Any]) -> int:
    """Read the tables, measure whether salutary labels help; if they do, give and write them."""
    with interruptible_imports():
        from labeling import command

    return command.run(options, given)


def ask(options: AskOptions, given: dict[str, Any]) -> int:
    """Write the rows that a person should label next."""
    with interruptible_imports():
        from labeling import asking

    return asking.run(options)


def merge(options: MergeOptions, given: dict[str, Any]) -> int:
    """Make one table of labeled tables, outputs and sheets."""
    with interruptible_imports():
        from labeling import merging

    return merging.run(options)


SUBCOMMANDS: dict[str, tuple[Any, Callable[[Any, dict[str, Any]], int]]] = {
    "ask": (AskOptions(), ask),
    "merge": (MergeOptions(), merge),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in SUBCOMMANDS:
        options, action = SUBCOMMANDS[words[0]]
        return run_command(f"label.py {words[0]}", options, action, words[1:])
    return run_command("label.py", LabelOptions(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
