"""Find the columns that only name the rows: ids, saved indexes."""

import re
from collections.abc import Callable, Sequence

import numpy as np

FEWEST_ROWS = 20  # fewer say nothing about a column in which all cells differ
NAMES_AN_ID = re.compile(
    r"(.*[\W_])?(id|ids|uuid|guid|index|idx|rowid|row[ _]?(nr|no|num|number))|level_0|"
    r"unnamed: \d+|\(column \d+, no name\)",
    re.IGNORECASE,
)
CAMEL_ID = re.compile(r".*[a-z](ID|Id)")


def why_id(
    name: str, numbers: np.ndarray, starts: Sequence[int], distinct: Callable[[], np.ndarray]
) -> str:
    """Why the numbers (n,) of a column only name the rows, in words; "" if they do not.

    starts : the position of the first row of each table. distinct : gives the positions of the rows
    that do not repeat an earlier row as a whole.

    A measurement can differ in every row too, but only by chance. So the numbers must also ascend
    or descend in each table, or lie so close that equal ones were to be expected, or the column's
    name must say it.
    """
    if np.isnan(numbers).any() or (numbers % 1).any():
        return ""
    different = len(np.unique(numbers))
    if _named_as_id(name) and different > len(numbers) / 2:
        return f"an id: {different:,} different whole numbers, and its name"
    if different < 0.5 * len(numbers):
        return ""
    rows = np.arange(len(numbers)) if different == len(numbers) else distinct()
    if len(rows) < FEWEST_ROWS or different < len(rows):
        return ""
    parts = np.split(numbers, starts[1:])
    steps = [np.diff(part) for part in parts if len(part) > 1]
    if all((step > 0).all() or (step < 0).all() for step in steps) and different == len(numbers):
        return "an id: a whole number that grows or falls from row to row"
    if _expected_repeats(np.unique(numbers)) >= 5:
        return "an id: a different whole number in every row"
    return ""


def _named_as_id(name: str) -> bool:
    return bool(NAMES_AN_ID.fullmatch(name.strip()) or CAMEL_ID.fullmatch(name.strip()))


def _expected_repeats(values: np.ndarray) -> float:
    """How many pairs of equal numbers chance would make in the inner half of sorted numbers (n,).

    Drawn evenly; if they were drawn otherwise, there would be more. At 5 expected ones, chance
    makes none in less than 1 of 100 columns.
    """
    quarter = len(values) // 4
    inner = values[quarter : len(values) - quarter]
    return len(inner) * (len(inner) - 1) / 2 / (inner[-1] - inner[0] + 1)
