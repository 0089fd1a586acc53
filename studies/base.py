"""What a study is: a function that gets a ``Bench`` and answers with a ``Finding``.

Everything that a study says is about several seeds, but for a study of ``one_seed``. Lines have a
band of 95 % confidence in their mean, and a difference is called clear only if its interval leaves
out zero.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from common.plugins import blamed, breach, plugin_with
from studies.bench import Bench


@dataclass(frozen=True)
class Finding:
    """What a study found.

    table : a column ``x_sd`` is the standard deviation of ``x`` over seeds, ``x_half`` half the
        width of the 95 % interval of its mean. Accuracies and shares are in %, gains in points of
        test accuracy.
    sentences : two; their numbers come from the data.
    first_seed_only : whether the picture shows the first seed alone.
    """

    figure: Figure
    table: pd.DataFrame
    sentences: tuple[str, ...]
    first_seed_only: bool = False


@dataclass(frozen=True)
class Study:
    """An entry of the registry; called with a Bench, it gives a Finding.

    name, title, shows : on the command line, on the page, and what can be seen in the picture.
    dataset : what it is shown on by default, as ``--dataset`` takes it.
    pca : the number of principal components that it needs on every data set; 0 if it works on the
        columns as they are.
    init : the number of labeled rows at the start that it needs on every data set; None for the
        data set's own number.
    images : whether the rows must be images.
    one_seed : whether it is about the first seed alone.
    options : the names of the options of explore.py that only this study reads.
    """

    name: str
    title: str
    shows: str
    make: Callable[[Bench], Finding]
    dataset: str
    pca: int
    init: int | None
    images: bool
    one_seed: bool
    options: tuple[str, ...]

    def __call__(self, bench: Bench) -> Finding:
        """Raises UserError if a plugin brought the study, and it fails or finds something else."""
        plugin, where = plugin_with("STUDIES", self.name), f"study {self.name}"
        with blamed(plugin, where):
            finding = self.make(bench)
        if told := _broken(finding):
            raise breach(plugin, where, told)
        return finding


def _broken(finding: Any) -> str:
    """How an answer is no Finding, or ""."""
    if not isinstance(finding, Finding):
        return f"must return a Finding, not {type(finding).__name__}"
    if not isinstance(finding.figure, Figure) or not isinstance(finding.table, pd.DataFrame):
        return "must find a matplotlib figure and a data frame"
    if not finding.sentences or not all(isinstance(text, str) for text in finding.sentences):
        return "must find sentences"
    return ""


def study(
    title: str,
    shows: str,
    *,
    dataset: str = "bank",
    pca: int = 0,
    init: int | None = None,
    images: bool = False,
    one_seed: bool = False,
    options: tuple[str, ...] = (),
) -> Callable[[Callable[[Bench], Finding]], Study]:
    """Make a Study of a function, under the function's name. registry.py lists it."""

    def make_study(make: Callable[[Bench], Finding]) -> Study:
        name = make.__name__
        return Study(name, title, shows, make, dataset, pca, init, images, one_seed, options)

    return make_study
