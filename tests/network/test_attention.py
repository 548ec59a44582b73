"""Attention without PyTorch equals the layer of PyTorch: natively and in NumPy, for every score and any memory."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from elman import state as states
from elman.kernels import native
from elman.layers import Attention
from elman.memory import Memory
from elman.network import make_layer
from elman.network.states import KeysAndValues
from elman.sequences import Sequences

SCORES = ("additive", "dot", "general")
SOURCES = Sequences(np.random.default_rng(0).standard_normal((14, 6), np.float32), [3, 0, 5, 2, 4])
QUERIES = Sequences(np.random.default_rng(1).standard_normal((9, 6), np.float32), [2, 1, 3, 0, 3])
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def pair(score):
    """Return a layer of PyTorch, and the layer of `elman.network` with its weights."""
    torch.manual_seed(1)
    cell = Attention(6, 6, 4, score)
    with torch.no_grad():
        for weight in cell.parameters():
            weight.add_(torch.randn_like(weight) / 4)
    return cell, make_layer(cell.spec(), {name: tensor.numpy(force=True) for name, tensor in cell.state_dict().items()})


each = pytest.mark.parametrize("natively", [pytest.param(True, marks=pytest.mark.needs_native), False],
                               ids=["native", "numpy"])  # fmt: skip


def kernels(natively):
    """Return a context in which the layers of `elman.network` run with or without native kernels."""
    return nullcontext() if natively else native.disabled()


def expected(cell, rows):
    """Return the output of PyTorch with native kernels, and its attention weights."""
    memory = Memory(SOURCES.map(torch.from_numpy), rows)
    queries = QUERIES.map(torch.from_numpy)
    with torch.no_grad():
        state = cell.initial_state(5, memory)
        return cell.scan(queries, state)[0].values.numpy(), cell.attention_weights(queries, state)


@each
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [4, 4, 1, 0, 2]], ids=["in order", "selected"])
def test_equals_pytorch(score, rows, natively):
    cell, layer = pair(score)
    y, weights = expected(cell, rows)
    with kernels(natively):
        state = states.select(layer.initial_state(5, Memory(SOURCES)), rows)
        found, after = layer.scan(QUERIES, state)
        own_weights = layer.attention_weights(QUERIES, state)
    assert after is state
    np.testing.assert_allclose(found.values, y, **TOLERANCE)
    for own, wanted in zip(own_weights, weights, strict=True):
        assert own.shape == wanted.shape
        np.testing.assert_allclose(own, wanted, **TOLERANCE)


@pytest.mark.needs_native
@pytest.mark.parametrize("score", SCORES)
def test_native_attention_weights_have_the_bits_of_pytorch(score):
    cell, layer = pair(score)
    _, weights = expected(cell, None)
    for own, wanted in zip(layer.attention_weights(QUERIES, layer.initial_state(5, Memory(SOURCES))), weights,
                           strict=True):  # fmt: skip
        np.testing.assert_array_equal(own, wanted)


@each
@pytest.mark.parametrize("score", SCORES)
def test_a_scan_equals_its_steps(score, natively):
    _, layer = pair(score)
    with kernels(natively):
        state = layer.initial_state(5, Memory(SOURCES))
        y, _ = layer.scan(QUERIES, state)
        for row, (queries, outputs) in enumerate(zip(QUERIES.to_list(), y.to_list(), strict=True)):
            for query, output in zip(queries, outputs, strict=True):
                stepped, _ = layer.step(query[None], states.select(state, [row]))
                np.testing.assert_allclose(stepped[0], output, rtol=1e-6, atol=1e-6)


@each
def test_without_a_memory_the_context_is_zero(natively):
    _, layer = pair("additive")
    x = QUERIES.values[:2]
    with kernels(natively):
        y, state = layer.step(x, layer.initial_state(2))
    joined = np.concatenate([x, np.zeros((2, 6), np.float32)], 1)
    np.testing.assert_allclose(y, np.tanh(joined @ layer.weight.T + layer.bias), **TOLERANCE)
    assert state.sizes.tolist() == [0, 0]


def test_the_state_of_a_beam_shares_its_memory():
    _, layer = pair("general")
    state = layer.initial_state(5, Memory(SOURCES))
    assert states.select(state, [0, 0, 0, 1]).sequences.values.keys is state.sequences.values.keys


def test_a_state_round_trips_through_bytes():
    _, layer = pair("general")
    state = layer.initial_state(5, Memory(SOURCES))
    back = states.from_bytes(states.to_bytes(states.select(state, [2, 2])), state)
    assert back.sizes.tolist() == [5, 5]
    x = QUERIES.values[:2]
    np.testing.assert_array_equal(layer.step(x, back)[0], layer.step(x, states.select(state, [2, 2]))[0])


def wider(state, more_of_keys, more_of_values):
    """Return the state of another model, with more features."""
    keys, values = state.sequences.values
    more = [np.pad(array, [(0, 0), (0, more)]) for array, more in ((keys, more_of_keys), (values, more_of_values))]
    return Memory(state.sequences.with_values(KeysAndValues(*more)), state.rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: layer.initial_state(3, Memory(SOURCES)), r"expected a memory for 3 rows, got one for 5"),
        (
            lambda layer: layer.initial_state(5, Memory(SOURCES.map(lambda values: values[:, :5]))),
            r"Attention: expected memory of shape \[M, D=6\], got \[14, 5\]",
        ),
        (
            lambda layer: layer.step(QUERIES.values[:3], layer.initial_state(5, Memory(SOURCES))),
            r"Attention: expected state of shape \[B=3\], got \[5\]",
        ),
        (
            lambda layer: layer.step(QUERIES.values[:5, :4], layer.initial_state(5, Memory(SOURCES))),
            r"Attention: expected x of shape \[N, D=6\], got \[5, 4\]",
        ),
        (
            lambda layer: layer.step(QUERIES.values[:5], wider(layer.initial_state(5, Memory(SOURCES)), 1, 0)),
            r"Attention: expected keys of shape \[M, D=6\], got \[14, 7\]",
        ),
        (
            lambda layer: layer.step(QUERIES.values[:5], wider(layer.initial_state(5, Memory(SOURCES)), 0, 1)),
            r"Attention: expected values of shape \[M, D=6\], got \[14, 7\]",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(pair("general")[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": "adition"}, r"attention: expected score to be one of additive, dot, general, got 'adition'; did"),
        ({"score": "dot", "memory_size": 5}, r"attention: expected a memory_size of 6 with dot, got 5"),
        ({"memory_size": 5}, r"attention: expected weight_key float32 \[6, 5\], got float32 \[6, 6\]"),
    ],
)
def test_bad_files(settings, message):
    cell, _ = pair("additive")
    spec, tensors = cell.spec(), {name: tensor.numpy(force=True) for name, tensor in cell.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        make_layer(spec | {"settings": spec["settings"] | settings}, tensors)
