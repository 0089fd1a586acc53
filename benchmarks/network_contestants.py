"""The contestants of networks.py: the influence of every training row on every test row.

Each function takes a ``Problem`` and a damping, and returns scores (v, n): the predicted fall of
the loss of each test row if a training row is there. ``damping`` is a factor of l2 that takes l2's
place: 1 is the penalty that the network was trained with, 0 none, None what kronfluence proposes.
Each library gets it in its own unit.

Each library is used through its public interface as its documents advise, with batches as large as
the memory allows, because these cost least.
"""

import logging
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from network_jobs import FEW, Problem
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from numerics.module_influence import ModuleInfluence
from numerics.row_influence import row_influence

BATCH = 1_024  # rows whose gradients a library builds at once
row_loss = partial(cross_entropy, reduction="none")


def this_engine(problem: Problem, damping: float, **options: bool) -> torch.Tensor:
    """``row_influence``, by the gradients of 512 landmarks."""
    return row_influence(
        problem.network(),
        row_loss,
        problem.X,
        problem.y,
        problem.X_test,
        problem.y_test,
        parameters=problem.names(),
        damping=damping * problem.l2,
        **options,
    )


def one_by_one(problem: Problem, damping: float) -> torch.Tensor:
    """``ModuleInfluence``: conjugate gradients with the Hessian itself for each test row."""
    X, y = problem.X, problem.y
    engine = ModuleInfluence(
        problem.network(), row_loss, X[:4], y[:4],
        l2=0.0, parameters=problem.names(), damping=damping * problem.l2, chunk=len(X),
    )  # fmt: skip
    classes, rows = torch.arange(int(y.max()) + 1, device=X.device), torch.arange(len(y))
    scores = []
    for x, target in zip(problem.X_test.split(1), problem.y_test.split(1), strict=True):
        V = engine.solve(X, y, engine.gradient(x, target), tol=1e-2)
        scores.append(engine.benefit(X, classes, V)[rows, y])
    return torch.stack(scores)


def kronfluence(problem: Problem, damping: float | None) -> torch.Tensor:
    """kronfluence, EK-FAC. None: a tenth of the mean eigenvalue, which its documents propose."""
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    layers = sorted({name.rsplit(".", 1)[0] for name in problem.names()})

    class Classification(Task):
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> torch.Tensor:
            X, y = batch
            logits = model(X)
            if sample:
                with torch.no_grad():
                    y = torch.multinomial(logits.detach().softmax(-1), 1).flatten()
            return cross_entropy(logits, y, reduction="sum")

        def compute_measurement(self, batch: Any, model: Any) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

        def get_influence_tracked_modules(self) -> list[str]:
            return layers

    task, cpu = Classification(), problem.X.device.type == "cpu"
    train = TensorDataset(problem.X.cpu(), problem.y.cpu())
    test = TensorDataset(problem.X_test.cpu(), problem.y_test.cpu())
    mean = None if damping is None else damping * problem.l2 / len(train)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer(
            "benchmark", prepare_model(problem.network(), task), task,
            cpu=cpu, output_dir=folder, disable_tqdm=True,
        )  # fmt: skip
        analyzer.fit_all_factors(
            "ekfac", train, per_device_batch_size=BATCH, factor_args=FactorArguments("ekfac")
        )
        analyzer.compute_pairwise_scores(
            "scores", "ekfac", test, train,
            per_device_query_batch_size=len(test), per_device_train_batch_size=BATCH,
            score_args=ScoreArguments(damping_factor=mean),
        )  # fmt: skip
        return analyzer.load_pairwise_scores("scores")["all_modules"]


def pydvl(problem: Problem, damping: float, method: str) -> torch.Tensor:
    """pyDVL: EK-FAC with refitted eigenvalues; Nyström, or CG, with the Gauss–Newton matrix.

    CG solves for all test rows at once, as the documents propose for speed, in 100 steps at most;
    the default is ten times the number of parameters.
    """
    from pydvl.influence.torch import CgInfluence, EkfacInfluence, NystroemSketchInfluence
    from pydvl.influence.torch.influence_function_model import SecondOrderMode

    network, mean = problem.network(), damping * problem.l2 / len(problem.X)
    gauss_newton: Any = {"second_order_mode": SecondOrderMode.GAUSS_NEWTON}
    if method == "ekfac":
        model: Any = EkfacInfluence(network, update_diagonal=True, hessian_regularization=mean)
    elif method == "nystroem":
        model = NystroemSketchInfluence(network, cross_entropy, mean, rank=512, **gauss_newton)
    else:
        model = CgInfluence(
            network, cross_entropy, mean, maxiter=100, solve_simultaneously=True, **gauss_newton
        )
    rows = TensorDataset(problem.X, problem.y)
    model = model.fit(DataLoader(rows, batch_size=len(rows) if method != "ekfac" else BATCH))
    factors = model.influence_factors(problem.X_test, problem.y_test)
    chunks = zip(problem.X.split(BATCH), problem.y.split(BATCH), strict=True)
    found = [model.influences_from_factors(factors, X, y) for X, y in chunks]
    return torch.cat(found, 1).detach()


def _dattri_task(problem: Problem) -> Any:
    from dattri.task import AttributionTask

    network = problem.network()

    def loss(parameters: Any, batch: Any) -> torch.Tensor:
        X, y = batch
        X, y = (X, y) if y.ndim else (X[None], y[None])
        return cross_entropy(torch.func.functional_call(network, parameters, (X,)), y)

    return AttributionTask(loss, network, network.state_dict())


def dattri(problem: Problem, damping: float, method: str) -> torch.Tensor:
    """dattri: EK-FAC, or CG of its default of ten steps.

    Two faults of EK-FAC in dattri 0.3.0 cost it most of its LDS: it multiplies by the eigenvectors
    where their transposes belong, and it takes a layer's weights and biases, which come one after
    the other, for one matrix whose last column is the bias.
    """
    from dattri.algorithm.influence_function import IFAttributorCG, IFAttributorEKFAC

    task, mean = _dattri_task(problem), damping * problem.l2 / len(problem.X)
    device, names = str(problem.X.device), problem.names()
    if method == "ekfac":
        layers = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
        model: Any = IFAttributorEKFAC(task, module_name=layers, device=device, damping=mean)
    else:
        model = IFAttributorCG(task, layer_name=names, device=device, regularization=mean)
    train = TensorDataset(problem.X, problem.y)
    test = TensorDataset(problem.X_test, problem.y_test)
    batch = len(train) if method == "cg" else BATCH
    model.cache(DataLoader(train, batch_size=batch))
    scores = model.attribute(
        DataLoader(train, batch_size=batch), DataLoader(test, batch_size=len(test))
    )
    return scores.T.detach()


def dattri_trak(problem: Problem, damping: float) -> torch.Tensor:
    """dattri: TRAK with its default projection to 512 numbers."""
    from dattri.algorithm.trak import TRAKAttributor

    task, network = _dattri_task(problem), problem.network()
    device, count = str(problem.X.device), sum(p.numel() for p in network.parameters())

    def probability(parameters: Any, batch: Any) -> torch.Tensor:
        X, y = batch
        logits = torch.func.functional_call(network, parameters, (X[None],))
        return torch.exp(-cross_entropy(logits, y[None]))

    model = TRAKAttributor(
        task, probability, projector_kwargs={"device": device}, layer_name=problem.names(),
        device=device, regularization=damping * problem.l2 / count,
    )  # fmt: skip
    loaders = [
        DataLoader(TensorDataset(X, y), batch_size=BATCH)
        for X, y in ((problem.X, problem.y), (problem.X_test, problem.y_test))
    ]
    model.cache(loaders[0])
    return model.attribute(loaders[1]).T.detach()


def trak(problem: Problem, damping: float) -> torch.Tensor:
    """TRAK with its default projection to 2,048 numbers, in float32."""
    from trak import TRAKer
    from trak.projectors import BasicProjector

    network, device = problem.network(), problem.X.device
    names, size = problem.names(), 2_048
    count = sum(dict(network.named_parameters())[name].numel() for name in names)
    # TRAK divides by the root of the number of parameters, and its projection has no 1/√size.
    strength = damping * problem.l2 * size / count
    with tempfile.TemporaryDirectory() as folder:
        model = TRAKer(
            network, "image_classification", len(problem.X), save_dir=folder, device=device,
            projector=BasicProjector(count, size, 0, "rademacher", device),
            proj_dim=size, grad_wrt=names, use_half_precision=False, lambda_reg=strength,
            logging_level=logging.ERROR,
        )  # fmt: skip
        model.load_checkpoint(problem.state, 0)
        for X, y in zip(problem.X.split(BATCH), problem.y.split(BATCH), strict=True):
            model.featurize((X, y), num_samples=len(X))
        model.finalize_features()
        model.start_scoring_checkpoint("test", problem.state, 0, len(problem.X_test))
        pairs = zip(problem.X_test.split(BATCH), problem.y_test.split(BATCH), strict=True)
        for X, y in pairs:
            model.score((X, y), num_samples=len(X))
        # torch cannot pin memory without an accelerator, and TRAK asks for it all the same.
        pinned = {} if device.type != "cpu" else {"pin_memory": lambda scores: scores}
        with patch.multiple(torch.Tensor, **pinned):
            return torch.tensor(model.finalize_scores("test")).T


class Contestant(NamedTuple):
    """Its title, the module that must be installed, and its scores.

    own : dampings that its documents propose, tried beside those of the search.
    start : the damping at which the search begins.
    rows : if it solves a system for each test row, only so many are timed, and the seconds are
        multiplied.
    """

    title: str
    module: str
    scores: Callable[[Problem, Any], torch.Tensor]
    own: tuple[float | None, ...] = ()
    start: float = 10.0
    rows: int | None = None


CONTESTANTS = {
    "rows": Contestant("this engine, row_influence", "torch", this_engine),
    "layers": Contestant(
        "this engine, by_layer and fisher",
        "torch",
        partial(this_engine, by_layer=True, fisher=True),
        start=0.1,
    ),
    "kronfluence": Contestant("kronfluence, EK-FAC", "kronfluence", kronfluence, (None,), 1.0),
    "pydvl-ekfac": Contestant("pyDVL, EK-FAC", "pydvl", partial(pydvl, method="ekfac"), (), 1.0),
    "pydvl-nystroem": Contestant("pyDVL, Nyström", "pydvl", partial(pydvl, method="nystroem")),
    "dattri-ekfac": Contestant("dattri, EK-FAC", "dattri", partial(dattri, method="ekfac"), (0.0,)),
    "dattri-trak": Contestant("dattri, TRAK", "dattri", dattri_trak, (0.0,)),
    "trak": Contestant("TRAK", "trak", trak, (0.0,)),
    "one": Contestant(
        "this engine, ModuleInfluence by CG", "torch", one_by_one, (), 100.0, rows=FEW
    ),
    "pydvl-cg": Contestant("pyDVL, CG", "pydvl", partial(pydvl, method="cg"), (), rows=FEW),
    "dattri-cg": Contestant(
        "dattri, CG", "dattri", partial(dattri, method="cg"), (0.0,), 1.0, rows=FEW
    ),
}
