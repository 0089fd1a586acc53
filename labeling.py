"""The job of label.py: read a user's tables, measure whether salutary labels help, write them.

The pool is read in chunks and never held whole: one pass draws a random sample of KEPT rows, which
decides on column types, medians and scales together with the labeled rows, and another keeps the
KEPT rows of the largest first-order benefit, which the method then picks from. A pool of up to KEPT
rows is all kept, so that nothing is approximated.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from prettytable import PrettyTable
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import evidence
import report
import tables
from evidence import PLAIN, PLUS, SPENT, Evidence
from features import classes_of
from label import Labeling
from labeler import METHODS, Labels, SalutaryLabeler, few_threads, split_off
from sources import UserError, choose

KEPT = 50_000  # pool rows that the method picks from
TRIED = 5_000  # of the sample, the pool rows that the measurement labels
ADDED = ("benefit", "runner_up", "probability", "round")


@dataclass(frozen=True)
class Tables:
    """What was read. ``pool`` starts a pass over its chunks; the frames hold the files' own cells.

    y, y_validation : classes of the frames' rows; ``spelling``: the cell that each class has in the
    labeled table.
    """

    labeled: pd.DataFrame
    y: np.ndarray
    validation: pd.DataFrame | None
    y_validation: np.ndarray | None
    pool: Callable[[], Iterator[pd.DataFrame]]
    spelling: dict


def run(options: Labeling) -> None:
    """Read, measure, print the answer, and unless ``dry_run`` write the files.

    Raises UserError for whatever the user can mend.
    """
    say = (lambda text: None) if options.quiet else print
    outputs = check(options)
    read = read_tables(options, say)
    rng = np.random.default_rng(options.seed)
    sample, size = sampled(read.pool(), rng)
    if size < options.budget:
        raise UserError(f"--budget {options.budget}: the pool has {size:,} rows, ask for fewer")
    columns, scaler = fit_features(options, read, sample, say)

    def features(frame: pd.DataFrame) -> np.ndarray:
        X = columns.transform(frame)
        bad = np.isinf(X)  # possible in validation rows and beyond the sample
        if not bad.any():
            X = scaler.transform(X)  # fills NaN
            bad = ~np.isfinite(X)
        if bad.any():
            name = columns.names[int(bad.any(axis=0).argmax())]
            raise UserError(
                f"column {name!r} holds infinite numbers, or some too large to standardise: "
                "mend them, or divide the column by something"
            )
        return X

    X = features(read.labeled)
    features(sample)
    say(
        f"{len(X):,} labeled rows, {size:,} pool rows; {X.shape[1]} features of "
        f"{len(columns.texts)} columns, {len(read.spelling)} classes"
    )
    validation = None
    if read.validation is not None:
        validation = features(read.validation), read.y_validation
    labeler = SalutaryLabeler(
        options.method, l2=options.l2, standardise=False, random_state=options.seed
    )
    try:
        labeler.fit(X, read.y, *(validation or ()))
        warn_of_leak(validation, (features(chunk) for chunk in read.pool()), say)
        if labeler.n_validation_:
            say(
                f"validation: {labeler.n_validation_:,} of the {len(X):,} labeled rows are set "
                f"aside to choose the labels, which costs the start as many; --validation spares it"
            )
        tried = rng.permutation(len(sample))[: max(TRIED, options.budget)]
        answer(options, labeler, X, read.y, validation, features(sample.iloc[np.sort(tried)]))
        if options.dry_run:
            return
        candidates = sample
        if size > KEPT:
            scored = ((labeler.screen(features(chunk)), chunk) for chunk in read.pool())
            candidates = best(scored, KEPT)
            say(f"picking from the {len(candidates):,} pool rows of largest first-order benefit")
        labels = labeler.label(
            features(candidates), options.budget, rounds=options.rounds, abstain=options.abstain
        )
    except np.linalg.LinAlgError as error:
        raise UserError(f"the model cannot be fitted: {error}") from error
    save(options, outputs, read, columns, candidates, labels)


def check(options: Labeling) -> dict[str, Path]:
    """The files to write, after a look at whether they can be: "out" and, to abstain, "left"."""
    if options.labeled is None or options.target is None:
        missing = "--labeled" if options.labeled is None else "--target"
        raise UserError(f"{missing} is missing: name your labeled table and its column of classes")
    choose("--method", options.method, METHODS)
    if options.budget > KEPT:
        raise UserError(f"--budget {options.budget}: at most {KEPT:,} rows can be picked at once")
    if options.encoding:
        try:
            codecs.lookup(options.encoding)
        except LookupError as error:
            raise UserError(f"--encoding {options.encoding!r} is unknown: try latin-1") from error
    if options.dry_run:
        return {}
    if options.out is None:
        raise UserError("--out is missing: name the file to write, or measure only with --dry-run")
    tables.form_of(options.out)
    outputs = {"out": options.out}
    if options.abstain is not None:
        stem, dot, ends = options.out.name.partition(".")
        outputs["left"] = options.out.with_name(f"{stem}_left{dot}{ends}")
    inputs = [p.resolve() for p in (options.labeled, options.unlabeled, options.validation) if p]
    for path in outputs.values():
        if path.resolve() in inputs:
            raise UserError(f"{path} is one of the tables to read: name another file with --out")
        if path.is_dir():
            raise UserError(f"{path} is a folder: name a file with --out")
        if path.exists() and not options.force:
            raise UserError(f"{path} exists: name another file with --out, or add --force")
    report.open_folder(options.out.parent)
    return outputs


def read_tables(options: Labeling, say: Callable[[str], object]) -> Tables:
    """Labeled and validation rows whole, the pool as a way to read it; all checked."""
    target = options.target

    def all_rows(path: Path) -> Iterator[pd.DataFrame]:
        for chunk in tables.chunks(path, options.encoding):
            choose("--target", target, list(chunk))
            yield chunk

    def known(path: Path) -> pd.DataFrame:
        rows = pd.concat(c[~tables.is_missing(c[target])] for c in all_rows(path))
        if rows.empty:
            raise UserError(f"{path} has no row with a {target!r}: give some rows their labels")
        return rows

    def blank_rows() -> Iterator[pd.DataFrame]:
        return (c[tables.is_missing(c[target])] for c in all_rows(options.labeled))

    labeled = known(options.labeled)
    clash = [name for name in ADDED if name in labeled]
    if clash:
        raise UserError(
            f"{options.labeled} has a column {clash[0]!r}, which label.py adds: rename it"
        )
    pool = blank_rows
    if options.unlabeled:

        def pool() -> Iterator[pd.DataFrame]:
            return tables.chunks(options.unlabeled, options.encoding)

        skipped = sum(map(len, blank_rows()))
        if skipped:
            say(f"{options.labeled}: {skipped:,} rows without {target!r} are left out")
        first = next(pool())
        same_columns(labeled, options.labeled, first, options.unlabeled, target)
        if target in first and not tables.is_missing(first[target]).all():
            say(f"{options.unlabeled}: its column {target!r} is not read")
    elif not any(map(len, blank_rows())):
        raise UserError(
            f"{options.labeled} has no row with a blank {target!r}, and --unlabeled is missing: "
            "there is no pool"
        )
    validation = known(options.validation) if options.validation else None
    if validation is not None:
        same_columns(labeled, options.labeled, validation, options.validation, target)
        validation = validation[labeled.columns]
    cells = labeled[target] if validation is None else pd.concat([labeled, validation])[target]
    classes_of(labeled[target])  # two classes at least, in these
    y, spelling = classes_of(cells), {}
    y, y_validation = y[: len(labeled)], y[len(labeled) :]
    strange = np.setdiff1d(y_validation, y)
    if len(strange):
        raise UserError(
            f"class {str(strange[0])!r} is in {options.validation} but not in {options.labeled}: "
            "label a row of it, or leave it out"
        )
    for label, cell in zip(y, labeled[target], strict=True):
        spelling.setdefault(label, cell)
    if validation is None:
        y_validation = None
        if not split_off(y, 0.25, np.random.default_rng(0)).any():
            raise UserError(
                f"{options.labeled} has too few labeled rows to split a validation part off: give "
                "--validation, or label more"
            )
    return Tables(labeled, y, validation, y_validation, pool, spelling)


def same_columns(a: pd.DataFrame, path_a: Path, b: pd.DataFrame, path_b: Path, target: str) -> None:
    """Raise UserError, with names, where the tables differ in a column other than the target."""
    lacking = [name for name in a if name not in b and name != target]
    extra = [name for name in b if name not in a]
    told = [f"{path_b} lacks {', '.join(map(repr, lacking[:5]))}"] if lacking else []
    told += [f"{path_a} lacks {', '.join(map(repr, extra[:5]))}"] if extra else []
    if told:
        raise UserError(f"the columns differ: {'; '.join(told)}")


def sampled(pool: Iterable[pd.DataFrame], rng: np.random.Generator) -> tuple[pd.DataFrame, int]:
    """KEPT random rows of the pool, all if there are no more, and how many there are."""
    size = 0

    def keyed():
        nonlocal size
        for chunk in pool:
            size += len(chunk)
            yield rng.random(len(chunk)), chunk

    return best(keyed(), KEPT), size


def best(scored: Iterable[tuple[np.ndarray, pd.DataFrame]], count: int) -> pd.DataFrame:
    """The ``count`` rows of highest score over all chunks, in their own order; ties to the earlier.

    Holds ``count`` rows and a chunk at any time.
    """
    scores, rows = np.empty(0), []
    for new, chunk in scored:
        rows.append(chunk)
        scores = np.append(scores, new)
        if len(scores) > count:
            kept = np.sort(np.argsort(-scores, kind="stable")[:count])
            rows, scores = [pd.concat(rows).iloc[kept]], scores[kept]
    return pd.concat(rows)


def fit_features(
    options: Labeling, read: Tables, sample: pd.DataFrame, say: Callable[[str], object]
) -> tuple[tables.Columns, Pipeline]:
    """What makes features: column types, then medians and scales, of labeled rows + the sample."""
    names = read.labeled.columns.drop(options.target)
    both = pd.concat([read.labeled[names], sample[names]], ignore_index=True)
    columns = tables.Columns().fit(both, "labeled + pool")
    for note in columns.notes:
        say(note)
    scaler = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    with np.errstate(all="ignore"):  # what overflows is told of in ``run``
        return columns, scaler.fit(columns.transform(both))


def warn_of_leak(validation, pool: Iterable[np.ndarray], say: Callable[[str], object]) -> None:
    """Count the pool rows that equal a validation row in every feature."""
    if validation is None:
        return
    known = pd.DataFrame(validation[0]).round(9)
    known = pd.util.hash_pandas_object(known, index=False)
    same = 0
    for X in pool:
        hashes = pd.util.hash_pandas_object(pd.DataFrame(X).round(9), index=False)
        same += int(hashes.isin(known).sum())
    if same:
        say(
            f"warning: {same:,} pool rows equal a validation row in every column used; take them "
            "out if they are the same cases"
        )


def answer(options: Labeling, labeler, X, y, validation, X_pool) -> None:
    """Measure, and print the table, the verdict and the fair alternative."""
    parts = evidence.FOLDS * evidence.REPEATS
    try:
        with (
            few_threads(X_pool),
            tqdm(total=parts, unit="part", disable=options.quiet, leave=False) as bar,
        ):
            found = evidence.measure(
                labeler,
                X,
                y,
                validation,
                X_pool,
                options.budget,
                rounds=options.rounds,
                abstain=options.abstain,
                seed=options.seed,
                on_part=bar.update,
            )
    except evidence.TooFew as error:
        print(f"not measured: {error}")
        print("answer: whether the labels help here is unknown: do not use the labels.")
        return
    print(shown(found))
    helps, why = found.verdict()
    print(f"answer: {why}: {'use the labels' if helps else 'do not use the labels'}.")
    if SPENT not in found.accuracy:
        print(
            "The fair alternative is the first row: it trains on all labeled rows, those that "
            "would be set aside to choose the labels included."
        )
        return
    better = found.log_loss[SPENT].mean() < found.log_loss[PLUS].mean()
    print(
        "The fair alternative, training on the validation labels instead, is "
        + ("better: where you may, do that." if better else "no better here.")
    )


def shown(found: Evidence) -> str:
    """Arms × accuracy and log loss, each with its gain over the labeled rows alone."""
    out = PrettyTable(
        ["trained on", "accuracy", "gain (95 %)", "log loss", "fall (95 %)"],
        title=f"held-out rows: {len(found.prior_loss)} parts of {found.held:.0f}, "
        f"{found.given:.0f} labels given",
        align="r",
    )
    out.align["trained on"] = "l"
    for arm in (arm for arm in (PLAIN, PLUS, SPENT) if arm in found.accuracy):
        a, b = found.accuracy_gain(arm), found.loss_gain(arm)
        gains = ["", ""]
        if arm != PLAIN:
            gains = [f"{100 * a.mean:+.1f} ± {100 * a.half:.1f}", f"{b.mean:+.3f} ± {b.half:.3f}"]
        accuracy, loss = found.accuracy[arm].mean(), found.log_loss[arm].mean()
        out.add_row([arm, f"{100 * accuracy:.1f} %", gains[0], f"{loss:.3f}", gains[1]])
    return out.get_string()


def save(
    options: Labeling,
    outputs: dict[str, Path],
    read: Tables,
    columns: tables.Columns,
    candidates: pd.DataFrame,
    labels: Labels,
) -> None:
    """Write the labeled rows and those that were given labels; those left for a person apart."""
    given, left = labels.given, labels.for_a_person
    frames = {
        "out": pd.concat(
            [read.labeled.assign(round=0), frame_of(given, options, read, candidates)]
        ),
        "left": frame_of(left, options, read, candidates),
    }
    made = {}
    for name, path in outputs.items():
        frame = frames[name].reindex(columns=[*read.labeled.columns, *ADDED])
        frame["round"] = frame["round"].astype(int)
        made[path.name], quoted = tables.as_file(frame, path, columns.numbers)
        if quoted:
            print(f"{path}: {quoted:,} cells that a spreadsheet would run begin with ' there")
    report.write(options.out.parent, made)
    print(f"{options.out}: {len(read.labeled):,} labeled rows (round 0), {len(given):,} more")
    if len(labels) < options.budget:
        print(f"stopped after {len(labels):,} of {options.budget:,}: no other label helps")
    if "left" in outputs:
        print(f"{outputs['left']}: {len(left):,} rows left for a person, most useful first")


def frame_of(labels: Labels, options: Labeling, read: Tables, candidates: pd.DataFrame):
    """The rows as their file has them, with the label in the target column and what is added."""
    frame = candidates.iloc[labels.rows].copy()
    frame[options.target] = [read.spelling[label] for label in labels.labels.tolist()]
    return frame.assign(**{name: getattr(labels, name) for name in ADDED})
