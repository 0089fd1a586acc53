"""The command line: options, protocols, messages and exit codes; everything else is elsewhere.

Exit codes: 0 done; 2 something that the user can mend, said in one line; 130 stopped by Ctrl-C.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from platform import python_version
from time import perf_counter

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
    run(kind, options, explicit)


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


def feature_kind(text: str) -> str:
    kind, _, number = text.partition(":")
    if text == "efficientnet" or (kind == "pca" and number.isdecimal() and int(number) > 0):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither efficientnet nor pca:N")


@dataclass(frozen=True)
class Options:
    """Every option of both scripts, once. None means: the protocol or the data set decides."""

    dataset: str | None = option(
        None, "data set, see --list, or your own .csv, .tsv or .parquet (default: bank, or wine)"
    )
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
        None, "labeled rows at the start (default: the data set's, mostly 300)", type=whole(2)
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
    from data_utils import DATASETS, SCRIPTS, is_path
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
    if not is_path(name):
        choose("data set", name, list(DATASETS))
        check_kind(kind, DATASETS[name], name)
    if options.source == "shipped" and options.data_dir:
        raise UserError("--source shipped and --data-dir exclude each other: give one of them")
    methods = tuple(dict.fromkeys(chain(*options.methods))) or tuple(STRATEGIES)
    for method in methods:
        choose("strategy", method, list(STRATEGIES))
    protocol = PROTOCOLS[options.protocol]
    explicit = {key: given[key] for key in protocol if key in given}
    decided = {"dataset": name, "methods": methods, "device": find_device(options.device)}
    return replace(options, **decided, **protocol | explicit), explicit


def check_kind(kind: str, dataset, name: str) -> None:
    """Raise UserError where a data set is for the other script."""
    from data_utils import SCRIPTS
    from sources import UserError

    if dataset.kind != kind:
        raise UserError(
            f"{name} has {dataset.classes} classes: run {SCRIPTS[dataset.kind]} --dataset {name}"
        )


def find_device(wanted: str) -> str:
    import torch

    from sources import UserError

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use auto or cpu")
    return wanted


# --- what the scripts do -------------------------------------------------------------------------


def run(kind: str, options: Options, explicit: dict) -> None:
    """Load, compare, print the table and write the results."""
    from tqdm import tqdm

    import report
    from experiment import Settings, check, run_all
    from splits import make_split
    from strategies import STRATEGIES

    say = (lambda text: None) if options.quiet else print
    if options.diabetes == "y":
        say("--diabetes y: the diabetes data set, in place of --dataset")
    table = open_table(kind, options, say)
    options = replace(
        options,
        init=options.init or table.dataset.init,
        fit=options.fit or table.dataset.paper_fit,
    )
    folder = options.out / f"{table.dataset.name}-{options.protocol}"
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
    pca = int(options.features[4:]) if (options.features or "").startswith("pca:") else None
    split_for = partial(make_split, table, options.protocol, options.init, pca=pca)
    split = split_for(options.seeds[0])  # all have the same sizes
    check(split, settings)
    start = perf_counter()
    with tqdm(total=rounds, unit="round", disable=options.quiet, leave=False) as bar:
        records, picked = run_all(split_for, options.seeds, options.methods, settings, bar.update)
    seconds = perf_counter() - start

    curves = report.curves_frame(records, table.dataset.name, options.protocol)
    sizes = {part: len(getattr(split, part)) for part in ("labeled", "pool", "validation", "test")}
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes.items())
    say(f"{parts}; {split.X.shape[1]} features, {table.dataset.classes} classes")
    say(f"always answering the most frequent class: {100 * majority(split):.1f} % on the test set")
    setting = describe(options, explicit)
    source = f"{table.dataset.name} ({table.file_names}, {len(split.y):,} rows)"
    names = {name: strategy.title for name, strategy in STRATEGIES.items()}
    print(setting)
    print(report.table(curves, f"{source}: test accuracy in %", names))
    own = {name for name, strategy in STRATEGIES.items() if strategy.labels == "own"}
    picture = report.picture(curves, f"{source}\n{setting}", names, own) if options.plot else None
    manifest = {
        "options": {key: plain(value) for key, value in asdict(options).items()},
        "overrides": explicit,
        "data": {
            "place": table.place,
            "files": table.files,
            "rows": len(split.y),
            "dropped": [{"rows": count, "why": why} for count, why in table.data.dropped],
            "notes": table.data.notes,
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


def open_table(kind: str, options: Options, say):
    """Load the data set and say where it was, how much of it is used, and what is not."""
    import features
    from data_utils import load
    from sources import UserError

    table = load(
        options.dataset,
        options.data_dir,
        source=options.source,
        target=options.target,
        quiet=options.quiet,
    )
    check_kind(kind, table.dataset, options.dataset)
    missed = "".join(f"not in {place}, " for place in table.tried)
    say(f"{options.dataset}: {missed}found in {table.place}")
    for file in table.files:
        say(f"read {file['path']}: {file['rows']:,} rows, sha256 {file['sha256'][:12]}")
        if file["known_contents"] is False:
            say("  note: it has the form of the known file, but not its contents")
    for count, reason in table.data.dropped or [(0, "all are used")]:
        say(f"dropped {count:,} rows: {reason}")
    for note in table.data.notes:
        say(note)
    if options.features == "efficientnet":
        if not table.dataset.image:
            raise UserError(f"--features efficientnet is for images, {options.dataset} has none")
        encoded = features.encode(table.data, table.dataset.image, options.device, options.quiet)
        table = replace(table, data=encoded)
    return table


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
    made = f"{options.features} features, " if options.features else ""
    rows = "pool" if options.hessian == "pool" else "labeled set"
    intercept = "intercept" if options.intercept else "no intercept"
    return (
        f"{options.protocol} protocol{changed}: l2 {options.l2:g}, {intercept}, "
        f"Hessian over the {rows}, {options.fit} fit, {made}{shown}"
    )


def listing() -> str:
    """The data sets and the strategies, a line each."""
    from data_utils import DATASETS, SCRIPTS
    from strategies import STRATEGIES

    lines = ["data sets"]
    for dataset in DATASETS.values():
        lines.append(
            f"  {dataset.name:14} {SCRIPTS[dataset.kind]:15} {state(dataset):37} "
            f"{dataset.title}, {dataset.classes} classes ({dataset.source})"
        )
    lines.append("strategies")
    for name, strategy in STRATEGIES.items():
        labels = "true labels, bought" if strategy.labels == "true" else "no label bought"
        lines.append(f"  {name:12} {strategy.title:12} {labels:20} {strategy.summary}")
    return "\n".join(lines)


def state(dataset) -> str:
    """Whether a data set is here, cached or on the network, and how many rows of it."""
    from data_utils import find

    if dataset.bundled:
        return "here: in scikit-learn"
    found = find(dataset)
    if found:
        place, version, _ = found
        word = "cached" if place == "the cache" else "here"
        return f"{word}: {sum(file.rows for file in version.files):,} rows"
    if any(version.way for version in dataset.versions):
        return "network"
    return f"--data-dir with {dataset.versions[0].files[0].name}"
