"""The contestants: one round of influence scoring by this engine, pyDVL, dattri and captum.

Each function takes a ``Problem`` and returns the benefit of every pool row under every class,
(n, K), at the given weights. So it computes the validation gradient, H over the labeled set, the
solution and the scores. The floors compute less: a part of the arithmetic that every round needs.

Each library is used through its public interface in the way that costs it least:

- The validation set is ONE sample of many rows, whose loss is the sum over the rows. If a library
  computed the influence on each validation row, it would solve thousands of systems, not one.
- The rows of H are one batch. A data loader that collates rows costs more than the products with H.
- The K labels to try are K passes over the pool, each with a constant label. One batch of n·K rows
  would cost the same arithmetic and K times the memory.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from problems import Problem
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import influence
from models import LogisticRegression
from numerics.linear import matmul

GRADIENTS = 8_000_000  # numbers in the gradients of a batch, if a library builds one per row


def fitted(problem: Problem) -> LogisticRegression:
    """This engine's model with the given weights."""
    device, dtype = problem.theta.device, str(problem.theta.dtype).removeprefix("torch.")
    model = LogisticRegression(problem.l2, device=str(device), dtype=dtype)
    model.theta_, model.classes_ = problem.theta, np.arange(problem.classes)
    return model


def this_engine(problem: Problem, solver: str) -> torch.Tensor:
    """``influence.benefit``."""
    return influence.benefit(
        fitted(problem),
        problem.X_labeled,
        problem.X_validation,
        problem.y_validation,
        problem.X_pool,
        solver=solver,
    )


def network(problem: Problem) -> torch.nn.Module:
    """The model as a module, for the libraries: a linear layer without a bias."""
    units, features = problem.theta.shape
    kind = {"dtype": problem.theta.dtype, "device": problem.theta.device}
    layer = torch.nn.Linear(features, units, bias=False, **kind)
    layer.load_state_dict({"weight": problem.theta})
    return layer


def summed_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum of the cross-entropies of logits (..., U) and class numbers y (...)."""
    logits, y = logits.flatten(0, -2), y.flatten()
    if logits.shape[1] == 1:
        return binary_cross_entropy_with_logits(logits[:, 0], y.to(logits), reduction="sum")
    return cross_entropy(logits, y, reduction="sum")


def pool_batches(problem: Problem, rows: int) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """The pool, ``rows`` rows at a time: for each class, the rows and that class as their label."""
    for X in problem.X_pool.split(rows):
        yield [(X, torch.full((len(X),), c, device=X.device)) for c in range(problem.classes)]


def pydvl(problem: Problem, method: str) -> torch.Tensor:
    """pyDVL by CG or by an LU factor.

    It computes products with the gradients of rows by forward differentiation, so that the pool
    need not be divided. Its CG stops at a residual of
    max(rtol²·|first entry of the right-hand side|, atol²), so that ``atol`` carries the tolerance.
    ``solve_simultaneously=True`` would stop after ten steps, ten times the number of right-hand
    sides.
    """
    from pydvl.influence.torch import CgInfluence, DirectInfluence

    layer, absolute = network(problem), problem.tolerance * problem.gradient_norm
    if method == "cg":
        model = CgInfluence(
            layer, summed_loss, regularization=problem.l2, rtol=0.0, atol=absolute**0.5
        )
    else:
        model = DirectInfluence(layer, summed_loss, regularization=problem.l2)
    model = model.fit([(problem.X_labeled, problem.y_labeled)])
    factors = model.influence_factors(problem.X_validation[None], problem.y_validation[None])
    (batches,) = pool_batches(problem, len(problem.X_pool))
    return torch.cat([model.influences_from_factors(factors, X, y) for X, y in batches]).T


def dattri(problem: Problem) -> torch.Tensor:
    """dattri by CG.

    ``attribute`` would solve the same system again for every batch of the pool, so the public
    methods of which it consists are called here, once each. dattri's CG ignores ``tol``: it takes
    ``max_iter`` steps whatever the residual is, and gives NaN after too many. So ``max_iter`` is
    the number of steps that is needed.
    """
    from dattri.algorithm.influence_function import IFAttributorCG
    from dattri.task import AttributionTask

    layer = network(problem)

    def loss(parameters, batch):
        X, y = batch
        return summed_loss(torch.func.functional_call(layer, parameters, (X,)), y)

    task = AttributionTask(loss, layer, layer.state_dict())
    attributor = IFAttributorCG(
        task,
        device=str(problem.theta.device),
        max_iter=problem.cg_steps,
        regularization=problem.l2,
    )
    attributor.cache([(problem.X_labeled, problem.y_labeled)])
    # dattri adds a first dimension, and takes the second one as the dimension of samples.
    validation = problem.X_validation[None, None], problem.y_validation[None, None]
    solution = attributor.transform_test_rep(0, attributor.generate_test_rep(0, validation))
    scores = [
        torch.cat([attributor.generate_train_rep(0, (X[None], y[None])) @ solution.T
                   for X, y in batches], 1)
        for batches in pool_batches(problem, GRADIENTS // problem.theta.numel())
    ]  # fmt: skip
    return torch.cat(scores).detach()


def captum(problem: Problem) -> torch.Tensor:
    """captum by all eigenvectors of H.

    It builds H column by column, and embeds the gradient of every row in the eigenvectors. With
    ``aggregate`` it sums the embeddings of the validation rows, so that every batch of the pool
    takes one product for each class.
    """
    from captum.influence import NaiveInfluenceFunction

    layer, units = network(problem), len(problem.theta)
    kind = torch.nn.BCEWithLogitsLoss if units == 1 else torch.nn.CrossEntropyLoss

    def batch(X, y):
        return X, y[:, None].to(X) if units == 1 else y

    labeled = torch.utils.data.DataLoader(
        [batch(problem.X_labeled, problem.y_labeled)], batch_size=None
    )
    model = NaiveInfluenceFunction(
        layer,
        labeled,
        checkpoint="",
        checkpoints_load_func=lambda *_: 1.0,  # the layer has its weights already
        loss_fn=kind(reduction="sum"),
        sample_wise_grads_per_batch=True,
        projection_dim=problem.theta.numel(),  # the default of 50 is an approximation
        hessian_reg=problem.l2,
        hessian_inverse_tol=0.0,
    )
    embed = model.compute_intermediate_quantities
    validation = embed(
        torch.utils.data.DataLoader(
            [batch(problem.X_validation, problem.y_validation)], batch_size=None
        ),
        aggregate=True,
    )
    scores = [
        torch.cat([embed(batch(X, y)) @ validation.T for X, y in batches], 1)
        for batches in pool_batches(problem, GRADIENTS // problem.theta.numel())
    ]
    return torch.cat(scores).detach()


def gemm(problem: Problem) -> torch.Tensor:
    """The pool times 2U columns, (n, 2U): the least that the scores need, given H⁻¹g."""
    both = torch.cat([problem.theta, problem.theta])
    return problem.X_pool @ both.T


def onednn(problem: Problem) -> torch.Tensor:
    """The same product as this engine computes it. In float64 only its layout differs."""
    both = torch.cat([problem.theta, problem.theta])
    return matmul(both, problem.X_pool.T)


def read(problem: Problem) -> torch.Tensor:
    """The sum of all numbers of the pool, which reads each of them once."""
    return problem.X_pool.sum()


class Contestant(NamedTuple):
    """Its title in the table, the module that must be installed, and its round."""

    title: str
    module: str
    round: Callable[[Problem], torch.Tensor]


CONTESTANTS = {
    "auto": Contestant("this engine", "torch", partial(this_engine, solver="auto")),
    "cholesky": Contestant(
        "this engine, Cholesky", "torch", partial(this_engine, solver="cholesky")
    ),
    "cg": Contestant("this engine, CG", "torch", partial(this_engine, solver="cg")),
    "pydvl-cg": Contestant("pyDVL, CG", "pydvl", partial(pydvl, method="cg")),
    "pydvl-lu": Contestant("pyDVL, LU", "pydvl", partial(pydvl, method="lu")),
    "dattri": Contestant("dattri, CG", "dattri", dattri),
    "captum": Contestant("captum, eigenvectors", "captum", captum),
    "gemm": Contestant("floor: GEMM with 2U columns", "torch", gemm),
    "onednn": Contestant("floor: the same by oneDNN", "torch", onednn),
    "read": Contestant("floor: reading the pool", "torch", read),
}
FLOORS = ("gemm", "onednn", "read")  # their results are not scores
