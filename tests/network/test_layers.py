"""Layers without PyTorch: whole sequences of any lengths; bad input raises one clear line and changes nothing."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import GRU, LSTM, RNN, Embedding, LayerNorm, Linear, MinGRU, OutputFeedback, Residual, Stack, WindowNet
from elman import state as states
from elman.kernels import native
from elman.layers import Bidirectional, Dropout, Reversed
from elman.sequences import Sequences
from elman.testing.torch_laws import without_torch

NATIVE = {
    "deep": lambda: Stack(LSTM(3, 4), LSTM(4, 4, zoneout_c=0.2), Dropout(4, 0.1), GRU(4, 5), RNN(5, 2), Linear(2, 3)),
    "both ways": lambda: Stack(Bidirectional(LSTM(3, 4, peephole=True), GRU(3, 2)), Reversed(RNN(6, 3))),
    "feedback": lambda: Residual(OutputFeedback(Stack(GRU(6, 4), Linear(4, 3)))),
}
CLOSE = {
    "windows": lambda: Stack(WindowNet(3, 4, 3), Bidirectional(MinGRU(4, 2), MinGRU(4, 3)), LayerNorm(5)),
}


def made(recipe):
    torch.manual_seed(0)
    return recipe().eval()


def drawn(lengths, *shape):
    return Sequences(np.random.default_rng(1).standard_normal((sum(lengths), *shape), np.float32), lengths)


@pytest.mark.parametrize("name", [*NATIVE, *CLOSE])
@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), max_size=6), cut=st.integers(0, 9))
def test_rows_of_any_lengths_equal_the_scan_in_pytorch(name, lengths, cut):
    """The rows are cut at any step, and continue from the state of the first part."""
    cell = made((NATIVE | CLOSE)[name])
    layer = without_torch(cell)
    first = Sequences(drawn(lengths, 3).values, lengths)
    state = layer.initial_state(len(lengths)) if cut % 2 else None
    with torch.no_grad():
        y, final = cell.scan(first.map(torch.from_numpy))
    own, own_final = layer.scan(first, state)
    with native.disabled():
        alone, alone_final = layer.scan(first, state)
    wanted = [y.values, *states.leaves(final)]
    for got, exact in (([own.values, *states.leaves(own_final)], native.available() and name in NATIVE),
                       ([alone.values, *states.leaves(alone_final)], False)):  # fmt: skip
        for a, b in zip(got, wanted, strict=True):
            assert (a.dtype, a.shape) == (b.numpy().dtype, b.numpy().shape)
            np.testing.assert_allclose(a, b.numpy(), rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 300), mean=st.floats(-3, 3), spread=st.floats(0.1, 10))
def test_a_layer_norm_is_within_a_millionth_of_pytorch(size, mean, spread):
    cell = made(lambda: LayerNorm(size))
    x = drawn([5], size).map(lambda values: (mean + spread * values).astype(np.float32))
    with torch.no_grad():
        expected, _ = cell.scan(x.map(torch.from_numpy))
    error = np.abs(without_torch(cell).scan(x)[0].values - expected.values.numpy())
    assert error.max() < 1e-6 * (1 + abs(mean) / spread) * 4


def raises(kind, message, call, *args):
    with pytest.raises(kind, match=f"^{re.escape(message)}"):
        call(*args)


def test_input_that_does_not_fit_raises():
    layer = without_torch(made(NATIVE["deep"]))
    x, state = drawn([2, 3], 3), layer.initial_state(2)
    step = np.zeros((2, 3), np.float32)
    raises(ValueError, "Stack.scan: expected values of shape [N, D=3], got [5, 4].", layer.scan, drawn([2, 3], 4))
    raises(TypeError, "Stack.scan: expected values of float32, got float64; convert", layer.scan, x.map(np.float64))
    raises(TypeError, "Stack.scan: expected Sequences, got ndarray; make them with", layer.scan, x.values)
    tensors = x.map(torch.from_numpy)
    raises(TypeError, "Stack.scan: expected values in a NumPy array, got Tensor", layer.scan, tensors)
    raises(ValueError, "Stack.step: expected x of shape [B, D=3], got [2, 2].", layer.step, step[:, :2], state)
    raises(ValueError, "Stack.step: expected x of shape [B, D=3], got [3].", layer.step, step[0], state)
    raises(TypeError, "Stack.step: expected x in a NumPy array, got list.", layer.step, [[0.0] * 3], state)
    for number in (np.nan, np.inf):
        values = x.values.copy()
        values[3, 1] = step[1, 0] = number
        message = f"Stack.scan: expected finite values, got {number} at row 1, step 1; replace missing values."
        raises(ValueError, message, layer.scan, x.with_values(values))
        raises(ValueError, f"Stack.step: expected finite x, got {number} at row 1; ", layer.step, step, state)


def test_an_id_out_of_range_raises():
    layer = without_torch(made(lambda: Stack(Embedding(5, 3), GRU(3, 2))))
    for unit in (-1, 5):
        ids = Sequences(np.array([0, 4, unit]), [2, 1])
        raises(ValueError, f"Embedding: expected ids from 0 to 4, got {unit} at index 2.", layer.scan, ids)
    raises(TypeError, "Stack.scan: expected values that are integer ids, got float32.", layer.scan, drawn([3]))
    y, _ = layer.scan(Sequences(np.array([0, 4, 3], np.uint8), [2, 1]))
    np.testing.assert_array_equal(y.values, layer.scan(Sequences(np.array([0, 4, 3]), [2, 1]))[0].values)


@pytest.mark.parametrize("verb", ["scan", "step"])
def test_a_state_that_does_not_fit_raises_and_stays_as_it_was(verb):
    layer = without_torch(made(NATIVE["deep"]))
    x = drawn([2, 3], 3)
    _, state = layer.scan(x)
    before = states.to_bytes(state)
    call, x = (layer.scan, x) if verb == "scan" else (layer.step, x.values[:2])
    double = states.map(lambda leaf: leaf.astype(np.float64), state)
    nan = states.map(lambda leaf: np.full_like(leaf, np.nan) if leaf.dtype == np.float32 else leaf, state)
    where = f"Stack.{verb}: expected"
    raises(ValueError, f"{where} a state with a leaf of shape [B=2, H=4], got", call, x, layer.initial_state(3))
    raises(ValueError, f"{where} a state of 10 leaves, got 8, ", call, x, state[1:])
    raises(TypeError, f"{where} a state with a leaf of float32, got float64.", call, x, double)
    raises(ValueError, f"{where} finite numbers in the state, got nan at row 0.", call, x, nan)
    call(x, state)
    assert states.to_bytes(state) == before


def test_a_plain_tuple_or_a_view_is_a_state():
    layer = without_torch(made(lambda: LSTM(3, 4)))
    x = drawn([2, 3], 3)
    _, state = layer.scan(x)
    strided = tuple(np.repeat(leaf, 2, 1)[:, ::2] for leaf in state)
    np.testing.assert_array_equal(layer.scan(x, strided)[0].values, layer.scan(x, state)[0].values)
    reversed_steps = Sequences(x.values[::-1], [5])
    expected = layer.scan(Sequences(x.values[::-1].copy(), [5]))
    np.testing.assert_array_equal(layer.scan(reversed_steps)[0].values, expected[0].values)


@pytest.mark.needs_native
def test_threads_that_scan_with_a_new_layer_at_the_same_time_get_the_same_bits():
    cell, x = made(lambda: Stack(LSTM(256, 256), GRU(256, 256), Linear(256, 64))), drawn([64], 256)
    expected = cell.network().scan(x)[0].values
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(12):
            layer = cell.network()
            with ThreadPoolExecutor(6) as threads:
                for y, _ in threads.map(lambda _, layer=layer: layer.scan(x), range(12)):
                    np.testing.assert_array_equal(y.values, expected)
    finally:
        sys.setswitchinterval(interval)
