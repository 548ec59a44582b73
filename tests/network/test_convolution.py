"""Convolutions, pooling and group norm in NumPy equal those of PyTorch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.kernels import native
from elman.network import convolution as layers

SIZES = st.integers(1, 9)


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def maps(seed: int, *shape: int) -> tuple[np.ndarray, torch.Tensor]:
    """Return random maps with the channels last, and the same as PyTorch reads them."""
    x = numbers(seed, *shape)
    return x, torch.from_numpy(x).permute(0, 3, 1, 2)


def assert_close(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Compare arrays; the tolerance is relative to the largest number."""
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1, np.abs(theirs).max(initial=0)))


def last(y: torch.Tensor) -> np.ndarray:
    return y.permute(0, 2, 3, 1).numpy()


@pytest.fixture(autouse=True, scope="module", params=["native", "NumPy"])
def kernels(request):
    if request.param == "native":
        yield
    else:
        with native.disabled():
            yield


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9), count=st.integers(0, 3), channels=SIZES, size=SIZES, height=SIZES, width=SIZES,
       down=st.integers(1, 5), across=st.integers(1, 5), stride=st.integers(1, 3),
       top=st.integers(0, 2), left=st.integers(0, 2), biased=st.booleans())  # fmt: skip
def test_a_convolution(seed, count, channels, size, height, width, down, across, stride, top, left, biased):
    height, width = max(height, down), max(width, across)
    x, theirs = maps(seed, count, height, width, channels)
    weight, bias = numbers(seed + 1, size, channels, down, across), numbers(seed + 2, size) if biased else None
    wanted = F.conv2d(theirs, torch.from_numpy(weight), None if bias is None else torch.from_numpy(bias), stride,
                      (top, left))  # fmt: skip
    y = layers.convolution(layers.padded(x, (top, top), (left, left)), layers.channels_last(weight), bias, stride)
    assert_close(y, last(wanted), 1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9), count=st.integers(0, 3), channels=SIZES, height=SIZES, width=SIZES,
       kernel=st.integers(1, 5), stride=st.integers(1, 3), before=st.integers(0, 2),
       after=st.integers(0, 3))  # fmt: skip
def test_a_depthwise_convolution(seed, count, channels, height, width, kernel, stride, before, after):
    height, width = max(height, kernel), max(width, kernel)
    x, theirs = maps(seed, count, height, width, channels)
    weight, bias = numbers(seed + 1, channels, 1, kernel, kernel), numbers(seed + 2, channels)
    theirs = F.pad(theirs, (before, after, after, before))
    wanted = F.conv2d(theirs, torch.from_numpy(weight), torch.from_numpy(bias), stride, groups=channels)
    y = layers.depthwise(layers.padded(x, (after, before), (before, after)), weight[:, 0].transpose(1, 2, 0), bias,
                         stride)  # fmt: skip
    assert_close(y, last(wanted), 1e-6)


@given(seed=st.integers(0, 9), count=st.integers(0, 3), channels=SIZES, height=SIZES, width=SIZES,
       down=st.integers(1, 3), across=st.integers(1, 3))  # fmt: skip
def test_max_pooling_leaves_out_incomplete_windows(seed, count, channels, height, width, down, across):
    x, theirs = maps(seed, count, max(height, down), max(width, across), channels)
    np.testing.assert_array_equal(layers.max_pool(x, (down, across)), last(F.max_pool2d(theirs, (down, across))))


@settings(deadline=None)
@given(seed=st.integers(0, 9), count=st.integers(0, 3), height=st.integers(1, 40), width=st.integers(2, 40),
       groups=st.integers(1, 4), inside=st.integers(1, 4))  # fmt: skip
def test_a_group_norm(seed, count, height, width, groups, inside):
    x, theirs = maps(seed, count, height, width, groups * inside)
    weight, bias = numbers(seed + 1, groups * inside), numbers(seed + 2, groups * inside)
    scale, shift = torch.from_numpy(weight).double(), torch.from_numpy(bias).double()
    wanted = last(F.group_norm(theirs.double(), groups, scale, shift, 1e-5))
    y = layers.group_norm(x, weight, bias, groups, 1e-5)
    assert_close(y, wanted, 1e-5)


def test_pictures_run_through_a_network_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(layers, "PIXELS", 50)
    sizes = []

    def network(pictures):
        sizes.append(len(pictures))
        return pictures.sum((2, 3))

    x = numbers(0, 7, 3, 4, 4)
    np.testing.assert_allclose(layers.in_parts(network, x), x.sum((2, 3)))
    assert sizes == [3, 3, 1]
    assert layers.in_parts(network, x[:0]).shape == (0, 3)
    assert layers.in_parts(network, numbers(0, 2, 3, 9, 9)).shape == (2, 3)  # one at a time is the least
