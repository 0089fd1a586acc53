"""The options of label.py, settled: checked before anything is read, and decided once."""

from collections.abc import Container
from dataclasses import dataclass

from common.errors import UserError, check_known
from common.kinds import PenaltyRule
from common.plugins import use_files
from data_prep.reading import TableReading, of_use
from data_prep.text_columns import TextRules
from labeling.labeler import METHODS
from labeling.model_file import check_portable
from labeling.options import LabelOptions
from labeling.output_tables import OutputFiles, check_outputs, output_files, with_model_files
from labeling.own_model import template_of
from labeling.records import LabelPlan
from labeling.user_tables import KEPT, TableFiles


@dataclass(frozen=True)
class LabelSettings:
    """What label.py is to do.

    outputs : the files to write; None to measure only. method, l2, seed, estimator : of the
    labeler. max_error : the share of labels that may be wrong, for labels within a bound; then
    method and plan play no part. anyway : give and write the labels whatever the answer is.
    quiet : show no progress bar.
    """

    files: TableFiles
    outputs: OutputFiles | None
    plan: LabelPlan
    max_error: float | None
    method: str
    l2: float | PenaltyRule
    seed: int
    estimator: str | None
    anyway: bool
    quiet: bool


# What decides on salutary labels, and not on labels within a bound.
OF_SALUTARY_LABELS = ("budget", "rounds", "abstain", "method")


def settle(options: LabelOptions, given: Container[str] = ()) -> LabelSettings:
    """Check the options, and make the folder that the files go to.

    given : the names of the options that the user set.
    Raises UserError for an option that is missing, unknown or out of range, for two that exclude
    each other, and for a file that cannot be written.
    """
    if options.max_error is not None:
        for name in OF_SALUTARY_LABELS:
            if name in given:
                raise UserError(
                    f"--{name} is for salutary labels, and --max-error labels as many rows as it "
                    "can by another rule: leave one of the two out"
                )
    if options.labeled is None or options.target is None:
        missing = "--labeled" if options.labeled is None else "--target"
        raise UserError(f"{missing} is missing: name your labeled table and its column of classes")
    check_known("--method", options.method, METHODS)
    if options.budget > KEPT:
        raise UserError(f"--budget {options.budget}: at most {KEPT:,} rows can be picked at once")
    reading = TableReading.of(options)
    named = [path for path in (options.labeled, options.unlabeled, options.validation) if path]
    reading.check_use(*map(of_use, named), shown=", ".join(map(str, named)))
    return LabelSettings(
        files=TableFiles(
            labeled=options.labeled,
            unlabeled=options.unlabeled,
            validation=options.validation,
            target=options.target,
            reading=reading,
            free_text=TextRules(portable=options.model_out is not None, quiet=options.quiet),
        ),
        outputs=settle_outputs(options),
        plan=LabelPlan(options.budget, options.rounds, options.abstain),
        max_error=options.max_error,
        method=options.method,
        l2=options.l2,
        seed=options.seed,
        estimator=settle_estimator(options),
        anyway=options.anyway,
        quiet=options.quiet,
    )


def settle_estimator(options: LabelOptions) -> str | None:
    """The name of the user's estimator, checked: the file that brings it is in use from now on."""
    if options.plugin is not None and options.estimator is None:
        raise UserError(
            f"--plugin {options.plugin} is to bring an estimator: name it, as in --estimator "
            f"{options.plugin.stem}.model"
        )
    use_files([options.plugin] if options.plugin else [], options.estimator or "")
    if options.estimator is not None:
        template, shown = template_of(options.estimator, options.seed)
        if options.model_out is not None:
            check_portable(template, shown)
    return options.estimator


def settle_outputs(options: LabelOptions) -> OutputFiles | None:
    """The files to write, checked; None for --dry-run."""
    if options.dry_run:
        return None
    if options.out is None:
        raise UserError("--out is missing: name the file to write, or measure only with --dry-run")
    abstains = options.abstain is not None or options.max_error is not None
    outputs = output_files(options.out, abstains=abstains, excel_safe=options.excel_safe)
    outputs = with_model_files(outputs, options.model_out, options.predictions)
    inputs = [path for path in (options.labeled, options.unlabeled, options.validation) if path]
    check_outputs(outputs, inputs, force=options.force)
    return outputs
