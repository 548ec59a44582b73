import numpy as np
import pytest
import torch

from elman import GRU, Bidirectional, Stack
from elman.kernels import native
from elman.layers.pooling import POOLINGS
from elman.network import make_layer
from elman.sequences import Sequences
from elman.testing.torch_laws import without_torch

LENGTHS = [4, 0, 1, 300, 0]
BOTH_WAYS = [("last", 0), ("last", 2), ("last", 5), ("mean", 0), ("max", 2), ("attention", 0)]


def made(name, backward_size=0):
    torch.manual_seed(0)
    return POOLINGS[name](5, backward_size)


def drawn(lengths):
    return Sequences(np.random.default_rng(0).standard_normal((sum(lengths), 5), np.float32), lengths)


@pytest.mark.parametrize("lengths", [LENGTHS, [], [0, 0], [3]])
@pytest.mark.parametrize(("name", "backward_size"), BOTH_WAYS)
def test_a_pool_equals_that_of_pytorch(name, backward_size, lengths):
    cell, x = made(name, backward_size), drawn(lengths)
    layer = without_torch(cell)
    expected = cell.pool(x.map(torch.from_numpy)).detach().numpy()
    got = layer.pool(x)
    with native.disabled():
        alone = layer.pool(x)
    assert got.dtype == alone.dtype == np.float32
    if layer.same_bits:
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(alone, expected)
    else:
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(alone, expected, rtol=1e-5, atol=1e-5)


def test_attention_weights_equal_those_of_pytorch():
    cell, x = made("attention"), drawn(LENGTHS)
    expected = cell.attention_weights(x.map(torch.from_numpy)).detach().numpy()
    np.testing.assert_allclose(without_torch(cell).attention_weights(x), expected, rtol=1e-5)


def test_the_last_step_of_both_directions_does_not_stream():
    assert not without_torch(Stack(Bidirectional(GRU(3, 2), GRU(3, 3)), made("last", 3))).streams
    with pytest.raises(ValueError, match=r"LastPooling.step: LastPooling reads whole sequences, so it cannot stream"):
        without_torch(made("last", 3)).step(np.zeros((1, 5), np.float32), ())


def test_a_backward_size_above_the_size_raises():
    spec = made("last", 2).spec()
    spec["settings"]["backward_size"] = 6
    with pytest.raises(ValueError, match=r"last_pooling: expected a backward_size from 0 to 5, got 6\."):
        make_layer(spec, {})


def test_a_mean_of_large_numbers_does_not_depend_on_other_rows():
    x = Sequences(np.float32([[1e8], [1], [-1e8], [1]]), [4])
    both = Sequences.cat([x, x])
    layer = without_torch(POOLINGS["mean"](1))
    assert (layer.pool(both) == layer.pool(x)[0]).all()
