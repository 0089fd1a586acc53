"""Salutary labels for language models: a stand-in picks and labels, a pretrained encoder learns.

make llm && python main_llm.py --task movies --seeds 0-2
"""

import sys
from collections.abc import Sequence
from typing import Any

from common.cli import interruptible_imports, run_command
from llm.options import LanguageOptions


def run(options: LanguageOptions, given: dict[str, Any]) -> None:
    """Pick and label texts with the stand-in, then fine-tune the encoder on them."""
    with interruptible_imports():
        from llm import command

    command.run(options, given)


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("main_llm.py", LanguageOptions(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
