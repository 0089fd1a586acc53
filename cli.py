"""The command line: options, Ctrl-C and exit codes; job.py does what the options ask for.

Exit codes: 0 done; 2 something that the user can mend, said in one line; 130 stopped by Ctrl-C.
Only the standard library is imported at the top, so that mistakes in options are told at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import ClassVar

# What a protocol sets. None: the data set decides (see paper_fit in data_utils.py).
PROTOCOLS = {
    "paper": {"l2": 50.0, "intercept": False, "hessian": "pool", "fit": None},
    "strict": {"l2": 1.0, "intercept": True, "hessian": "labeled", "fit": "newton"},
}
STOPPED = "\nstopped by Ctrl-C; no result was changed"


class Misuse(Exception):
    """Options that cannot be: one line, exit code 2."""


def main(kind: str, argv: Sequence[str] | None = None) -> int:
    """Run the script for data sets of ``kind``, "binary" or "multi", and return its exit code."""

    def act(options: Options, given: dict) -> None:
        import job

        job.run(kind, options, given)

    return guarded(f"main_{kind}.py", Options, argv, act)


def guarded(prog: str, options_class: type, argv: Sequence[str] | None, act: Callable) -> int:
    """Read the options, do ``act(options, given)``, and turn what goes wrong into an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ± still gets a table
    try:
        options, given = parse(prog, argv, options_class)
        with leaving_at_once():
            from job import UserError  # two seconds: torch, scikit-learn, pandas and modAL
        try:
            act(options, given)
            sys.stdout.flush()
        except UserError as error:
            raise Misuse(error) from error
    except Misuse as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _drop_stdout()
    except OSError as error:  # files are report.py's; what is left is standard output
        _drop_stdout()
        print(f"error: cannot print the table: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 130
    return 0


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def leaving_at_once():
    """Let Ctrl-C end the program on the spot: some libraries swallow it while they load."""

    def leave(*_) -> None:
        print(STOPPED, file=sys.stderr, flush=True)
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else someone chose to ignore Ctrl-C
        signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def option(default, text: str, **argument):
    """A field of Options: its default, its sentence for --help, and argparse's other arguments."""
    return field(default=default, metadata={"help": text, **argument})


def whole(least: int):
    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return convert


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def positive(text: str) -> float:
    if not 0 < number(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number(text)


def not_negative(text: str) -> float:
    if not 0 <= number(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return number(text)


def seed_list(text: str) -> tuple[int, ...]:
    """Seeds written as 3, 0-19 or 0,2,5-7, as ascending different numbers."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() if dash else not last)):
            raise argparse.ArgumentTypeError(f"{text!r} is not a seed, or a range such as 0-19")
        if dash and int(last) < int(first):
            raise argparse.ArgumentTypeError(f"the range {part!r} runs backwards")
        if int(last or first) >= 2**31 or int(last or first) - int(first) >= 10_000:
            raise argparse.ArgumentTypeError(f"{part!r}: seeds are below 2^31, at most 10,000")
        seeds.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(seeds))


def name_list(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return names


def feature_kind(text: str) -> str:
    kind, _, number = text.partition(":")
    if text == "efficientnet" or (kind == "pca" and number.isdecimal() and int(number) > 0):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither efficientnet nor pca:N")


@dataclass(frozen=True)
class Options:
    """Every option of both scripts, once. None means: the protocol or the data set decides."""

    about: ClassVar[str] = (
        "Salutary labeling beside active learning with true labels, round by round."
    )

    dataset: str | None = option(
        None, "data set, see --list, or your own .csv, .tsv or .parquet (default: bank, or wine)"
    )
    diabetes: str = option(
        "n", "y: the diabetes data set in place of --dataset", choices=("y", "n")
    )
    methods: tuple[str, ...] = option(
        (),
        "strategies, separated by commas or spaces, or all (default: the paper's seven)",
        type=name_list,
        action="extend",
        nargs="+",
    )
    rounds: int = option(10, "rounds of queries (default: 10)", type=whole(1))
    budget: int = option(10, "samples picked in each round (default: 10)", type=whole(1))
    init: int | None = option(
        None, "labeled rows at the start (default: the data set's, mostly 300)", type=whole(2)
    )
    seeds: tuple[int, ...] = option(
        (0,),
        "one seed, or several: 0-19 or 0,3,5 (default: 0)",
        type=seed_list,
        flags=("--seed", "--seeds"),
    )
    jobs: int = option(1, "processes, for several seeds (default: 1)", type=whole(1))
    dask: str | None = option(
        None,
        "scheduler of a Dask cluster that does the runs, such as tcp://10.0.0.1:8786 "
        "(docs/scale.md)",
        metavar="ADDRESS",
    )
    protocol: str = option(
        "paper",
        "paper: l2 50, no intercept, Hessian over the pool, published splits; strict: "
        "standardised features, l2 1, intercept, Hessian over the labeled set, seeded splits "
        "(default: paper)",
        choices=tuple(PROTOCOLS),
    )
    model: str = option(
        "logistic",
        "logistic regression, or mlp: a network whose last layer picks, by its influence or its "
        "probabilities (default: logistic)",
        choices=("logistic", "mlp"),
    )
    hessian: str | None = option(
        None,
        "rows that the influence's Hessian sums over (default: the protocol's)",
        choices=("pool", "labeled"),
    )
    l2: float | None = option(
        None, "penalty beside the sum of losses (default: the protocol's)", type=positive
    )
    intercept: bool | None = option(
        None,
        "an unpenalised intercept (default: the protocol's)",
        action=argparse.BooleanOptionalAction,
    )
    fit: str | None = option(
        None,
        "newton: exact; lbfgs: stopped early, as the paper's Bank curves were (its default there)",
        choices=("newton", "lbfgs"),
    )
    solver: str = option(
        "auto",
        "of the influence: cholesky, a dense factor; cg, conjugate gradients (default: by size)",
        choices=("auto", "cholesky", "cg"),
    )
    damping: float = option(
        0.0, "added to the diagonal of the influence's Hessian (default: 0)", type=not_negative
    )
    features: str | None = option(
        None,
        "pca:N, the first N principal components of labeled + pool; or efficientnet, a pretrained "
        "image encoder (default: the columns as they are)",
        type=feature_kind,
    )
    target: str | None = option(
        None, "column of your own table that holds the classes; attribute of celeba"
    )
    source: str = option(
        "auto",
        "where data comes from: auto is --data-dir, datasets/, the cache, the network in turn",
        choices=("auto", "shipped", "network"),
    )
    device: str = option(
        "auto", "where to compute (default: auto)", choices=("auto", "cpu", "cuda")
    )
    dtype: str = option(
        "float64", "numbers of the arithmetic (default: float64)", choices=("float64", "float32")
    )
    data_dir: Path | None = option(None, "folder looked into before datasets/", type=Path)
    out: Path = option(Path("results"), "folder for results (default: results)", type=Path)
    plot: bool = option(True, "draw no picture", action="store_false", flags=("--no-plot",))
    quiet: bool = option(False, "print nothing but the table", action="store_true")
    list: bool = option(False, "list data sets and strategies, and stop", action="store_true")


def same(name: str):
    """The option of the main scripts of this name, for a script with options of its own."""
    (item,) = (item for item in fields(Options) if item.name == name)
    return field(default=item.default, metadata=item.metadata)


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise Misuse(f"{message} ({self.prog} --help lists the options)")


def parse(prog: str, argv: Sequence[str] | None, options_class: type = Options):
    """The options as an ``options_class``, and a dict of those that were given."""
    parser = Parser(
        prog=prog,
        description=options_class.about,
        allow_abbrev=False,
    )
    for item in fields(options_class):
        argument = dict(item.metadata)
        flags = argument.pop("flags", ("--" + item.name.replace("_", "-"),))
        parser.add_argument(*flags, dest=item.name, default=argparse.SUPPRESS, **argument)
    given = vars(parser.parse_args(argv))
    if "methods" in given:
        given["methods"] = tuple(dict.fromkeys(chain(*given["methods"])))
    return options_class(**given), given
