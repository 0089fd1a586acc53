"""The texts of a run as the encoder reads them, their embeddings as a data set, and its splits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from sklearn.preprocessing import StandardScaler

from common.kinds import Protocol
from data_prep.catalogue import own_dataset
from data_prep.features import Prepared
from data_prep.text_encoder import Encoder, Tokens, embed
from data_utils import Split, Table, make_split
from llm.texts import Texts


@dataclass(frozen=True)
class LanguageData:
    """Texts, the encoder, and the texts as the encoder reads them."""

    texts: Texts
    encoder: Encoder
    tokens: Tokens

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the texts."""
        cut, unknown = self.tokens.cut, self.tokens.unknown
        notes = [*self.texts.notes]
        if cut:
            notes.append(f"{cut:,} texts are cut to {self.encoder.most_tokens} tokens")
        if unknown:
            notes.append(
                f"{unknown:,} texts hold signs that {self.encoder.name} does not know, such as "
                "emoji: it sees that there is a sign, but not which one"
            )
        return notes

    @cached_property
    def classes(self) -> np.ndarray:
        """The classes, sorted, (K,): a class number is a position in them."""
        return np.unique(self.texts.y)

    def table(
        self, device: str, quiet: bool, say: Callable[[str], None] = lambda text: None
    ) -> Table:
        """The embeddings as a data set, as the loop of experiments/ takes it.

        quiet : show no progress bar. say : as of ``embed``. Raises UserError as ``embed`` does.
        """
        X = embed(self.encoder, self.tokens, device, quiet, say)
        texts = self.texts
        data = Prepared(X, texts.y, texts.rows, texts.dropped, texts.notes)
        dataset = replace(own_dataset(texts.name, data), name=texts.name, title=texts.title)
        # the encoder is part of what the result depends on
        files = [replace(file, encoder_sha256=self.encoder.digest) for file in texts.files]
        return Table(dataset, data, tuple(files), texts.place)


def split_texts(table: Table, test: np.ndarray | None, init: int, seed: int) -> Split:
    """The strict protocol's split of a table of embeddings.

    test : positions of the test set, if the task has one of its own. The strict protocol then
    splits the other texts, and what would have been its test set joins the pool.
    init : labeled texts at the start.
    Raises UserError as ``make_split`` does.
    """
    if test is None:
        return make_split(table, Protocol.STRICT, init, seed)
    data = table.data
    others = np.setdiff1d(np.arange(len(data.y)), test)
    part = Prepared(data.X[others], data.y[others], data.rows[others])
    drawn = make_split(replace(table, data=part), Protocol.STRICT, init, seed)
    labeled, validation = others[drawn.labeled], others[drawn.validation]
    pool = others[np.concatenate([drawn.pool, drawn.test])]
    X = StandardScaler().fit(data.X[np.concatenate([labeled, pool])]).transform(data.X)
    return Split(X, data.y, data.rows, labeled, pool, validation, test)
