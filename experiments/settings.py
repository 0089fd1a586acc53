"""Options settled: everything that a run needs, decided once, with nothing left open.

``check_options`` finds mistakes before anything is loaded. ``settle`` then lets the protocol and
the data set fill in what the options leave open. Nobody reads the options after that.
"""

import hashlib
import re
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from common.cli import seeds_words
from common.errors import UserError, check_known
from common.kinds import HessianRows, MetricName, ModelKind, PenaltyRule, Protocol, Source, Task
from common.parallel import Workers
from common.plugins import in_use
from data_prep.catalogue import DATASETS, SCRIPTS, Dataset, is_own_table
from data_prep.feature_choice import AS_THEY_ARE, FeatureChoice
from data_prep.reading import TableReading
from experiments.estimators import JudgeSettings, judge_settings
from experiments.options import ExperimentOptions
from experiments.protocols import DATA_SET_DECIDES, PROTOCOLS, ProtocolValues
from models import MLP, LogisticRegression
from strategies.base import InfluenceSettings
from strategies.registry import chosen_methods

MOST_OF_NAME = 100  # letters of a folder's name that say what was changed


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know beside the data, the method and the seed.

    rounds, budget : rounds of queries, and picks in each.
    model, l2, intercept, fit, device, dtype : of the classifier, see models.py. If l2 is a rule, it
        is chosen once for each split, on the initial labeled rows, for all methods. References
        choose by cross-validation on the rows that they train on.
    retune : choose l2 again after the picks of every round.
    influence : how strategies compute it.
    judge : the classifier that is trained on the result and judged, see judge.py. None: the model
        is judged itself.
    legacy_generator : draw from NumPy's RandomState with the published seeds, not from a Generator.
        The published Random and Pred. Infl. curves can only be repeated so.
    """

    rounds: int = 10
    budget: int = 10
    model: ModelKind = ModelKind.LOGISTIC
    l2: float | PenaltyRule = 50.0
    retune: bool = False
    intercept: bool = False
    fit: str = "newton"
    device: str = "cpu"
    dtype: str = "float64"
    influence: InfluenceSettings = InfluenceSettings()
    legacy_generator: bool = True
    judge: JudgeSettings | None = None

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    def classifier(self, seed: int, l2: float) -> LogisticRegression | MLP:
        """The model of a run with this penalty, not fitted."""
        if self.model == ModelKind.MLP:
            # No warm start: a network that goes on training changes from round to round with the
            # number of its steps, and not only with its labels.
            return MLP(
                l2=l2,
                fit_intercept=self.intercept,
                random_state=seed,
                device=self.device,
                dtype=self.dtype,
            )
        return LogisticRegression(
            l2,
            self.intercept,
            solver=self.fit,
            warm_start=True,
            device=self.device,
            dtype=self.dtype,
        )

    def describe(self) -> str:
        """Model and influence in words."""
        judged = (
            f"{self.judge.title} trained on the rows and labels of a linear stand-in: "
            if self.judge
            else ""
        )
        network = "the last layer of an MLP, " if self.model == ModelKind.MLP else ""
        rows = "pool" if self.influence.hessian == HessianRows.POOL else "labeled set"
        intercept = "intercept" if self.intercept else "no intercept"
        return f"{judged}{network}{self._describe_l2()}, {intercept}, Hessian over the {rows}"

    def _describe_l2(self) -> str:
        if not isinstance(self.l2, PenaltyRule):
            return f"l2 {self.l2:g}"
        how = {
            PenaltyRule.VALIDATION: "on the validation rows",
            PenaltyRule.CV: "by cross-validation",
        }
        return f"l2 chosen {how[self.l2]}{', again after every round' * self.retune}"


@dataclass(frozen=True)
class Settings:
    """Everything that an experiment needs, decided.

    dataset : the name of a data set, or the path of an own table. target, labels, split_column,
    data_dir : as the options have them, "" if they were not given. reading : of an own table.
    overrides : the options that override the protocol, by name. plugins : the sha256 of each, by
    its path. variant : see ``variant_of``.
    """

    dataset: str
    target: str
    labels: str
    split_column: str
    reading: TableReading
    source: Source
    data_dir: str
    protocol: Protocol
    features: FeatureChoice
    init: int
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    loop: LoopSettings
    workers: Workers
    metric: MetricName
    out: Path
    plot: bool
    quiet: bool
    plugins: dict[str, str]
    overrides: dict[str, Any]
    variant: str = ""

    def folder_name(self, dataset: str) -> str:
        """The folder of a run: one that overrides the protocol has a folder of its own."""
        return ",".join(filter(None, [f"{dataset}-{self.protocol}", self.variant]))

    def describe(self) -> str:
        """The setting in words: nobody should have to guess which one they see."""
        changed = f" but for {', '.join(self.overrides)}" if self.overrides else ""
        features = f"{self.features} features, " if self.features != AS_THEY_ARE else ""
        return (
            f"{self.protocol} protocol{changed}: {self.loop.describe()}, {self.loop.fit} fit, "
            f"{features}{seeds_words(self.seeds)}"
        )

    def record(self) -> dict[str, Any]:
        """As run.json has it: one level, with the names of the options."""
        loop = asdict(self.loop)
        influence, judge = loop.pop("influence"), loop.pop("judge")
        mine = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("reading", "loop", "workers", "overrides")
        }
        own = {"features": str(self.features), "out": str(self.out)}
        judged = {"model": judge["name"], "judge": judge} if judge else {}
        return mine | asdict(self.reading) | own | asdict(self.workers) | loop | influence | judged


def check_options(options: ExperimentOptions, task: Task | None) -> ExperimentOptions:
    """The options with the data set and the protocol decided, once they fit the script.

    task : of the script; None takes any.
    Raises UserError for options that exclude each other, for unknown names, and for a data set of
    another task or without the images that --features asks for.
    """
    name = options.dataset
    if options.diabetes == "y":
        if task != Task.BINARY:
            raise UserError(f"diabetes has two classes: run {SCRIPTS[Task.BINARY]} --diabetes y")
        name = "diabetes"
    if not is_own_table(name):
        check_known("data set", name, DATASETS)
        if task:
            check_task(task, DATASETS[name], name)
    check_split_column(options.split_column, options.init)
    encoder = options.features and options.features.image_encoder
    if encoder and (is_own_table(name) or not DATASETS[name].image):
        raise UserError(f"--features efficientnet is for images, {name} has none")
    if options.source == Source.SHIPPED and options.data_dir:
        raise UserError("--source shipped and --data-dir exclude each other: give one of them")
    if options.model == ModelKind.MLP and options.fit == "lbfgs":
        raise UserError(
            "--fit lbfgs is for --model logistic: the mlp's last layer is fitted by newton"
        )
    if options.dask and options.jobs > 1:
        raise UserError("--dask and --jobs exclude each other: the cluster has its own processes")
    protocol = options.protocol or (Protocol.TUNED if is_own_table(name) else Protocol.PAPER)
    l2 = options.l2 or PROTOCOLS[Protocol(protocol)].l2
    if options.retune and not isinstance(l2, PenaltyRule):
        raise UserError(f"--retune chooses l2, which is {l2:g} here: give --l2 validation or cv")
    for option, value in (("--l2", l2), ("--damping", options.damping)):
        most = float(torch.finfo(getattr(torch, options.dtype)).max)
        if not isinstance(value, PenaltyRule) and value > most:
            raise UserError(f"{option} {value:g} is too large for {options.dtype}: give less")
    chosen_methods(options.methods)
    judge_of(options.model)
    find_device(options.device)
    return replace(options, dataset=name, protocol=protocol)


def check_split_column(split_column: str | None, init: int | None) -> None:
    """Raise UserError if both options say which rows are labeled at the start."""
    if split_column is not None and init is not None:
        raise UserError(
            "--init and --split-column exclude each other: the column says which rows are labeled"
        )


def check_task(task: Task, dataset: Dataset, name: str) -> None:
    """Raise UserError if a data set is for the other script."""
    if dataset.task != task:
        raise UserError(
            f"{name} has {dataset.classes} classes: run {SCRIPTS[dataset.task]} --dataset {name}"
        )


def find_device(wanted: str) -> str:
    """The torch device of --device; UserError if it is not here."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use auto or cpu")
    return wanted


def judge_of(model: str) -> JudgeSettings | None:
    """The classifier that --model names; None for logistic and mlp, which are judged themselves.

    Raises UserError if there is no such classifier.
    """
    return None if model in tuple(ModelKind) else judge_settings(model)


def decided_fit(
    values: ProtocolValues, dataset: Dataset, model: ModelKind = ModelKind.LOGISTIC
) -> str:
    """The protocol's fit; the data set's, if the protocol leaves it open."""
    if values.fit != DATA_SET_DECIDES:
        return values.fit
    return "newton" if model == ModelKind.MLP else dataset.paper_fit


# Options that do not change what the protocol sets: which runs are made and how long they are, from
# which place, by whom, and what is shown.
OF_NO_VARIANT = frozenset(
    "dataset datasets diabetes methods seeds rounds budget init jobs dask protocol source data_dir "
    "device metric out plot quiet list plugin".split()
)


def variant_of(
    given: dict[str, Any], dataset: Dataset, values: ProtocolValues, features: str
) -> str:
    """What the user changed in the protocol, as a part of a folder's name: "l2=1,model=mlp".

    given : the options that the user set, by name. values : the protocol's.
    """
    own_target = dataset.target or given.get("target")  # a table of one's own has no other
    own = {"target": own_target, "labels": given.get("labels")}
    usual = vars(ExperimentOptions()) | vars(values) | own
    changed = {
        name: value
        for name, value in given.items()
        if name in usual.keys() - OF_NO_VARIANT and value != usual[name]
    }
    changed["features"] = features
    parts = [_as_part(name, value) for name, value in sorted(changed.items()) if value != ""]
    text = ",".join(parts)
    if len(text) <= MOST_OF_NAME:
        return text
    return f"{text[:MOST_OF_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _as_part(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    listed = value if isinstance(value, list | tuple) else [value]
    texts = (f"{item:g}" if isinstance(item, float) else str(item) for item in listed)
    text = re.sub(r"[^\w.+-]+", "_", "+".join(texts))
    return f"{name}={text}"


def settle(options: ExperimentOptions, given: dict[str, Any], dataset: Dataset) -> Settings:
    """Decide everything: the options first, then the protocol, then the data set.

    given : the options that the user set, by name.
    """
    protocol = Protocol(options.protocol)
    overrides = {name: given[name] for name in vars(PROTOCOLS[protocol]) if name in given}
    values: ProtocolValues = replace(PROTOCOLS[protocol], **overrides)
    on_cluster = options.dask and options.device == "auto"
    kind = ModelKind(options.model) if options.model in tuple(ModelKind) else ModelKind.LOGISTIC
    loop = LoopSettings(
        rounds=options.rounds,
        budget=options.budget,
        model=kind,
        l2=values.l2,
        retune=options.retune,
        intercept=values.intercept,
        fit=decided_fit(values, dataset, kind),
        device="cpu" if on_cluster else find_device(options.device),
        dtype=options.dtype,
        influence=InfluenceSettings(HessianRows(values.hessian), options.solver, options.damping),
        legacy_generator=protocol == Protocol.PAPER,
        judge=judge_of(options.model),
    )
    return Settings(
        dataset=options.dataset,
        target=options.target or "",
        labels=str(options.labels or ""),
        split_column=options.split_column or "",
        reading=TableReading.of(options),
        source=Source(options.source),
        data_dir=str(options.data_dir or ""),
        protocol=protocol,
        features=options.features or AS_THEY_ARE,
        init=options.init or dataset.init,
        methods=chosen_methods(options.methods),
        seeds=options.seeds,
        loop=loop,
        workers=Workers(options.jobs, options.dask or ""),
        metric=MetricName(options.metric),
        out=options.out,
        plot=options.plot,
        quiet=options.quiet,
        plugins={plugin.shown: plugin.sha256 for plugin in in_use()},
        overrides=overrides,
        variant=variant_of(given, dataset, PROTOCOLS[protocol], str(options.features or "")),
    )
