"""Fine-tuning of one encoder: a fresh copy and a new linear head, trained on labeled texts.

Three modes say what is trained beside the head: ``lora``, low-rank additions to the attention's
query and value matrices (Hu et al. 2021, arXiv 2106.09685); ``full``, every weight; ``head``,
nothing. Dropout before the head, AdamW, warm-up, then linear decay of the learning rates.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from common.errors import UserError
from data_prep.hub import missing_package
from data_prep.text_encoder import READ_BATCH, Encoder, Item, batches, enough_memory, pooled
from llm.options import TuningMode

# The default learning rate of the encoder's own weights.
RATES = {TuningMode.LORA: 1e-3, TuningMode.FULL: 1e-4, TuningMode.HEAD: 0.0}
HEAD_RATE, DROPOUT, WARM_UP, CLIP, DECAY = 1e-2, 0.1, 0.1, 1.0, 0.01
RANK, ALPHA = 8, 16  # of LoRA
SORTED_BATCHES = 8  # so many batches' worth of texts are sorted by length together


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune.

    batch : texts in a batch. rate : learning rate of the encoder's own
    weights. device : torch device.
    """

    tune: TuningMode
    epochs: int
    batch: int
    rate: float
    device: str = "cpu"

    @property
    def epochs_text(self) -> str:
        return f"{self.epochs} epoch{'s' * (self.epochs > 1)}"


@dataclass(frozen=True)
class Examples:
    """Texts to train on: their tokens (m items), codes (m,) class numbers below ``classes``."""

    items: list[Item]
    codes: np.ndarray
    classes: int


@dataclass(frozen=True)
class Tuned:
    """The answers of a fine-tuned encoder.

    predicted (t,) : class numbers of the test texts. parameters : how many were trained.
    """

    predicted: np.ndarray
    parameters: int


def tune(
    encoder: Encoder, examples: Examples, test: list[Item], recipe: Recipe, seed: int
) -> Tuned:
    """Fine-tune a fresh copy on the examples, and ask it for the classes of ``test`` (t items).

    The result depends on nothing but the arguments; torch's global random state does not change.
    Raises UserError if peft knows no LoRA for this kind of encoder, or if there is too little
    memory.
    """
    devices = [torch.cuda.current_device()] if recipe.device == "cuda" else []
    with torch.random.fork_rng(devices), enough_memory():
        torch.manual_seed(seed)
        body = _trainable_body(encoder, recipe.tune)
        head = torch.nn.Linear(body.config.hidden_size, examples.classes)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        model = torch.nn.ModuleDict({"body": body, "head": head}).to(recipe.device)
        _train(encoder, model, examples, recipe, np.random.default_rng(seed))
        model.eval()
        predicted = np.empty(len(test), np.int64)
        with torch.inference_mode():
            for rows in batches(test, READ_BATCH):
                batch = encoder.padded([test[row] for row in rows], recipe.device)
                predicted[rows] = head(pooled(body, batch)).argmax(1).cpu().numpy()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad and p.grad is not None)
    return Tuned(predicted, trained)


def _trainable_body(encoder: Encoder, mode: TuningMode) -> Any:
    """The pretrained network, in which only the weights to be trained require gradients."""
    body = encoder.body()
    if mode == TuningMode.HEAD:
        return body.requires_grad_(False)
    if mode == TuningMode.FULL:
        return body
    try:
        from peft import LoraConfig, get_peft_model  # not at the top: the package is optional
    except ImportError as error:
        raise missing_package(error) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_peft_model(body, LoraConfig(r=RANK, lora_alpha=ALPHA))  # query and value
    except ValueError as error:
        raise UserError(
            f"peft knows no LoRA for {body.config.model_type}: give --tune full or --tune head"
        ) from error


def _train(
    encoder: Encoder,
    model: torch.nn.ModuleDict,
    examples: Examples,
    recipe: Recipe,
    rng: np.random.Generator,
) -> None:
    body, head = model["body"], model["head"]
    own = [p for p in body.parameters() if p.requires_grad]
    groups = [{"params": list(head.parameters()), "lr": HEAD_RATE}]
    if own:
        groups.append({"params": own, "lr": recipe.rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps = recipe.epochs * -(-len(examples.items) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_up_then_decay(steps))
    y = torch.as_tensor(examples.codes, device=recipe.device)
    model.train()
    for _ in range(recipe.epochs):
        for rows in shuffled_batches(examples.items, recipe.batch, rng):
            batch = encoder.padded([examples.items[row] for row in rows], recipe.device)
            features = torch.nn.functional.dropout(pooled(body, batch), DROPOUT)
            loss = torch.nn.functional.cross_entropy(head(features), y[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*own, *head.parameters()], CLIP)
            optimizer.step()
            schedule.step()


def _warm_up_then_decay(steps: int) -> Callable[[int], float]:
    """What the learning rates are multiplied by at each of ``steps`` steps."""
    return lambda step: min(
        (step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps)
    )


def shuffled_batches(
    items: Sequence[Item], size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Random batches of texts of similar lengths: positions in ``items``.

    Shuffled texts are sorted by length within groups of SORTED_BATCHES batches, and the batches are
    shuffled again. Five epochs over 200 movie snippets take 10 s so, and 16 s in batches that are
    not sorted.
    """
    order = rng.permutation(len(items))
    parts = []
    for i in range(0, len(order), SORTED_BATCHES * size):
        group = order[i : i + SORTED_BATCHES * size]
        parts += [group[rows] for rows in batches([items[row] for row in group], size)]
    return [parts[i] for i in rng.permutation(len(parts))]
