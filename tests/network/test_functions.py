"""Functions that layers share: the memory of arrays that native kernels fill, and of packed weights."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from elman import LSTM, Linear, Stack
from elman.network.functions import LARGE, address, new


@pytest.mark.needs_native
@pytest.mark.parametrize("columns", [7, LARGE // 3, LARGE // 3 + 1])
def test_a_new_array_is_writable_and_shares_no_memory(columns):
    first, second = new(3, columns), new(3, columns)
    assert first.shape == (3, columns)
    assert first.dtype == np.float32
    assert first.flags.c_contiguous
    first[:], second[:] = 1, 2
    assert (first == 1).all()
    assert abs(address(first) - address(second)) >= first.nbytes


@pytest.mark.needs_native
def test_threads_that_call_a_new_layer_first_get_the_same_bits():
    layer = Stack(LSTM(64, 64), Linear(64, 512)).network()
    x = np.random.default_rng(0).standard_normal((2, 64), np.float32)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: layer.step(x, layer.initial_state(2))[0], range(8)))
    expected, _ = copy.deepcopy(layer).step(x, layer.initial_state(2))  # packs again
    for y in found:
        np.testing.assert_array_equal(y, expected)


def test_a_pickled_layer_computes_the_same():
    layer = Stack(LSTM(5, 6), Linear(6, 3)).network()
    x = np.ones((2, 5), np.float32)
    expected, _ = layer.step(x, layer.initial_state(2))
    again = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(again.step(x, again.initial_state(2))[0], expected)
