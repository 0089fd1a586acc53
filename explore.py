"""The studies of when and why salutary labels help: a picture, a table and two sentences each.

python explore.py all
"""

import sys
from collections.abc import Sequence
from typing import Any

from common.cli import interruptible_imports, run_command
from studies.options import ExplorationOptions


def run(options: ExplorationOptions, given: dict[str, Any]) -> None:
    """Make the studies that are named, write their pictures and tables, and print the tables."""
    with interruptible_imports():
        from studies import command

    command.run(options, given)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("explore.py", ExplorationOptions(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
