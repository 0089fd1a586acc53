"""What main_binary.py, main_multi.py and main_llm.py share: open a data set, print a result."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from common.cli import seeds_words
from common.escape import terminal
from common.kinds import PenaltyRule, Protocol, Task
from data_prep.columns import decision_lines
from data_prep.files import provenance_lines
from data_prep.image_encoder import encode
from data_prep.reading import TableReading
from data_utils import Table, load
from experiments import statistics, tables
from experiments.options import ExperimentOptions
from experiments.penalty import l2_text
from experiments.results import Result, earlier_note
from experiments.settings import check_task, find_device
from strategies.registry import REFERENCES

ILL_CONDITIONED = 1e8  # above it a user is told even with --quiet


def open_table(options: ExperimentOptions, task: Task | None, say: Callable[[str], None]) -> Table:
    """Load the data set, and say where it was, how much of it is used, and what is not.

    task : of the script; None takes any.
    Raises UserError as ``load`` does, and if the data set is for the other script.
    """
    name = options.dataset
    if options.diabetes == "y":
        say("--diabetes y: the diabetes data set, in place of --dataset")
    table = load(
        name,
        options.data_dir,
        source=options.source,
        target=options.target,
        labels=options.labels,
        split_column=options.split_column,
        reading=TableReading.of(options),
        quiet=options.quiet,
    )
    if task:
        check_task(task, table.dataset, name)
    dropped = table.data.dropped
    for line in provenance_lines(name, table.place, table.files, dropped, tried=table.tried):
        say(line)
    for note in (*table.data.notes, *decision_lines(table.data.columns)):
        say(note)
    if table.data.parts is not None and len(options.seeds) > 1:
        say(
            "every seed has the split of --split-column: seeds differ only in what methods draw, "
            "so deviations and tests over seeds say nothing about other splits"
        )
    if options.features and options.features.image_encoder:
        assert table.dataset.image  # check_options has seen to it
        device = find_device(options.device)
        data = encode(table.data, table.dataset.image, device, options.quiet, say)
        table = replace(table, data=data)
    return table


def below_majority_note(result: Result) -> str:
    """What to tell of a result whose methods are all below the most frequent class."""
    told = (
        "note: every method ends below always answering the most frequent class "
        f"({100 * result.majority_accuracy:.1f} %)"
    )
    if result.settings.loop.judge or result.settings.protocol == Protocol.TUNED:
        return f"{told}: these features may say too little about the classes"
    return f"{told}: try --protocol tuned, which chooses l2 and has an intercept"


def chosen_l2_text(by_seed: dict[int, float]) -> str:
    """The values of l2, each with its seeds, the most frequent value first."""
    seeds_of: dict[float, list[int]] = {}
    for seed, value in by_seed.items():
        seeds_of.setdefault(value, []).append(seed)
    most_first = sorted(seeds_of.items(), key=lambda item: -len(item[1]))
    return "; ".join(f"{l2_text(value)} ({seeds_words(seeds)})" for value, seeds in most_first)


def print_result(result: Result, say: Callable[[str], None]) -> None:
    """Print the table of a result and what it says over seeds; remarks go to ``say``."""
    parts = ", ".join(f"{part} {size:,}" for part, size in result.split.sizes().items())
    say(f"{parts}; {result.split.X.shape[1]} features, {result.table.dataset.classes} classes")
    say(
        "always answering the most frequent class: "
        f"{100 * result.majority_accuracy:.1f} % accuracy on the test set"
    )
    print(terminal(result.settings.describe()))
    metric = result.metric
    print(terminal(tables.rounds_table(result.curves, result.source, metric)))
    if result.below_majority:
        print(terminal(below_majority_note(result)))
    if len(result.settings.seeds) > 1:
        summary = statistics.summary(result.curves, list(REFERENCES), metric)
        print(tables.statistics_table(summary, metric))
        if unable := statistics.reach(summary, list(REFERENCES)):
            print(unable)
        say(tables.statistics_legend(metric))
    say(tables.rounds_legend(metric))
    if note := earlier_note(result):
        say(note)
    say("human labels: initial, at the start; bought, of picks; valid., if the method reads them")
    if isinstance(result.settings.loop.l2, PenaltyRule):
        say(f"l2 of the methods: {chosen_l2_text(result.initial_l2())}")
    worst = result.curves["condition"].max()  # NaN if no Hessian was factored
    if worst > ILL_CONDITIONED:
        print(
            f"note: a Hessian's condition number reached {worst:.0e}, about {np.log10(worst):.0f} "
            "of 16 digits are lost: features of one scale, --l2 or --damping help"
        )
    elif worst > 0:
        say(f"condition number of the influence's Hessian: at most {worst:.0e}")
