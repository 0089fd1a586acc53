"""The command behind compare.py: an experiment on each data set, then the report of them all.

What a data set computed is kept in its own folder, so that a comparison that was killed goes on.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from common.cli import narrator
from common.errors import UserError, check_known
from common.escape import terminal
from common.files import csv_bytes, prepare_folder, write_files
from data_prep.catalogue import DATASETS
from data_prep.feature_choice import split_token
from data_prep.places import find
from data_utils import make_split
from experiments import report, statistics, tables
from experiments.options import ComparisonOptions, ExperimentOptions, flattened
from experiments.pipeline import below_majority_note, open_table
from experiments.results import Result, save
from experiments.runner import run_experiment
from experiments.settings import check_options, settle
from strategies.registry import REFERENCES, chosen_methods


def run(options: ComparisonOptions, given: dict[str, Any]) -> None:
    """Run every data set, write the report of them all, and print a table of each.

    Raises UserError as main_binary.py does, and if only references are to be compared.
    """
    say = narrator(options.quiet)
    options = flattened(options)
    prepare_folder(options.out)
    if options.datasets == ("available",):
        options = replace(options, datasets=available(options.data_dir))
    plans = {token: experiment_options(token, options) for token in options.datasets}
    methods = chosen_methods(options.methods)
    if set(methods) <= set(REFERENCES):
        raise UserError("--methods names references alone: name a method to compare with them")
    results = []
    for number, (token, asked) in enumerate(plans.items(), 1):
        results.append(run_dataset(asked, given, say, f"{token} ({number} of {len(plans)})"))
        save(results[-1])
    comparison = report.Comparison(
        results,
        [statistics.summary(r.curves, list(REFERENCES), r.metric) for r in results],
    )
    write_files(
        options.out,
        {
            "report.md": report.markdown_report(comparison).encode(),
            "table.csv": csv_bytes(report.long_table(comparison)),
            "table.tex": report.latex_table(comparison).encode(),
            "penalties.png": report.heat_map(comparison.penalties),
        },
    )
    for result, summary in comparison.pairs:
        print(terminal(result.heading))
        print(tables.statistics_table(summary, result.metric))
        if result.below_majority:
            print(terminal(below_majority_note(result)))
    if comparison.unable:
        print(comparison.unable)
    say(tables.statistics_legend(comparison.metric))
    say(f"report.md, table.csv, table.tex and penalties.png in {options.out}")


def run_dataset(
    options: ExperimentOptions, given: dict[str, Any], say: Callable[[str], None], label: str
) -> Result:
    """The experiment of one data set; ``label`` is that of its progress bar."""
    task = DATASETS[options.dataset].task
    options = check_options(options, task)
    table = open_table(options, task, narrator(quiet=True))
    settings = settle(options, given, table.dataset)
    components = settings.features.components
    split_of = partial(make_split, table, settings.protocol, settings.init, pca=components)
    return run_experiment(table, split_of, settings, say, label)


def experiment_options(token: str, options: ComparisonOptions) -> ExperimentOptions:
    """The options of one data set's experiment; ``token`` is its name or name:features.

    Raises UserError for an unknown data set or features, or a data set that is named twice.
    """
    name, _, _ = token.partition(":")
    check_known("data set", name, DATASETS)
    if sum(other.split(":")[0] == name for other in options.datasets) > 1:
        raise UserError(f"--datasets names {name} twice: their results would share a folder")
    name, features = split_token(token, "--datasets")
    known = {item.name for item in fields(ExperimentOptions)}
    shared = {key: value for key, value in vars(options).items() if key in known}
    return ExperimentOptions(**shared | {"dataset": name, "features": features})


def available(data_dir: Path | None) -> tuple[str, ...]:
    """Every data set that needs no network; large images as 50 principal components."""
    return tuple(
        dataset.name + (":pca:50" if dataset.image and dataset.image[-1] > 8 else "")
        for dataset in DATASETS.values()
        if dataset.bundled or find(dataset, data_dir)
    )
