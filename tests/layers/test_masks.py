"""Bits from a counter must look like independent ones, along every axis."""

import numpy as np
import pytest

from elman.layers.masks import keep_mask

ROWS, STEPS, UNITS = 32, 64, 128


def cube(key=(0,), probability=0.5):
    """[ROWS, STEPS, UNITS] bits."""
    rows, steps = np.repeat(np.arange(ROWS), STEPS), np.tile(np.arange(STEPS), ROWS)
    return keep_mask(probability, key, (rows, steps), UNITS).reshape(ROWS, STEPS, UNITS)


@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.8, 0.999])
def test_the_probability_is_kept(probability):
    bits = cube(probability=probability)
    sigma = (probability * (1 - probability) / bits.size) ** 0.5
    assert abs(bits.mean() - probability) < 5 * sigma
    for axis in range(3):  # of each unit, step and row alike
        means = bits.mean(tuple(other for other in range(3) if other != axis))
        spread = (probability * (1 - probability) * len(means) / bits.size) ** 0.5
        assert np.abs(means - probability).max() < 6 * spread
        assert 0.6 < means.std() / spread < 1.5


def test_no_bit_tells_another_at_any_distance():
    signs = np.where(cube(), 1.0, -1.0)
    correlations = np.fft.ifftn(np.abs(np.fft.fftn(signs)) ** 2).real / signs.size  # at every shift of the three axes
    correlations[0, 0, 0] = 0
    assert np.abs(correlations).max() < 7 / signs.size**0.5


def test_columns_are_not_related():
    signs = np.where(cube(), 1.0, -1.0).reshape(-1, UNITS)
    related = signs.T @ signs / len(signs) - np.eye(UNITS)
    assert np.abs(related).max() < 6 / len(signs) ** 0.5


def test_patterns_of_eight_bits_are_alike():
    counts = np.bincount(np.packbits(cube().reshape(-1)), minlength=256)
    expected = counts.sum() / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 140 < chi_squared < 400  # 255 degrees of freedom: mean 255, deviation 22.6


def test_keys_are_not_related():
    keys = [(seed, update, place) for seed in range(4) for update in range(8) for place in range(4)]
    signs = np.array([np.where(keep_mask(0.5, key, (np.arange(64),), 64), 1.0, -1.0).ravel() for key in keys])
    related = signs @ signs.T / signs.shape[1] - np.eye(len(keys))
    assert np.abs(related).max() < 6 / signs.shape[1] ** 0.5


def test_parts_of_a_key_do_not_change_places():
    one, two = np.array([1]), np.array([2])
    words = [((1, 2), (one, one)), ((2, 1), (one, one)), ((1, 1), (one, two)), ((1, 1), (two, one)), ((1, 2), (one,))]
    assert len({keep_mask(0.5, key, steps, 64).tobytes() for key, steps in words}) == len(words)


def test_a_mask_depends_on_what_it_is_for_and_not_on_its_company():
    rows, steps = np.divmod(np.arange(3000), 50)
    together = keep_mask(0.5, (7,), (rows, steps), 40)
    some = np.random.default_rng(0).permutation(3000)[:100]
    assert np.array_equal(keep_mask(0.5, (7,), (rows[some], steps[some]), 40), together[some])
    assert np.array_equal(keep_mask(0.5, (7,), (rows, steps), 17), together[:, :17])


def test_a_higher_probability_keeps_what_a_lower_one_keeps():
    assert not (cube(probability=0.3) & ~cube(probability=0.6)).any()


@pytest.mark.parametrize(("steps", "units"), [(0, 5), (3, 0), (1, 1), (2, 100_000)])
def test_any_shape(steps, units):
    assert keep_mask(0.5, (0,), (np.arange(steps),), units).shape == (steps, units)


def test_large_and_negative_words():
    far = keep_mask(0.5, (2**40 + 3, -1), (np.array([2**33, -5]),), 64)
    assert 0.2 < far.mean() < 0.8
