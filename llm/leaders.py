"""Which method's labels make the best encoder at each number of labels, paired over seeds."""

import pandas as pd

from experiments.tables import with_deviation
from llm.agreement import final_records
from llm.stand_in import NONE
from strategies.registry import REFERENCES, gives_own_labels, titles

TITLES = {NONE: "No added labels", **titles()}
GIVES, BUYS, ADDS_NONE = (
    ", the best of the methods that give their labels",
    ", the best of the methods that buy their labels",
    "",
)


def leader_line(tuned: pd.DataFrame, labels: int) -> str:
    """A sentence: the best method, its lead over the best of another kind, and the references.

    The kinds are methods that give labels, methods that buy them, and no added labels.
    tuned : as in tuned.csv, of one round and of NONE. labels : given or bought until that round.
    """
    accuracy = 100 * final_records(tuned)["tuned"].unstack("seed")
    # idxmax takes the first of several: if a method is level with no added labels, the method
    in_order = sorted(accuracy.index.difference(list(REFERENCES)), key=lambda m: m == NONE)
    means = accuracy.loc[in_order].mean(axis=1)
    best = means.idxmax()
    rival = means[[method for method in means.index if _kind(method) != _kind(best)]].idxmax()
    lead = accuracy.loc[best] - accuracy.loc[rival]
    parts = [
        f"{labels:,} labels: {TITLES[best]} leads with "
        f"{with_deviation(means[best], accuracy.loc[best].std(), 1)} %",
        f"it is {with_deviation(lead.mean(), lead.std(), 1)} points above "
        f"{TITLES[rival]}{_kind(rival)}, and ahead on {(lead > 0).sum()} of {len(lead)} seeds",
    ]
    for name in REFERENCES:
        if name in accuracy.index:
            above = accuracy.loc[name] - accuracy.loc[best]
            how_far = with_deviation(abs(above.mean()), above.std(), 1)
            side = "above" if above.mean() >= 0 else "below"
            parts.append(f"{TITLES[name]} is {how_far} points {side} it")
    return "; ".join(parts)


def _kind(method: str) -> str:
    return ADDS_NONE if method == NONE else GIVES if gives_own_labels(method) else BUYS
