"""Features of a column of free text: TF-IDF with a truncated SVD, or a pretrained encoder's.

TF-IDF is fitted to the texts that decide on the columns. The encoder is frozen: nothing is fitted.
"""

import hashlib
import importlib.util
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from common.errors import UserError, check_known
from data_prep import text_encoder
from data_prep.column_kinds import category_texts
from data_prep.reading import TEXT_FEATURES
from data_prep.text_encoder import DEFAULT, WHEEL, Encoder, TooLittleMemory

COMPONENTS = 100  # of the SVD, at most
MOST_TERMS = 50_000  # words and pairs of words, the most frequent ones
MOST_TOKENS = 256  # that the encoder reads of a text
PART = 1_000  # texts that the encoder gets at once, and that a file of the cache holds
MOST_KEPT = 100_000  # embeddings that a process remembers
SOLVED = 1e-6  # a singular value below this part of the largest one is an error of rounding

# Scripts without blanks between words, in which each sign is taken as a word; and small pictures.
UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
PICTURES = "\u2600-\u27bf\U0001f000-\U0001faff"
BREAKS = (  # blanks, control characters and punctuation, also in full width
    r"\s\x00-/:-@\[-`{-\xbf\xd7\xf7\u2000-\u206f\u3000-\u303f\ufe00-\ufe0f\uff00-\uff0f\uff1a-\uff20"
)
WORD = f"[{UNSPACED}{PICTURES}]|[^{UNSPACED}{PICTURES}{BREAKS}]+"


@dataclass(frozen=True)
class TextRules:
    """How free text becomes features.

    choice : "tfidf" or "encoder" as the user says, or None for the encoder if it is installed.
    fits : whether TF-IDF may be fitted. It may not if texts of the test set are among those that
    decide. portable : whether the features must be made by scikit-learn alone, for a model file.
    quiet : show no progress bar of the encoder.
    """

    choice: str | None = None
    fits: bool = True
    portable: bool = False
    quiet: bool = True


@dataclass(frozen=True, eq=False)
class TermTexts:
    """TF-IDF of words and pairs of words, then an SVD. steps : both, fitted."""

    steps: Pipeline
    misfit = "is no text"

    def names(self, column: str) -> list[str]:
        return [f"{column}.svd{k}" for k in range(1, len(self.steps[-1].components_) + 1)]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        if not len(cells):  # scikit-learn refuses it
            return np.empty((0, len(self.names("")))), np.zeros(0, bool)
        return self.steps.transform(filled_texts(cells)), np.zeros(len(cells), bool)


@dataclass(frozen=True)
class EncodedTexts:
    """Embeddings of the encoder. digest : of its files. width : how many numbers they are."""

    digest: str
    width: int
    quiet: bool = field(default=True, compare=False)
    misfit = "is no text"

    def names(self, column: str) -> list[str]:
        return [f"{column}.encoder{k}" for k in range(1, self.width + 1)]

    def read(self, cells: pd.Series, source: str) -> tuple[np.ndarray, np.ndarray]:
        """Raises UserError if the encoder is not the one of the rows that decided."""
        if not len(cells):
            return np.empty((0, self.width)), np.zeros(0, bool)
        if the_encoder().digest != self.digest:
            raise UserError(
                f"{source}, column {cells.name!r}: the encoder {DEFAULT} is another one than that "
                "of the rows that decided: fit again"
            )
        return embeddings(filled_texts(cells), self.quiet), np.zeros(len(cells), bool)


TextReader = TermTexts | EncodedTexts


def reader_of_texts(
    cells: pd.Series, rules: TextRules, title: str
) -> tuple[TextReader | None, str]:
    """What makes features of free text, and what it does, in words; None if nothing can.

    cells : that decide, (n,). title : names the column in errors.

    Raises UserError if the encoder is chosen and not installed, or has to be in a model file; and
    if TF-IDF is chosen, but may not be fitted.
    """
    if rules.choice is not None:
        check_known("--text-features", rules.choice, TEXT_FEATURES)
    encodes = rules.choice == "encoder" or (rules.choice is None and is_installed())
    if encodes and rules.portable:
        raise UserError(
            f"{title}: an encoder reads this free text, and the file of --model-out could not be "
            "loaded without it: add --text-features tfidf, or leave --model-out out"
        )
    if rules.choice == "tfidf" and not rules.fits:
        raise UserError(
            f"{title}: --text-features tfidf is for label.py, for here TF-IDF would be fitted to "
            "texts of the test set: leave it out, then the encoder that make llm installs is used"
        )
    if not encodes and not rules.fits:
        return None, "free text, which only an encoder reads here: make llm installs one"
    if encodes:
        return _encoder_reader(cells, rules.quiet)
    steps = _fitted_terms(filled_texts(cells))
    if steps is None:
        return None, "free text without a word"
    terms, kept = len(steps[0].vocabulary_), len(steps[-1].components_)
    told = f"free text: TF-IDF of {terms:,} words and pairs of words, {kept} components of its SVD"
    return TermTexts(steps), told + ("" if rules.choice else " (make llm installs an encoder)")


def filled_texts(cells: pd.Series) -> list[str]:
    """The cells as texts, "" if they are missing."""
    return category_texts(cells).fillna("").tolist()


def text_hashes(cells: pd.Series) -> np.ndarray:
    """A whole number below 2**48 for each text, as float64: (n,)."""
    digests = [_digest(text)[:6] for text in filled_texts(cells)]
    return np.array([int.from_bytes(digest, "big") for digest in digests], np.float64)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def word_counts(shown: pd.Series) -> pd.Series:
    """How many words each text has, (n,); two signs of a script without blanks count as a word."""
    return np.maximum(shown.str.split().str.len(), shown.str.count(f"[{UNSPACED}]") / 2)


# --- TF-IDF ---------------------------------------------------------------------------------------


def _fitted_terms(texts: list[str]) -> Pipeline | None:
    """TF-IDF and SVD, fitted to the texts; None if they hold no word."""
    for fewest in (2, 1):  # texts that a term must be in
        terms = TfidfVectorizer(
            token_pattern=WORD,
            ngram_range=(1, 2),
            min_df=fewest,
            max_features=MOST_TERMS,
            sublinear_tf=True,
        )
        try:
            weights = terms.fit_transform(texts)
            break
        except ValueError:  # no term is in so many texts
            continue
    else:
        return None
    most = min(COMPONENTS, *weights.shape)
    svd = TruncatedSVD(most, random_state=0).fit(weights)
    kept = int((svd.singular_values_ > SOLVED * svd.singular_values_[0]).sum())
    if kept < most:  # fewer texts differ
        svd = TruncatedSVD(kept, random_state=0).fit(weights)
    return Pipeline([("terms", terms), ("svd", svd)])


# --- the encoder ----------------------------------------------------------------------------------


def is_installed() -> bool:
    """Whether the encoder's package and the libraries for it are here; no network is asked."""
    return all(importlib.util.find_spec(name) for name in ("transformers", WHEEL))


@cache
def the_encoder() -> Encoder:
    """The encoder, opened once. Raises UserError if it cannot be."""
    try:
        return text_encoder.open_encoder(DEFAULT, MOST_TOKENS)
    except UserError as error:  # in the words of main_llm.py, which has an option for it
        told = str(error).removeprefix("--encoder ")
        raise UserError(f"{told}; --text-features tfidf needs no encoder") from error


def _encoder_reader(cells: pd.Series, quiet: bool) -> tuple[EncodedTexts, str]:
    encoder, texts = the_encoder(), filled_texts(cells)
    cut = unknown = 0
    for start in range(0, len(texts), PART):
        tokens = encoder.tokens([np.array(texts[start : start + PART], object)])
        cut, unknown = cut + tokens.cut, unknown + tokens.unknown
    told = [f"free text: {encoder.width} numbers of the encoder {DEFAULT}"]
    told += [f"{cut:,} of {len(texts):,} texts are cut to {MOST_TOKENS} tokens"] * bool(cut)
    told += [f"{unknown:,} texts hold signs that it does not know"] * bool(unknown)
    return EncodedTexts(encoder.digest, encoder.width, quiet), "; ".join(told)


_remembered: dict[bytes, np.ndarray] = {}


def embeddings(texts: list[str], quiet: bool = True) -> np.ndarray:
    """The encoder's embeddings of the texts: (n, D).

    They are kept in the cache. A process remembers those of the first texts that it sees, among
    them all known rows: so equal texts have the very same embedding, however they were batched.
    Raises UserError as ``embed`` does, and if there is too little memory.
    """
    keys = [_digest(text) for text in texts]
    new = {key: text for key, text in zip(keys, texts, strict=True) if key not in _remembered}
    found: dict[bytes, np.ndarray] = {}
    encoder, missing = the_encoder(), list(new)
    bar = tqdm(
        total=len(missing), desc="encoding", unit="text", leave=False, disable=quiet or not missing
    )
    with bar:
        for start in range(0, len(missing), PART):
            part = missing[start : start + PART]
            tokens = encoder.tokens([np.array([new[key] for key in part], object)])
            try:
                found |= zip(part, text_encoder.embed(encoder, tokens), strict=True)
            except TooLittleMemory as error:
                raise UserError(
                    "there is too little memory to encode free text: leave its column out with "
                    "--drop, or close other programs"
                ) from error
            bar.update(len(part))
    for key in missing[: max(0, MOST_KEPT - len(_remembered))]:
        _remembered[key] = found[key]
    return np.stack([found[key] if key in found else _remembered[key] for key in keys])
