import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch.nn.functional import cross_entropy

from elman.cells import GRU
from elman.layers import FrameEncoder, Stack
from elman.sequences import Sequences
from elman.testing import check_cell

SIZES = [(1, 1, 1), (3, 1, 5), (2, 2, 2), (1, 5, 4), (2, 9, 13)]


@pytest.fixture(autouse=True)
def one_thread():
    """Use one thread, which is faster for small frames, above all on a shared processor."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def frames(count, shape, dtype=torch.float32):
    return torch.randn(count, *shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SIZES)
def test_laws_hold(shape):
    torch.manual_seed(0)
    check_cell(FrameEncoder(*shape, 4, widths=(3, 4)), frames(64, shape))


def test_laws_hold_in_float64_and_below_a_cell():
    torch.manual_seed(0)
    check_cell(FrameEncoder(2, 6, 5, 4).double(), frames(64, (2, 6, 5), torch.float64))
    check_cell(Stack(FrameEncoder(1, 8, 8, 3, widths=(2, 2)), GRU(3, 2)), frames(64, (1, 8, 8)))


def by_hand(layer, frame):
    """Compute one frame in NumPy and SciPy: convolution, max pooling, relu, and the read-out."""
    maps = frame.numpy()
    for convolution, block in zip(layer.convolutions, layer.blocks, strict=True):
        down, across = block.window
        weight, bias = convolution.weight.detach().numpy(), convolution.bias.detach().numpy()
        summed = np.stack([sum(correlate2d(one, kernel, "same") for one, kernel in zip(maps, kernels, strict=True)) + b
                           for kernels, b in zip(weight, bias, strict=True)])  # fmt: skip
        height, width = (size // half for size, half in zip(summed.shape[1:], (down, across), strict=True))
        tiles = summed[:, : height * down, : width * across].reshape(len(summed), height, down, width, across)
        maps = np.maximum(tiles.max((2, 4)), 0)
    return layer.readout.weight.detach().numpy() @ maps.ravel() + layer.readout.bias.detach().numpy()


@pytest.mark.parametrize("shape", SIZES)
def test_equals_the_textbook(shape):
    torch.manual_seed(0)
    layer = FrameEncoder(*shape, 4).double()
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        x = frames(3, shape, torch.float64)
        y = layer.apply_to(x)
    for frame, own in zip(x, y, strict=True):
        np.testing.assert_allclose(own.numpy(), by_hand(layer, frame), atol=1e-10)


@pytest.mark.parametrize(
    ("shape", "blocks"),
    [((1, 1, 1), 1), ((1, 2, 2), 1), ((1, 3, 3), 1), ((1, 4, 4), 2), ((1, 1, 8), 3), ((3, 24, 36), 3)],
)
def test_small_frames_have_fewer_blocks(shape, blocks):
    assert len(FrameEncoder(*shape, 5).convolutions) == blocks


def test_learns_the_position_of_a_dot():
    """Train a layer to predict the quarter of a frame that contains the dot."""
    torch.manual_seed(0)
    row, column = torch.randint(8, (2, 200))
    x = torch.zeros(200, 1, 8, 8)
    x[torch.arange(200), 0, row, column] = 3
    quarter = 2 * (row >= 4) + (column >= 4)
    layer = FrameEncoder(1, 8, 8, 4, widths=(8, 8))
    for _ in range(60):
        loss = cross_entropy(layer.apply_to(x[:100]), quarter[:100])
        gradients = torch.autograd.grad(loss, list(layer.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(layer.parameters(), gradients, strict=True):
                weight -= 0.5 * gradient
    assert (layer.apply_to(x[100:]).argmax(1) == quarter[100:]).float().mean() > 0.9


def test_a_batch_without_frames():
    layer = FrameEncoder(1, 24, 36, 5)
    y, _ = layer.scan(Sequences(torch.zeros(0, 1, 24, 36), [0, 0]))
    assert y.values.shape == (0, 5)
    y.values.sum().backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in layer.parameters())


def test_a_blank_frame_is_finite():
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    y = FrameEncoder(1, 8, 8, 5).apply_to(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_bad_input():
    layer = FrameEncoder(1, 24, 36, 5)
    message = r"expected values of shape \[N, C=1, H=24, W=36\], got \[2, 24, 36\]\.$"
    with pytest.raises(ValueError, match=r"^FrameEncoder\.scan: " + message):
        layer.scan(Sequences(torch.zeros(2, 24, 36), [2]))
    with pytest.raises(TypeError, match=r"^FrameEncoder\.step: expected x of torch\.float32, like the weights, got"):
        layer.step(torch.zeros(2, 1, 24, 36, dtype=torch.uint8), ())
    for sizes in ((1, 0, 3, 4), (1, 3, 3, 0)):
        with pytest.raises(ValueError, match=r"^FrameEncoder: expected sizes of at least 1"):
            FrameEncoder(*sizes)
    with pytest.raises(ValueError, match=r"at least one width"):
        FrameEncoder(1, 2, 3, 4, widths=())
