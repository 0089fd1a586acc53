"""What pictures of learning curves show, on the curves of Bank in results/reference."""

import re
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy.stats import t as student

from data_prep.catalogue import DATASETS
from experiments import plots
from experiments.chart import MAJORITY, read_chart
from experiments.figure import draw_figure
from experiments.looks import COLOURS, OTHERS
from experiments.metrics import ACCURACY, METRICS
from experiments.pictures import drawing, rendered
from experiments.plots import Heading, curves_figure, curves_picture
from strategies.registry import REFERENCES
from tests.experiments.records import curves_frame
from tests.helpers import ROOT

BANK = ROOT / "results/reference/compare-tuned/bank-tuned/curves.csv.xz"
LEVEL = "always answering the most frequent class"


@pytest.fixture(scope="module")
def bank() -> pd.DataFrame:
    """All methods and references on Bank, twenty seeds."""
    return pd.read_csv(BANK)


def drawn(curves, majority=0.8734, metric=ACCURACY):
    """The axes of the picture, its labels at the line ends, and all its other words."""
    figure = curves_figure(read_chart(curves, metric, majority), Heading("Bank", "tuned"))
    (axes,) = figure.axes
    return axes, {text.get_text(): text for text in axes.texts}, " ".join(
        text.get_text() for text in figure.texts
    )  # fmt: skip


def lines_of(axes, colours):
    """The curves of these colours, without the short lines to the labels."""
    curves = (line for line in axes.lines if len(line.get_xdata()) > 2)
    return [line for line in curves if line.get_color() in colours]


def test_six_methods_of_many_are_highlighted_and_the_others_are_grey(bank):
    axes, labels, words = drawn(bank)
    coloured, grey = lines_of(axes, COLOURS), lines_of(axes, [OTHERS])
    assert len({line.get_color() for line in coloured}) == len(coloured) == 6
    assert len({line.get_linewidth() for line in coloured}) == 1
    assert all(line.get_marker() not in ("None", None) for line in coloured)
    # Entropy, Margin and Uncertainty share a line: they order the rows of two classes alike.
    assert len(coloured) + len(grey) == 19 - 2
    assert "Entropy = Margin = Uncertainty" in words.split("Grey: ")[1]
    assert {"Salutary", "Salutary plus", "Random", MAJORITY, "Full pool"} <= set(labels)
    assert len(axes.collections) == 6  # bands
    assert "Bands: 95 % confidence intervals of the mean." in words


def test_labels_have_the_colour_of_their_line_and_do_not_overlap(bank):
    axes, labels, _ = drawn(bank)
    ends = {line.get_label(): line for line in lines_of(axes, COLOURS)}
    for title, line in ends.items():
        assert labels[title].get_color() == line.get_color()
    axes.figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in labels.values()), key=lambda box: box.y0)
    assert all(lower.y1 <= upper.y0 + 1 for lower, upper in zip(boxes, boxes[1:], strict=False))
    width = axes.figure.bbox.width
    assert max(box.x1 for box in boxes) <= width


def test_spread_places_keep_their_order_and_distance_and_stay_if_there_is_room():
    np.testing.assert_allclose(plots.spread([0.1, 0.5, 0.9], 0.1), [0.1, 0.5, 0.9])
    np.testing.assert_allclose(plots.spread([0.5, 0.5, 0.5], 0.1), [0.4, 0.5, 0.6])
    np.testing.assert_allclose(plots.spread([0.0, 0.0, 1.0, 1.0], 0.1), [0, 0.1, 0.9, 1.0])
    assert len(plots.spread([], 0.1)) == 0


def test_a_band_is_the_interval_of_student_and_a_mean_is_the_mean(bank):
    few = bank[bank["method"].isin(["random", "salutary"])]
    axes, _, words = drawn(few)
    values = 100 * few[few["method"] == "salutary"].pivot(
        index="seed", columns="round", values="test_accuracy"
    )
    (line,) = [line for line in axes.lines if line.get_label() == "Salutary"]
    np.testing.assert_allclose(line.get_ydata(), values.mean())
    half = student.interval(0.95, 19, scale=values[10].sem())[1]
    (band,) = [b for b in axes.collections if np.allclose(b.get_facecolor()[0, :3],
               tuple(int(line.get_color()[i : i + 2], 16) / 255 for i in (1, 3, 5)))]  # fmt: skip
    ends = [y for x, y in band.get_paths()[0].vertices if x == 10]
    assert max(ends) == pytest.approx(values[10].mean() + half)
    assert min(ends) == pytest.approx(values[10].mean() - half)
    axes, _, words = drawn(few[few["seed"] < 4])
    assert not axes.collections
    assert "Means over 4 seeds, too few for confidence bands." in words
    assert "One seed." in drawn(few[few["seed"] == 0])[2]


def test_own_labels_are_solid_bought_ones_dashed_and_levels_differ_from_each_other(bank):
    axes, _, words = drawn(bank)
    styles = {line.get_label(): (line.get_linestyle(), line._unscaled_dash_pattern, line.get_lw())
              for line in axes.lines}  # fmt: skip
    assert styles["Salutary"][0] == styles["Pseudo"][0] == "-"
    assert styles["Random"][0] == "--"
    levels = [str(styles[title]) for title in (*(r.title for r in REFERENCES.values()), MAJORITY)
              if title in styles]  # fmt: skip
    assert len(set(levels)) == len(levels) >= 3
    assert "Solid: the method gives labels of its own; dashed: it buys true labels." in words


def test_the_majority_is_a_line_unless_it_would_flatten_the_curves(bank):
    few = bank[bank["method"].isin(["random", "salutary", "full_pool"])]
    for share in (0.8734, 0.995):  # near the curves, and far above all of them
        axes, labels, words = drawn(few, share)
        (line,) = [line for line in axes.lines if line.get_label() == MAJORITY]
        assert set(line.get_ydata()) == {100 * share}
        assert axes.get_ylim()[0] < 100 * share < axes.get_ylim()[1]
        assert MAJORITY in labels
        assert LEVEL in words
    axes, labels, words = drawn(few, 0.113)
    assert axes.get_ylim()[0] > 80
    assert MAJORITY not in labels
    assert f"Outside the picture: {MAJORITY} 11.3 (below)." in words
    by_loss = drawn(few, 0.8734, METRICS["log_loss"])
    assert MAJORITY not in by_loss[1]
    assert MAJORITY not in by_loss[2]


@pytest.mark.parametrize("methods", [["full_pool"], ["margin", "entropy"], ["salutary"]])
def test_few_methods_one_seed_and_two_rounds_are_drawn(bank, methods):
    some = bank[bank["method"].isin(methods) & (bank["seed"] == 0) & (bank["round"] < 3)]
    axes, labels, words = drawn(some, None)
    assert len(labels) == 1
    assert axes.get_xlim() == (0, 2)
    low, high = axes.get_ylim()
    values = 100 * some["test_accuracy"]
    if methods != ["full_pool"]:
        assert low < values.min() <= values.max() < high
    else:  # the level is that of the last round: before it, nothing was trained on the pool
        (line,) = [line for line in axes.lines if line.get_label() == "Full pool"]
        np.testing.assert_allclose(line.get_ydata(), values.iloc[-1])
    assert ("The same curve: Entropy = Margin." in words) == (len(methods) == 2) or (
        "The same curve: Margin = Entropy." in words
    )


def test_a_title_is_no_formula_and_raises_no_warning(recwarn):
    heading = Heading(r"costs $5 and $6, $\frac{1}$, a_b^c & 50 %, 漢字", "many words " * 30)
    with drawing():
        figure = curves_figure(read_chart(curves_frame()), heading)
        image = imread(BytesIO(rendered(figure, "png")))
    assert min(image.shape[:2]) > 500
    assert image[..., :3].std() > 0.03  # something is drawn
    assert not recwarn


def test_the_same_curves_give_the_same_bytes_and_a_pdf_embeds_its_fonts():
    picture = curves_picture(curves_frame(), Heading("Bank"))
    assert picture == curves_picture(curves_frame(), Heading("Bank"))
    assert picture.png.startswith(b"\x89PNG")
    assert picture.pdf.startswith(b"%PDF")
    assert b"CreationDate" not in picture.pdf
    assert b"/Type3" not in picture.pdf  # fonts that journals refuse
    assert b"/FontFile2" in picture.pdf


# --- the figure of a comparison -------------------------------------------------------------------


def result(name, curves):
    settings = SimpleNamespace(
        protocol="tuned", seeds=(0, 1), loop=SimpleNamespace(describe=lambda: "l2 chosen")
    )
    table = SimpleNamespace(dataset=DATASETS[name])
    return SimpleNamespace(
        curves=curves, metric=ACCURACY, table=table, majority_accuracy=0.8, settings=settings
    )


def test_the_figure_has_a_panel_for_each_data_set_in_order_and_says_what_is_missing(bank):
    bank = bank[bank["seed"] < 5]
    wine = pd.read_csv(BANK.parents[1] / "wine-tuned" / BANK.name)
    methods = ["random", "margin", "entropy", "salutary", "labeled_plus_validation"]
    results = [result(name, curves[curves["method"].isin(methods)])
               for name, curves in (("bank", bank), ("wine", wine))]  # fmt: skip
    order = ["wine", "electric", "celeba", "bank"]
    figure = draw_figure(results, {"electric": "no file", "celeba": "see --data-dir"}, order)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Wine Quality", "Electrical Grid Stability", "CelebA attributes", "Bank Marketing",
    ]  # fmt: skip
    of_wine, missing, _, of_bank = figure.axes
    assert missing.texts[0].get_text() == "not here: no file"
    assert [axes.get_ylabel() != "" for axes in figure.axes] == [True, False, False, True]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "", "round"]
    (legend,) = figure.legends
    names = {text.get_text() for text in legend.get_texts()}
    assert names == {"Salutary", "Random", "Entropy", "Margin", "Labeled + valid.", MAJORITY}
    for axes in (of_wine, of_bank):
        colours = {line.get_color() for line in lines_of(axes, COLOURS)}
        assert len(colours) == 4  # the same four in every panel
        assert any(line.get_label() == "Labeled + valid." for line in axes.lines)
    assert any(line.get_label() == MAJORITY for line in of_wine.lines)  # it beats every method
    words = " ".join(text.get_text() for text in figure.texts)
    assert re.search(r"The same curve on bank: (Entropy = Margin|Margin = Entropy)\.", words)
    assert not draw_figure([], {}, ["bank"]).legends
