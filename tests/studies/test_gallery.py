"""The study of images with a label that is not theirs."""

import numpy as np
import pandas as pd
import pytest

from data_utils import load
from studies.gallery import image_grid


def test_gallery_shows_the_pixels_of_the_picked_rows_with_both_labels(bench_of):
    wrong = pd.DataFrame(
        [(1, 7, 4, 9, 0.5), (1, 3, 1, 3, 0.9), (2, 11, 2, 0, 0.1)],
        columns=["round", "row", "label", "true_label", "score"],
    )
    figure = image_grid(bench_of("digits"), wrong)
    shown = [(axes.get_xlabel(), axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert [label for label, _ in shown] == ["3 → 1", "9 → 4", "0 → 2"]
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert rows == ["round 1\n2 of 3\nnot true", "round 2\n1 of 3\nnot true"]
    digits = load("digits").data.X
    for (_, image), row in zip(shown, (3, 7, 11), strict=True):
        np.testing.assert_array_equal(image, digits[row].reshape(8, 8))


def test_a_round_of_true_labels_is_said_to_be_that_round_only(bench_of):
    none = pd.DataFrame([], columns=["round", "row", "label", "true_label", "score"])
    texts = [axes.texts[0].get_text() for axes in image_grid(bench_of("digits"), none).axes[::7]]
    assert texts == ["all 3 labels of this round are the true ones"] * 2


def test_gallery_agrees_with_the_loop(explored, last_rounds):
    gallery = pd.read_csv(explored / "gallery.csv").set_index("round")
    last = last_rounds("mnist", pca=50)
    after, share = 100 * last["test_accuracy"].mean(), 100 * last["wrong_share"].mean()
    assert gallery.loc[2, "accuracy"] == pytest.approx(after, abs=1e-5)
    assert gallery["not_true"].mean() == pytest.approx(share, abs=1e-5)
