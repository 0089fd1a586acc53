"""The job of both scripts: load a data set, run the methods on it, print the table, write files."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import features
import report
import stats
from cli import PROTOCOLS, Options
from data_utils import DATASETS, SCRIPTS, Dataset, Table, find, is_path, load
from experiment import Settings, check, run_all
from sources import UserError, choose
from splits import Split, make_split
from strategies import PAPER, STRATEGIES

DEFAULT_DATASET = {"binary": "bank", "multi": "wine"}
LABELS = {"true": "true labels, bought", "own": "no label bought", "reference": "reference"}
REFERENCES = {name for name, strategy in STRATEGIES.items() if strategy.labels == "reference"}
ILL_CONDITIONED = 1e8  # from here on a user is told even if quiet
RECORDED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "modAL-python", "scikit-activeml")


@dataclass(frozen=True)
class Result:
    """What one job computed: the settled options and those that override the protocol, the data,
    the first seed's split, and the records."""

    options: Options
    explicit: dict
    table: Table
    split: Split
    curves: pd.DataFrame
    picks: pd.DataFrame
    seconds: float
    folder: Path
    store: Path

    @property
    def source(self) -> str:
        return f"{self.table.dataset.name} ({self.table.file_names}, {len(self.split.y):,} rows)"

    @property
    def names(self) -> dict[str, str]:
        return {name: strategy.title for name, strategy in STRATEGIES.items()}


def run(kind: str, options: Options, given: dict) -> None:
    """Load, compare, print the table and write the results.

    kind : "binary" or "multi", the script; given : the options that the user set.
    Raises UserError for whatever the user can mend.
    """
    if options.list:
        print(listing())
        return
    say = (lambda text: None) if options.quiet else print
    result = compute(kind, options, given, say)
    tell(result, say)
    save(result)
    forget(result)
    say(f"{result.seconds:.2f} s of compute; curves.csv, picks.csv, run.json in {result.folder}")


def tell(result: Result, say: Callable[[str], object]) -> None:
    """Print the table of a result, and what it says over seeds; the rest is for ``say``."""
    split, table = result.split, result.table
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes_of(split).items())
    say(f"{parts}; {split.X.shape[1]} features, {table.dataset.classes} classes")
    say(f"always answering the most frequent class: {100 * majority(split):.1f} % on the test set")
    print(describe(result.options, result.explicit))
    print(
        report.table(
            result.curves, f"{result.source}: test accuracy in %", result.names, REFERENCES
        )
    )
    if len(result.options.seeds) > 1:
        summary = stats.summary(result.curves, REFERENCES)
        print(report.statistics_table(summary, result.names))
        say(report.LEGEND)
    say("gain: last round less round 0; mean: over all rounds; *: best value")
    say("human labels: initial, at the start; bought, of picks; valid., if the method reads them")
    worst = result.curves["condition"].max()  # NaN where no Hessian was factored
    if worst > ILL_CONDITIONED:
        print(
            f"note: a Hessian's condition number reached {worst:.0e}, about {np.log10(worst):.0f} "
            "of 16 digits are lost: features of one scale, --l2 or --damping mend that"
        )
    elif worst > 0:
        say(f"condition number of the influence's Hessian: at most {worst:.0e}")


def compute(
    kind: str,
    options: Options,
    given: dict,
    say: Callable[[str], object] = lambda text: None,
    on_round: Callable[[int], object] | None = None,
) -> Result:
    """Load the data and run every method on every seed; a killed run goes on where it stopped.

    on_round : told of every round that is done, in place of a bar.
    """
    options, explicit = settle(kind, options, given)
    if options.diabetes == "y":
        say("--diabetes y: the diabetes data set, in place of --dataset")
    table = open_table(kind, options, say)
    options = replace(
        options,
        init=options.init or table.dataset.init,
        fit=options.fit or ("newton" if options.model == "mlp" else table.dataset.paper_fit),
    )
    pca = int(options.features[4:]) if (options.features or "").startswith("pca:") else None
    split_for = partial(make_split, table, options.protocol, options.init, pca=pca)
    return compute_on(table, split_for, options, explicit, on_round)


def compute_on(
    table: Table,
    split_for: Callable[[int], Split],
    options: Options,
    explicit: dict,
    on_round: Callable[[int], object] | None = None,
) -> Result:
    """Run every method on every seed's split of a table; all options are settled."""
    folder = options.out / f"{table.dataset.name}-{options.protocol}"
    report.open_folder(folder)
    settings = Settings(
        rounds=options.rounds,
        budget=options.budget,
        model=options.model,
        l2=options.l2,
        intercept=options.intercept,
        hessian=options.hessian,
        fit=options.fit,
        solver=options.solver,
        damping=options.damping,
        device=options.device,
        dtype=options.dtype,
        legacy_generator=options.protocol == "paper",
    )
    split = split_for(options.seeds[0])  # all have the same sizes
    check(split, settings)
    store = folder / f"unfinished-{fingerprint(options, table)}"
    report.open_folder(store)
    rounds = len(options.methods) * len(options.seeds) * (options.rounds + 1)
    start = perf_counter()
    no_bar = options.quiet or on_round is not None
    with empty_removed(store), tqdm(total=rounds, unit="round", disable=no_bar, leave=False) as bar:
        records, picked = run_all(
            split_for,
            options.seeds,
            options.methods,
            settings,
            on_round or bar.update,
            jobs=options.jobs,
            dask=options.dask,
            store=store,
        )
    seconds = perf_counter() - start
    curves = report.curves_frame(records, table.dataset.name, options.protocol)
    picks = report.picks_frame(picked)
    return Result(options, explicit, table, split, curves, picks, seconds, folder, store)


@contextmanager
def empty_removed(folder: Path):
    """Leave no empty folder behind, whatever happens."""
    try:
        yield
    finally:
        with suppress(OSError):  # it holds something
            folder.rmdir()


def save(
    result: Result,
    files: Mapping[str, bytes | None] | None = None,
    facts: Mapping | None = None,
) -> None:
    """Write the files of a result and ``files``, all or none; ``facts`` go into run.json."""
    own = {name for name, strategy in STRATEGIES.items() if strategy.labels == "own"}
    title = f"{result.source}\n{describe(result.options, result.explicit)}"
    picture = None
    if result.options.plot:
        picture = report.picture(result.curves, title, result.names, own, REFERENCES)
    manifest = describe_run(result) | {"compute_seconds": result.seconds} | (facts or {})
    report.write(
        result.folder,
        {
            "curves.csv": report.as_csv(result.curves),
            "picks.csv": report.as_csv(result.picks),
            "run.json": report.as_json(manifest),
            "curves.png": picture,
            **(files or {}),
        },
    )


def forget(result: Result) -> None:
    """Drop what only a second try would have needed."""
    shutil.rmtree(result.store, ignore_errors=True)


def fingerprint(options: Options, table: Table) -> str:
    """A name for all that a finished run depends on: options, data and this program's own text."""
    unimportant = {"jobs", "dask", "out", "plot", "quiet", "data_dir", "source", "seeds", "methods"}
    chosen = {k: plain(v) for k, v in asdict(options).items() if k not in unimportant}
    code = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    everything = json.dumps([chosen, table.files, code], default=str)
    return hashlib.sha256(everything.encode()).hexdigest()[:16]


def describe_run(result: Result) -> dict:
    """What run.json says: enough to do the same again."""
    table, split = result.table, result.split
    return {
        "options": {key: plain(value) for key, value in asdict(result.options).items()},
        "overrides": result.explicit,
        "data": {
            "place": table.place,
            "files": table.files,
            "rows": len(split.y),
            "dropped": [{"rows": count, "why": why} for count, why in table.data.dropped],
            "notes": table.data.notes,
            "features": split.X.shape[1],
            "classes": table.dataset.classes,
        },
        "split": sizes_of(split),
        "versions": {"python": python_version()} | {name: version(name) for name in RECORDED},
        "method_seconds": result.curves.groupby("method", sort=False)["seconds"].sum().to_dict(),
    }


def sizes_of(split: Split) -> dict[str, int]:
    return {part: len(getattr(split, part)) for part in ("labeled", "pool", "validation", "test")}


def settle(kind: str, options: Options, given: dict) -> tuple[Options, dict]:
    """The options as known before the data is, and those that override the protocol."""
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
    if options.model == "mlp" and options.fit == "lbfgs":
        raise UserError(
            "--fit lbfgs is for --model logistic: the mlp's last layer is fitted by newton"
        )
    if options.dask and options.jobs > 1:
        raise UserError("--dask and --jobs exclude each other: the cluster has its own processes")
    methods = chosen(options.methods)
    protocol = PROTOCOLS[options.protocol]
    explicit = {key: given[key] for key in protocol if key in given}
    wanted = "cpu" if options.dask and options.device == "auto" else options.device
    decided = {"dataset": name, "methods": methods, "device": find_device(wanted)}
    return replace(options, **decided, **protocol | explicit), explicit


def chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    """The strategies that --methods names: the paper's where none, and "all" for all there are."""
    if names == ("all",):
        return tuple(STRATEGIES)
    for name in names:
        choose("strategy", name, [*STRATEGIES, "all"])
    return names or PAPER


def check_kind(kind: str, dataset: Dataset, name: str) -> None:
    """Raise UserError where a data set is for the other script."""
    if dataset.kind != kind:
        raise UserError(
            f"{name} has {dataset.classes} classes: run {SCRIPTS[dataset.kind]} --dataset {name}"
        )


def find_device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use auto or cpu")
    return wanted


def open_table(kind: str, options: Options, say: Callable[[str], object]) -> Table:
    """Load the data set and say where it was, how much of it is used, and what is not."""
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


def majority(split: Split) -> float:
    """Test accuracy of always answering the most frequent class of the labeled set."""
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
    network = "the last layer of an MLP, " if options.model == "mlp" else ""
    rows = "pool" if options.hessian == "pool" else "labeled set"
    intercept = "intercept" if options.intercept else "no intercept"
    return (
        f"{options.protocol} protocol{changed}: {network}l2 {options.l2:g}, {intercept}, "
        f"Hessian over the {rows}, {options.fit} fit, {made}{shown}"
    )


def listing() -> str:
    """The data sets and the strategies, a line each."""
    lines = ["data sets"]
    for dataset in DATASETS.values():
        lines.append(
            f"  {dataset.name:14} {SCRIPTS[dataset.kind]:15} {state(dataset):37} "
            f"{dataset.title}, {dataset.classes} classes ({dataset.source})"
        )
    return "\n".join([*lines, *listed_strategies()])


def listed_strategies() -> list[str]:
    return ["strategies"] + [
        f"  {name:23} {strategy.title:16} {LABELS[strategy.labels]:20} {strategy.summary}"
        for name, strategy in STRATEGIES.items()
    ]


def state(dataset: Dataset) -> str:
    """Whether a data set is here, cached or on the network, and how many rows of it."""
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
