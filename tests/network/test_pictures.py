"""Networks of frames and pictures without PyTorch equal those of PyTorch, whole and step by step."""

import json

import numpy as np
import pytest
import torch

from elman import FrameEncoder, Linear, Stack
from elman.kernels import native
from elman.layers.efficientnet_lite import EfficientNetLite0
from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet
from elman.network import make_layer
from elman.sequences import Sequences
from elman.testing.torch_laws import without_torch

FRAMES = [(1, 1, 1), (3, 1, 5), (2, 2, 2), (1, 5, 4), (2, 9, 13), (1, 24, 36)]


@pytest.fixture(autouse=True, params=["native", "NumPy"])
def kernels(request):
    torch.manual_seed(0)
    if request.param == "native":
        yield
    else:
        with native.disabled():
            yield


def drawn(module):
    """Return a module whose weights are all random."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) / 10)
    return module.eval()


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def assert_close(ours, theirs):
    theirs = theirs.detach().numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1, np.abs(theirs).max(initial=0)))


@pytest.mark.parametrize("shape", FRAMES)
def test_a_frame_encoder(shape):
    module = drawn(FrameEncoder(*shape, 4, widths=(3, 4, 5)))
    layer = without_torch(module)
    assert layer.step_shape == shape
    rows = Sequences(torch.randn(7, *shape), [3, 0, 4])
    y, state = layer.scan(rows.map(torch.Tensor.numpy))
    assert state == ()
    assert_close(y.values, module.scan(rows)[0].values)
    step, _ = layer.step(rows.values[:2].numpy(), ())
    np.testing.assert_allclose(step, y.values[:2], atol=1e-6)
    empty, _ = layer.scan(Sequences(np.zeros((0, *shape), np.float32), [0, 0]))
    assert empty.values.shape == (0, 4)


def test_a_stack_on_frames_steps():
    module = drawn(Stack(FrameEncoder(1, 8, 8, 3, widths=(2, 2)), Linear(3, 2)))
    layer = without_torch(module)
    rows = Sequences(torch.randn(9, 1, 8, 8), [4, 5])
    y, _ = module.scan(rows)
    assert_close(layer.scan(rows.map(torch.Tensor.numpy))[0].values, y.values)
    state = layer.initial_state(1)
    for time, frame in enumerate(rows.values[:4].numpy()):
        out, state = layer.step(frame[None], state)
        assert_close(out[0], y.values[time])


@pytest.mark.parametrize("size", [(1, 1), (9, 13), (96, 96)])
def test_a_picture_net(size):
    module = drawn(PictureNet((8, 16, 24)))
    pictures = pixels(3, 3, *size)
    with torch.no_grad():
        wanted = module(torch.from_numpy(pictures)).permute(0, 2, 3, 1)
    assert_close(without_torch(module).features(pictures), wanted)


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return EfficientNetLite0.pretrained()


@pytest.mark.parametrize("size", [(1, 1), (33, 65), (160, 160)])
def test_efficientnet(efficientnet, size):
    module, pictures = efficientnet, pixels(2, 3, *size)
    with torch.no_grad():
        wanted = module(torch.from_numpy(pictures)).permute(0, 2, 3, 1)
    assert_close(without_torch(module).features(pictures), wanted)


@pytest.mark.parametrize("trunk", [None, PictureNet((8, 16))])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_picture_encoder(trunk, dropout):
    module = drawn(PictureEncoder(16, 5, dropout, trunk))
    layer = without_torch(module)
    for count in (3, 0):
        inputs = pixels(count, 3, 9, 13) if trunk else np.random.default_rng(0).random((count, 12, 16), np.float32)
        ours, mean = layer.scan(inputs)
        theirs, means = module(torch.from_numpy(inputs))
        assert ours.lengths.tolist() == theirs.lengths.tolist() == [12] * count
        assert_close(ours.values, theirs.values)
        assert_close(mean, means)


def test_float16_features_are_read():
    module = drawn(PictureEncoder(7, 4, 0.0))
    features = np.random.default_rng(0).random((2, 6, 7)).astype(np.float16)
    assert_close(without_torch(module).scan(features)[0].values, module(torch.from_numpy(features))[0].values)


def test_wrong_inputs_raise():
    net, encoder = without_torch(PictureNet((8,))), without_torch(PictureEncoder(7, 4, 0.0))
    with pytest.raises(
        ValueError, match=r"PictureNet: expected pictures of shape \[B, C=3, H, W\], got \[1, 4, 8, 8\]"
    ):
        net.features(pixels(1, 4, 8, 8))
    with pytest.raises(ValueError, match=r"PictureEncoder: expected features of shape \[B, P, C=7\], got \[2, 6, 8\]"):
        encoder.scan(np.zeros((2, 6, 8), np.float32))

    with pytest.raises(ValueError, match=r"PictureNet: reads pictures, not steps; use it in a PictureEncoder"):
        net.scan(Sequences(np.zeros((2, 3), np.float32), [2]))


def edited(module, path, value):
    """Return the spec of a module with another setting, or tensor of another name."""
    spec = json.loads(json.dumps(module.spec()))
    *places, name = path.split("/")
    part = spec
    for place in places:
        part = part[place]
    part[name] = value
    return spec


@pytest.mark.parametrize(("module", "path", "value", "message"), [
    (FrameEncoder(1, 4, 4, 2), "settings/height", 5, "frame_encoder: expected an input_size of 20, got 16"),
    (FrameEncoder(1, 4, 4, 2), "settings/widths", [], "frame_encoder: expected widths from 1 to"),
    (FrameEncoder(1, 4, 4, 2), "settings/widths", [16, 33], r"convolutions.1.weight float32 \[33, 16, 3, 3\], got"),
    (FrameEncoder(1, 4, 4, 2), "settings/widths", [16], r"readout.weight float32 \[2, 64\], got float32 \[2, 32\]"),
    (PictureNet((8, 16)), "settings/widths", [8, 12], "picture_net: expected widths that are multiples of 8"),
    (PictureNet((8, 16)), "settings/widths", [16, 8], "picture_net: expected an output_size of 8, got 16"),
    (PictureNet((8, 16)), "settings/input_size", 1, "picture_net: expected an input_size of 3"),
    (EfficientNetLite0(), "settings/output_size", 8, "efficientnet_lite0: expected an output_size of 1280, got 8"),
    (EfficientNetLite0(), "tensors/stem.bias", "classes.bias", r"classes.bias float32 \[32\], got float32 \[1000\]"),
    (PictureEncoder(16, 5, 0.0, PictureNet((8, 16))), "settings/input_size", 8,
     "a picture_net with an output_size of 8, got 16"),
    (PictureEncoder(16, 5, 0.0), "cells", [], "picture_encoder: expected 1 or 2 cells, got 0"),
    (PictureEncoder(16, 5, 0.0), "settings/output_size", 4, "picture_encoder: expected layers from 16 to 4 features"),
    (PictureEncoder(16, 5, 0.0, PictureNet((8, 16))), "cells",
     [Linear(3, 16).spec()] * 2, "picture_encoder: expected a network that reads pictures, got linear"),
])  # fmt: skip
def test_a_file_that_does_not_fit_raises(module, path, value, message):
    tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    tensors |= {"weight": np.zeros((16, 3), np.float32), "bias": np.zeros(16, np.float32)}
    with pytest.raises(ValueError, match=message):
        make_layer(edited(module, path, value), tensors)


@pytest.mark.parametrize("module", [PictureNet((8,)), PictureEncoder(8, 8, 0.0, PictureNet((8,)))])
def test_no_stack_contains_a_network_that_reads_pictures(module):
    tensors = {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
    linear = Linear(8, 8)
    tensors |= {name: tensor.detach().numpy() for name, tensor in linear.state_dict().items()}
    settings = {"input_size": module.spec()["settings"]["input_size"], "output_size": 8}
    spec = {"kind": "stack", "settings": settings, "cells": [module.spec(), linear.spec()]}
    with pytest.raises(ValueError, match="stack: expected steps of shape"):
        make_layer(spec, tensors)
