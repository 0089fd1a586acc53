"""What the tests of several studies share: small runs by the command line, and benches."""

from collections.abc import Callable
from dataclasses import asdict

import pandas as pd
import pytest

import explore
import main_binary
from common.kinds import HessianRows, Protocol
from common.parallel import few_threads
from data_utils import Split, load
from experiments.loop import run
from experiments.settings import LoopSettings
from models import LogisticRegression
from strategies.base import InfluenceSettings
from studies import budget, hessian, l2, share, validation
from studies.bench import Bench
from tests.helpers import split_of


@pytest.fixture(scope="session")
def small() -> list[str]:
    """Options that make every run a quick one."""
    return "--dataset breast_cancer --protocol strict --seeds 0-1 --rounds 2 --budget 3".split()


@pytest.fixture(scope="session")
def explored(small, tmp_path_factory):
    """A folder with every study, and the page."""
    out = tmp_path_factory.mktemp("explore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "BUDGETS", (1, 3, 5))
        patch.setattr(share, "SHARES", (1, 2.5))  # 1 and 3 of the 241 rows of the pool in a round
        patch.setattr(l2, "VALUES", (1.0, 20.0))
        patch.setattr(hessian, "DAMPING", (0, 100))
        for levels, few in (("SIZES", (10, 1000)), ("NOISE", (0, 50)), ("SHARES", (10, 90))):
            patch.setattr(validation, levels, few)
        patch.setattr(validation, "KEPT", (100, 10))
        arguments = ["all", *small, "--jobs", "1", "--quiet", "--out", str(out)]
        assert explore.main(arguments) == 0
    return out


@pytest.fixture(scope="session")
def compared(small, tmp_path_factory):
    """curves.csv and picks.csv of the main script with the same settings."""
    out = tmp_path_factory.mktemp("compared")
    methods = "--methods salutary,salutary_plus,random --no-plot --quiet"
    assert main_binary.main([*small, *methods.split(), "--out", str(out)]) == 0
    folder = out / "breast_cancer-strict"
    return pd.read_csv(folder / "curves.csv"), pd.read_csv(folder / "picks.csv")


@pytest.fixture(scope="session")
def bench_of() -> Callable[..., Bench]:
    """Makes the bench of a data set: one seed, two rounds of three picks, or as the caller says."""

    def make(name: str, **changed) -> Bench:
        table = load(name)
        few = {"seeds": (0,), "init": table.dataset.init, "rounds": 2, "budget": 3}
        return Bench(table, **{"protocol": Protocol.STRICT} | few | changed)

    return make


@pytest.fixture(scope="session")
def fitted(bench_of) -> Callable[[str], tuple[Split, LogisticRegression]]:
    """Makes the first split of a data set, and a bench's model fitted to its labeled set."""

    def make(name: str) -> tuple[Split, LogisticRegression]:
        split = split_of(name)
        model = bench_of(name).exact_model(split, 0)
        return split, model.fit(split.X[split.labeled], split.y[split.labeled])

    return make


@pytest.fixture(scope="session")
def last_rounds(bench_of) -> Callable[..., pd.DataFrame]:
    """Runs the paper's rule on seeds 0 and 1 of a bench, and gives the records of the last round.

    The settings are the strict protocol's, written out.
    """
    settings = LoopSettings(
        rounds=2,
        budget=3,
        l2=1.0,
        intercept=True,
        influence=InfluenceSettings(HessianRows.LABELED),
        legacy_generator=False,
    )

    def make(name: str, **changed) -> pd.DataFrame:
        bench = bench_of(name, **changed)
        with few_threads(bench.split(0).X.size):
            runs = [run(bench.split(seed), "salutary", settings, seed) for seed in (0, 1)]
        return pd.DataFrame([asdict(records.curve[-1]) for records in runs])

    return make
