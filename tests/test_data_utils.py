"""load and make_split on real data sets."""

import numpy as np
import pandas as pd
import pytest

from common.errors import UserError
from data_utils import load, make_split
from tests.helpers import split_of

SHIPPED_NAMES = ["bank", "electric", "wine", "waveform", "musk", "mnist"]


@pytest.mark.parametrize("protocol", ["paper", "strict"])
@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_parts_cover_the_rows_once_and_hold_every_class(name, protocol):
    split = split_of(name, protocol)
    parts = split.labeled, split.pool, split.validation, split.test
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(split.y)))
    for part in parts:
        assert set(split.y[part]) == set(split.y)
    shares = [pd.Series(split.y[part]).value_counts(normalize=True).sort_index() for part in parts]
    for share in shares[1:]:
        assert abs(share - shares[0]).max() < 0.03


def test_published_sizes(shared_data):
    bank = make_split(load("bank", shared_data), "paper", 300, 0)
    sizes = len(bank.labeled), len(bank.pool), len(bank.validation), len(bank.test)
    assert sizes == (300, 17_992, 6_098, 6_098)
    wine = split_of("wine", "paper")
    sizes = len(wine.labeled), len(wine.pool), len(wine.validation), len(wine.test)
    assert sizes == (301, 3_596, 1_300, 1_300)
    assert [(wine.y[p] == 9).sum() for p in (wine.labeled, wine.pool)] == [1, 2]
    np.testing.assert_array_equal(wine.X, load("wine").data.X)  # unscaled


def test_strict_features_are_standardised_without_validation_and_test():
    split = split_of("electric")
    seen = split.X[np.concatenate([split.labeled, split.pool])]
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(seen.std(0), 1, atol=1e-10)
    assert abs(split.X[split.test].mean(0)).max() > 1e-4


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_seeds_draw_other_splits_and_the_same_seed_the_same(protocol):
    table = load("bank")
    first, again, other = (make_split(table, protocol, 300, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.labeled, again.labeled)
    assert set(first.labeled) != set(other.labeled)
    assert set(first.test) != set(other.test)


def test_a_split_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        split_of("bank").y[0] = 1


@pytest.mark.parametrize(
    ("name", "init", "message"),
    [
        ("bank", 5_000, "cannot be split with --init 5000"),
        ("wine", 8, "has no row of class 3: give a larger --init"),
        ("wine", 3, "cannot be split with --init 3"),
    ],
)
def test_impossible_splits_are_refused(name, init, message):
    with pytest.raises(UserError, match=message):
        make_split(load(name), "strict", init, 0)


def test_a_missing_set_says_which_file_to_put_where(monkeypatch, tmp_path):
    # someone may have put it into datasets/
    monkeypatch.setattr("data_prep.places.SHIPPED", tmp_path)
    with pytest.raises(UserError, match=r"put messidor_features.arff .* into .*/diabetes or"):
        load("diabetes", source="shipped")


def test_an_unknown_set_is_answered_with_the_nearest_name():
    with pytest.raises(UserError, match="unknown data set 'wnie': did you mean 'wine'"):
        load("wnie")
