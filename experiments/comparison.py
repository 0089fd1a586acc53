"""The command behind compare.py: look for the data, run each data set, report them all.

What a data set computed is kept in its own folder, so that a comparison that was killed goes on. If
a data set is missing or fails, the report is written without it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

from common.cli import narrator
from common.errors import UserError
from common.escape import terminal
from common.files import csv_bytes, prepare_folder, text_bytes, write_files
from common.kinds import Source
from data_utils import make_split
from experiments import report, statistics, tables
from experiments.data_sets import LeftOut, Request, fetch_all, look_for, requests
from experiments.options import ComparisonOptions
from experiments.pictures import picture_files
from experiments.pipeline import below_majority_note, open_table
from experiments.results import Result, save
from experiments.runner import run_experiment
from experiments.settings import settle
from strategies.registry import REFERENCES, chosen_methods


def run(options: ComparisonOptions, given: dict[str, Any]) -> None:
    """Run every data set, write the report of them all, and print a table of each.

    Raises UserError as main_binary.py does, if only references are to be compared, and at the end
    if a data set failed.
    """
    say = narrator(options.quiet)
    if set(chosen_methods(options.methods)) <= set(REFERENCES):
        raise UserError("--methods names references alone: name a method to compare with them")
    asked = requests(options, say)
    if options.fetch:
        if options.source == Source.SHIPPED:
            raise UserError("--fetch and --source shipped exclude each other: give one of them")
        fetch_all(asked, say)
        return
    prepare_folder(options.out)
    here, missing = look_for(asked, say)
    results, failed = run_all(here, given, say)
    if results:
        comparison = report.Comparison(
            results,
            [statistics.summary(r.curves, list(REFERENCES), r.metric) for r in results],
            missing | failed,
            [request.name for request in asked],
        )
        if replaces_another(options.out, comparison):
            say(
                f"note: the report of another comparison in {options.out} is replaced; the results "
                "of its data sets stay in their folders"
            )
        write_report(options.out, comparison)
        print_report(comparison, say)
        say(f"report.md, with all tables and pictures, in {options.out}")
    if failed:
        raise UserError(failure_words(failed))
    if not results:
        raise UserError("no data set is here")


def failure_words(failed: Mapping[str, LeftOut]) -> str:
    """All failures in one sentence; data sets that failed alike are told together."""
    names: dict[str, list[str]] = {}
    for name, why in failed.items():
        names.setdefault(why.sentence, []).append(name)
    told = (f"no result of {', '.join(alike)}: {why}" for why, alike in names.items())
    return "; ".join(told)


def run_all(
    here: Sequence[Request], given: dict[str, Any], say: Callable[[str], None]
) -> tuple[list[Result], dict[str, LeftOut]]:
    """The result of each data set, saved as soon as it is there; and what failed, by name."""
    results, failed = [], {}
    for number, request in enumerate(here, 1):
        label = f"{request.name} ({number} of {len(here)})"
        try:
            result = run_one(request, given, say, label)
            save(result)
            results.append(result)
        except (UserError, MemoryError) as error:
            reason = " ".join(str(error).split())
            failed[request.name] = LeftOut(f"failed: {shorten(reason, 80)}", reason)
    return results, failed


def run_one(
    request: Request, given: dict[str, Any], say: Callable[[str], None], label: str
) -> Result:
    """The experiment of one data set; ``label`` is that of its progress bar."""
    options = request.options
    table = request.table or open_table(options, request.dataset.task, narrator(quiet=True))
    settings = settle(options, request.given(given), table.dataset)
    components = settings.features.components
    split_of = partial(make_split, table, settings.protocol, settings.init, pca=components)
    return run_experiment(table, split_of, settings, say, label)


def replaces_another(folder: Path, comparison: report.Comparison) -> bool:
    """Whether the folder has a report that shows something which this comparison does not."""
    columns = ["dataset", "protocol", "metric", "method"]
    try:
        before = pd.read_csv(folder / "table.csv")[columns]
    except (OSError, ValueError, LookupError):
        return False
    now = report.long_table(comparison)[columns]
    return len(before.merge(now)) < len(before)


def write_report(folder: Path, comparison: report.Comparison) -> None:
    """Write the files of the report into ``folder``."""
    write_files(
        folder,
        {
            "report.md": text_bytes(report.markdown_report(comparison)),
            "table.csv": csv_bytes(report.long_table(comparison)),
            "table.tex": text_bytes(report.latex_table(comparison)),
            **picture_files("penalties", report.heat_map(comparison)),
            **report.figure_files(comparison),
        },
    )


def print_report(comparison: report.Comparison, say: Callable[[str], None]) -> None:
    """Print a table of each data set; remarks go to ``say``."""
    for result, summary in comparison.pairs:
        print(terminal(result.heading))
        print(tables.statistics_table(summary, result.metric))
        if result.below_majority:
            print(terminal(below_majority_note(result)))
    if comparison.unable:
        print(comparison.unable)
    say(tables.statistics_legend(comparison.metric))
