"""Tables say what the numbers say, and frames have the promised columns."""

from dataclasses import asdict

import numpy as np
import pytest

from common.kinds import MetricName
from experiments import plots, results, statistics, tables
from experiments.loop import PickRecord
from experiments.metrics import METRICS
from tests.experiments.records import curves_frame


def rows(text):
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines()]
    return {row[0]: row[1:] for row in cells if len(row) > 1}


def test_table_shows_rounds_gain_mean_and_marks_the_best():
    shown = rows(tables.rounds_table(curves_frame(), "title"))
    assert shown["method"] == [*"012", *"gain mean initial bought valid. seconds".split()]
    assert shown["Margin"] == "50.0 60.0 70.0* +20.0* 60.0* 30 20 0 1.50".split()
    assert shown["Salutary"] == "50.0 65.0* 60.0 +10.0 58.3 30 0* 40 0.75*".split()


def test_table_over_seeds_shows_means_and_deviations():
    curves = curves_frame(seeds=(0, 1))
    shown = rows(tables.rounds_table(curves, "title"))
    assert shown["Margin"][:5] == ["51.0", "61.0", "71.0*", "+20.0* ± 0.0", "61.0* ± 1.4"]


def test_the_smallest_log_loss_is_the_best_and_its_gain_is_negative():
    metric = METRICS[MetricName.LOG_LOSS]
    text = tables.rounds_table(curves_frame(), "bank", metric)
    assert "bank: test log loss (smaller is better)" in text
    shown = rows(text)
    assert shown["Margin"][:5] == "0.500 0.400 0.300* -0.200* 0.400*".split()
    assert shown["Salutary"][:5] == "0.500 0.350* 0.400 -0.100 0.417".split()
    assert "below 0 is better" in tables.rounds_legend(metric)
    assert "learning curve of the test log loss (smaller is better)" in tables.statistics_legend(
        metric
    )


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_an_undefined_metric_leaves_cells_empty(seeds):
    metric, curves = METRICS[MetricName.AUC], curves_frame(seeds=seeds)
    shown = rows(tables.rounds_table(curves, "title", metric))
    assert shown["Margin"][:5] == [""] * 5
    assert shown["Margin"][5:7] == ["30", "20"]
    cells = tables.statistics_cells(statistics.summary(curves, (), metric), metric)
    assert (cells[["final", "AULC", "p", "against"]] == "").all(axis=None)
    assert plots.curves_picture(curves, plots.Heading("title"), metric).png.startswith(b"\x89PNG")


def test_labels_are_counted_in_the_last_round():
    curves = curves_frame()
    curves.loc[curves["round"] == 0, "labels_validation"] = 99
    assert rows(tables.rounds_table(curves, "title"))["Margin"][7] == "0"


def test_long_runs_show_eleven_rounds():
    curves = curves_frame(rounds=40)
    header = rows(tables.rounds_table(curves, "title"))["method"]
    assert header[:11] == [str(r) for r in range(0, 41, 4)]


def test_frames_have_the_promised_columns():
    curves = curves_frame()
    assert ",".join(curves) == (
        "dataset,protocol,method,seed,round,test_accuracy,test_log_loss,test_balanced_accuracy,"
        "test_macro_f1,test_auc,validation_accuracy,validation_loss,"
        "labels_bought,seconds,labels_initial,labels_validation,wrong_share,pick_norm,gap,condition,l2"
    )
    columns = "method,seed,round,row,label,true_label,score,norm,runner_up"
    pick = PickRecord("random", 0, 1, 17, "yes", "no", 0.5, 2.0, -1.0, {"no": -1.0, "yes": 3.0})
    frame = results.picks_frame([pick])
    assert ",".join(frame) == columns + ",benefit_no,benefit_yes"
    fixed = asdict(pick)
    del fixed["benefits"]
    assert frame.iloc[0].to_dict() == fixed | {"benefit_no": -1.0, "benefit_yes": 3.0}
    assert ",".join(results.picks_frame([])) == columns


def test_references_get_no_star():
    curves = curves_frame(methods=("full_pool", "salutary"))
    shown = rows(tables.rounds_table(curves, "title"))
    assert "*" not in "".join(shown["Full pool"])
    assert shown["Salutary"][3] == "+10.0*"


def test_statistics_of_a_single_seed_show_no_deviation():
    assert [tables.p_text(p) for p in (np.nan, 2e-6, 0.0123)] == ["", "< 0.001", "0.012"]
    shown = tables.statistics_cells(statistics.summary(curves_frame()))
    assert shown.loc["Margin", ["final", "p", "against"]].tolist() == ["70.0", "", ""]
    several = curves_frame(seeds=(0, 1, 2))
    shown = tables.statistics_cells(statistics.summary(several))
    assert shown.loc["Margin", "final"] == "72.0 ± 2.0"
    assert shown.loc["Salutary", "against"] == "Margin"
