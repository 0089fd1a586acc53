"""Pictures show something, in any title."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from experiments import plots
from tests.experiments.records import curves_frame


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_picture_is_a_png_with_something_on_it(seeds):
    curves = curves_frame(seeds=seeds)
    image = imread(BytesIO(plots.curves_picture(curves, "title")))
    assert min(image.shape[:2]) > 500
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 50


@pytest.mark.parametrize("title", ["costs $5 and $6", r"$\frac{1}$ and $", "a_b^c & 50 %"])
def test_a_title_is_no_formula(title):
    assert plots.curves_picture(curves_frame(), title).startswith(b"\x89PNG")
