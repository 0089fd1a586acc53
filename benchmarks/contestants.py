"""One round by this engine, by pyDVL, dattri and captum, and the bare arithmetic of the scores.

Each function takes a ``Problem`` and gives the benefit of every pool row under every class,
(n, K), from the given weights: the validation gradient, H over the labeled set, the solve and the
scores. What a library is asked for is what costs it least through its public interface:

- The validation set goes in as ONE sample of many rows, whose loss is the sum over them: a library
  asked for the influence on each validation row would solve thousands of systems, not one.
- H is given as one batch, already collated: a loader that collates rows costs more than the HVP.
- K hypothetical labels of the pool are K passes over it with a constant label. Folding them into
  one batch of n·K rows costs the same arithmetic and K times the memory.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from problems import Problem
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

import influence
from models import LogisticRegression
from units import matmul

GRADIENTS = 8_000_000  # entries of per-row gradients held at once, where a library builds them


def fitted(problem: Problem) -> LogisticRegression:
    """This engine's model with the given weights."""
    dtype = str(problem.theta.dtype).removeprefix("torch.")
    model = LogisticRegression(problem.l2, dtype=dtype)
    model.theta_, model.classes_ = problem.theta, np.arange(problem.classes)
    return model


def this_engine(problem: Problem, solver: str) -> torch.Tensor:
    return influence.benefit(
        fitted(problem),
        problem.X_labeled,
        problem.X_validation,
        problem.y_validation,
        problem.X_pool,
        solver=solver,
    )


def network(problem: Problem) -> torch.nn.Module:
    """The model as the libraries want it: a linear layer without a bias."""
    units, features = problem.theta.shape
    layer = torch.nn.Linear(features, units, bias=False, dtype=problem.theta.dtype)
    layer.load_state_dict({"weight": problem.theta})
    return layer


def summed_loss(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum of the cross-entropies of logits (..., U) and class numbers y (...)."""
    logits, y = logits.flatten(0, -2), y.flatten()
    if logits.shape[1] == 1:
        return binary_cross_entropy_with_logits(logits[:, 0], y.to(logits), reduction="sum")
    return cross_entropy(logits, y, reduction="sum")


def pool_batches(problem: Problem, rows: int) -> Iterator[list[tuple]]:
    """The pool, so many rows at a time, with each class in turn."""
    for X in problem.X_pool.split(rows):
        yield [(X, torch.full((len(X),), c)) for c in range(problem.classes)]


def pydvl(problem: Problem, method: str) -> torch.Tensor:
    """pyDVL takes products with the gradients of rows by forward differentiation: no chunks.

    Its CG stops at a residual of max(rtol²·|first entry of the right-hand side|, atol²): the
    tolerance is given by way of ``atol``. ``solve_simultaneously=True`` would stop after ten steps,
    ten times the number of right-hand sides.
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
    """``attribute`` would solve the same system again for every batch of the pool: its parts, which
    are public, are called once each. Its CG ignores ``tol``, does ``max_iter`` steps whatever the
    residual, and gives NaN where these are too many: it is told the number that is needed.
    """
    from dattri.algorithm.influence_function import IFAttributorCG
    from dattri.task import AttributionTask

    layer = network(problem)

    def loss(parameters, batch):
        X, y = batch
        return summed_loss(torch.func.functional_call(layer, parameters, (X,)), y)

    task = AttributionTask(loss, layer, layer.state_dict())
    attributor = IFAttributorCG(task, max_iter=problem.cg_steps, regularization=problem.l2)
    attributor.cache([(problem.X_labeled, problem.y_labeled)])
    # dattri adds a dimension in front and takes the second one as that of samples.
    validation = problem.X_validation[None, None], problem.y_validation[None, None]
    solution = attributor.transform_test_rep(0, attributor.generate_test_rep(0, validation))
    scores = [
        torch.cat([attributor.generate_train_rep(0, (X[None], y[None])) @ solution.T
                   for X, y in batches], 1)
        for batches in pool_batches(problem, GRADIENTS // problem.theta.numel())
    ]  # fmt: skip
    return torch.cat(scores).detach()


def captum(problem: Problem) -> torch.Tensor:
    """captum builds H column by column, takes all its eigenvectors and embeds every gradient.

    ``aggregate`` sums the embeddings of the validation rows, so that one product per class is left.
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
        checkpoints_load_func=lambda *_: 1.0,  # the layer has its weights
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
    """The pool times 2U columns: what the scores need at least, given H⁻¹g."""
    both = torch.cat([problem.theta, problem.theta])
    return problem.X_pool @ both.T


def onednn(problem: Problem) -> torch.Tensor:
    """The same as this engine does it: in float64 it differs in the layout only."""
    both = torch.cat([problem.theta, problem.theta])
    return matmul(both, problem.X_pool.T)


def read(problem: Problem) -> torch.Tensor:
    """Every number of the pool read once."""
    return problem.X_pool.sum()


# Name → title, module that must be there, the round. Floors give no scores.
CONTESTANTS: dict[str, tuple[str, str, Callable]] = {
    "auto": ("this engine", "torch", partial(this_engine, solver="auto")),
    "cholesky": ("this engine, Cholesky", "torch", partial(this_engine, solver="cholesky")),
    "cg": ("this engine, CG", "torch", partial(this_engine, solver="cg")),
    "pydvl-cg": ("pyDVL, CG", "pydvl", partial(pydvl, method="cg")),
    "pydvl-lu": ("pyDVL, LU", "pydvl", partial(pydvl, method="lu")),
    "dattri": ("dattri, CG", "dattri", dattri),
    "captum": ("captum, eigenvectors", "captum", captum),
    "gemm": ("floor: GEMM with 2U columns", "torch", gemm),
    "onednn": ("floor: the same by oneDNN", "torch", onednn),
    "read": ("floor: reading the pool", "torch", read),
}
FLOORS = ("gemm", "onednn", "read")
