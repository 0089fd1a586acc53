"""Fine-tuning on what a run picked: the training sets of its records, and the trainings.

Each fine-tuning is kept when it is done, so that a run that was killed goes on there.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from os import cpu_count
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from tqdm import tqdm

import job
from data_utils import Table, own_dataset
from encoder import Encoder, Recipe, Tokens, embed, tune
from features import Prepared
from models import LogisticRegression
from report import write
from splits import Split
from strategies import STRATEGIES
from texts import Texts


@dataclass(frozen=True)
class LanguageData:
    """Texts, the encoder, and the texts as the encoder reads them."""

    texts: Texts
    encoder: Encoder
    tokens: Tokens

    @property
    def notes(self) -> list[str]:
        cut, unknown = self.tokens.cut, self.tokens.unknown
        notes = [*self.texts.notes]
        if cut:
            notes.append(f"{cut:,} texts are cut to {self.encoder.most_tokens} tokens")
        if unknown:
            notes.append(
                f"{unknown:,} texts hold signs that {self.encoder.name} does not know (emoji, "
                "say): it sees that there is one, not which"
            )
        return notes

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """The classes, sorted, and each text's class number (n,)."""
        return np.unique(self.texts.y, return_inverse=True)

    def table(self, device: str, quiet: bool) -> Table:
        """The embeddings as a data set of the shared loop."""
        X = embed(self.encoder, self.tokens, device, quiet)
        texts = self.texts
        data = Prepared(X, texts.y, texts.rows, texts.dropped, texts.notes)
        dataset = replace(own_dataset(texts.name, data), name=texts.name, title=texts.title)
        # the encoder is part of what the result depends on
        facts = [fact | {"encoder_sha256": self.encoder.digest} for fact in texts.facts]
        return Table(dataset, data, tuple(facts), texts.place)


def training_set(
    split: Split, method: str, picks: pd.DataFrame, round_number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and labels, as given, of what ``method`` trains on after a round.

    picks : those of picks.csv of this method and seed.
    """
    if round_number > 0 and STRATEGIES[method].labels == "reference":
        rows = STRATEGIES[method].pick(split)
        return rows, split.y[rows]
    so_far = picks[picks["round"] <= round_number]
    position = pd.Series(np.arange(len(split.rows)), index=split.rows)
    rows = np.append(split.labeled, position[so_far["row"]].to_numpy(dtype=np.int64))
    labels = np.append(split.y[split.labeled], so_far["label"].to_numpy(split.y.dtype))
    return rows, labels


def tune_all(
    data: LanguageData,
    split_for: Callable[[int], Split],
    result: job.Result,
    recipe: Recipe,
    every: int | None,
) -> pd.DataFrame:
    """Fine-tune after the rounds asked for, each from the same start: a row per training.

    Every method's round 0 is the method ``none``: the labeled texts of the start alone.
    Columns: method, seed, round, labels of people and their sums, stand_in and tuned (test
    accuracies), agreement of the two on the test texts, seconds and parameters.
    """
    options = result.options
    last = options.rounds
    rounds = sorted({*range(every or last, last + 1, every or last), last})
    plan = [
        (seed, method, round_number)
        for seed in options.seeds
        for method, several in [("none", [0]), *((m, rounds) for m in options.methods)]
        for round_number in several
    ]
    tasks = (
        delayed(tune_one)(data, split_for, result, recipe, *item, options.jobs) for item in plan
    )
    running = Parallel(n_jobs=options.jobs, return_as="generator")(tasks)
    bar = tqdm(running, "fine-tuning", len(plan), disable=options.quiet, leave=False)
    return pd.DataFrame(list(bar))


def tune_one(
    data: LanguageData,
    split_for: Callable[[int], Split],
    result: job.Result,
    recipe: Recipe,
    seed: int,
    method: str,
    round_number: int,
    jobs: int,
) -> dict:
    """One fine-tuning, from the store where it is there: its row of ``tune_all``."""
    split, curves, picks = split_for(seed), result.curves, result.picks
    picked = picks[(picks["method"] == method) & (picks["seed"] == seed)]
    rows, labels = training_set(split, method, picked, round_number)
    tuned = stored_tune(data, split, rows, labels, recipe, seed, result.store, jobs)
    options = result.options
    stand_in = LogisticRegression(options.l2, options.intercept, device=options.device)
    stand_in.fit(split.X[rows], labels)
    answers, truth = stand_in.predict(split.X[split.test]), split.y[split.test]
    predicted = data.codes[0][tuned["predicted"]]
    at = (curves["seed"] == seed) & (curves["round"] == round_number)
    record = curves[at & ((method == "none") | (curves["method"] == method))].iloc[0]
    return {
        "method": method,
        "seed": seed,
        "round": round_number,
        "texts": len(rows),
        "labels_initial": record["labels_initial"],
        "labels_bought": record["labels_bought"],
        "labels_validation": 0 if method == "none" else record["labels_validation"],
        "wrong_share": record["wrong_share"],
        "stand_in": float((answers == truth).mean()),
        "tuned": float((predicted == truth).mean()),
        "agreement": float((predicted == answers).mean()),
        "seconds": tuned["seconds"],
        "parameters": tuned["parameters"],
    }


def stored_tune(
    data: LanguageData,
    split: Split,
    rows: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe,
    seed: int,
    store: Path | None,
    jobs: int,
) -> dict:
    """Answers to the test texts (class numbers) of the encoder trained on ``rows``, kept when done.

    The name under which they are kept says all that they depend on, so that like trainings are done
    once.
    """
    codes = np.searchsorted(data.codes[0], labels)
    items, test = data.tokens[rows], data.tokens[split.test]
    said = json.dumps([data.encoder.digest, items, codes.tolist(), test, asdict(recipe), seed])
    name = f"tuned-{hashlib.sha256(said.encode()).hexdigest()[:24]}.json"
    if store and (store / name).is_file():
        return json.loads((store / name).read_text())
    start = perf_counter()
    if jobs > 1:
        torch.set_num_threads(max(1, (cpu_count() or 1) // jobs))
    tuned = tune(data.encoder, items, codes, len(data.codes[0]), test, recipe, seed)
    found = {
        "predicted": tuned.predicted.tolist(),
        "parameters": tuned.parameters,
        "seconds": perf_counter() - start,
    }
    if store:
        write(store, {name: json.dumps(found).encode()})
    return found
