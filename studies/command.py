"""The command behind explore.py: make the studies that are named, write and print them."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from common.cli import narrator, seeds_text
from common.errors import UserError, check_known
from common.files import prepare_folder, write_files
from common.kinds import Protocol
from common.registry import check_free
from data_prep.feature_choice import split_token
from data_utils import Table, load
from experiments.pipeline import use_plugins
from experiments.settings import check_split_column
from studies.base import Study
from studies.bench import Bench
from studies.options import ExplorationOptions
from studies.page import html_page
from studies.registry import STUDIES
from studies.results import make_result


def run(options: ExplorationOptions, given: dict[str, Any]) -> None:
    """Make every study that is named, write its files and, if all are made, the page; then print.

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
    prepare_folder(options.out)
    builder = BenchBuilder(options, say)
    benches = [builder.bench(study) for study in studies]  # all data sets load before any study
    results = [
        make_result(study, bench, command_line([study.name], given))
        for study, bench in zip(studies, benches, strict=True)
    ]
    files: dict[str, bytes] = {}
    for result in results:
        files |= result.files()
    if len(studies) == len(STUDIES):
        files["index.html"] = html_page(results, command_line(["all"], given))
    write_files(options.out, files)
    for result in results:
        say(result.text())
    names = ", ".join(name for name in files if not name.endswith("-dark.png"))
    say(f"\n{names} in {options.out}")


def chosen_studies(names: Sequence[str]) -> list[Study]:
    """The studies of these names, in the registry's order; all of them for "all".

    Raises UserError if there is no name, or an unknown one.
    """
    if not names:
        raise UserError(f"name a study: {', '.join(STUDIES)}, or all")
    for name in names:
        check_known("study", name, [*STUDIES, "all"])
    return [study for study in STUDIES.values() if {study.name, "all"} & set(names)]


def command_line(names: Sequence[str], given: dict[str, Any]) -> str:
    """The command that makes the same studies again.

    Options that change no result are left out: the folder, the processes, and --quiet.
    """
    words = ["python", "explore.py", *names]
    for name, value in given.items():
        if name not in ("studies", "jobs", "out", "quiet"):
            texts = [seeds_text(value)] if name == "seeds" else [str(value)]
            if name == "plugin":
                texts = [str(path) for path in value]
            for text in texts:
                words += ["--" + name.replace("_", "-"), text]
    return shlex.join(words)


@dataclass
class BenchBuilder:
    """Makes the bench of each study; a data set that several studies share is loaded once.

    say : prints a remark. tables : the data sets loaded so far, by name.
    """

    options: ExplorationOptions
    say: Callable[[str], None]
    tables: dict[str, Table] = field(default_factory=dict)

    def bench(self, study: Study) -> Bench:
        """The data and the settings that ``study`` is made with.

        Raises UserError if there is no such data set, or if the study does not work on it.
        """
        options = self.options
        table, pca = self._data(study)
        bench = Bench(
            table=table,
            protocol=Protocol(options.protocol),
            seeds=options.seeds,
            init=options.init or study.init or table.dataset.init,
            pca=study.pca or pca,
            rounds=options.rounds,
            budget=options.budget,
            jobs=options.jobs,
            quiet=options.quiet,
            study=study.name,
        )
        # The few labeled rows that a study asks for may leave out a rare class. Then it gets the
        # data set's own number; a number that the user asked for is never replaced.
        if options.init or bench.can_split(bench.init):
            return bench
        return replace(bench, init=table.dataset.init)

    def _data(self, study: Study) -> tuple[Table, int]:
        """The data set for a study, and the number of principal components to use of it."""
        options = self.options
        own = {name: getattr(options, name) for name in ("target", "labels", "split_column")}
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
        return self.tables[name], pca


def dataset_and_components(token: str) -> tuple[str, int]:
    """The name and the number of principal components in mnist:pca:50; 0 components in mnist.

    Raises UserError for other features.
    """
    name, features = split_token(token, "--dataset")
    if features.image_encoder:
        raise UserError(f"--dataset {token}: explore.py makes pca:N features, not {features}")
    return name, features.components
