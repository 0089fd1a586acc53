"""How far the stand-in can stand for the encoder: their agreement, and their gains side by side.

The stand-in is useful as far as labels that help it help the encoder too. Two figures say so: how
often both models give a test text the same class, and how their gains over no added labels
correlate over strategies.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from llm.stand_in import NONE
from strategies.registry import REFERENCES


def final_records(tuned: pd.DataFrame) -> pd.DataFrame:
    """The trainings after the last round, and those on no added labels, by method and seed.

    tuned : as in tuned.csv.
    """
    final = tuned[(tuned["round"] == tuned["round"].max()) | (tuned["method"] == NONE)]
    return final.set_index(["method", "seed"])


def gains(tuned: pd.DataFrame, model: str) -> pd.Series:
    """Final accuracy less the accuracy on no added labels of the same seed, by method and seed.

    tuned : as in tuned.csv. model : "stand_in" or "tuned", whose accuracy.
    """
    accuracy = final_records(tuned)[model]
    return accuracy - accuracy[NONE].reindex(accuracy.index, level="seed")


@dataclass(frozen=True)
class Agreement:
    """How far stand-in and encoder agree.

    share : the mean share of test texts to which both give the same class.
    strategies : how many strategies the correlations are over.
    pearson, spearman : correlations of the two models' mean gains; NaN if they are undefined.
    """

    share: float
    strategies: int
    pearson: float = np.nan
    spearman: float = np.nan

    def __str__(self) -> str:
        start = f"stand-in and encoder agree on {100 * self.share:.1f} % of the test texts"
        if np.isnan(self.pearson):
            return f"{start}; the correlation of their gains needs three strategies that differ"
        return (
            f"{start}; their mean gains over no added labels correlate over {self.strategies} "
            f"strategies: Pearson {self.pearson:.2f}, Spearman {self.spearman:.2f}"
        )


def agreement(tuned: pd.DataFrame) -> Agreement:
    """The agreement over all trainings, and the correlations over strategies without references.

    tuned : as in tuned.csv. The correlations need three strategies or more that do not all gain
    alike.
    """
    means = pd.DataFrame({model: gains(tuned, model) for model in ("stand_in", "tuned")})
    means = means[~means.index.get_level_values("method").isin([NONE, *REFERENCES])]
    means = means.groupby(level="method").mean()
    share = float(tuned["agreement"].mean())
    if len(means) < 3 or (means.nunique() < 2).any():
        return Agreement(share, len(means))
    pair = means["stand_in"].to_numpy(), means["tuned"].to_numpy()
    return Agreement(
        share, len(means), float(pearsonr(*pair).statistic), float(spearmanr(*pair).statistic)
    )
