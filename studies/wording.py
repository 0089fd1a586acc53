"""How numbers over seeds are told: in a sentence, and in the cells of a table."""

import numpy as np
import pandas as pd
from prettytable import PrettyTable

from experiments.penalty import l2_text
from strategies.registry import titles
from studies.seed_statistics import SeedValues, interval


def title_of(method: str) -> str:
    """The title of a strategy or a reference."""
    return titles()[method]


def with_interval(values: SeedValues, digits: int = 2) -> str:
    """Mean ± half its 95 % interval; the mean alone if there are too few seeds."""
    half = interval(values)
    mean = round(float(np.mean(values)), digits) + 0.0  # no minus before 0.00
    return f"{mean:.{digits}f}" + ("" if np.isinf(half) else f" ± {half:.{digits}f}")


def value_range(values: SeedValues) -> str:
    """The smallest and the largest of the values; one number if they are the same."""
    ends = dict.fromkeys(l2_text(value) for value in (np.min(values), np.max(values)))
    return " to ".join(ends)


def verdict(differences: SeedValues) -> str:
    """What paired differences over seeds, in points, say: higher, lower, or nothing clear."""
    mean, half = round(float(np.mean(differences)), 6) + 0.0, interval(differences)
    if np.isinf(half):
        return f"different by {mean:+.2f} points (too few seeds to tell)"
    if abs(mean) <= half:
        return f"not clearly different ({mean:+.2f} ± {half:.2f} points)"
    return f"{'higher' if mean > 0 else 'lower'} by {abs(mean):.2f} ± {half:.2f} points"


def table_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table of a Finding as text: a mean and half its 95 % interval share a cell.

    Numbers have two digits after the point, or one if the column reaches 20.
    """
    columns = {}
    for name in table.columns:
        if name.endswith(("_sd", "_half")):
            continue
        cells = table[name]
        if pd.api.types.is_float_dtype(cells):
            digits = 2 if cells.abs().max() < 20 else 1
            text = (cells.round(digits) + 0.0).map(f"{{:.{digits}f}}".format)
            halves = table.get(f"{name}_half")
            if halves is not None and halves.notna().any():
                text += halves.map(f" ± {{:.{digits}f}}".format).where(halves.notna(), "")
            cells = text.where(cells.notna(), "")
        elif pd.api.types.is_integer_dtype(cells):
            cells = cells.map("{:,}".format)
        else:
            cells = cells.str.replace("_", " ")
        columns[name.replace("_", " ")] = cells
    return pd.DataFrame(columns)


def printed_table(table: pd.DataFrame) -> str:
    """The table of a Finding for the terminal."""
    cells = table_cells(table)
    out = PrettyTable(list(cells.columns), align="r")
    out.add_rows(cells.to_numpy().tolist())
    return out.get_string()
