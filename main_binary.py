"""The paper's experiment on two classes: salutary labeling beside six baselines, round by round.

python main_binary.py --dataset bank --diabetes n
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from common.cli import interruptible_imports, narrator, run_command
from common.kinds import Task
from experiments.options import ExperimentOptions

# The paper's experiment. Every option can be changed on the command line.
DEFAULTS = ExperimentOptions(
    dataset="bank",
    methods=("random", "entropy", "margin", "uncertainty", "pred_infl", "isal", "salutary"),
    rounds=10,
    budget=10,  # picks in each round
    seeds=(0,),
    protocol=None,  # the paper's: l2 = 50, no intercept, the published split
)


def run(options: ExperimentOptions, given: dict[str, Any]) -> None:
    """Load, split, run every method round by round, save, print."""
    with interruptible_imports():
        from experiments import listing

        # Strategies, references and data sets from files of one's own.
        listing.use_plugins(options.plugin, options.model)

    if options.list:
        print(listing.data_sets_and_strategies())
        return

    with interruptible_imports():
        from data_utils import make_split
        from experiments import pipeline, results, settings
        from experiments.runner import run_experiment

    say = narrator(options.quiet)

    # What is asked for: a mistake in the options ends here, before anything is loaded.
    options = settings.check_options(options, Task.BINARY)

    # The data set as a matrix of numbers and two classes, from the nearest place that has it.
    table = pipeline.open_table(options, Task.BINARY, say)

    # Everything decided: what the options leave open, the protocol and the data set fill in.
    settled = settings.settle(options, given, table.dataset)

    # The four parts: labeled set, pool, validation set and test set, the same for every method.
    split_of = partial(
        make_split, table, settled.protocol, settled.init, pca=settled.features.components
    )

    # For every seed and method (experiments/loop.py): in each round the method picks rows of the
    # pool, these get labels, the classifier is fitted again and measured on the test set.
    result = run_experiment(table, split_of, settled, say)

    results.save(result)
    pipeline.print_result(result, say)
    say(f"{result.seconds:.2f} s of compute; curves.csv, picks.csv, run.json in {result.folder}")


def main(argv: Sequence[str] | None = None) -> int:
    return run_command("main_binary.py", DEFAULTS, run, argv)


if __name__ == "__main__":
    sys.exit(main())
