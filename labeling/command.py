"""The command behind label.py: check, read, measure, label, save, print."""

import platform
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from common.cli import narrator
from common.errors import UserError
from common.escape import terminal
from common.parallel import few_threads
from common.program import PROGRAM_HASH, library_versions
from data_prep.columns import Misfits, decisions_record
from labeling.answer import Answer, ClassMix
from labeling.bounded_answer import BoundedAnswer, bounded_answer
from labeling.cross_validation import TooFewRows, class_counts, measure
from labeling.evidence import FOLDS, REPEATS
from labeling.fitting import predicting_model
from labeling.labeler import SalutaryLabeler
from labeling.model_outputs import Model, model_outputs
from labeling.options import LabelOptions
from labeling.output_tables import LabeledPool, OutputFiles, output_lines, write_outputs
from labeling.page import label_page
from labeling.progress import Progress
from labeling.records import LabeledRows
from labeling.settings import LabelSettings, settle
from labeling.user_tables import UserTables, open_tables
from labeling.verdict import Advice, Verdict, verdict

TRIED = 5_000  # random pool rows that the measurement labels
ADVISED_AGAINST = 3  # the exit code


def run(options: LabelOptions, given: Container[str] = ()) -> int:
    """Measure whether salutary labels help; if they do, give them and write the files.

    given : the names of the options that the user set.
    Returns the exit code: ADVISED_AGAINST if the answer is not to use the labels, unless
    ``anyway`` is set. Then, and with ``dry_run``, nothing is labeled or written.
    Raises UserError for every mistake that the user can mend.
    """
    say = narrator(options.quiet)
    settings = settle(options, given)
    rng = np.random.default_rng(settings.seed)
    within = settings.max_error
    tables = open_tables(settings.files, 1 if within else settings.plan.budget, rng, say)
    with arithmetic_errors():
        labeler = fitted_labeler(settings, tables)
    say_of_validation(labeler, tables, say)
    labelings = FOLDS * REPEATS + (settings.outputs is not None)
    progress = Progress(labelings, settings.plan.budget, quiet=settings.quiet or bool(within))
    with arithmetic_errors(), progress:
        answer: Answer | BoundedAnswer
        if within:
            answer, found = bounded_answer(within, labeler, tables)
        else:
            answer = measured_answer(settings, labeler, tables, rng, progress)
        refused = not (answer.advises_use or settings.anyway)
        if refused or settings.outputs is None:
            progress.close()
            print_lines(answer.lines())
            if settings.outputs is not None:
                print_lines([f"{settings.outputs.labeled} is not written: --anyway writes it"])
            return ADVISED_AGAINST if refused else 0
        pool = found if within else labeled_pool(settings, labeler, tables, progress)
        told = saved(options, settings.outputs, labeler, tables, pool, answer)

    print_lines(answer.lines())
    if tables.pool_is_sampled and not within:
        say(f"picking from the {len(pool.rows):,} pool rows of largest first-order benefit")
    print_lines(told)
    return 0


def saved(
    options: LabelOptions,
    outputs: OutputFiles,
    labeler: SalutaryLabeler,
    tables: UserTables,
    pool: LabeledPool,
    answer: Answer | BoundedAnswer,
) -> list[str]:
    """Write all files, or none; returns what a user should know of them."""
    model = predicting_model(labeler, tables.known.labeled, pool.given)
    l2 = None if isinstance(answer, BoundedAnswer) else labeler.l2_
    page = label_page(outputs, labeler, tables, pool, answer)
    facts = file_facts(labeler, tables, pool, model, l2)
    manifest = answer.manifest() | facts | run_facts(options)
    after = model_outputs(outputs, tables, pool, model)
    if after.model is not None:
        manifest["model"] = {"expects_in_place_of_columns": after.model.expected}
    more = after.contents() | {outputs.page: page}
    written = write_outputs(outputs, tables, pool, manifest, more=more, force=options.force)
    lines = list(output_lines(outputs, written, len(tables.known.labeled), pool))
    lines.append(f"{outputs.page}: a page to look at the labels, correct them and reject them")
    return [*lines, *after.lines()]


@contextmanager
def arithmetic_errors() -> Iterator[None]:
    """Turn the LinAlgError of a fit or a solve into a UserError."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise UserError(f"the model cannot be fitted: {error}") from error


def fitted_labeler(settings: LabelSettings, tables: UserTables) -> SalutaryLabeler:
    """The labeler with the user's parameters, fitted to all known rows."""
    labeler = SalutaryLabeler(
        settings.method,
        l2=settings.l2,
        standardise=False,
        random_state=settings.seed,
        estimator=settings.estimator,
    )
    return labeler.fit(*tables.known.arrays())


def say_of_validation(
    labeler: SalutaryLabeler, tables: UserTables, say: Callable[[str], None]
) -> None:
    """Say what it costs to have no validation table."""
    if labeler.n_validation_:
        say(
            f"validation: {labeler.n_validation_:,} of the {len(tables.known.labeled):,} labeled "
            "rows are set aside to choose the labels, so the labeler starts with fewer rows; "
            "--validation avoids that"
        )


def measured_answer(
    settings: LabelSettings,
    labeler: SalutaryLabeler,
    tables: UserTables,
    rng: np.random.Generator,
    progress: Progress,
) -> Answer:
    """Measure on random pool rows, and judge."""
    mix = class_mix(labeler, tables)
    X_pool = tables.random_features(max(TRIED, settings.plan.budget), rng)
    try:
        with few_threads(X_pool.size):
            evidence = measure(
                labeler,
                tables.known,
                X_pool,
                settings.plan,
                seed=settings.seed,
                on_part=progress.part_done,
                on_picks=progress.picked,
            )
    except TooFewRows as error:
        return Answer(Verdict(Advice.UNKNOWN, str(error)), None, mix)
    return Answer(verdict(evidence), evidence, mix)


def class_mix(labeler: SalutaryLabeler, tables: UserTables) -> ClassMix:
    """The classes of the labeled rows, and of the model's predictions on the sample of the pool."""
    classes = labeler.classes_
    predicted = labeler.predict(tables.maker.features(tables.sample, tables.files.pool_name))
    return ClassMix(
        names=[str(tables.cells.spelling[label]) for label in classes.tolist()],
        labeled=class_counts(classes, tables.known.labeled.y),
        predicted=class_counts(classes, predicted),
    )


def labeled_pool(
    settings: LabelSettings, labeler: SalutaryLabeler, tables: UserTables, progress: Progress
) -> LabeledPool:
    """Label the pool, or the part of a large pool that ``screen`` chooses."""
    rows = tables.candidates(labeler.screen)
    X = tables.maker.features(rows, Misfits(tables.files.pool_name, partial=True))
    labels = labeler.label_by_plan(X, settings.plan, progress.picked)
    given = LabeledRows(X[labels.given.rows], labels.given.labels)
    return LabeledPool(rows, labels, given, settings.plan.budget)


def file_facts(
    labeler: SalutaryLabeler, tables: UserTables, pool: LabeledPool, model: Model, l2: float | None
) -> dict:
    """What the JSON file says of the tables that are written, and of the models behind them.

    model : trained on the labeled rows and the labels given. l2 : of the model that picks; None if
    none does.
    """
    counts = class_counts(labeler.classes_, pool.given.y)
    names = [str(tables.cells.spelling[label]) for label in labeler.classes_.tolist()]
    return {
        "columns": decisions_record(tables.maker.columns.decisions),
        "file": {
            "labeled_rows": len(tables.known.labeled),
            "labels_given": dict(zip(names, counts.tolist(), strict=True)),
            "left_for_a_person": len(pool.labels.for_a_person),
            "l2_of_the_model_that_picks": l2,
            "l2_of_a_model_on_this_file": model.l2,
        },
    }


def run_facts(options: LabelOptions) -> dict:
    """The options, and the versions of this program and its libraries."""
    chosen = {name: str(v) if isinstance(v, Path) else v for name, v in asdict(options).items()}
    versions = {"python": platform.python_version(), **library_versions()}
    return {"options": chosen, "program": PROGRAM_HASH, "versions": versions}


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that may hold names from the user's files."""
    for line in lines:
        print(terminal(line))
