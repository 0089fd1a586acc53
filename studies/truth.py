"""Are the labels true, and does it matter?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from data_utils import Split
from experiments.loop import run
from experiments.results import picks_frame
from studies.base import Finding, study
from studies.bench import Bench, positions
from studies.drawing import RULE_COLOURS, legend_above, mean_line, panels
from studies.seed_statistics import mean_and_deviation
from studies.wording import title_of, verdict, with_interval


@dataclass(frozen=True)
class TruthRecord:
    """One round of one rule, in %.

    given_accuracy, true_accuracy : on the test set, if the picks so far are trained on with the
        labels that the rule gave, and with their true labels.
    not_true : the share of this round's labels that are not the true ones; NaN in round 0.
    """

    rule: str
    round: int
    given_accuracy: float
    true_accuracy: float
    not_true: float


@study(
    "Are the labels true, and does it matter?",
    "Each rule's picks, trained on with the labels that it gave, and with their true labels.",
)
def truth(bench: Bench) -> Finding:
    records = bench.records(_of_seed)
    table = mean_and_deviation(records, ["rule", "round"])
    return Finding(_figure(records), table, _sentences(records))


def _of_seed(bench: Bench, split: Split, seed: int) -> Iterator[TruthRecord]:
    features = bench.features(split, seed)
    for rule in RULE_COLOURS:
        curve, pick_records = run(
            split, rule, bench.settings(), seed, features=features, scores=False
        )
        picks = picks_frame(pick_records)
        differ = (picks["label"] != picks["true_label"]).groupby(picks["round"]).mean()
        with_true_labels = true_label_accuracies(bench, split, seed, features.l2, picks)
        for record, true_accuracy in zip(curve, with_true_labels, strict=True):
            yield TruthRecord(
                rule=rule,
                round=record.round,
                given_accuracy=100 * record.test_accuracy,
                true_accuracy=100 * true_accuracy,
                not_true=100 * differ.get(record.round, np.nan),
            )


def true_label_accuracies(
    bench: Bench, split: Split, seed: int, l2: float, picks: pd.DataFrame
) -> Iterator[float]:
    """Test accuracy after each round, with the same picks but all with their true labels.

    l2 : the penalty. picks : a row per pick with columns row and round, as in picks.csv.
    """
    settings = bench.settings()
    model = settings.classifier(seed, l2)
    for round_number in range(settings.rounds + 1):
        so_far = positions(split, picks["row"][picks["round"] <= round_number])
        rows = np.append(split.labeled, so_far)
        model.fit(split.X[rows], split.y[rows])
        yield model.score(split.X[split.test], split.y[split.test])


def _figure(records: pd.DataFrame) -> Figure:
    figure, ((accuracies,), (shares,)) = panels(2, sharex=True)
    for rule, of_rule in records.groupby("rule", sort=False):
        title, colour = title_of(rule), RULE_COLOURS[rule]
        for column, style in (
            ("given_accuracy", {"label": f"{title}, its labels"}),
            ("true_accuracy", {"label": "same rows, true labels", "ls": ":"}),
        ):
            mean_line(accuracies, of_rule, "round", column, color=colour, **style)
        mean_line(shares, of_rule, "round", "not_true", color=colour, label=title)
    accuracies.set(ylabel="test accuracy (%)")
    shares.set(ylabel="labels not true (%)", xlabel="round", ylim=(0, None))
    shares.xaxis.get_major_locator().set_params(integer=True)
    legend_above(figure, accuracies)
    return figure


def _sentences(records: pd.DataFrame) -> tuple[str, ...]:
    sentences = []
    for rule, of_rule in records.groupby("rule", sort=False):
        last = of_rule[of_rule["round"] == of_rule["round"].max()]
        share = of_rule.groupby("seed")["not_true"].mean()
        difference = verdict(last["given_accuracy"] - last["true_accuracy"])
        sentences.append(
            f"{title_of(rule)}: {with_interval(share, 1)} % of the labels given are not the true "
            "ones; compared with training on the true labels of the same rows, test accuracy after "
            f"the last round is {difference}."
        )
    return tuple(sentences)
