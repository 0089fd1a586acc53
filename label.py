"""Salutary labels for your own table: label.py measures whether they help, then writes them.

python label.py --labeled labeled.csv --unlabeled pool.csv --target outcome --out labeled_plus.csv
"""

import sys
from collections.abc import Sequence
from typing import Any

from common.cli import interruptible_imports, run_command
from labeling.options import LabelOptions


def run(options: LabelOptions, given: dict[str, Any]) -> int:
    """Read the tables, measure whether salutary labels help; if they do, give and write them."""
    with interruptible_imports():
        from labeling import command

    return command.run(options)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("label.py", LabelOptions(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
