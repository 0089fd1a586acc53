"""``label.py ask``: a sheet of the rows that a person should label next, most useful first."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from common.cli import narrator
from common.errors import UserError, check_known
from common.escape import terminal
from common.files import write_files
from common.kinds import HessianRows
from common.parallel import few_threads
from data_prep import formulas, tables
from data_prep.reading import TableReading, of_use
from data_prep.text_columns import TextRules
from labeling.added_columns import QUOTED, Source, own_columns, prefix_beside
from labeling.fitting import fitted_model
from labeling.labeler import SalutaryLabeler
from labeling.output_tables import check_places
from labeling.records import LabeledRows, split_off
from labeling.sheet_options import AskOptions
from labeling.user_tables import KEPT, TableFiles, UserTables, open_tables
from models import LogisticRegression
from numerics.linear import as_tensor
from strategies.base import InfluenceSettings, Query, Strategy, to_numpy
from strategies.registry import STRATEGIES, VALIDATION_FORMS

# Why a method picked a row, in a person's words. Behind a colon comes the score of the pick.
REASONS = {
    "random": "drawn at random",
    "entropy": "entropy:",
    "uncertainty": "probability of the other classes:",
    "pred_infl": "influence, as a tree predicts it:",
    "isal": "benefit if the guess is right:",
    "coreset": "far from every labeled row",
    "badge": "a large gradient unlike the others'",
    "typiclust": "typical of a group without a label",
    "qbc": "votes of ten models differ, entropy:",
    "bald": "ten models differ, information:",
    "salutary_truth": "benefit under its best label:",
}


class Asked(NamedTuple):
    """Rows of the pool to ask for, most useful first, as their file has them; and why.

    classes (K,) : of the columns of P (b, K), the model's probabilities.
    scores (b,) : what the method picked each row for; NaN if there is no score.
    """

    rows: pd.DataFrame
    classes: list[str]
    P: np.ndarray
    scores: np.ndarray


def buying_methods() -> dict[str, Strategy]:
    """The strategies that ask for labels, by name; some also train on the validation rows."""
    asks = {name: s for name, s in STRATEGIES.items() if not s.gives_labels}
    return {**asks, **VALIDATION_FORMS}


def run(options: AskOptions) -> int:
    """Write the sheet. Raises UserError for every mistake that the user can mend."""
    say = narrator(options.quiet)
    method, files = settle(options)
    rng = np.random.default_rng(options.seed)
    user_tables = open_tables(files, 1, rng, say)
    if user_tables.pool_size < options.n:
        raise UserError(
            f"--n {options.n}: the pool has {user_tables.pool_size:,} rows, ask for fewer"
        )
    if user_tables.pool_is_sampled:
        say(f"asking for rows of a random {KEPT:,} of the pool")
    try:
        asked = most_useful(options, method, user_tables, rng)
    except np.linalg.LinAlgError as error:
        raise UserError(f"the model cannot be fitted: {error}") from error
    out, frame = options.out, sheet(asked, options.method, user_tables)
    assert out is not None  # ``settle`` has checked it
    frame = tables.below_each_other([frame], out)
    if options.excel_safe:
        frame, counts = formulas.quoted(frame)
        frame[prefix_beside(own_columns(user_tables.cells.labeled)) + QUOTED] = counts
    numbers = user_tables.maker.columns.numbers
    content = {out.name: tables.as_file(frame, out, numbers)}
    write_files(out.parent, content, overwrite=options.force)
    told = formulas.would_run(frame) if tables.is_text(out) else 0
    if told:
        print(
            terminal(
                f"{out}: a spreadsheet would run {told:,} of its cells as formulas; --excel-safe "
                "writes them with a ' in front"
            )
        )
    print(
        terminal(
            f"{out}: {len(frame):,} rows to label, most useful first: fill in {files.target!r}, "
            "then label.py merge reads it"
        )
    )
    return 0


def settle(options: AskOptions) -> tuple[Strategy, TableFiles]:
    """The method and the files to read; the folder of the sheet is made.

    Raises UserError for an option that is missing or unknown, or if the sheet cannot be written.
    """
    for name in ("labeled", "target", "out"):
        if getattr(options, name) is None:
            raise UserError(f"--{name} is missing (label.py ask --help lists the options)")
    assert options.labeled is not None
    assert options.target is not None
    assert options.out is not None
    methods = buying_methods()
    if options.method in STRATEGIES and options.method not in methods:
        raise UserError(
            f"--method {options.method} gives labels itself and asks nobody: choose from "
            f"{', '.join(methods)}"
        )
    check_known("--method", options.method, methods)
    method = methods[options.method]
    if options.n > KEPT:
        raise UserError(f"--n {options.n}: at most {KEPT:,} rows can be asked for at once")
    tables.form_of(options.out, tables.WRITTEN)
    if options.excel_safe and not tables.is_text(options.out):
        raise UserError(f"--excel-safe is for .csv and .tsv: leave it out for {options.out}")
    reading = TableReading.of(options)
    inputs = [path for path in (options.labeled, options.unlabeled, options.validation) if path]
    reading.check_use(*map(of_use, inputs), shown=", ".join(map(str, inputs)))
    check_places([options.out], inputs, force=options.force)
    return method, TableFiles(
        labeled=options.labeled,
        unlabeled=options.unlabeled,
        validation=options.validation,
        target=options.target,
        reading=reading,
        free_text=TextRules(quiet=options.quiet),
        validates=method.reads_validation and not method.trains_on_validation,
    )


def most_useful(
    options: AskOptions, method: Strategy, user_tables: UserTables, rng: np.random.Generator
) -> Asked:
    """The rows that the method asks for, and the model's probabilities of their classes."""
    known, validation = user_tables.known.labeled, user_tables.known.validation
    if validation is None and method.reads_validation and not method.trains_on_validation:
        held = split_off(known.y, 0.25, rng)
        known, validation = known[~held], known[held]
    if validation is None:
        validation = LabeledRows(known.X[:0], known.y[:0])
    elif method.trains_on_validation:
        known = known.joined(validation)
    labeler = SalutaryLabeler(l2=options.l2, random_state=options.seed)
    model = fitted_model(labeler, known)
    pool = as_tensor(user_tables.maker.features(user_tables.sample, user_tables.files.pool_name))
    query = _query(model, known, validation, pool, options.n, rng)
    with few_threads(pool.numel()):
        picks = method(query)
    rows = to_numpy(picks.rows)
    spelling = user_tables.cells.spelling
    return Asked(
        rows=user_tables.sample.iloc[rows],
        classes=[str(spelling[label]) for label in model.classes_.tolist()],
        P=model.predict_proba(pool[torch.as_tensor(rows.copy())].numpy()),
        scores=np.asarray(to_numpy(picks.scores), float),
    )


def _query(
    model: LogisticRegression,
    known: LabeledRows,
    validation: LabeledRows,
    pool: torch.Tensor,
    count: int,
    rng: np.random.Generator,
) -> Query:
    return Query(
        model=model,
        X_labeled=as_tensor(known.X),
        y_labeled=known.y,
        initial=len(known),
        pool=pool,
        left=np.arange(len(pool)),
        picked=np.arange(0),
        X_validation=as_tensor(validation.X),
        y_validation=validation.y,
        budget=count,
        rng=rng,
        settings=InfluenceSettings(HessianRows.LABELED),
    )


# --- the sheet ------------------------------------------------------------------------------------


def sheet(asked: Asked, method: str, user_tables: UserTables) -> pd.DataFrame:
    """The sheet: where each row is from, its cells, a blank target, the guess and why it is asked.

    The guess is the likeliest class, ``second_guess`` the next. ``asked`` numbers the rows, so that
    ``merge`` sees which are missing.
    """
    own, target = own_columns(user_tables.cells.labeled), user_tables.files.target
    prefix, count = prefix_beside(own), len(asked.rows)
    order = np.argsort(-asked.P, axis=1, kind="stable")[:, :2]
    first, second = (np.array(asked.classes, object)[column] for column in order.T)
    top, next_ = np.take_along_axis(asked.P, order, 1).T
    sources = {s.value: asked.rows[s].to_numpy() for s in (Source.FILE, Source.ROW)}
    cells = asked.rows.reindex(columns=[name for name in own if name != target])
    parts = [
        pd.DataFrame({prefix + name: values for name, values in sources.items()}),
        cells.reset_index(drop=True),
        pd.DataFrame({target: np.full(count, "", object)}),
        pd.DataFrame(
            {
                prefix + "guess": first,
                prefix + "probability": top.round(4),
                prefix + "second_guess": second,
                prefix + "why": reasons(method, first, second, top - next_, asked.scores),
                prefix + "asked": [f"{k} of {count}" for k in range(1, count + 1)],
                prefix + Source.BY.value: "",
            }
        ),
    ]
    return pd.concat(parts, axis=1)


def reasons(
    method: str, first: np.ndarray, second: np.ndarray, margin: np.ndarray, scores: np.ndarray
) -> list[str]:
    """Why each row is asked for, one short phrase each."""
    name = method.partition("+")[0]
    if name == "margin":
        named = zip(margin.tolist(), first, second, strict=True)
        return [f"margin {gap:.2g} between {one} and {other}" for gap, one, other in named]
    words = REASONS.get(name, f"{name}:")
    if not words.endswith(":"):
        return [words] * len(scores)
    return [words[:-1] if np.isnan(s) else f"{words} {s:.3g}" for s in scores.tolist()]
