"""The job of main_llm.py: a convex stand-in picks and labels texts, then the encoder is fine-tuned.

The stand-in is logistic regression on the frozen encoder's embeddings, in the same loop as the
other scripts; what it picked and labeled then fine-tunes the encoder, as the paper (arXiv
2405.17627) does with RoBERTa and GLUE.
"""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial
from importlib.metadata import version
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression as PlainRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fidelity
import job
import report
from cli import PROTOCOLS, Options
from data_utils import Table
from encoder import Recipe, open_encoder
from features import Prepared
from models import LogisticRegression
from sources import UserError
from splits import Split, make_split
from texts import GLUE, RATED, Texts, load
from tuning import LanguageData, stored_tune, tune_all

MOST = 12_000  # texts of a GLUE task beside its test set: QNLI has 104,743 pairs
RECORDED = ("transformers", "peft", "tokenizers")


def run(options, given: dict) -> None:
    """Load, pick, fine-tune, print the tables and write the results.

    options : main_llm.LanguageOptions. Raises UserError for whatever the user can mend.
    """
    if options.list:
        print("\n".join([*listed_tasks(), *job.listed_strategies()]))
        return
    say = (lambda text: None) if options.quiet else print
    settled, explicit = settle(options, given)
    texts = open_texts(options, say)
    report.open_folder(options.out)
    encoder = open_encoder(options.encoder, options.max_tokens)
    data = LanguageData(texts, encoder, encoder.tokens(texts.columns))
    for note in data.notes:
        say(note)
    recipe = Recipe(
        options.tune, options.epochs, options.batch, options.learning_rate, settled.device
    )
    start = perf_counter()
    table = data.table(settled.device, options.quiet)
    say(f"{len(texts.y):,} embeddings of {encoder.name} in {perf_counter() - start:.1f} s")
    split_for = partial(split_texts, table, texts.test, options.init)
    if options.references:
        print(references(data, split_for, recipe, settled))
        return
    result = job.compute_on(table, split_for, settled, explicit)
    job.tell(result, say)
    start = perf_counter()
    tuned = tune_all(data, split_for, result, recipe, options.tune_every)
    trained = f"{recipe.tune}, {tuned['parameters'].max():,} trainable parameters"
    epochs = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)}"
    says = f"{encoder.name} fine-tuned ({trained}, {epochs})"
    print(report.grid(fidelity.table(tuned, result.names), f"{says}: test accuracy in %"))
    print(fidelity.sentence(tuned))
    say("± is the deviation over seeds; agree: test texts that both models answer alike")
    shown = fidelity.gallery(data.texts, split_for, result)
    job.save(
        result,
        fidelity.files(result, tuned, shown, says),
        {
            "language": {
                "task": texts.name,
                "encoder": encoder.name,
                "encoder_sha256": encoder.digest,
                "max_tokens": encoder.most_tokens,
                "recipe": asdict(recipe),
                "tune_every": options.tune_every,
                "notes": data.notes,
                "versions": {name: version(name) for name in RECORDED},
                "tuning_seconds": perf_counter() - start,
            }
        },
    )
    job.forget(result)
    say(
        f"{perf_counter() - start:.0f} s of fine-tuning; report.md and all files in {result.folder}"
    )


def settle(options, given: dict) -> tuple[Options, dict]:
    """The options of the shared loop, and what of them differs from the strict protocol."""
    methods = tuple(name for name in options.methods if name != "none")
    methods = job.chosen(methods) if methods else ()
    if job.REFERENCES.issuperset(methods):
        raise UserError("--methods names none and references alone: name a method to compare")
    strict = PROTOCOLS["strict"]
    explicit = {"l2": options.l2} | {key: given[key] for key in strict if key in given}
    known = {item.name for item in fields(Options)} - {"methods", "list", "target", *strict}
    shared = {key: value for key, value in vars(options).items() if key in known}
    settled = Options(**shared | {"dataset": options.dataset or options.task, "methods": methods})
    decided = {"protocol": "strict", "device": job.find_device(options.device)}
    return replace(settled, **decided, **strict | explicit), explicit


def open_texts(options, say: Callable[[str], object]) -> Texts:
    """Load the texts and say where they were and how many are used."""
    if options.dataset is None and (options.text_column or options.target):
        raise UserError("--text-column and --target are for a table of your own: give --dataset")
    if options.dataset is not None and "." not in options.dataset:
        raise UserError(f"--dataset {options.dataset} is no table: name a file, or give --task")
    name = options.dataset or options.task
    texts = load(
        name,
        options.data_dir,
        text_columns=options.text_column,
        target=options.target,
        most=options.texts or (MOST if name in GLUE else None),
    )
    say(f"{name}: found in {texts.place}")
    for file in texts.facts:
        say(f"read {file['path']}: {file['rows']:,} texts, sha256 {file['sha256'][:12]}")
        if file["known_contents"] is False:
            say("  note: it has the form of the known file, but not its contents")
    for count, reason in texts.dropped or [(0, "all are used")]:
        say(f"dropped {count:,} texts: {reason}")
    return texts


def listed_tasks() -> list[str]:
    return [
        "tasks",
        *(f"  {name:11} here: {rated.rows:,} texts        {rated.title}, rated by people"
          for name, rated in RATED.items()),
        *(f"  {name:11} --data-dir or network   GLUE, {' + '.join(columns)}"
          for name, columns in GLUE.items()),
    ]  # fmt: skip


def split_texts(table: Table, test: np.ndarray | None, init: int, seed: int) -> Split:
    """The strict protocol's split; where the task has a test set of its own, that is the test set.

    The fifth of the other texts that would have been the test set then is in the pool.
    """
    if test is None:
        return make_split(table, "strict", init, seed)
    y, data = table.data.y, table.data
    others = np.setdiff1d(np.arange(len(y)), test)
    part = Prepared(data.X[others], y[others], data.rows[others])
    drawn = make_split(replace(table, data=part), "strict", init, seed)
    labeled, validation = others[drawn.labeled], others[drawn.validation]
    pool = others[np.concatenate([drawn.pool, drawn.test])]
    X = StandardScaler().fit(data.X[np.concatenate([labeled, pool])]).transform(data.X)
    return Split(X, y, data.rows, labeled, pool, validation, test)


# --- what all labels give ------------------------------------------------------------------------


def references(
    data: LanguageData, split_for: Callable[[int], Split], recipe: Recipe, options: Options
) -> str:
    """Test accuracies of training on the true labels of all other texts, as a table."""
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        split = split_for(seed)
        rows = np.concatenate([split.labeled, split.pool, split.validation])
        truth = split.y[split.test]
        together = np.array([" ".join(pair) for pair in zip(*data.texts.columns, strict=True)])
        words = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), PlainRegression(max_iter=1000)
        ).fit(together[rows], split.y[rows])
        stand_in = LogisticRegression(options.l2, options.intercept, device=options.device)
        stand_in.fit(split.X[rows], split.y[rows])
        tuned = stored_tune(data, split, rows, split.y[rows], recipe, seed, None, 1)
        answers = {
            "always the most frequent class": np.full(len(truth), pd.Series(split.y).mode()[0]),
            "TF-IDF of words and pairs, logistic regression": words.predict(together[split.test]),
            "embeddings, logistic regression (the stand-in)": stand_in.predict(split.X[split.test]),
            f"fine-tuned, {recipe.tune}, {recipe.epochs} epochs": data.codes[0][tuned["predicted"]],
        }
        for name, given in answers.items():
            found.setdefault(name, []).append(100 * float((given == truth).mean()))
    cells = pd.DataFrame(
        {
            "test accuracy in %": [
                report.spread(np.mean(v), np.std(v, ddof=1) if len(v) > 1 else np.nan, 1, " ± ")
                for v in found.values()
            ]
        },
        index=list(found),
    )
    title = f"{data.texts.name}: all {len(rows):,} true labels, {len(split.test):,} test texts"
    return report.grid(cells, title)
