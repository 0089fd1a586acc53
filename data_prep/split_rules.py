"""The rules that give each row to one of the four parts of an experiment.

They are published (bank, wine) or ours, and draw from a seed; or a column of the user's own table
names the part of each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.errors import UserError

if TYPE_CHECKING:  # what --list need not wait for
    import pandas as pd

RARE = 10  # a class with fewer rows cannot be drawn in proportion into four parts

# What a column may call the parts of a split, the first word of each as the code calls it.
PART_WORDS = {
    "labeled": ("labeled", "train"),
    "pool": ("pool", "unlabeled"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test",),
}


@dataclass(frozen=True)
class Parts:
    """Positions of the rows of each part.

    scale : positions of the rows that the scaler is fitted on; None if features are not scaled.
    """

    labeled: np.ndarray
    pool: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    scale: np.ndarray | None


def standard_parts(y, init: int, state: int, *, rare_state: int, standardise=True) -> Parts:
    """Stratified parts: test 20 %, validation 25 % of the rest, then ``init`` labeled rows.

    All other rows are the pool. A class of fewer than RARE rows is shuffled; then the labeled set,
    the validation set and the test set get one row each, and the pool gets the others, as the paper
    does with class 9 of wine.

    state, rare_state : seeds of the draws and of that shuffle.
    Raises ValueError if there are too few rows.
    """
    from sklearn.model_selection import train_test_split

    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    common = np.flatnonzero(counts[codes] >= RARE)
    rest, test = train_test_split(common, test_size=0.2, random_state=state, stratify=y[common])
    rest, validation = train_test_split(rest, test_size=0.25, random_state=state, stratify=y[rest])
    parts = [*_labeled_off(rest, y, init, state), validation, test]
    shuffler = np.random.RandomState(rare_state)  # the published notebook's generator
    for code in np.flatnonzero(counts < RARE):
        dealt = np.flatnonzero(codes == code)
        if len(dealt) < 3:
            raise ValueError(f"class {classes[code]} has {len(dealt)} rows, it needs at least 3")
        shuffler.shuffle(dealt)
        hands = np.split(dealt, [len(dealt) - 3, len(dealt) - 2, len(dealt) - 1])
        parts = [np.append(part, hand) for part, hand in zip(parts, hands, strict=True)]
    pool, labeled, validation, test = parts
    scale = np.concatenate([labeled, pool]) if standardise else None
    return Parts(labeled, pool, validation, test, scale)


def bank_parts(y, init: int, seed: int) -> Parts:
    """As in the paper's Bank notebook: five draws; the last one mixes validation set and pool."""
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(np.arange(len(y)), test_size=0.4, random_state=42 + seed)
    scale = train[: len(train) - round(0.25 * len(train))]
    test, validation = train_test_split(rest, test_size=0.5, random_state=42_000 + seed)
    pool, labeled = _labeled_off(train, y, init, 1 + seed)
    both = np.concatenate([validation, pool])
    pool, validation = train_test_split(
        both,
        train_size=len(both) - len(validation),
        test_size=len(validation),
        random_state=2026 + seed,
        stratify=y[both],
    )
    return Parts(labeled, pool, validation, test, scale)


def wine_parts(y, init: int, seed: int) -> Parts:
    """As in the paper's Wine notebook, with the features as they are."""
    return standard_parts(y, init, 1 + seed, rare_state=seed, standardise=False)


def other_parts(y, init: int, seed: int) -> Parts:
    """For data sets without a published split: drawn as for Wine, standardised as for Bank."""
    return standard_parts(y, init, 1 + seed, rare_state=seed)


def named_parts(cells: pd.Series, unknown: pd.Series, source: str) -> np.ndarray:
    """The name of the part of each row whose class is known, as a column of words says it.

    unknown : whether a row has no class, which only rows of the pool may lack. source : names the
    file in errors. Raises UserError for an unknown word, and if a part has no row.
    """
    from data_prep.cells import texts

    part_of = {word: part for part, words in PART_WORDS.items() for word in words}
    words = texts(cells).fillna("")
    parts = words.str.strip().str.lower().map(part_of)
    column = f"--split-column {cells.name!r}"
    for row in parts.index[parts.isna()]:
        raise UserError(
            f"{source}, row {row}, {column}: {words[row]!r} is no part of a split; the "
            f"words are {', '.join(part_of)}"
        )
    for row in parts.index[unknown & (parts != "pool")]:
        raise UserError(
            f"{source}, row {row}, is in the {parts[row]} set by {column} but has no class: only "
            "rows of the pool may lack one, and they are left out"
        )
    parts = parts[~unknown]
    for part, names in PART_WORDS.items():
        if not (parts == part).any():
            raise UserError(
                f"{source} has no row for the part {part!r}: {column} should say "
                f"{' or '.join(names)} in some rows"
            )
    return parts.to_numpy(dtype=str)


def given_parts(names: np.ndarray) -> Parts:
    """The parts that ``named_parts`` found; features are standardised on labeled + pool."""
    labeled, pool, validation, test = (np.flatnonzero(names == part) for part in PART_WORDS)
    return Parts(labeled, pool, validation, test, np.concatenate([labeled, pool]))


def _labeled_off(rows, y, init: int, state: int) -> list[np.ndarray]:
    """``rows`` as pool and labeled set, of ``init`` rows in proportion to the classes."""
    from sklearn.model_selection import train_test_split

    classes = len(np.unique(y[rows]))
    if not classes <= init <= len(rows) - classes:
        raise ValueError(
            f"{len(rows):,} rows are left for the labeled set and the pool, and each must hold "
            f"{classes} or more"
        )
    return train_test_split(
        rows, train_size=len(rows) - init, test_size=init, random_state=state, stratify=y[rows]
    )
