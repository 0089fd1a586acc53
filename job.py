"""The job of both scripts: load a data set, run the methods on it, print the table, write files."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from time import perf_counter

import pandas as pd
import torch
from tqdm import tqdm

import features
import report
from cli import PROTOCOLS, Options
from data_utils import DATASETS, SCRIPTS, Dataset, Table, find, is_path, load
from experiment import Settings, check, run_all
from sources import UserError, choose
from splits import Split, make_split
from strategies import PAPER, STRATEGIES

DEFAULT_DATASET = {"binary": "bank", "multi": "wine"}
LABELS = {"true": "true labels, bought", "own": "no label bought", "reference": "reference"}
RECORDED = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "modAL-python", "scikit-activeml")


def run(kind: str, options: Options, given: dict) -> None:
    """Load, compare, print the table and write the results.

    kind : "binary" or "multi", the script; given : the options that the user set.
    Raises UserError for whatever the user can mend.
    """
    if options.list:
        print(listing())
        return
    options, explicit = settle(kind, options, given)
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
    parts = ", ".join(f"{part} {size:,}" for part, size in sizes_of(split).items())
    say(f"{parts}; {split.X.shape[1]} features, {table.dataset.classes} classes")
    say(f"always answering the most frequent class: {100 * majority(split):.1f} % on the test set")
    setting = describe(options, explicit)
    source = f"{table.dataset.name} ({table.file_names}, {len(split.y):,} rows)"
    names = {name: strategy.title for name, strategy in STRATEGIES.items()}
    print(setting)
    print(report.table(curves, f"{source}: test accuracy in %", names))
    own = {name for name, strategy in STRATEGIES.items() if strategy.labels == "own"}
    picture = report.picture(curves, f"{source}\n{setting}", names, own) if options.plot else None
    manifest = describe_run(options, explicit, table, split, curves) | {"compute_seconds": seconds}
    report.write(
        folder,
        {
            "curves.csv": report.as_csv(curves),
            "picks.csv": report.as_csv(report.picks_frame(picked)),
            "run.json": report.as_json(manifest),
            "curves.png": picture,
        },
    )
    say("gain: last round less round 0; mean: over all rounds; *: best value")
    say("human labels: initial, at the start; bought, of picks; valid., if the method reads them")
    say(f"{seconds:.2f} s of compute; curves.csv, picks.csv, run.json in {folder}")


def describe_run(
    options: Options, explicit: dict, table: Table, split: Split, curves: pd.DataFrame
) -> dict:
    """What run.json says: enough to do the same again."""
    return {
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
        "split": sizes_of(split),
        "versions": {"python": python_version()} | {name: version(name) for name in RECORDED},
        "method_seconds": curves.groupby("method", sort=False)["seconds"].sum().to_dict(),
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
    methods = options.methods or PAPER
    for method in methods:
        choose("strategy", method, list(STRATEGIES))
    protocol = PROTOCOLS[options.protocol]
    explicit = {key: given[key] for key in protocol if key in given}
    decided = {"dataset": name, "methods": methods, "device": find_device(options.device)}
    return replace(options, **decided, **protocol | explicit), explicit


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
    rows = "pool" if options.hessian == "pool" else "labeled set"
    intercept = "intercept" if options.intercept else "no intercept"
    return (
        f"{options.protocol} protocol{changed}: l2 {options.l2:g}, {intercept}, "
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
    lines.append("strategies")
    for name, strategy in STRATEGIES.items():
        labels = LABELS[strategy.labels]
        lines.append(f"  {name:23} {strategy.title:16} {labels:20} {strategy.summary}")
    return "\n".join(lines)


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
