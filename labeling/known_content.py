"""Rows of the pool whose class is known: found by their content, for they have no name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

MOST_REPEATED = 0.01  # so many known rows may repeat, as typing errors do


@dataclass(frozen=True)
class KnownContent:
    """A hash of the content of each labeled row, (n,), and of each validation row, (v,)."""

    labeled: np.ndarray
    validation: np.ndarray

    @classmethod
    def of(cls, labeled: np.ndarray, validation: np.ndarray | None) -> "KnownContent":
        """Of the rows' contents, (n, C) and (v, C): see ``FeatureMaker.content``."""
        return cls(
            row_hashes(labeled), row_hashes(labeled[:0] if validation is None else validation)
        )

    @property
    def hashes(self) -> np.ndarray:
        """Those of all known rows, (n + v,)."""
        return np.append(self.labeled, self.validation)

    @property
    def repeated(self) -> int:
        """How many known rows equal an earlier one of their own table."""
        return sum(len(part) - len(np.unique(part)) for part in (self.labeled, self.validation))

    @property
    def tells_apart(self) -> bool:
        """Whether rows can be told apart by their content, because hardly any repeats.

        Otherwise, as with a few columns of few categories, equal rows may be different cases.
        """
        return self.repeated <= MOST_REPEATED * len(self.hashes)

    def count(self, pool: Iterable[np.ndarray]) -> "PoolOverlap":
        """Compare with the contents of the pool's rows, in parts (n, C)."""
        counts = np.zeros(3, int)
        for part in pool:
            hashes = row_hashes(part)
            same = np.isin(hashes, self.labeled), np.isin(hashes, self.validation)
            counts += [*(rows.sum() for rows in same), np.logical_or(*same).sum()]
        return PoolOverlap(self, *counts.tolist())


@dataclass(frozen=True)
class PoolOverlap:
    """How many pool rows equal a labeled row, a validation row, and one of either kind."""

    content: KnownContent
    labeled: int
    validation: int
    either: int

    @property
    def is_left_out(self) -> bool:
        """Whether these rows are no part of the pool, because their class is known."""
        return self.either > 0 and self.content.tells_apart

    def lines(self) -> Iterator[str]:
        """What a user should know of rows that are in more than one table."""
        shared = int(np.isin(self.content.validation, self.content.labeled).sum())
        if shared:
            yield (
                f"warning: {shared:,} validation rows equal a labeled row in every column used; if "
                "they are the same cases, take them out of one of the tables: a row that is "
                "trained on does not validate"
            )
        named = {"labeled": self.labeled, "validation": self.validation}
        counts = [(n, f"a {name} row") for name, n in named.items() if n]
        if not counts:
            return
        (first, kind), *more = counts
        told = f"{first:,} pool rows equal {kind} in every column used"
        told += "".join(f", {n:,} {other}" for n, other in more)
        if self.is_left_out:
            yield f"{told}: they are left out of the pool"
        else:
            yield (
                f"warning: {told}. They stay in the pool, because {self.content.repeated:,} known "
                "rows equal another row of their table too; take them out if they are the same "
                "cases"
            )


def row_hashes(X: np.ndarray) -> np.ndarray:
    """A hash of each row of X (n, D), rounded to nine decimals: (n,)."""
    has_decimals = np.abs(X) < 2.0**53  # larger numbers are whole, and rounding could overflow
    rounded = np.where(has_decimals, np.where(has_decimals, X, 0).round(9), X) + 0.0  # -0 is 0
    return pd.util.hash_pandas_object(pd.DataFrame(rounded), index=False).to_numpy()
