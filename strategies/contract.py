"""The contract of strategies and references: what they answer is checked before it is used.

A breach, or an exception of its own, is the user's error if a plugin brought the strategy or the
reference, and names the plugin. Otherwise it is an error of the program.
"""

from typing import Any

import numpy as np

from common.kinds import LabelSource
from common.plugins import blamed, breach, plugin_with
from data_utils import Split
from strategies.base import Picks, Query, Reference, Strategy, to_numpy
from strategies.registry import VALIDATION_FORM


def picks_of(strategy: Strategy, query: Query, when: str) -> Picks:
    """What the strategy answers, as NumPy arrays: rows (b,), labels (b,) or None, scores (b,).

    Its benefits are (b, K) or None.

    when : the round and the seed in words, for errors.
    Raises UserError or AssertionError, see above.
    """
    plugin = plugin_with("STRATEGIES", strategy.name.removesuffix(VALIDATION_FORM))
    where = f"strategy {strategy.name}, {when}:"
    with blamed(plugin, where[:-1]):
        picks = strategy(query)
        told = _broken(picks, strategy, query)
    if told:
        raise breach(plugin, where, told)
    labels = picks.labels
    if labels is not None:
        labels = to_numpy(labels).astype(query.model.classes_.dtype)
    benefits = None if picks.benefits is None else to_numpy(picks.benefits)
    return Picks(to_numpy(picks.rows), labels, to_numpy(picks.scores), benefits)


def _broken(picks: Any, strategy: Strategy, query: Query) -> str:
    """How an answer breaks the contract, or ""."""
    if not isinstance(picks, Picks):
        return f"it must return Picks, not {type(picks).__name__}"
    wanted, rows = query.budget, to_numpy(picks.rows)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        return "rows must be a vector of whole numbers"
    if len(rows) != wanted or len(np.unique(rows)) != wanted:
        return f"it must pick {wanted} different rows, it picked {len(np.unique(rows))}"
    if not ((rows >= 0) & (rows < len(query.left))).all():
        return f"rows must be 0 to {len(query.left) - 1}, positions in query.X_pool"
    if (picks.labels is None) != (strategy.labels == LabelSource.TRUE):
        given = "no labels" if picks.labels is None else "labels"
        return f"it gave {given}, and is made with labels={str(strategy.labels)!r}"
    if picks.labels is not None and (told := _broken_labels(picks.labels, wanted, query)):
        return told
    scores = to_numpy(picks.scores)
    if scores.shape != (wanted,) or scores.dtype.kind not in "fiu":
        return f"scores must be a vector of {wanted} numbers, one for each row"
    shape = wanted, len(query.model.classes_)
    if picks.benefits is not None and to_numpy(picks.benefits).shape != shape:
        return f"benefits must have {shape[0]} rows and {shape[1]} columns, one for each class"
    return ""


def _broken_labels(labels: Any, wanted: int, query: Query) -> str:
    given, classes = to_numpy(labels), query.model.classes_
    if given.shape != (wanted,):
        return f"labels must be a vector of {wanted}, one for each row"
    unknown = [label for label in given.tolist() if label not in classes.tolist()]
    if unknown:
        return f"it gave the label {unknown[0]!r}, the classes are {', '.join(map(str, classes))}"
    return ""


def rows_of(reference: Reference, split: Split, when: str) -> np.ndarray:
    """The positions (m,) in the split of the rows that a reference trains on.

    Raises UserError or AssertionError, see above.
    """
    plugin = plugin_with("REFERENCES", reference.name)
    where = f"reference {reference.name}, {when}:"
    with blamed(plugin, where[:-1]):
        rows = np.asarray(reference.rows(split))
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer) or not len(rows):
        raise breach(plugin, where, "rows must be a vector of whole numbers")
    known = np.concatenate([split.labeled, split.pool, split.validation])
    if not np.isin(rows, known).all():
        raise breach(plugin, where, "rows must be of the labeled set, the pool or validation set")
    if reference.label_pool is not None:
        expected = np.append(split.labeled, split.pool)
        if not np.array_equal(rows, expected):
            raise breach(
                plugin, where, "it labels the pool, so its rows must be the labeled ones and then "
                "the pool"
            )  # fmt: skip
    elif len(lacking := np.setdiff1d(split.y[split.labeled], split.y[rows])):
        raise breach(plugin, where, f"its rows have none of class {lacking[0]}")
    return rows


def pool_labels_of(reference: Reference, query: Query, when: str) -> np.ndarray:
    """The labels (N,) that a reference gives the pool. Raises as ``rows_of`` does."""
    plugin = plugin_with("REFERENCES", reference.name)
    where = f"reference {reference.name}, {when}:"
    assert reference.label_pool is not None
    with blamed(plugin, where[:-1]):
        labels = reference.label_pool(query)
        told = _broken_labels(labels, len(query.left), query)
    if told:
        raise breach(plugin, where, told)
    return to_numpy(labels).astype(query.model.classes_.dtype)
