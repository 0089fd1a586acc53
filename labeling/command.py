"""The command behind label.py: check, read, measure, label, save, print."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from tqdm import tqdm

from common.cli import narrator
from common.errors import UserError
from common.escape import terminal
from common.parallel import few_threads
from labeling import verdict
from labeling.cross_validation import FOLDS, REPEATS, TooFewRows, measure
from labeling.labeler import SalutaryLabeler
from labeling.options import LabelOptions
from labeling.output_tables import LabeledPool, output_lines, write_outputs
from labeling.settings import LabelSettings, settle
from labeling.user_tables import UserTables, open_tables

TRIED = 5_000  # random pool rows that the measurement labels


def run(options: LabelOptions) -> None:
    """Measure whether salutary labels help, give them, write the files, print the answer.

    With ``dry_run`` nothing is labeled or written. The answer is advice: it changes no file.
    Raises UserError for every mistake that the user can mend.
    """
    say = narrator(options.quiet)
    settings = settle(options)
    rng = np.random.default_rng(settings.seed)
    tables = open_tables(settings.files, settings.plan.budget, rng, say)
    with arithmetic_errors():
        labeler = fitted_labeler(settings, tables)
        say_of_validation(labeler, tables, say)
        answer = measured_answer(settings, labeler, tables, rng)
        if settings.outputs is None:
            print_lines(answer)
            return
        pool = labeled_pool(settings, labeler, tables)
    written = write_outputs(settings.outputs, tables, pool)

    print_lines(answer)
    if tables.pool_is_sampled:
        say(f"picking from the {len(pool.rows):,} pool rows of largest first-order benefit")
    print_lines(output_lines(settings.outputs, written, len(tables.known.labeled), pool))


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
        settings.method, l2=settings.l2, standardise=False, random_state=settings.seed
    )
    return labeler.fit(*tables.known.arrays())


def say_of_validation(
    labeler: SalutaryLabeler, tables: UserTables, say: Callable[[str], None]
) -> None:
    """Warn of validation rows in the pool, and say what it costs to have no validation table."""
    if same := tables.pool_rows_in_validation():
        say(
            f"warning: {same:,} pool rows equal a validation row in every column used; take them "
            "out if they are the same cases"
        )
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
) -> list[str]:
    """Measure on random pool rows, and return the lines of the answer."""
    X_pool = tables.random_features(max(TRIED, settings.plan.budget), rng)
    bar = tqdm(total=FOLDS * REPEATS, unit="part", disable=settings.quiet, leave=False)
    try:
        with few_threads(X_pool.size), bar:
            evidence = measure(
                labeler,
                tables.known,
                X_pool,
                settings.plan,
                seed=settings.seed,
                on_part=bar.update,
            )
    except TooFewRows as error:
        return list(verdict.unknown_lines(error))
    return list(verdict.answer_lines(evidence))


def labeled_pool(
    settings: LabelSettings, labeler: SalutaryLabeler, tables: UserTables
) -> LabeledPool:
    """Label the pool, or the part of a large pool that ``screen`` chooses."""
    rows = tables.candidates(labeler.screen)
    labels = labeler.label_by_plan(tables.maker.features(rows), settings.plan)
    return LabeledPool(rows, labels, settings.plan.budget)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that may hold names from the user's files."""
    for line in lines:
        print(terminal(line))
