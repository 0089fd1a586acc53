"""Features of a user's cells: typed, filled, standardised."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from common.errors import UserError
from data_prep.columns import Columns, Misfits, named
from data_prep.features import weigh_texts
from data_prep.reading import TableReading
from data_prep.text_columns import TextRules, text_hashes


@dataclass(frozen=True)
class FeatureMaker:
    """What makes features of cells: column types, then medians for missing numbers and scales."""

    columns: Columns
    scaler: Pipeline

    @classmethod
    def fitted(
        cls,
        reading: TableReading,
        *tables: tuple[str, pd.DataFrame],
        free_text: TextRules = TextRules(),  # noqa: B008
    ) -> "FeatureMaker":
        """Decided by the cells of these tables, without the target; each has a name.

        free_text : see ``Columns``.

        Raises UserError as ``Columns.fit`` does.
        """
        columns = Columns(reading, free_text).fit(*tables)
        scaler = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        with np.errstate(all="ignore"):  # ``features`` reports an overflow
            scaler.fit(np.vstack([columns.transform(cells, name) for name, cells in tables]))
        weigh_texts(scaler[-1], columns.decisions)
        return cls(columns, scaler)

    def content(self, cells: pd.DataFrame, X: np.ndarray) -> np.ndarray:
        """What tells rows apart, (n, C): their features X, but of free text a hash of the text.

        Different texts can have equal features, as those without a word that others have.
        """
        texts = self.columns.texts
        if not texts:
            return X
        other = ~np.isin(self.columns.names, texts)
        hashed = [text_hashes(named(cells)[name]) for name in texts]
        return np.column_stack([X[:, other], *hashed])

    def features(self, cells: pd.DataFrame, table: Misfits | str) -> np.ndarray:
        """Features (n, D), standardised and finite. table : see ``Columns.transform``.

        Raises UserError as ``Columns.transform`` does, and for numbers whose squares overflow.
        """
        X = self.columns.transform(cells, table)
        if not len(X):  # scikit-learn refuses it
            return X
        with np.errstate(all="ignore"):
            X = self.scaler.transform(X)  # fills NaN
            bad = ~np.isfinite(np.square(X))  # influence multiplies features
        if bad.any():
            name = self.columns.names[int(bad.any(axis=0).argmax())]
            raise UserError(
                f"column {name!r} holds numbers too large to standardise: divide the column by "
                "something"
            )
        return X
