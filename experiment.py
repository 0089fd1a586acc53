"""The loop that all strategies share: fit → pick → label → record (paper, section 4).

The only place that holds pool labels. A strategy gets a ``Query`` without them and either buys the
labels of its picks here, where each is counted, or gives its own. A reference picks nothing: its
curve is flat from round 1 on.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from socket import gethostname
from time import perf_counter

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import baselines  # noqa: F401, registers its strategies
import influence
from audit import audit
from mlp import MLP
from models import LogisticRegression
from report import write
from sources import UserError
from splits import Split
from strategies import STRATEGIES, Picks, Query, Strategy
from units import as_tensor
from workers import spread

LARGE = 20_000_000  # numbers in the features from which on torch's products are worth threads


@dataclass(frozen=True)
class Settings:
    """What a run needs to know beside its data: see the options of the same names in cli.py.

    ``legacy_generator`` draws from numpy's RandomState with the published seeds instead of a
    Generator: without it the published Random and Pred. Infl. curves cannot be repeated.
    """

    rounds: int = 10
    budget: int = 10
    model: str = "logistic"
    l2: float = 50.0
    intercept: bool = False
    hessian: str = "pool"
    fit: str = "newton"
    solver: str = "auto"
    damping: float = 0.0
    device: str = "cpu"
    dtype: str = "float64"
    legacy_generator: bool = True


@dataclass(frozen=True)
class Features:
    """A split's features as the models take them, brought to the device once for all methods."""

    pool: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    norms: np.ndarray  # of every row

    @classmethod
    def of(cls, split: Split, settings: Settings) -> "Features":
        parts = (split.X[part] for part in (split.pool, split.validation, split.test))
        kind = settings.device, getattr(torch, settings.dtype)
        norms = np.sqrt(np.einsum("nd,nd->n", split.X, split.X))
        return cls(*(as_tensor(part, *kind) for part in parts), norms)


def run(
    split: Split,
    method: str,
    settings: Settings,
    seed: int,
    on_round: Callable[[], object] = lambda: None,
    features: Features | None = None,
) -> tuple[list[dict], list[dict]]:
    """One method on one split: a curve of rounds + 1 records, and a record per pick.

    features : ``Features.of(split, settings)``, where it is made already.
    Raises UserError where the pool is smaller than rounds × budget.
    """
    check(split, settings)
    features = features or Features.of(split, settings)
    norms = features.norms
    strategy = STRATEGIES[method]
    rng = generator(strategy, settings, seed)
    labeled, labels = split.labeled, split.y[split.labeled]  # labels: true at first, then as given
    left, bought, memory = np.arange(len(split.pool)), 0, {}
    y_validation = split.y[split.validation]
    kind = settings.device, getattr(torch, settings.dtype)
    model = classifier(settings, seed)
    curve, picked = [], []
    reference = strategy.labels == "reference"  # fitted once, in round 1
    reads = strategy.reads_validation

    for round_number in range((min(settings.rounds, 1) if reference else settings.rounds) + 1):
        start = perf_counter()
        if round_number > 0 and reference:
            labeled = strategy.pick(split)
            labels, bought = split.y[labeled], int(np.isin(labeled, split.pool).sum())
        elif round_number > 0:
            embed = model.embed_checked
            query = Query(
                model=model.head_,  # a logistic regression is its own last layer
                X_labeled=embed(as_tensor(split.X[labeled], *kind)).cpu().numpy(),
                y_labeled=labels,
                initial=len(split.labeled),
                pool=embed(features.pool),
                left=left,
                X_validation=embed(features.validation).cpu().numpy(),
                y_validation=y_validation,
                budget=settings.budget,
                hessian=settings.hessian,
                rng=rng,
                solver=settings.solver,
                damping=settings.damping,
                memory=memory,
            )
            picks = strategy.pick(query)
            verify(picks, strategy, query)
            rows = split.pool[left[picks.rows]]
            if picks.labels is None:
                given, bought = split.y[rows], bought + len(rows)
            else:
                given = picks.labels
            labeled, labels = np.append(labeled, rows), np.append(labels, given)
            left = np.delete(left, picks.rows)
            records = pick_records(split, rows, given, picks.scores, norms)
            picked += [{"method": method, "seed": seed, "round": round_number} | r for r in records]
        model.fit_checked(as_tensor(split.X[labeled], *kind), labels)
        seconds = perf_counter() - start
        curve.append(
            {
                "method": method,
                "seed": seed,
                "round": round_number,
                "labels_initial": len(split.labeled),
                "labels_bought": bought,
                "labels_validation": len(y_validation) if reads and round_number > 0 else 0,
                "seconds": seconds,
                "condition": memory.pop("condition", np.nan),
            }
            | measure(model, split, features)
            | audit(picked, round_number, strategy.labels == "own", norms[split.pool].mean())
        )
        on_round()
    for round_number in range(len(curve), settings.rounds + 1):  # of a reference
        curve.append(curve[-1] | {"round": round_number, "seconds": 0.0})
        on_round()
    return curve, picked


def classifier(settings: Settings, seed: int) -> LogisticRegression | MLP:
    """The model of a run, not fitted."""
    if settings.model == "mlp":
        # No warm start: a network that went on training would change from round to round with the
        # number of its steps, not with its labels alone.
        return MLP(
            l2=settings.l2,
            fit_intercept=settings.intercept,
            random_state=seed,
            device=settings.device,
            dtype=settings.dtype,
        )
    return LogisticRegression(
        settings.l2,
        settings.intercept,
        solver=settings.fit,
        warm_start=True,
        device=settings.device,
        dtype=settings.dtype,
    )


def pick_records(split: Split, rows, given, scores, norms: np.ndarray) -> list[dict]:
    """A record per row picked in a round, with its true label and the norm of its features."""
    return [
        {
            "row": split.rows[row],
            "label": label,
            "true_label": split.y[row],
            "score": score,
            "norm": norms[row],
        }
        for row, label, score in zip(rows, given, scores, strict=True)
    ]


def measure(model: LogisticRegression | MLP, split: Split, features: Features) -> dict:
    """How well the model does; ``gap`` is by how much it does better where the influence looked."""
    y_validation, y_test = split.y[split.validation], split.y[split.test]
    head, X_validation = model.head_, model.embed_checked(features.validation)
    on_test = (head.predict_checked(model.embed_checked(features.test)) == y_test).mean()
    on_validation = (head.predict_checked(X_validation) == y_validation).mean()
    loss = influence.loss(head, X_validation, y_validation)
    return {
        "test_accuracy": float(on_test),
        "validation_accuracy": float(on_validation),
        "validation_loss": loss / len(y_validation),
        "gap": float(on_validation - on_test),
    }


def run_all(
    split_for: Callable[[int], Split],
    seeds: Sequence[int],
    methods: Sequence[str],
    settings: Settings,
    on_round: Callable[[int], object] = lambda rounds: None,
    *,
    jobs: int = 1,
    dask: str | None = None,
    store: Path | None = None,
) -> tuple[list[dict], list[dict]]:
    """Every method on the same split for each seed: the records of all curves and picks.

    jobs : processes, a seed at a time each. dask : address of a scheduler whose workers do the
    runs, a method and a seed at a time. store : a folder here that keeps each finished run, so that
    a call that was killed goes on where it stopped; the records are the same in every case.
    Raises UserError where a fit or a solve fails in arithmetic, or as ``run`` and ``spread`` do.
    """
    here = jobs == 1 and not dask  # a callback does not cross processes, nor a folder machines
    shared = (split_for, settings, on_round if here else _silent, None if dask else store)
    tasks = [(seed, methods) for seed in seeds]
    done = {}
    if dask:
        shared = (partial(_last_split, split_for), *shared[1:])
        runs = [(seed, method) for seed in seeds for method in methods]
        done = {run: kept for run in runs if (kept := recall(store, *run))}
        tasks = [(seed, (method,)) for seed, method in runs if (seed, method) not in done]
        on_round(sum(len(curve) for curve, _ in done.values()))
    for (seed, names), results in zip(
        tasks, spread(_run_task, shared, tasks, jobs=jobs, dask=dask), strict=True
    ):
        if not here:
            on_round(sum(len(curve) for curve, _ in results))
        for method, result in zip(names, results, strict=True):
            done[seed, method] = result
            if dask:
                keep(store, seed, method, json.dumps(result))
    ordered = [done[seed, method] for seed in seeds for method in methods]
    return [r for curve, _ in ordered for r in curve], [p for _, picks in ordered for p in picks]


def _run_task(shared: tuple, task: tuple) -> list[tuple[list[dict], list[dict]]]:
    split_for, settings, on_round, store = shared
    if settings.device == "cuda" and not torch.cuda.is_available():  # the worker is not the caller
        raise UserError(f"--device cuda: torch finds no CUDA device on {gethostname()}")
    return run_seed(split_for, *task, settings, on_round, store)


@lru_cache(maxsize=1)
def _last_split(split_for: Callable[[int], Split], seed: int) -> Split:
    """A worker gets the methods of one seed one by one; principal components take seconds."""
    return split_for(seed)


def _silent(rounds: int) -> None:
    """A callback that can be sent away."""


def run_seed(
    split_for: Callable[[int], Split],
    seed: int,
    methods: Sequence[str],
    settings: Settings,
    on_round: Callable[[int], object] = lambda rounds: None,
    store: Path | None = None,
) -> list[tuple[list[dict], list[dict]]]:
    """All methods on one seed's split: what ``run`` gives for each, from the store where it is."""
    split = cache(split_for)
    features = cache(lambda: Features.of(split(seed), settings))
    results = []
    with few_threads(split(seed)):
        for method in methods:
            result = recall(store, seed, method)
            if result:
                on_round(len(result[0]))
            else:
                try:
                    result = run(
                        split(seed),
                        method,
                        settings,
                        seed,
                        lambda: on_round(1),
                        features(),
                    )
                except np.linalg.LinAlgError as error:
                    raise UserError(f"{method}, seed {seed}: {error}") from error
                text = json.dumps(result, default=lambda number: number.item())
                keep(store, seed, method, text)
                result = json.loads(text)
            results.append(result)
    return results


def recall(store: Path | None, seed: int, method: str) -> list | None:
    """What an earlier call left of a run in the store, if it did."""
    path = store and store / f"{method}-{seed}.json"
    return json.loads(path.read_text()) if path and path.is_file() else None


def keep(store: Path | None, seed: int, method: str, text: str) -> None:
    """Leave a finished run in the store, if there is one."""
    if store:
        write(store, {f"{method}-{seed}.json": text.encode()})


@contextmanager
def few_threads(split: Split):
    """Keep NumPy's BLAS to one thread, and torch too where its products are small.

    Two pools of threads fight for the same cores, and several threads gain nothing on a few million
    numbers but wait for each other, many times over where other processes run.
    """
    threads = torch.get_num_threads()
    with threadpool_limits(1, user_api="blas"):
        if split.X.size < LARGE:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def generator(strategy: Strategy, settings: Settings, seed: int):
    """The run's own source of randomness, the same whichever other methods run beside it."""
    if settings.legacy_generator:
        return np.random.RandomState(strategy.legacy_seed + seed)
    return np.random.default_rng(seed)


def check(split: Split, settings: Settings) -> None:
    """Raise UserError where the split cannot feed a run with these settings."""
    wanted = settings.rounds * settings.budget
    if wanted > len(split.pool):
        raise UserError(
            f"--rounds {settings.rounds} × --budget {settings.budget} picks {wanted:,} rows, "
            f"the pool has {len(split.pool):,}: give a smaller --budget, --rounds or --init"
        )


def verify(picks: Picks, strategy: Strategy, query: Query) -> None:
    """Hold a strategy to its contract; a breach is an error of the program, not of the user."""
    rows = np.asarray(picks.rows)
    if len(np.unique(rows)) != query.budget or not ((rows >= 0) & (rows < len(query.left))).all():
        raise AssertionError(f"{strategy.name} must pick {query.budget} different pool rows")
    if (picks.labels is None) != (strategy.labels == "true"):
        raise AssertionError(f"{strategy.name} is registered with labels={strategy.labels!r}")
