"""The gallery: the texts of highest benefit, with the labels that they got."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from llm.stand_in import StandInRun
from llm.texts import Texts
from strategies.registry import STRATEGIES, gives_own_labels

SHOWN = 20  # texts of each method


@dataclass(frozen=True)
class GalleryRecord:
    """One text: a row of gallery.csv, in its order of columns.

    row : its number in the source. benefit : the score that it was picked for. label : as given.
    own_label : the class that the stand-in predicted before that round.
    """

    method: str
    seed: int
    round: int
    row: int
    benefit: float
    label: Any
    true_label: Any
    own_label: Any
    text: str


GALLERY_COLUMNS = [item.name for item in fields(GalleryRecord)]


def labels_by_benefit(method: str) -> bool:
    """Whether the method gives labels of its own that it chooses by the validation labels."""
    return gives_own_labels(method) and STRATEGIES[method].reads_validation


def gallery_frame(texts: Texts, run: StandInRun) -> pd.DataFrame:
    """The SHOWN texts of highest benefit of each method that labels by benefit: gallery.csv.

    A text that a method picked on several seeds is shown once.
    """
    methods = [m for m in run.result.settings.methods if labels_by_benefit(m)]
    picks = run.result.picks
    best = picks[picks["method"].isin(methods)]
    best = best.sort_values("score", ascending=False, kind="stable")
    best = best.drop_duplicates(["method", "row"]).groupby("method").head(SHOWN)
    best = best.sort_values("method", key=lambda m: m.map(methods.index), kind="stable")
    position = pd.Series(np.arange(len(texts.rows)), index=texts.rows)
    shown = texts.joined(" | ")
    records = [_record(run, pick, position[pick.row], shown) for pick in best.itertuples()]
    return pd.DataFrame([asdict(record) for record in records], columns=GALLERY_COLUMNS)


def _record(run: StandInRun, pick: Any, position: int, shown: np.ndarray) -> GalleryRecord:
    """pick : a row of picks.csv. position : of its text in ``shown``, the texts (n,)."""
    split = run.split_of(pick.seed)
    model = run.refitted(split, pick.method, pick.seed, pick.round - 1)
    return GalleryRecord(
        method=pick.method,
        seed=pick.seed,
        round=pick.round,
        row=pick.row,
        benefit=pick.score,
        label=pick.label,
        true_label=pick.true_label,
        own_label=model.predict(split.X[[position]])[0],
        text=shown[position],
    )
