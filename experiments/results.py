"""What an experiment leaves: its records as data frames, and its files."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from platform import python_version
from typing import Any

import pandas as pd

from common.files import csv_bytes, json_bytes, write_files
from common.program import library_versions
from data_utils import Split, Table
from experiments.loop import PickRecord, RoundRecord
from experiments.metrics import METRICS, Metric
from experiments.plots import curves_picture
from experiments.settings import Settings
from strategies.registry import REFERENCES

CURVE_COLUMNS = ["dataset", "protocol", *(item.name for item in fields(RoundRecord))]
PICK_COLUMNS = [item.name for item in fields(PickRecord)]


@dataclass(frozen=True)
class Result:
    """What one experiment computed.

    split : of the first seed. curves, picks : a row per record, as in curves.csv and picks.csv.
    seconds : of compute. folder : for its files. store : of its finished runs, see runner.py.
    """

    settings: Settings
    table: Table
    split: Split
    curves: pd.DataFrame
    picks: pd.DataFrame
    seconds: float
    folder: Path
    store: Path

    @property
    def metric(self) -> Metric:
        """What tables, the picture and statistics show."""
        return METRICS[self.settings.metric]

    @property
    def source(self) -> str:
        """The data set, its files and its rows in words."""
        return f"{self.table.dataset.name} ({self.table.file_names}, {len(self.split.y):,} rows)"

    @property
    def heading(self) -> str:
        """The source and the setting, for a table or a section."""
        return f"{self.source}: {self.settings.describe()}"

    @property
    def majority_accuracy(self) -> float:
        """Test accuracy of always answering the most frequent class of the labeled set."""
        split = self.split
        answer, _ = Counter(split.y[split.labeled].tolist()).most_common(1)[0]
        return float((split.y[split.test] == answer).mean())

    @property
    def below_majority(self) -> bool:
        """Whether every method's mean accuracy in the last round is below ``majority_accuracy``."""
        last = self.curves[self.curves["round"] == self.curves["round"].max()]
        means = last.groupby("method")["test_accuracy"].mean()
        return bool((means.drop(list(REFERENCES), errors="ignore") < self.majority_accuracy).all())

    def initial_l2(self) -> dict[int, float]:
        """The penalty of round 0, the same for all methods, by seed."""
        first = self.curves[self.curves["round"] == 0]
        return first.groupby("seed")["l2"].first().to_dict()

    def last_l2(self) -> dict[str, dict[int, float]]:
        """The penalty of the last round, by method and seed."""
        last = self.curves[self.curves["round"] == self.curves["round"].max()]
        by_method = last.groupby("method", sort=False)
        return {name: of.set_index("seed")["l2"].to_dict() for name, of in by_method}


def curves_frame(records: Sequence[RoundRecord], dataset: str, protocol: str) -> pd.DataFrame:
    """A row per method, seed and round."""
    frame = pd.DataFrame([asdict(record) for record in records])
    return frame.assign(dataset=dataset, protocol=str(protocol))[CURVE_COLUMNS]


def picks_frame(records: Sequence[PickRecord]) -> pd.DataFrame:
    """A row per picked sample; none if only references ran."""
    return pd.DataFrame([asdict(record) for record in records], columns=PICK_COLUMNS)


def save(
    result: Result,
    files: Mapping[str, bytes | None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the files of a result and ``files``, all or none; ``facts`` go into run.json.

    Raises UserError if the folder does not take them.
    """
    picture = None
    if result.settings.plot:
        title = f"{result.source}\n{result.settings.describe()}"
        picture = curves_picture(result.curves, title, result.metric)
    manifest = run_record(result) | {"compute_seconds": result.seconds} | dict(facts or {})
    write_files(
        result.folder,
        {
            "curves.csv": csv_bytes(result.curves),
            "picks.csv": csv_bytes(result.picks),
            "run.json": json_bytes(manifest),
            "curves.png": picture,
            **(files or {}),
        },
    )


def remove_store(result: Result) -> None:
    """Remove the finished runs that were kept: the results are written."""
    shutil.rmtree(result.store, ignore_errors=True)


def run_record(result: Result) -> dict[str, Any]:
    """What run.json says: enough to do the same again."""
    table, split = result.table, result.split
    return {
        "options": result.settings.record(),
        "overrides": result.settings.overrides,
        "data": {
            "place": table.place,
            "files": [file.record() for file in table.files],
            "rows": len(split.y),
            "dropped": [{"rows": count, "why": why} for count, why in table.data.dropped],
            "notes": table.data.notes,
            "features": split.X.shape[1],
            "classes": table.dataset.classes,
        },
        "split": split.sizes(),
        "l2": {"initial": result.initial_l2(), "last": result.last_l2()},
        "versions": {"python": python_version()} | library_versions(),
        "method_seconds": result.curves.groupby("method", sort=False)["seconds"].sum().to_dict(),
    }
