"""The code that the documents show."""

import re
from functools import cache
from pathlib import Path

from tests.helpers import ROOT


@cache
def blocks(document: Path, language: str = "") -> list[str]:
    """The contents of a document's code blocks of a language."""
    every = re.findall(r"^```(\w*)\n(.*?)^```", document.read_text(), re.S | re.M)
    return [block for name, block in every if name == language]


def example_plugin(folder: Path) -> Path:
    """The plugin of docs/extend.md as it stands there, saved in ``folder``."""
    (code,) = [b for b in blocks(ROOT / "docs/extend.md", "python") if "STRATEGIES = [" in b]
    (folder / "mine.py").write_text(code)
    return folder / "mine.py"
