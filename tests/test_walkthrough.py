"""examples/walkthrough.ipynb: it runs, and shows what its committed outputs show."""

import re

import nbformat
import pytest

from tests.helpers import ROOT
from tests.helpers.notebook import WALKTHROUGH, executed, shown


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(WALKTHROUGH, as_version=4)


def test_the_walkthrough_runs_and_shows_its_committed_outputs(committed):
    """`python -m tests.helpers.notebook` makes the outputs again."""
    again = executed(WALKTHROUGH)
    assert shown(again) == shown(committed)
    assert pictures(again) == pictures(committed) == 1


def pictures(notebook) -> int:
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    return sum("image/png" in out.get("data", {}) for out in outputs)


def test_the_walkthrough_is_small_and_names_no_machine(committed):
    text = WALKTHROUGH.read_text()
    assert len(text) < 150_000
    assert str(ROOT) not in text
    assert not re.search(r'(/home|/tmp|/root|/Users)/|"version"|iopub', text)
    codes = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == list(range(1, len(codes) + 1))
