"""The command behind explore.py: make the studies that are named, write and print them."""

import shlex
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from common.cli import narrator, seeds_text, told_if_stopped
from common.errors import UserError, check_known
from common.files import prepare_folder, write_files
from common.kinds import Protocol
from common.registry import check_free
from data_prep.columns import decision_lines
from data_prep.feature_choice import split_token
from data_prep.reading import TableReading, as_option
from data_utils import Table, load
from experiments.listing import use_plugins
from experiments.settings import check_split_column
from strategies.registry import REFERENCES, known_methods
from studies.base import Study
from studies.bench import Bench, ExplainedPicks
from studies.options import ExplorationOptions
from studies.page import html_page
from studies.progress import Progress
from studies.registry import STUDIES
from studies.results import StudyResult, make_result

# The options that not every study reads, and the study that does.
OWN_OPTIONS = {name: study.name for study in STUDIES.values() for name in study.options}


def run(options: ExplorationOptions, given: dict[str, Any]) -> None:
    """Make every study that is named: its files are written, then it is printed; the page at last.

    The page needs all studies. Ctrl-C keeps the files of those that are done.

    given : the options that the user set, by name.
    """
    use_plugins(options.plugin)
    check_free("study", STUDIES.data, "STUDIES")
    if options.list:
        for study in STUDIES.values():
            print(f"{study.name:11} {study.dataset:13} {study.title} {study.shows}")
        return
    say = narrator(options.quiet)
    studies = chosen_studies(options.studies)
    check_split_column(options.split_column, options.init)
    check_own_options(studies, given)
    if {"method", "round", "picks"} & {name for study in studies for name in study.options}:
        check_explained(options)
    prepare_folder(options.out)
    builder = BenchBuilder(options, say)
    benches = [builder.bench(study) for study in studies]  # all data sets load before any study
    several, progress = len(studies) > 1, Progress(studies, options.jobs)
    if several:
        say(progress.announcement())
    results: list[StudyResult] = []
    with told_if_stopped(lambda: kept_words(results, options.out)):
        for study, bench in zip(studies, benches, strict=True):
            bench = builder.with_l2(bench)
            result = make_result(study, bench, command_line([study.name], given, study.options))
            write_files(options.out, result.files())
            results.append(result)
            say(result.text())
            names = ", ".join(name for name in result.files() if not name.endswith("-dark.png"))
            say(f"\n{names} in {options.out}")
            if several:
                say(progress.after(len(results)))
    if len(studies) == len(STUDIES):
        page = html_page(results, command_line(["all"], given, OWN_OPTIONS))
        write_files(options.out, {"index.html": page})
        say(f"index.html in {options.out}")


def kept_words(results: Sequence[StudyResult], folder: Path) -> str:
    """What Ctrl-C says of the studies that are done; "" if none is."""
    names = ", ".join(result.study.name for result in results)
    return f"the finished studies are kept in {folder}: {names}" if results else ""


def check_own_options(studies: Sequence[Study], given: dict[str, Any]) -> None:
    """Raise UserError if the user set an option that none of these studies reads."""
    known = {name for study in studies for name in study.options}
    for name, owner in OWN_OPTIONS.items():
        if name in given and name not in known:
            raise UserError(f"--{name} is for the study {owner}: name it, or leave --{name} out")


def check_explained(options: ExplorationOptions) -> None:
    """Raise UserError if there are no such picks as the study ``why`` is to explain."""
    method, picking = options.method, [m for m in known_methods() if m not in REFERENCES]
    if method in REFERENCES:
        raise UserError(f"--method {method} is a reference, which picks nothing: name a strategy")
    check_known("--method", method, picking)
    if options.round > options.rounds:
        raise UserError(
            f"--round {options.round} comes after the last of --rounds {options.rounds}"
        )
    if options.picks and options.picks > options.budget:
        raise UserError(
            f"--picks {options.picks} is more than a round has: --budget is {options.budget}"
        )


def chosen_studies(names: Sequence[str]) -> list[Study]:
    """The studies of these names, in the registry's order; all of them for "all".

    Raises UserError if there is no name, or an unknown one.
    """
    if not names:
        raise UserError(f"name a study: {', '.join(STUDIES)}, or all")
    for name in names:
        check_known("study", name, [*STUDIES, "all"])
    return [study for study in STUDIES.values() if {study.name, "all"} & set(names)]


def command_line(names: Sequence[str], given: dict[str, Any], own: Container[str] = ()) -> str:
    """The command that makes the same studies again.

    own : of the options that only some studies read, those that these studies do.
    Options that change no result are left out: the folder, the processes, and --quiet.
    """
    words = ["python", "explore.py", *names]
    for name, value in given.items():
        if name in OWN_OPTIONS and name not in own:
            continue
        if name not in ("studies", "jobs", "out", "quiet"):
            texts = [seeds_text(value)] if name == "seeds" else [str(value)]
            if isinstance(value, tuple) and name != "seeds":
                texts = [str(one) for one in value]
            for text in texts:
                words += [as_option(name), text]
    return shlex.join(words)


@dataclass
class BenchBuilder:
    """Makes the bench of each study; what several studies share is loaded and chosen once.

    say : prints a remark. tables : the data sets loaded so far, by name. chosen : what
    ``Bench.choose_l2`` gave so far, for each data set, components, labeled rows and seeds.
    """

    options: ExplorationOptions
    say: Callable[[str], None]
    tables: dict[str, Table] = field(default_factory=dict)
    chosen: dict[tuple, dict[str, float]] = field(default_factory=dict)

    def bench(self, study: Study) -> Bench:
        """The data and the settings that ``study`` is made with.

        Raises UserError if there is no such data set, or if the study does not work on it.
        """
        options = self.options
        table, pca = self._data(study)
        bench = Bench(
            table=table,
            protocol=Protocol(options.protocol),
            seeds=options.seeds[:1] if study.one_seed else options.seeds,
            init=options.init or study.init or table.dataset.init,
            pca=study.pca or pca,
            rounds=options.rounds,
            budget=options.budget,
            jobs=options.jobs,
            quiet=options.quiet,
            study=study.name,
            explained=ExplainedPicks(options.method, options.round, options.picks),
        )
        # The few labeled rows that a study asks for may leave out a rare class. Then it gets the
        # data set's own number; a number that the user asked for is never replaced.
        if options.init or bench.can_split(bench.init):
            return bench
        return replace(bench, init=table.dataset.init)

    def with_l2(self, bench: Bench) -> Bench:
        """The bench with the l2 of its seeds. Raises UserError if the rule cannot choose one."""
        splits = bench.table.dataset.name, bench.pca, bench.init, bench.seeds
        if splits not in self.chosen:
            self.chosen[splits] = bench.choose_l2()
        return replace(bench, chosen=self.chosen[splits])

    def _data(self, study: Study) -> tuple[Table, int]:
        """The data set for a study, and the number of principal components to use of it."""
        options = self.options
        own = {name: getattr(options, name) for name in ("target", "labels", "split_column")}
        own["reading"] = TableReading.of(options)
        table, pca = self._open(options.dataset or study.dataset, own)
        if study.images and not table.dataset.image:
            if study.name in options.studies:
                raise UserError(
                    f"{study.name} shows images, {table.dataset.name} has none: "
                    f"leave --dataset out, or give {study.dataset}"
                )
            table, pca = self._open(study.dataset, {})
            self.say(
                f"{study.name}: shown on {study.dataset}, there are no images in {options.dataset}"
            )
        return table, pca

    def _open(self, token: str, own: dict[str, Any]) -> tuple[Table, int]:
        """The data set that ``token`` names, and the number of its principal components.

        token : mnist:pca:50, mnist or the path of an own table. own : arguments of ``load`` that
        say where its classes and its parts are.
        """
        name, pca = dataset_and_components(token)
        if name not in self.tables:
            options = self.options
            self.tables[name] = load(
                name, options.data_dir, source=options.source, quiet=options.quiet, **own
            )
            self.say(f"{name}: found in {self.tables[name].place}")
            data = self.tables[name].data
            for note in (*data.notes, *decision_lines(data.columns)):
                self.say(note)
        return self.tables[name], pca


def dataset_and_components(token: str) -> tuple[str, int]:
    """The name and the number of principal components in mnist:pca:50; 0 components in mnist.

    Raises UserError for other features.
    """
    name, features = split_token(token, "--dataset")
    if features.image_encoder:
        raise UserError(f"--dataset {token}: explore.py makes pca:N features, not {features}")
    return name, features.components
