"""The jobs of networks.py: data that ship, a trained network, and the same network retrained.

A network is retrained on random halves of its training rows. The scores of a contestant predict
which half gives which loss on a test row; ``linear_datamodeling_score`` says how well. Each half is
trained several times. The first training of all halves begins at the same initial weights, the
second at other ones: between two halves, only their rows differ. The trained network itself begins
at weights that no half begins at.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy, layer_norm

SUBSETS = 50  # halves behind the linear datamodeling score
OTHER_SUBSETS = 10  # halves, beside other test rows, on which every contestant chooses its damping
OTHER_ROWS = 200
FEW = 20  # test rows for a contestant that solves a system for each of them


class Encoder(torch.nn.Module):
    """A transformer encoder of one block for images of 28 × 28 pixels, read as 7 strips."""

    positions: torch.Tensor

    def __init__(self, classes: int = 10, width: int = 32):
        super().__init__()
        linear = torch.nn.Linear
        self.strip = linear(112, width)
        self.query, self.key = linear(width, width), linear(width, width)
        self.value, self.mix = linear(width, width), linear(width, width)
        self.wide, self.narrow = linear(width, 2 * width), linear(2 * width, width)
        self.head = linear(width, classes)
        angles = torch.arange(7)[:, None] / 100 ** (torch.arange(0, width, 2) / width)
        self.register_buffer("positions", torch.cat([angles.sin(), angles.cos()], 1))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) for pixels X (n, 784)."""
        H = self.strip(X.reshape(-1, 7, 112)) + self.positions  # (n, 7, width)
        N = layer_norm(H, H.shape[-1:])
        scores = self.query(N) @ self.key(N).transpose(1, 2) / H.shape[-1] ** 0.5
        H = H + self.mix(scores.softmax(-1) @ self.value(N))
        H = H + self.narrow(self.wide(layer_norm(H, H.shape[-1:])).tanh())
        return self.head(layer_norm(H, H.shape[-1:]).mean(1))


def perceptron() -> torch.nn.Module:
    """A multilayer perceptron of 9,542 parameters for 12 features and 2 classes."""
    sizes = (12, 90, 90, 2)
    layers = [
        part for d, o in zip(sizes[:-1], sizes[1:], strict=True)
        for part in (torch.nn.Linear(d, o), torch.nn.Tanh())
    ]  # fmt: skip
    return torch.nn.Sequential(*layers[:-1])


@dataclass(frozen=True)
class Job:
    """A data set, how many of its rows train and test, the network, and its training.

    decay : l2 over the rows, for all parameters. inits : how often each half is trained, an even
    number. last : the last layer, if only it may change.
    """

    data: str
    train: int
    test: int
    build: Callable[[], torch.nn.Module]
    decay: float
    epochs: int
    batch: int = 250
    rate: float = 0.005
    inits: int = 4
    last: str = ""

    def shrunk(self, factor: int) -> "Job":
        """The same job with 1/``factor`` of the rows, and of the epochs."""
        return replace(
            self,
            train=max(self.train // factor, 100),
            test=max(self.test // factor, 20),
            batch=min(self.batch, 50) if factor > 1 else self.batch,
            epochs=max(self.epochs // factor, 1),
        )

    def __str__(self) -> str:
        return f"{self.data}, {self.train:,} training rows, {self.test:,} test rows"


_IMAGES = Job("mnist", 2_000, 1_000, Encoder, decay=3e-3, epochs=30, batch=100, rate=0.01, inits=6)
JOBS = {
    "D": Job("electric", 5_000, 2_000, perceptron, decay=1e-3, epochs=60),
    "E": _IMAGES,
    "E-last": replace(_IMAGES, last="head"),
}


@dataclass
class Problem:
    """A trained network, its data, and the losses of retrained ones.

    X (n, D), y (n,) : the training rows. X_test (v, D), y_test (v,) : the test rows.
    subsets (s, n/2) : the rows of each half. losses (s, v) : the losses of the test rows after
        retraining on it, the mean over ``job.inits`` initial weights.
    l2 : the penalty of every parameter, beside the SUM of the losses.
    """

    job: Job
    state: dict[str, torch.Tensor]
    X: torch.Tensor
    y: torch.Tensor
    X_test: torch.Tensor
    y_test: torch.Tensor
    subsets: torch.Tensor
    losses: torch.Tensor

    @property
    def l2(self) -> float:
        return self.job.decay * len(self.X)

    def network(self) -> torch.nn.Module:
        """The trained network, in eval mode. Only the layer ``job.last`` requires a gradient."""
        network = self.job.build().to(self.X.device, self.X.dtype)
        network.load_state_dict(self.state)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(self.job.last))
        return network.eval()

    def of(self, job: Job) -> "Problem":
        """The same for another choice of the parameters that may change."""
        return replace(self, job=replace(self.job, last=job.last))

    def names(self) -> list[str]:
        """The parameters that may change."""
        return [name for name, p in self.network().named_parameters() if p.requires_grad]

    def with_rows(self, count: int) -> "Problem":
        """The same with the first ``count`` test rows."""
        return replace(
            self,
            X_test=self.X_test[:count],
            y_test=self.y_test[:count],
            losses=self.losses[:, :count],
        )

    def to(self, device: str) -> "Problem":
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        state = {name: value.to(device) for name, value in self.state.items()}
        return replace(self, state=state, **tensors)


def prepare(job: Job, dtype: str, device: str, path: Path) -> dict[str, float]:
    """Train and retrain, and save at ``path`` what networks.py needs; what it prints of it.

    The file holds the problem, the other one for the choice of the damping, and the returned facts.
    """
    from data_utils import load  # late, because it loads pandas: each contestant loads this module

    data = load(job.data).data
    rng = np.random.default_rng(0)
    order = rng.permutation(len(data.y))[: job.train + job.test + OTHER_ROWS]
    features = data.X[order].astype(np.float64)
    shift, scale = features[: job.train].mean(0), features[: job.train].std(0)
    if job.data == "mnist":
        shift, scale = features[: job.train].mean(), features[: job.train].std()
    X = torch.tensor((features - shift) / scale, dtype=getattr(torch, dtype), device=device)
    y = torch.tensor(np.unique(data.y, return_inverse=True)[1][order], device=device)
    parts = [slice(job.train), slice(job.train, job.train + job.test), slice(-OTHER_ROWS, None)]
    everything = torch.arange(job.train, device=device)[None]
    halves = [rng.permutation(job.train)[: job.train // 2] for _ in range(SUBSETS + OTHER_SUBSETS)]
    subsets = torch.tensor(np.stack(halves), device=device)
    network = job.build().to(device, X.dtype)
    trained = train(job, network, [0], X[parts[0]], y[parts[0]], everything)
    retrained = [
        train(job, network, [init] * len(subsets), X[parts[0]], y[parts[0]], subsets)
        for init in range(1, job.inits + 1)
    ]
    state = {name: value[0] for name, value in trained.items()}
    state |= dict(network.named_buffers())
    saved, agreements = [], []
    for part, kept in zip(parts[1:], (slice(SUBSETS), slice(SUBSETS, None)), strict=True):
        losses = torch.stack([row_losses(network, p, X[part], y[part])[kept] for p in retrained])
        agreements.append(agreement(losses))
        saved.append(
            Problem(job, state, X[parts[0]], y[parts[0]], X[part], y[part], subsets[kept],
                    losses.mean(0))
        )  # fmt: skip
    with torch.no_grad():
        right = functional_call(network, state, (X[parts[1]],)).argmax(1) == y[parts[1]]
    problem = saved[0]
    training = {
        "accuracy": float(right.double().mean()),
        "slope": slope(problem),
        "agreement": agreements[0],
        "ceiling": ceiling(agreements[0]),
    }
    problem, other = (part.to("cpu") for part in saved)
    temporary = path.with_suffix(".part")
    torch.save({"problem": problem, "other": other, "training": training}, temporary)
    temporary.replace(path)
    return training


def train(
    job: Job,
    network: torch.nn.Module,
    seeds: "range | list[int]",
    X: torch.Tensor,
    y: torch.Tensor,
    rows: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """The parameters of a network for each seed, trained on its ``rows`` (s, m): (s, ...) each.

    Adam with a rate that falls to 0 by a cosine; the seed draws initial weights and batches.
    """
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        networks.append(job.build().to(X.device, X.dtype))
    parameters = {name: value.detach() for name, value in stack_module_state(networks)[0].items()}

    def loss(values: dict[str, torch.Tensor], X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        penalty = sum((value**2).sum() for value in values.values())
        return cross_entropy(functional_call(network, values, (X,)), y) + job.decay / 2 * penalty

    gradients, leaves = vmap(grad(loss)), list(parameters.values())
    for leaf in leaves:
        leaf.requires_grad_()
    steps = rows.shape[1] // job.batch
    optimizer = torch.optim.Adam(leaves, lr=job.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(job.epochs * steps, 1))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for _epoch in range(job.epochs):
        order = torch.stack([torch.randperm(rows.shape[1], generator=rng) for rng in generators])
        for batch in order[:, : steps * job.batch].to(rows.device).split(job.batch, 1):
            chosen = rows.gather(1, batch)
            with torch.no_grad():
                found = gradients(parameters, X[chosen], y[chosen])
            for name, leaf in parameters.items():
                leaf.grad = found[name]
            optimizer.step()
            schedule.step()
    return {name: value.detach() for name, value in parameters.items()}


def row_losses(
    network: torch.nn.Module, parameters: dict[str, torch.Tensor], X: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """The loss of each row under each of s networks, (s, v), in float64: small ones differ too."""
    with torch.no_grad():
        logits = vmap(lambda values: functional_call(network, values, (X,)))(parameters)
    flat = logits.double().flatten(0, 1)
    return cross_entropy(flat, y.repeat(len(logits)), reduction="none").reshape(len(logits), -1)


def slope(problem: Problem) -> float:
    """The norm of the mean gradient over that of the mean row: how far from a minimum."""
    network = problem.job.build().to(problem.X.device, problem.X.dtype)
    network.load_state_dict(problem.state)
    parameters = list(network.parameters())
    loss = cross_entropy(network(problem.X), problem.y)
    loss = loss + problem.job.decay / 2 * sum((p**2).sum() for p in parameters)
    return float(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).norm())


def agreement(losses: torch.Tensor) -> float:
    """How far two halves of the retrainings rank the subsets alike: losses (inits, s, v).

    The mean over the test rows of the rank correlation between the mean of the first
    retrainings and that of the others.
    """
    one, other = losses.chunk(2)
    return float(correlations(one.mean(0), other.mean(0)).mean())


def ceiling(agreement: float) -> float:
    """The LDS of a perfect prediction, from the agreement of two halves of the retrainings.

    By Spearman and Brown, the mean of all of them is as reliable as 2 r / (1 + r), and what is
    free of chance correlates with it by the root of this.
    """
    r = max(agreement, 0.0)
    return (2 * r / (1 + r)) ** 0.5


def linear_datamodeling_score(scores: torch.Tensor, problem: Problem) -> float:
    """The linear datamodeling score (LDS) of scores (v, n), as dattri.metric.lds defines it.

    scores : the predicted FALL of the loss of each test row if a training row is there. For each
    test row, the rank correlation over the subsets between the sum of the scores of their rows and
    the fall of the loss; then the mean over the test rows.
    """
    scores = scores.cpu().double()
    sums = torch.stack([scores[:, rows].sum(1) for rows in problem.subsets.cpu()])  # (s, v)
    return float(correlations(sums, -problem.losses.cpu()).mean())


def correlations(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Spearman's correlation of each column of (s, v) with that of the other, (v,); constant: 0."""
    ranks = [torch.as_tensor(rankdata(values.cpu().numpy(), axis=0)) for values in (one, other)]
    a, b = (rank - rank.mean(0) for rank in ranks)
    return ((a * b).sum(0) / (a.norm(dim=0) * b.norm(dim=0))).nan_to_num(0.0)
