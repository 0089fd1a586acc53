"""The command line: options, protocols, messages and exit codes; everything else is elsewhere.

Exit codes: 0 done; 2 something that the user can mend, said in one line; 130 stopped by Ctrl-C.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from platform import python_version
from time import perf_counter

SCRIPTS = {"binary": "main_binary.py", "multi": "main_multi.py"}
DEFAULT_DATASET = {"binary": "bank", "multi": "wine"}
STOPPED = "\nstopped by Ctrl-C; no result was changed"
RECORDED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "modAL-python")
# What a protocol sets. None: the data set decides (see paper_fit in data_utils.py).
PROTOCOLS = {
    "paper": {"l2": 50.0, "intercept": False, "hessian": "pool", "fit": None},
    "strict": {"l2": 1.0, "intercept": True, "hessian": "labeled", "fit": "newton"},
}


def main(kind: str, argv: Sequence[str] | None = None) -> int:
    """Run the script for data sets of ``kind``, "binary" or "multi", and return its exit code."""
    try:
        with leaving_at_once():
            import experiment  # noqa: F401, two seconds: torch, scikit-learn, pandas and modAL
            from sources import UserError

        try:
            for stream in (sys.stdout, sys.stderr):
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors="replace")  # a terminal without ± still gets a table
            _main(kind, argv)
            sys.stdout.flush()
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except BrokenPipeError:  # the reader, such as head, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:  # files are report.py's; what is left is standard output
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            print(f"error: cannot print the table: {error.strerror}", file=sys.stderr)
            return 2
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 130
    return 0


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


def _main(kind: str, argv: Sequence[str] | None) -> None:
    options, explicit = parse(kind, argv)
    if options.list:
        print(listing())
        return
    run(options, explicit)


# --- options -------------------------------------------------------------------------------------


def option(default, text: str, **argument):
    """A field of Options: its default, its sentence for --help, and argparse's other arguments."""
    return field(default=default, metadata={"help": text, **argument})


def whole(least: int):
    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
        return int(text)

    return convert


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


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


@dataclass(frozen=True)
class Options:
    """Every option of both scripts, once. None means: the protocol or the data set decides."""

    dataset: str | None = option(None, "data set, see --list (default: bank, or wine)")
    diabetes: str = option(
        "n", "y: the diabetes data set in place of --dataset", choices=("y", "n")
    )
    methods: tuple[str, ...] = option(
        (),
        "strategies, separated by commas or spaces (default: the paper's seven)",
        type=name_list,
        action="extend",
        nargs="+",
    )
    rounds: int = option(10, "rounds of queries (default: 10)", type=whole(1))
    budget: int = option(10, "samples picked in each round (default: 10)", type=whole(1))
    init: int | None = option(
        None, "labeled rows at the start (default: 300; diabetes 150)", type=whole(2)
    )
    seeds: tuple[int, ...] = option(
        (0,),
        "one seed, or several: 0-19 or 0,3,5 (default: 0)",
        type=seed_list,
        flags=("--seed", "--seeds"),
    )
    protocol: str = option(
        "paper",
        "paper: l2 50, no intercept, Hessian over the pool, published splits; strict: "
        "standardised features, l2 1, intercept, Hessian over the labeled set, seeded splits "
        "(default: paper)",
        choices=tuple(PROTOCOLS),
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
    device: str = option(
        "auto", "where to compute (default: auto)", choices=("auto", "cpu", "cuda")
    )
    data_dir: Path | None = option(None, "folder looked into before datasets/", type=Path)
    out: Path = option(Path("results"), "folder for results (default: results)", type=Path)
    plot: bool = option(True, "draw no picture", action="store_false", flags=("--no-plot",))
    quiet: bool = option(False, "print nothing but the table", action="store_true")
    list: bool = option(False, "list data sets and strategies, and stop", action="store_true")


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        from sources import UserError

        raise UserError(f"{message} ({self.prog} --help lists the options)")


def parse(kind: str, argv: Sequence[str] | None) -> tuple[Options, dict]:
    """The options, completed by the protocol, and those that overrode it."""
    from data_utils import DATASETS
    from sources import UserError, choose
    from strategies import STRATEGIES

    parser = Parser(
        prog=SCRIPTS[kind],
        description="Salutary labeling beside active learning with true labels, round by round.",
        allow_abbrev=False,
    )
    for item in fields(Options):
        argument = dict(item.metadata)
        flags = argument.pop("flags", ("--" + item.name.replace("_", "-"),))
        parser.add_argument(*flags, dest=item.name, default=argparse.SUPPRESS, **argument)
    given = vars(parser.parse_args(argv))
    options = Options(**given)

    name = options.dataset or DEFAULT_DATASET[kind]
    if options.diabetes == "y":
        if kind != "binary":
            raise UserError(f"diabetes has two classes: run {SCRIPTS['binary']} --diabetes y")
        name = "diabetes"
    choose("data set", name, list(DATASETS))
    dataset = DATASETS[name]
    if dataset.kind != kind:
        raise UserError(
            f"{name} has {dataset.classes} classes: run {SCRIPTS[dataset.kind]} --dataset {name}"
        )
    methods = tuple(dict.fromkeys(chain(*options.methods))) or tuple(STRATEGIES)
    for method in methods:
        choose("strategy", method, list(STRATEGIES))
    protocol = PROTOCOLS[options.protocol]
    explicit = {key: given[key] for key in protocol if key in given}
    decided = {
        "dataset": name,
        "methods": methods,
        "init": options.init or dataset.init,
        "device": find_device(options.device),
        **protocol,
        "fit": protocol["fit"] or dataset.paper_fit,
        **explicit,
    }
    return Options(**{**asdict(options), **decided}), explicit


def find_device(wanted: str) -> str:
    import torch

    from sources import UserError

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use auto or cpu")
    return wanted


# --- what the scripts do -------------------------------------------------------------------------


def run(options: Options, explicit: dict) -> None:
    """Load, compare, print the table and write the results."""
    from tqdm import tqdm

    import report
    from data_utils import load, make_split
    from experiment import Settings, check, run_all
    from strategies import STRATEGIES

    say = (lambda text: None) if options.quiet else print
    if options.diabetes == "y":
        say("--diabetes y: the diabetes data set, in place of --dataset")
    table = load(options.dataset, options.data_dir)
    for file in table.files:
        say(f"read {file['path']}: {file['rows']:,} rows, sha256 {file['sha256'][:12]}")
        if not file["known_contents"]:
            say("  note: it has the form of the known file, but not its contents")
    for count, reason in table.data.dropped or [(0, "all are used")]:
        say(f"dropped {count:,} rows: {reason}")
    folder = options.out / f"{options.dataset}-{options.protocol}"
    report.open_folder(folder)
    settings = Settings(
        rounds=options.rounds,
        budget=options.budget,
        l2=options.l2,
        intercept=options.intercept,
        hessian=options.hessian,
        fit=options.fit,
        device=options.device,
        legacy_generator=options.protocol == "paper",
    )
    rounds = len(options.methods) * len(options.seeds) * (options.rounds + 1)
    split_for = partial(make_split, table, options.protocol, options.init)
    split = split_for(options.seeds[0])  # all have the same sizes
    check(split, settings)
    start = perf_counter()
    with tqdm(total=rounds, unit="round", disable=options.quiet, leave=False) as bar:
        records, picked = run_all(split_for, options.seeds, options.methods, settings, bar.update)
    seconds = perf_counter() - start

    curves = report.curves_frame(records, options.dataset, options.protocol)
    sizes = {part: len(getattr(split, part)) for part in ("labeled", "pool", "validation", "test")}
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes.items())
    say(f"{parts}; {split.X.shape[1]} features, {table.dataset.classes} classes")
    say(f"always answering the most frequent class: {100 * majority(split):.1f} % on the test set")
    setting = describe(options, explicit)
    source = f"{options.dataset} ({table.file_names}, {len(split.y):,} rows)"
    names = {name: strategy.title for name, strategy in STRATEGIES.items()}
    print(setting)
    print(report.table(curves, f"{source}: test accuracy in %", names))
    own = {name for name, strategy in STRATEGIES.items() if strategy.labels == "own"}
    picture = report.picture(curves, f"{source}\n{setting}", names, own) if options.plot else None
    manifest = {
        "options": {key: plain(value) for key, value in asdict(options).items()},
        "overrides": explicit,
        "data": {
            "files": table.files,
            "rows": len(split.y),
            "dropped": [{"rows": count, "why": why} for count, why in table.data.dropped],
            "features": split.X.shape[1],
            "classes": table.dataset.classes,
        },
        "split": sizes,
        "compute_seconds": seconds,
        "method_seconds": curves.groupby("method", sort=False)["seconds"].sum().to_dict(),
        "versions": {"python": python_version()} | {name: version(name) for name in RECORDED},
    }
    report.write(
        folder,
        {
            "curves.csv": report.as_csv(curves),
            "picks.csv": report.as_csv(report.picks_frame(picked)),
            "run.json": report.as_json(manifest),
            "curves.png": picture,
        },
    )
    say("gain: last round less round 0; mean: over all rounds; bought: true labels; *: best value")
    say(f"{seconds:.2f} s of compute; curves.csv, picks.csv, run.json in {folder}")


def majority(split) -> float:
    """Test accuracy of always answering the most frequent class of the labeled set."""
    from collections import Counter

    answer, _ = Counter(split.y[split.labeled].tolist()).most_common(1)[0]
    return float((split.y[split.test] == answer).mean())


def plain(value):
    """An option's value as JSON has it."""
    return str(value) if isinstance(value, Path) else value


def describe(options: Options, explicit: dict) -> str:
    """The setting in words: nobody should have to guess which one they see."""
    seeds = options.seeds
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        shown = f"seeds {seeds[0]}-{seeds[-1]}"
    else:
        shown = f"seed{'s' * (len(seeds) > 1)} {','.join(map(str, seeds))}"
    changed = f" but for {', '.join(explicit)}" if explicit else ""
    rows = "pool" if options.hessian == "pool" else "labeled set"
    intercept = "intercept" if options.intercept else "no intercept"
    return (
        f"{options.protocol} protocol{changed}: l2 {options.l2:g}, {intercept}, "
        f"Hessian over the {rows}, {options.fit} fit, {shown}"
    )


def listing() -> str:
    """The data sets and the strategies, a line each."""
    from data_utils import DATASETS, SHIPPED, find
    from strategies import STRATEGIES

    lines = ["data sets"]
    for dataset in DATASETS.values():
        found = find(dataset)
        shown = found[0] if found else dataset.versions[0]
        files = " + ".join(file.name for file in shown.files)
        rows = sum(file.rows for file in shown.files)
        here = "here" if found else f"put it into {SHIPPED.name}/{dataset.name} or use --data-dir"
        lines.append(
            f"  {dataset.name:9} {SCRIPTS[dataset.kind]:15} {dataset.title}, {dataset.source}: "
            f"{rows:,} rows, {dataset.classes} classes; {files}: {here}"
        )
    lines.append("strategies")
    for name, strategy in STRATEGIES.items():
        labels = "true labels, bought" if strategy.labels == "true" else "no label bought"
        lines.append(f"  {name:12} {strategy.title:12} {labels:20} {strategy.summary}")
    return "\n".join(lines)
