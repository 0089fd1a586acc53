"""Data sets × methods × seeds, and the report that an unfriendly reviewer would ask for.

python compare.py --datasets bank electric wine waveform --seeds 0-9 --jobs 2
python compare.py --datasets paper --protocol paper
"""

import sys
from collections.abc import Sequence
from typing import Any

from common.cli import interruptible_imports, run_command
from experiments.options import ComparisonOptions


def run(options: ComparisonOptions, given: dict[str, Any]) -> None:
    """Run the experiment on every data set, then write what they say together."""
    with interruptible_imports():
        from experiments import listing

        listing.use_plugins(options.plugin, options.model)

    if options.list:
        print(listing.data_sets_and_strategies())
        return

    with interruptible_imports():
        from experiments import comparison

    comparison.run(options, given)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("compare.py", ComparisonOptions(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
