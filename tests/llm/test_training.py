"""Fine-tuning of one encoder: it can be repeated, it learns, and it trains the right weights."""

import numpy as np
import pytest
import torch

from llm.training import Examples, tune


@pytest.mark.slow
def test_tuning_is_repeatable_leaves_the_random_state_alone_and_learns(minilm, tweets, recipe_of):
    some, tokens = tweets
    codes = (some.y == "positive").astype(int)
    train, test = np.arange(120), np.arange(120, 200)
    state = torch.random.get_rng_state()

    def predicted(labels, size, epochs):
        examples = Examples(tokens[train[:size]], labels[:size], 2)
        return tune(minilm, examples, tokens[test], recipe_of("lora", epochs), 0).predicted

    first = predicted(codes, 24, 1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(5)
    np.testing.assert_array_equal(first, predicted(codes, 24, 1))
    learned, swapped = (predicted(labels, 120, 2) for labels in (codes, 1 - codes))
    assert (learned == codes[120:]).mean() > 0.7  # the most frequent class has 0.68 of all tweets
    assert (swapped == codes[120:]).mean() < 0.4  # it learned the labels that it was given


@pytest.mark.parametrize(("kind", "count"), [("lora", 73_728), ("full", 22_565_376), ("head", 0)])
def test_each_way_of_tuning_trains_the_weights_it_says(kind, count, minilm, tweets, recipe_of):
    """22,713,216 weights of the published model less its pooler of 384 · 385, which is not used."""
    some, tokens = tweets
    examples = Examples(tokens[range(16)], np.arange(16) % 3, 3)
    tuned = tune(minilm, examples, tokens[range(4)], recipe_of(kind, 1), 0)
    assert tuned.parameters == count + 385 * 3
    assert set(tuned.predicted) <= {0, 1, 2}
