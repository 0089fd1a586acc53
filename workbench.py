"""What every study works with: data, seeds, a registry, and the same lines and words for all.

A study is one function of a ``Bench`` that answers with a ``Finding``; see studies.py. All that it
says is over several seeds: lines have a band of 95 % confidence in their mean, and a difference is
called one only where such an interval leaves out zero.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from scipy.stats import t as student
from tqdm import tqdm

from cli import PROTOCOLS
from data_utils import Table
from experiment import Settings, few_threads
from models import LogisticRegression
from report import PALETTE
from sources import UserError
from splits import Split, make_split
from strategies import STRATEGIES

# Two colours that stand out on white and on black, also for the colour-blind; a rule always has its
# own, and where no rule is shown they tell two other things apart.
RULES = {"salutary": PALETTE[6], "salutary_plus": PALETTE[5]}
GREY = "#858585"
ENOUGH = 5  # seeds, for an interval
WIDTH = 4.2  # inches: a phone shows this at a size at which 9 points are still read


@dataclass(frozen=True)
class Bench:
    """A data set, a protocol and seeds, ready to be split.

    pca : so many principal components in place of the columns. jobs : processes, a seed at a time
    each. The others are as in cli.py.
    """

    table: Table
    protocol: str
    seeds: tuple[int, ...]
    init: int
    pca: int | None = None
    rounds: int = 10
    budget: int = 10
    jobs: int = 1
    quiet: bool = True

    def split(self, seed: int, init: int | None = None) -> Split:
        """The split of ``seed``. Raises UserError where the data are too few for it."""
        return make_split(self.table, self.protocol, init or self.init, seed, pca=self.pca)

    def splits(self, init: int) -> bool:
        """Whether so many labeled rows can be had; every seed's classes are of the same sizes."""
        with suppress(UserError):
            return bool(self.split(self.seeds[0], init))
        return False

    def settings(self, budget: int | None = None) -> Settings:
        """The protocol's, for ``experiment.run``."""
        chosen = dict(PROTOCOLS[self.protocol])
        chosen["fit"] = chosen["fit"] or self.table.dataset.paper_fit
        legacy = self.protocol == "paper"
        budget = budget or self.budget
        return Settings(rounds=self.rounds, budget=budget, legacy_generator=legacy, **chosen)

    def model(self) -> LogisticRegression:
        """The protocol's model, fitted exactly: its influence is that of an optimum."""
        settings = self.settings()
        return LogisticRegression(settings.l2, settings.intercept, warm_start=True)

    def each(self, of_seed: Callable[["Bench", Split, int], Iterable[dict]]) -> pd.DataFrame:
        """The records that ``of_seed`` makes of every seed's split, in one frame.

        Raises UserError where a fit or a solve fails in arithmetic.
        """
        jobs = min(self.jobs, len(self.seeds))
        tasks = (delayed(_records)(of_seed, self, seed) for seed in self.seeds)
        done = Parallel(n_jobs=jobs, return_as="generator")(tasks)
        name = of_seed.__name__.strip("_")
        bar = tqdm(done, name, total=len(self.seeds), unit="seed", disable=self.quiet, leave=False)
        return pd.DataFrame([record for records in bar for record in records])

    def describe(self) -> str:
        """The data and the setting in words."""
        settings = self.settings()
        made = f", {self.pca} principal components" if self.pca else ""
        rows = "pool" if settings.hessian == "pool" else "labeled set"
        intercept = "intercept" if settings.intercept else "no intercept"
        return (
            f"{self.table.dataset.name} ({self.table.file_names}{made}), {self.protocol} protocol: "
            f"l2 {settings.l2:g}, {intercept}, Hessian over the {rows}, "
            f"{self.init} labeled rows, {seeds_text(self.seeds)}"
        )


def _records(of_seed: Callable, bench: Bench, seed: int) -> list[dict]:
    split = bench.split(seed)
    with few_threads(split):
        try:
            return [{"seed": seed} | record for record in of_seed(bench, split, seed)]
        except np.linalg.LinAlgError as error:
            raise UserError(f"{of_seed.__name__.strip('_')}, seed {seed}: {error}") from error


def seeds_text(seeds: Sequence[int]) -> str:
    plural = "s" * (len(seeds) > 1)
    return f"seed{plural} {compact(seeds)}"


def compact(seeds: Sequence[int]) -> str:
    """Seeds as an option takes them: 0-9, or 0,3,5."""
    if len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))


# --- the registry ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What a study found. In the table, a column ``x_sd`` is the deviation over seeds of ``x``;
    accuracies and shares are in %, gains in points."""

    figure: Figure
    table: pd.DataFrame
    sentences: tuple[str, str]


@dataclass(frozen=True)
class Study:
    """A registry entry: ``dataset``, as ``--dataset`` takes it, is what it is shown on by default;
    ``pca`` and ``init`` are what it needs whatever the data set."""

    name: str
    title: str
    shows: str
    make: Callable[[Bench], Finding]
    dataset: str
    pca: int | None
    init: int | None
    images: bool


STUDIES: dict[str, Study] = {}


def study(
    name: str,
    title: str,
    shows: str,
    *,
    dataset: str = "bank",
    pca: int | None = None,
    init: int | None = None,
    images: bool = False,
):
    """Register a function under ``name``; ``shows`` says in one sentence what can be seen."""

    def register(make: Callable[[Bench], Finding]) -> Callable[[Bench], Finding]:
        STUDIES[name] = Study(name, title, shows, make, dataset, pca, init, images)
        return make

    return register


# --- numbers and words ----------------------------------------------------------------------------


def over_seeds(records: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean and deviation (``…_sd``) over seeds of every other column, a row per value of ``by``."""
    groups = records.drop(columns="seed").groupby(list(by), sort=False)
    means, deviations = groups.mean(), groups.std()
    columns = {}
    for name in means:
        columns |= {name: means[name], f"{name}_sd": deviations[name]}
    return pd.DataFrame(columns).round(6).reset_index()  # what is left is rounding


def side_by_side(records: pd.DataFrame, by: Sequence[str], values: str) -> pd.DataFrame:
    """``records`` with a column of ``values`` for each method, in place of a row."""
    wide = records.pivot(index=["seed", *by], columns="method", values=values)
    order = records[["seed", *by]].drop_duplicates()  # pivot has sorted
    return order.merge(wide[records["method"].unique()].reset_index(), how="left")


def interval(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of the mean over seeds.

    Infinite for fewer than ENOUGH: of two seeds it is 13 deviations wide, and says nothing.
    """
    n = len(values)
    if n < ENOUGH:
        return np.inf
    return float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def about(values: Sequence[float], digits: int = 2) -> str:
    """Mean ± half its 95 % interval; the mean alone where there are too few seeds."""
    half = interval(values)
    mean = round(float(np.mean(values)), digits) + 0.0  # no minus before 0.00
    return f"{mean:.{digits}f}" + ("" if np.isinf(half) else f" ± {half:.{digits}f}")


def verdict(differences: Sequence[float]) -> str:
    """What paired differences over seeds, in points, say: higher, lower, or nothing clear."""
    mean, half = round(float(np.mean(differences)), 6) + 0.0, interval(differences)
    if np.isinf(half):
        return f"different by {mean:+.2f} points (too few seeds to tell)"
    if abs(mean) <= half:
        return f"not clearly different ({mean:+.2f} ± {half:.2f} points)"
    return f"{'higher' if mean > 0 else 'lower'} by {abs(mean):.2f} ± {half:.2f} points"


def clear(values: Sequence[float]) -> bool:
    """Whether the mean is above zero by more than half its 95 % interval."""
    return bool(np.mean(values) > interval(values))


def title_of(method: str) -> str:
    return STRATEGIES[method].title


# --- panels and lines -----------------------------------------------------------------------------


def panels(rows: int, columns: int = 1, height: float = 2.3, **arguments):
    """A figure of WIDTH inches and its axes, (rows, columns); ``height`` is that of a row."""
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **arguments)


def line(axes, records: pd.DataFrame, x: str, y: str, **style) -> None:
    """Mean of ``y`` at each level of ``x``, levels at equal steps, and its 95 % interval."""
    groups = records.groupby(x, sort=False)[y]
    means, halves = groups.mean(), groups.agg(interval)
    at = np.arange(len(means))
    axes.plot(at, means, **style)
    if not np.isinf(halves).any():
        low, high = means - halves, means + halves
        axes.fill_between(at, low, high, color=style["color"], alpha=0.15, lw=0)


def name_levels(axes, names: Sequence, label: str) -> None:
    """Write the levels of ``line`` below the axis."""
    axes.set_xticks(range(len(names)), [str(name) for name in names])
    axes.set_xlabel(label)


def legend_above(figure: Figure, axes, columns: int = 2) -> None:
    """The legend of ``axes`` over the whole figure, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)


def positions(data, rows: Sequence[int]) -> np.ndarray:
    """Where in ``data``, a Split or Prepared, the source file's ``rows`` are: (len(rows),)."""
    return pd.Series(np.arange(len(data.rows)), index=data.rows)[list(rows)].to_numpy(int)
