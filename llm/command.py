"""The command behind main_llm.py: a stand-in labels texts, and an encoder is fine-tuned on them.

The stand-in is logistic regression on the frozen encoder's embeddings. It runs in the same loop as
the other scripts, where strategies pick texts and label them. The encoder is then fine-tuned on
these texts, as RoBERTa is on GLUE in the paper (arXiv 2405.17627).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from time import perf_counter
from typing import Any

from common.cli import narrator
from common.errors import UserError
from common.escape import terminal
from common.files import prepare_folder
from common.kinds import Protocol
from common.program import library_versions
from data_prep.files import provenance_lines
from data_prep.reading import FileReading, as_option
from data_prep.text_encoder import open_encoder
from experiments import listing, pipeline
from experiments.options import ExperimentOptions
from experiments.results import folder_of, read_record, save
from experiments.runner import run_experiment
from experiments.settings import find_device, settle
from llm.data import LanguageData, split_texts
from llm.finetuning import FineTuner, tune_all, tuned_frame
from llm.gallery import gallery_frame
from llm.options import LanguageOptions, TuningMode
from llm.references import references_table
from llm.report import LEGEND, LanguageReport
from llm.stand_in import NONE, StandInRun
from llm.texts import GLUE, Texts, load, task_lines
from llm.training import RATES, Recipe
from strategies.registry import REFERENCES, chosen_methods

MOST = 12_000  # texts of a GLUE task beside its test set: QNLI has 104,743 pairs
RECORDED = ("transformers", "peft", "tokenizers")


def run(options: LanguageOptions, given: dict[str, Any]) -> None:
    """Load, embed, pick, fine-tune, save, print.

    given : the options that the user set, by name. Raises UserError for whatever the user can mend.
    """
    if options.list:
        print("\n".join([*task_lines(), *listing.strategy_lines()]))
        return
    say = narrator(options.quiet)

    # A mistake in the options ends here, before anything is loaded.
    asked, rounds = experiment_options(options), tuned_rounds(options)
    texts = open_texts(options, say)
    prepare_folder(options.out)

    # The texts as the encoder reads them, and their embeddings as a data set for the loop.
    encoder = open_encoder(options.encoder, options.max_tokens)
    data = LanguageData(texts, encoder, encoder.tokens(texts.columns))
    for note in data.notes:
        say(note)
    start = perf_counter()
    table = data.table(asked.device, options.quiet, say)
    say(f"{len(texts.y):,} embeddings of {encoder.name} in {perf_counter() - start:.1f} s")

    settings = settle(asked, given, table.dataset)
    split_of = partial(split_texts, table, texts.test, settings.init)
    tuner = FineTuner(data, recipe_of(options, settings.loop.device))
    if options.references:
        print(terminal(references_table(tuner, split_of, settings)))
        return
    earlier = read_record(folder_of(settings, table))
    result = run_experiment(table, split_of, settings, say)
    if earlier.get("language", {}).get("recipe", asdict(tuner.recipe)) != asdict(tuner.recipe):
        say(
            f"note: {result.folder} holds another fine-tuning, whose tables are replaced; its "
            "trainings stay in its folder runs"
        )
    fine_tune(replace(tuner, store=result.store.folder), StandInRun(result, split_of), rounds, say)


def fine_tune(
    tuner: FineTuner, stand_in: StandInRun, rounds: Sequence[int], say: Callable[[str], None]
) -> None:
    """Fine-tune the encoder on what the stand-in's run picked, save all results, and print them.

    rounds : after which to fine-tune, ascending.
    """
    start = perf_counter()
    result = stand_in.result
    tuned = tuned_frame(tune_all(tuner, stand_in, rounds))
    gallery = gallery_frame(tuner.data.texts, stand_in)
    recipe = tuner.recipe
    report = LanguageReport(
        result,
        tuned,
        gallery,
        f"{tuner.data.encoder.name} fine-tuned ({recipe.tune}, "
        f"{tuned['parameters'].max():,} trainable parameters, {recipe.epochs_text})",
    )
    seconds = perf_counter() - start
    record = language_record(tuner, rounds) | {"tuning_seconds": seconds}
    save(result, report.files(), {"language": record})

    pipeline.print_result(result, say)
    print(terminal("\n".join([report.training, *report.tables])))
    print("\n".join([*report.leaders, str(report.agreement)]))
    say(LEGEND)
    say(f"{seconds:.0f} s of fine-tuning; report.md and all files in {result.folder}")


def experiment_options(options: LanguageOptions) -> ExperimentOptions:
    """The options of the stand-in's experiment, with the methods and the device decided.

    Raises UserError for an unknown method, for no method to compare, or if the device is not here.
    """
    methods = tuple(name for name in options.methods if name != NONE)
    methods = chosen_methods(methods) if methods else ()
    if set(methods) <= set(REFERENCES):
        raise UserError("--methods names none and references alone: name a method to compare")
    known = {item.name for item in fields(ExperimentOptions)}
    shared = {name: value for name, value in vars(options).items() if name in known}
    decided = {
        "dataset": options.dataset or options.task,
        "methods": methods,
        "protocol": Protocol.TUNED,
        "device": find_device(options.device),
    }
    return ExperimentOptions(**shared | decided)


def tuned_rounds(options: LanguageOptions) -> tuple[int, ...]:
    """The rounds after which the encoder is fine-tuned, ascending.

    Raises UserError for a round that the run does not have.
    """
    rounds = options.tune_at or (options.rounds,)
    if rounds[-1] > options.rounds:
        raise UserError(
            f"--tune-at {rounds[-1]}: the run has {options.rounds} rounds: name one of them, or "
            "give more --rounds"
        )
    return rounds


def recipe_of(options: LanguageOptions, device: str) -> Recipe:
    """How to fine-tune: the mode decides the learning rate if no option says otherwise."""
    mode = TuningMode(options.tune)
    rate = RATES[mode] if options.learning_rate is None else options.learning_rate
    return Recipe(mode, options.epochs, options.batch, rate, device)


def open_texts(options: LanguageOptions, say: Callable[[str], None]) -> Texts:
    """Load the texts, and say where they were and how many are used.

    Raises UserError as ``load`` does, and for options that do not go together.
    """
    reading = FileReading.of(options)
    own = [name for name in ("text_column", "target") if getattr(options, name)]
    if options.dataset is None and (chosen := [*own, *reading.chosen()]):
        raise UserError(f"{as_option(chosen[0])} is for a table of your own: give --dataset")
    if options.dataset is not None and "." not in options.dataset:
        raise UserError(f"--dataset {options.dataset} is no table: name a file, or give --task")
    name = options.dataset or options.task
    texts = load(
        name,
        options.data_dir,
        text_columns=options.text_column,
        target=options.target,
        reading=reading,
        most=options.texts or (MOST if name in GLUE else None),
    )
    for line in provenance_lines(name, texts.place, texts.files, texts.dropped, unit="texts"):
        say(line)
    return texts


def language_record(tuner: FineTuner, rounds: Sequence[int]) -> dict[str, Any]:
    """What run.json says of the texts, the encoder and the fine-tuning."""
    data = tuner.data
    return {
        "task": data.texts.name,
        "encoder": data.encoder.name,
        "encoder_sha256": data.encoder.digest,
        "max_tokens": data.encoder.most_tokens,
        "recipe": asdict(tuner.recipe),
        "tune_at": list(rounds),
        "notes": data.notes,
        "versions": library_versions(RECORDED),
    }
