"""The studies of when and why salutary labels help: a picture, a table and two sentences each.

python explore.py all
"""

import shlex
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from cli import PROTOCOLS, feature_kind, guarded, option, same, seed_list, whole


@dataclass(frozen=True)
class Exploration:
    """The options of explore.py; those it shares with the main scripts are the same."""

    about: ClassVar[str] = (
        "Studies of when and why salutary labels help: a picture and a table each."
    )

    studies: tuple[str, ...] = option(
        (), "studies, see --list, or all", flags=(), nargs="*", metavar="study"
    )
    dataset: str | None = option(
        None,
        "data set, with its features behind a colon if need be, as in mnist:pca:50, or your own "
        "table (default: the study's own, see --list)",
    )
    target: str | None = same("target")
    seeds: tuple[int, ...] = option(
        tuple(range(8)),
        "one seed, or several: 0-19 or 0,3,5 (default: 0-7)",
        type=seed_list,
        flags=("--seed", "--seeds"),
    )
    protocol: str = option("strict", "paper or strict (default: strict)", choices=tuple(PROTOCOLS))
    rounds: int = same("rounds")
    budget: int = same("budget")
    init: int | None = option(
        None, "labeled rows at the start (default: the study's or the data set's)", type=whole(2)
    )
    jobs: int = option(2, "processes, a seed at a time each (default: 2)", type=whole(1))
    data_dir: Path | None = same("data_dir")
    source: str = same("source")
    out: Path = option(
        Path("results/explore"), "folder for results (default: results/explore)", type=Path
    )
    quiet: bool = option(False, "print nothing", action="store_true")
    list: bool = option(False, "list the studies, and stop", action="store_true")


def run(options: Exploration, given: dict) -> None:
    """Make every study that is named; then write its pictures and table and, for all, the page."""
    import page  # none of these above: mistakes in options need not wait for them
    import report
    from studies import STUDIES

    if options.list:
        for study in STUDIES.values():
            print(f"{study.name:11} {study.dataset:13} {study.title} {study.shows}")
        return
    say = (lambda text: None) if options.quiet else print
    studies = chosen(options.studies)
    every = len(studies) == len(STUDIES)
    report.open_folder(options.out)
    tables = {}
    benches = [bench_for(study, options, tables, say) for study in studies]
    entries = []
    for study, bench in zip(studies, benches, strict=True):
        with page.style():
            finding = study.make(bench)
            light, dark = page.pictures(finding)
        setting = bench.describe()
        command = command_line([study.name], given)
        entries.append(page.Entry(study, finding, light, dark, command, setting))
        say(f"\n{study.title} ({study.name})\n{setting}")
        say(page.as_text(finding.table))
        say("\n".join(finding.sentences))
    files = {}
    for entry in entries:
        files[f"{entry.study.name}.png"] = entry.light
        files[f"{entry.study.name}-dark.png"] = entry.dark
        files[f"{entry.study.name}.csv"] = report.as_csv(entry.finding.table)
    if every:
        files["index.html"] = page.html(entries, command_line(["all"], given))
    report.write(options.out, files)
    names = ", ".join(name for name in files if not name.endswith("-dark.png"))
    say(f"\n{names} in {options.out}")


def chosen(names: Sequence[str]) -> list:
    """The studies of these names, in the registry's order; all of them for "all"."""
    from sources import UserError, choose
    from studies import STUDIES

    if not names:
        raise UserError(f"name a study: {', '.join(STUDIES)}, or all")
    for name in names:
        choose("study", name, [*STUDIES, "all"])
    return [study for study in STUDIES.values() if {study.name, "all"} & set(names)]


def bench_for(study, options: Exploration, tables: dict, say):
    """The data and the settings that ``study`` is made with; each data set is loaded once."""
    from data_utils import load
    from sources import UserError
    from workbench import Bench

    def opened(token: str, target: str | None):
        name, pca = features_of(token)
        if name not in tables:
            tables[name] = load(
                name, options.data_dir, source=options.source, target=target, quiet=options.quiet
            )
            say(f"{name}: found in {tables[name].place}")
        return tables[name], pca

    table, pca = opened(options.dataset or study.dataset, options.target)
    if study.images and not table.dataset.image:
        if study.name in options.studies:
            raise UserError(
                f"{study.name} shows images, {table.dataset.name} has none: "
                f"leave --dataset out, or give {study.dataset}"
            )
        table, pca = opened(study.dataset, None)
        say(f"{study.name}: shown on {study.dataset}, there are no images in {options.dataset}")
    bench = Bench(
        table=table,
        protocol=options.protocol,
        seeds=options.seeds,
        init=options.init or study.init or table.dataset.init,
        pca=study.pca or pca,
        rounds=options.rounds,
        budget=options.budget,
        jobs=options.jobs,
        quiet=options.quiet,
    )
    # A study's own few rows may leave out a rare class; what the user asks for is not replaced.
    fits = options.init or bench.splits(bench.init)
    return bench if fits else replace(bench, init=table.dataset.init)


def features_of(token: str) -> tuple[str, int | None]:
    """A data set's name and how many principal components of it: mnist:pca:50 or mnist."""
    from data_utils import is_path
    from sources import UserError

    name, _, made = token.partition(":")
    if not made or is_path(token):
        return token, None
    try:
        kind = feature_kind(made)
        if not kind.startswith("pca:"):
            raise ArgumentTypeError(f"explore.py makes pca:N features, not {kind}")
    except ArgumentTypeError as error:
        raise UserError(f"--dataset {token}: {error}") from error
    return name, int(kind.removeprefix("pca:"))


def command_line(names: Sequence[str], given: dict) -> str:
    """The command that makes the same again; where results lie or are shown is left out."""
    from workbench import compact

    words = ["python", "explore.py", *names]
    for name, value in given.items():
        if name not in ("studies", "jobs", "out", "quiet"):
            text = compact(value) if name == "seeds" else str(value)
            words += ["--" + name.replace("_", "-"), text]
    return shlex.join(words)


def main(argv: Sequence[str] | None = None) -> int:
    return guarded("explore.py", Exploration, argv, run)


if __name__ == "__main__":
    sys.exit(main())
