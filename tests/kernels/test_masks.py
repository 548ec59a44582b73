"""Bits from a counter are statistically independent along every axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.kernels import native
from elman.kernels.masks import draw, keep_mask, reference

ROWS, STEPS, UNITS = 32, 64, 128


def cube(key=(0,), probability=0.5):
    """Return bits [ROWS, STEPS, UNITS]."""
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


def test_bits_are_independent_at_any_distance():
    signs = np.where(cube(), 1.0, -1.0)
    correlations = np.fft.ifftn(np.abs(np.fft.fftn(signs)) ** 2).real / signs.size  # at every shift of the three axes
    correlations[0, 0, 0] = 0
    assert np.abs(correlations).max() < 7 / signs.size**0.5


def test_columns_are_independent():
    signs = np.where(cube(), 1.0, -1.0).reshape(-1, UNITS)
    related = signs.T @ signs / len(signs) - np.eye(UNITS)
    assert np.abs(related).max() < 6 / len(signs) ** 0.5


def test_patterns_of_eight_bits_are_uniform():
    counts = np.bincount(np.packbits(cube().reshape(-1)), minlength=256)
    expected = counts.sum() / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 140 < chi_squared < 400  # 255 degrees of freedom: mean 255, deviation 22.6


def test_masks_of_different_keys_are_independent():
    keys = [(seed, update, place) for seed in range(4) for update in range(8) for place in range(4)]
    signs = np.array([np.where(keep_mask(0.5, key, (np.arange(64),), 64), 1.0, -1.0).ravel() for key in keys])
    related = signs @ signs.T / signs.shape[1] - np.eye(len(keys))
    assert np.abs(related).max() < 6 / signs.shape[1] ** 0.5


def test_the_order_of_the_parts_of_a_key_matters():
    one, two = np.array([1]), np.array([2])
    words = [((1, 2), (one, one)), ((2, 1), (one, one)), ((1, 1), (one, two)), ((1, 1), (two, one)), ((1, 2), (one,))]
    assert len({keep_mask(0.5, key, steps, 64).tobytes() for key, steps in words}) == len(words)


def test_a_mask_does_not_depend_on_the_other_rows():
    rows, steps = np.divmod(np.arange(3000), 50)
    together = keep_mask(0.5, (7,), (rows, steps), 40)
    some = np.random.default_rng(0).permutation(3000)[:100]
    assert np.array_equal(keep_mask(0.5, (7,), (rows[some], steps[some]), 40), together[some])
    assert np.array_equal(keep_mask(0.5, (7,), (rows, steps), 17), together[:, :17])


def test_a_higher_probability_keeps_all_units_of_a_lower_one():
    assert not (cube(probability=0.3) & ~cube(probability=0.6)).any()


@pytest.mark.parametrize(("steps", "units"), [(0, 5), (3, 0), (1, 1), (2, 100_000)])
def test_any_shape(steps, units):
    assert keep_mask(0.5, (0,), (np.arange(steps),), units).shape == (steps, units)


def test_large_and_negative_words():
    far = keep_mask(0.5, (2**40 + 3, -1), (np.array([2**33, -5]),), 64)
    assert 0.2 < far.mean() < 0.8


def test_the_bits_never_change_between_versions():
    steps = np.array([5, 2**33, -4]), np.array([0, 1, 2])
    for make in (reference, keep_mask):
        bits = make(0.7, (3, 17, 1), steps, 16)
        assert np.packbits(bits, axis=1).tolist() == [[254, 54], [38, 254], [240, 236]]


numbers = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.needs_native
@given(
    st.floats(0.001, 0.999),
    st.lists(numbers, max_size=3).map(tuple),
    st.lists(st.tuples(st.one_of(st.integers(0, 2), numbers), st.integers(0, 3)), max_size=40),
    st.integers(1, 2),
    st.integers(0, 70),
)
def test_native_draws_the_same_bits_and_multiplies_with_them(probability, key, steps, words, units):
    columns = tuple(np.array(steps, np.int64).reshape(-1, 2).T[:words])
    expected = reference(probability, key, columns, units)
    assert np.array_equal(keep_mask(probability, key, columns, units), expected)
    x = np.random.default_rng(0).standard_normal(expected.shape, np.float32)
    kept, y, again = np.full(x.shape, 7, np.uint8), np.full_like(x, np.nan), np.full_like(x, np.nan)
    address = [array.ctypes.data for array in (kept, x, y, again)]
    draw(probability, key, columns, units, *address[:3])
    native.module.masked(probability, x.size, address[0], address[1], address[3])
    assert np.array_equal(kept, expected)
    for product in (y, again):
        assert np.array_equal(product, x * (expected / np.float32(probability)))


@pytest.mark.needs_native
def test_threads_change_nothing():
    steps = np.divmod(np.arange(5000), 40)
    threads, drawn = native.module.num_threads(), []
    try:
        for count in (1, 3):
            native.module.set_num_threads(count)
            drawn.append(keep_mask(0.3, (1,), steps, 77))
    finally:
        native.module.set_num_threads(threads)
    assert np.array_equal(*drawn)
    assert np.array_equal(drawn[0], reference(0.3, (1,), steps, 77))
