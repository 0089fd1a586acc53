"""What several tests use: the real data, the scripts as processes, and a query to a strategy."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch

import main_binary
import main_multi
from common.kinds import HessianRows
from data_utils import Split, load, make_split
from experiments.loop import to_numpy
from experiments.settings import LoopSettings
from models import LogisticRegression
from strategies.base import InfluenceSettings, Picks, Query
from strategies.registry import STRATEGIES

ROOT = Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"


@cache
def split_of(name: str, protocol: str = "strict", seed: int = 0) -> Split:
    """A split of a shipped data set."""
    table = load(name)
    return make_split(table, protocol, table.dataset.init, seed)


def query_of(name="wine", hessian="pool", budget=10, seed=0, l2=5.0) -> Query:
    """A query after some rounds on a shipped data set: twenty rows came after the first."""
    split = split_of(name)
    labeled = np.append(split.labeled, split.pool[-20:])
    X, y = split.X[labeled], split.y[labeled]
    return Query(
        model=LogisticRegression(l2).fit(X, y),
        X_labeled=torch.as_tensor(X),
        y_labeled=y,
        initial=len(split.labeled),
        pool=torch.as_tensor(split.X[split.pool]),
        left=np.arange(len(split.pool) - 20),
        picked=np.arange(len(split.pool) - 20, len(split.pool)),
        X_validation=torch.as_tensor(split.X[split.validation]),
        y_validation=split.y[split.validation],
        budget=budget,
        rng=np.random.default_rng(seed),
        settings=InfluenceSettings(HessianRows(hessian)),
    )


def query_on(X_labeled, y_labeled, X_pool, budget):
    """A query over a few rows; they are the validation set as well."""
    return Query(
        model=LogisticRegression(1.0, True).fit(X_labeled, y_labeled),
        X_labeled=torch.as_tensor(X_labeled),
        y_labeled=y_labeled,
        initial=len(X_labeled),
        pool=torch.as_tensor(X_pool),
        left=np.arange(len(X_pool)),
        picked=np.arange(0),
        X_validation=torch.as_tensor(X_labeled),
        y_validation=y_labeled,
        budget=budget,
        rng=np.random.default_rng(0),
        settings=InfluenceSettings(HessianRows.LABELED),
    )


def strict(rounds: int = 3, budget: int = 5) -> LoopSettings:
    """The strict protocol's model and influence, for a short run."""
    return LoopSettings(
        rounds=rounds,
        budget=budget,
        l2=1.0,
        intercept=True,
        influence=InfluenceSettings(HessianRows.LABELED),
    )


def pick(method: str, query: Query) -> Picks:
    """What a strategy picks, as NumPy arrays."""
    picks = STRATEGIES[method](query)
    return Picks(to_numpy(picks.rows), picks.labels, to_numpy(picks.scores))


def main(kind: str, arguments: list[str]) -> int:
    """main_binary.py or main_multi.py in this process: its exit code."""
    return {"binary": main_binary, "multi": main_multi}[kind].main(arguments)


def shell(*arguments, **environment):
    """Run a script; a variable of the environment that is None is left out."""
    environment = {k: v for k, v in {**os.environ, **environment}.items() if v is not None}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, capture_output=True, text=True, env=environment,
    )  # fmt: skip


def error_of(capsys) -> str:
    """The one line on standard error, which must not be a traceback."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]
