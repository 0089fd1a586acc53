"""What an experiment leaves: its records as data frames, and its files."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from lzma import LZMAError
from pathlib import Path
from platform import python_version
from typing import Any

import pandas as pd

from common.errors import UserError
from common.files import STAGE, csv_bytes, json_bytes, prepare_folder, write_files
from common.program import library_versions
from common.provenance import provenance
from data_prep.catalogue import is_own_table
from data_prep.columns import decisions_record
from data_utils import Split, Table
from experiments.loop import PickRecord, RoundRecord, RunRecords
from experiments.metrics import METRICS, Metric
from experiments.pictures import picture_files
from experiments.plots import Heading, curves_picture, short_title
from experiments.settings import Settings
from experiments.store import Store, UnusableRun
from strategies.registry import REFERENCES

CURVES, PICKS, RUN = "curves.csv", "picks.csv", "run.json"
CURVE_COLUMNS = ["dataset", "protocol", *(item.name for item in fields(RoundRecord))]
PICK_COLUMNS = [item.name for item in fields(PickRecord) if item.name != "benefits"]


@dataclass(frozen=True)
class Result:
    """What one experiment computed.

    split : of the first seed. curves, picks : a row per record, as in curves.csv and picks.csv.
    seconds : of compute. folder : for its files. store : of its finished runs, and of runs of other
    methods and seeds that earlier commands made.
    """

    settings: Settings
    table: Table
    split: Split
    curves: pd.DataFrame
    picks: pd.DataFrame
    seconds: float
    folder: Path
    store: Store

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

    @cached_property
    def earlier(self) -> tuple[list[RunRecords], list[str]]:
        """Runs in the store that this command did not ask for: the records, and what is unusable.

        A run is unusable if its file is damaged or its method's code has changed, and as long as
        its method is unknown, without its plugin.
        """
        asked = {(seed, name) for seed in self.settings.seeds for name in self.settings.methods}
        found, unusable = [], []
        for run in self.store.runs():
            if run not in asked:
                try:
                    found.append(self.store.recall(*run))
                except UnusableRun as reason:
                    unusable.append(str(reason))
        return [records for records in found if records], unusable

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
    names = [item.name for item in fields(RoundRecord)]
    frame = pd.DataFrame([vars(record) for record in records], columns=names)
    return frame.assign(dataset=dataset, protocol=str(protocol))[CURVE_COLUMNS]


def picks_frame(records: Sequence[PickRecord]) -> pd.DataFrame:
    """A row per picked sample; none if only references ran. The benefits are the last columns."""
    frame = pd.DataFrame([vars(record) for record in records], columns=PICK_COLUMNS)
    return frame.join(pd.DataFrame([record.benefits for record in records]).add_prefix("benefit_"))


def save(
    result: Result,
    files: Mapping[str, bytes | None] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the files of a result and ``files``, all or none; ``facts`` go into run.json.

    The tables hold the runs that earlier commands made with the same settings, too, after those
    that were asked for. Raises UserError if the folder does not take them.
    """
    picture = None
    if result.settings.plot:
        heading = Heading(short_title(result.table.dataset), result.heading)
        picture = curves_picture(result.curves, heading, result.metric, result.majority_accuracy)
    name, protocol = result.table.dataset.name, result.settings.protocol
    earlier, _ = result.earlier
    more_curves = curves_frame([r for of in earlier for r in of.curve], name, protocol)
    more_picks = picks_frame([pick for of in earlier for pick in of.picks])
    manifest = run_record(result) | {"compute_seconds": result.seconds} | dict(facts or {})
    write_files(
        result.folder,
        {
            CURVES: csv_bytes(_joined(result.curves, more_curves)),
            PICKS: csv_bytes(_joined(result.picks, more_picks)),
            RUN: json_bytes(manifest),
            **picture_files("curves", picture),
            **(files or {}),
        },
    )


def _joined(frame: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, more], ignore_index=True) if len(more) else frame


def earlier_note(result: Result) -> str:
    """What to tell of the runs in the store that this command did not ask for, or ""."""
    found, unusable = result.earlier
    told = []
    if found:
        told.append(f"{CURVES} and {PICKS} also hold {len(found):,} runs of earlier commands")
    if unusable:
        more = f" (and {len(unusable) - 1:,} more)" * (len(unusable) > 1)
        told.append(f"a kept run is left out of them: {unusable[0]}{more}")
    return "; ".join(told)


def other_contents(folder: Path, store: Store) -> bool:
    """Whether the folder has tables that were made from another store."""
    return (folder / CURVES).is_file() and read_record(folder).get("key") != store.folder.name


def read_record(folder: Path) -> dict[str, Any]:
    """What run.json in the folder says; nothing if it is not there or damaged."""
    try:
        return dict(json.loads((folder / RUN).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def folder_of(settings: Settings, table: Table) -> Path:
    """The folder of an experiment.

    Own tables are named by their stems. If the folder holds the results of another file, which is
    in another place and of other contents, the name ends with a hash of this one's place.
    """
    usual = settings.out / settings.folder_name(table.dataset.name)
    before, now = read_record(usual).get("own_table"), own_table_record(settings, table)
    if now is None or not isinstance(before, dict):
        return usual
    if any(before.get(name) == value for name, value in now.items()):
        return usual
    return settings.out / settings.folder_name(f"{table.dataset.name}-{now['place']}")


def claimed_folder(settings: Settings, table: Table) -> Path:
    """``folder_of``, and from now on no other own table gets it.

    The record that says so is written if there is none, so that of two tables at once in an empty
    folder one gets another folder. Raises UserError if the folder cannot be written to.
    """
    folder, own = folder_of(settings, table), own_table_record(settings, table)
    if own and not (folder / RUN).exists():
        claim = {"own_table": own, "finished": False, "options": settings.record()}
        with suppress(UserError):  # another process was faster
            write_files(folder, {RUN: json_bytes(claim)}, overwrite=False)
        folder = folder_of(settings, table)
        prepare_folder(folder)
    return folder


def own_table_record(settings: Settings, table: Table) -> dict[str, str] | None:
    """What tells an own table from others: hashes of its place and its contents; or None."""
    if not is_own_table(settings.dataset):
        return None
    places = [os.fsencode(os.path.realpath(file.path)) for file in table.files]
    contents = [file.sha256.encode() for file in table.files]
    return {
        "place": hashlib.sha256(b"\0".join(places)).hexdigest()[:8],
        "contents": hashlib.sha256(b"\0".join(contents)).hexdigest()[:8],
    }


def first_record(settings: Settings, store: Store, table: Table) -> dict[str, Any]:
    """What run.json says while the runs are made."""
    own = own_table_record(settings, table)
    return {
        **provenance(),
        "key": store.folder.name,
        **({"own_table": own} if own else {}),
        "finished": False,
        "options": settings.record(),
    }


def run_record(result: Result) -> dict[str, Any]:
    """What run.json says: enough to do the same again."""
    table, split = result.table, result.split
    return first_record(result.settings, result.store, table) | {
        "finished": True,
        "overrides": result.settings.overrides,
        "data": {
            "place": table.place,
            "files": [file.record() for file in table.files],
            "rows": len(split.y),
            "dropped": [{"rows": count, "why": why} for count, why in table.data.dropped],
            "notes": table.data.notes,
            "columns": decisions_record(table.data.columns),
            "features": split.X.shape[1],
            "classes": table.dataset.classes,
        },
        "split": split.sizes(),
        "l2": {"initial": result.initial_l2(), "last": result.last_l2()},
        "versions": {"python": python_version()} | library_versions(),
        "method_seconds": result.curves.groupby("method", sort=False)["seconds"].sum().to_dict(),
    }


# --- results read back ----------------------------------------------------------------------------


def load_results(folder: str | Path) -> pd.DataFrame:
    """All runs under a folder in one data frame: a row per run folder, method, seed and round.

    Every folder below that has a run.json beside a curves.csv (or .csv.gz, .csv.xz) is read. The
    first columns are ``folder``, relative to the one given, and ``variant``, what overrides the
    protocol ("" for nothing, "l2=1,model=mlp"). The others are those of curves.csv.

    Raises UserError if the folder does not exist or has no results, or if a file is damaged.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name one with results, such as results")
    frames = [
        _read_run(folder, folder.relative_to(root).as_posix())
        for folder in sorted(_folders(root))
        if (folder / RUN).is_file() and find_curves(folder)
    ]
    if not frames:
        raise UserError(f"{root} has no results: no folder in it has {RUN} and {CURVES}")
    return pd.concat(frames, ignore_index=True)


def _folders(root: Path) -> Iterator[Path]:
    """The folder and all below, but those of unfinished files, which may vanish meanwhile."""
    for folder, inside, _ in os.walk(root):
        inside[:] = (name for name in inside if name != STAGE)
        yield Path(folder)


def find_curves(folder: Path) -> Path | None:
    """The curves.csv of a run's folder, plain or packed."""
    paths = [folder / f"{CURVES}{packed}" for packed in ("", ".gz", ".xz")]
    return next((path for path in paths if path.is_file()), None)


def _read_run(folder: Path, name: str) -> pd.DataFrame:
    try:
        record = json.loads((folder / RUN).read_text("utf-8"))
        frame = pd.read_csv(find_curves(folder))
        variant = record["options"].get("variant", "")
        missing = set(CURVE_COLUMNS) - set(frame)
    except (OSError, EOFError, LZMAError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"the results in {folder} are damaged: make them anew") from error
    if missing:
        raise UserError(f"{folder / CURVES} lacks the column {min(missing)!r}: make it anew")
    frame.insert(0, "folder", name)
    frame.insert(1, "variant", variant)
    return frame
