"""The pictures of the studies: their headings, bands, tables and colours."""

import numpy as np
import pandas as pd
from scipy.stats import t as student

from common.kinds import Protocol
from data_utils import load
from studies.bench import Bench
from studies.boundary import boundary
from studies.drawing import (
    DARK,
    GREY,
    LIGHT,
    legend_above,
    mean_line,
    panels,
    picture_style,
    study_picture,
    write_heading,
)
from studies.seed_statistics import mean_and_deviation
from studies.wording import table_cells


def test_a_heading_names_title_data_and_bands_above_everything_and_turns_light_on_dark_pages():
    records = pd.DataFrame({"seed": [*range(5)] * 2, "x": [0] * 5 + [1] * 5, "y": np.arange(10.0)})
    bench = Bench(load("digits"), Protocol.STRICT, (0, 1, 2), init=100)
    assert bench.caption() == "Handwritten digits, strict protocol, seeds 0-2"
    assert bench.caption(first_seed_only=True) == "Handwritten digits, strict protocol, seed 0"
    with picture_style():
        figure, ((axes,),) = panels(1)
        mean_line(axes, records, "x", "y", color=GREY, label="line")
        legend_above(figure, axes)
        write_heading(figure, "How is it?", bench.caption())
        lines = [text.get_text() for text in figure.texts]
        assert lines[0] == "How is it?"
        assert " ".join(lines[1:]) == (
            "Handwritten digits, strict protocol, seeds 0-2; bands: 95 % confidence intervals of "
            "the mean"
        )
        figure.draw_without_rendering()
        heading = min(text.get_window_extent().y0 for text in figure.texts)
        (legend,) = figure.legends
        assert legend.get_window_extent().y1 <= heading
        assert axes.get_tightbbox().y1 <= legend.get_window_extent().y0
        study_picture(figure)
    assert {text.get_color() for text in figure.texts} == {DARK.text, DARK.muted}
    assert LIGHT.text not in {axes.yaxis.label.get_color()}


def test_tables_and_sentences_mean_the_same_by_their_plus_minus():
    values = np.array([1.0, 2.0, 4.0, 3.0, 7.0])
    records = pd.DataFrame({"seed": range(5), "rule": "a", "gain": values})
    half = student.interval(0.95, 4, scale=values.std(ddof=1) / np.sqrt(5))[1]
    table = mean_and_deviation(records, ["rule"])
    assert table_cells(table)["gain"].tolist() == [f"3.40 ± {half:.2f}"]
    np.testing.assert_allclose(table["gain_sd"], values.std(ddof=1), atol=1e-6)
    few = mean_and_deviation(records[:4], ["rule"])
    assert table_cells(few)["gain"].tolist() == ["2.50"]  # no interval of fewer than five seeds


def test_the_colours_of_the_boundary_stand_for_classes_only(bench_of):
    bench = bench_of("breast_cancer", pca=2, init=30)
    with picture_style():
        finding = boundary(bench)
    assert finding.first_seed_only
    panel = finding.figure.axes[0]
    pool = max(panel.collections, key=lambda drawn: len(drawn.get_offsets()))
    np.testing.assert_allclose(pool.get_facecolor()[:, :3], int(GREY[1:3], 16) / 255)
    names = [text.get_text() for text in finding.figure.legends[0].get_texts()]
    assert {"pool", "boundary before", "class 0", "class 1"} <= set(names)
