"""The encoder of pictures, and the small network that is trained from pixels."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, group_norm, linear

from elman.layers.picture_encoder import PictureEncoder
from elman.layers.picture_net import PictureNet


def test_a_step_for_each_position():
    torch.manual_seed(0)
    net = PictureNet((8, 16))
    encoder = PictureEncoder(16, 5, 0.5, net).eval()
    pictures = torch.randint(0, 256, (3, 3, 9, 13), dtype=torch.uint8)
    memory, state = encoder(pictures)
    features, (_, project, _) = net(pictures), encoder.read
    assert features.shape == (3, 16, 3, 4)
    assert memory.lengths.tolist() == [12] * 3
    for number in range(3):
        steps = [
            linear(features[number, :, y, x], project.weight, project.bias).relu() for y in range(3) for x in range(4)
        ]
        torch.testing.assert_close(memory.to_list()[number], torch.stack(steps))
    torch.testing.assert_close(state, torch.stack([steps.mean(0) for steps in memory.to_list()]))


def test_feature_maps_as_input():
    torch.manual_seed(0)
    features = torch.rand(2, 6, 7).half()
    encoder = PictureEncoder(7, 4, 0.5).eval()
    memory, state = encoder(features)
    torch.testing.assert_close(memory.values, encoder.read.cells[1].apply_to(features.float().flatten(0, 1)).relu())
    assert state.shape == (2, 4)
    empty, none = encoder(features[:0])
    assert len(empty) == 0
    assert none.shape == (0, 4)


def test_equals_its_equation():
    torch.manual_seed(0)
    net, pictures = PictureNet((8, 16)), torch.rand(2, 3, 7, 6) * 255
    x = (pictures - 127) / 128
    for convolution, norm in zip(net.convolutions, net.norms, strict=True):
        x = group_norm(conv2d(x, convolution.weight, stride=2, padding=1), 8, norm.weight, norm.bias).relu()
    torch.testing.assert_close(net(pictures), x)
    np.testing.assert_allclose(
        net(pictures[1:])[0].detach(), x[1].detach(), atol=1e-5
    )  # pictures do not affect each other


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    encoder, features = PictureEncoder(7, 4, 0.5), torch.rand(2, 6, 7)
    assert not torch.equal(encoder(features)[0].values, encoder(features)[0].values)
    encoder.eval()
    assert torch.equal(encoder(features)[0].values, encoder(features)[0].values)


def test_wrong_shapes_and_sizes_raise():
    with pytest.raises(
        ValueError, match=r"PictureNet: expected pictures of shape \[B, C=3, H, W\], got \[1, 4, 8, 8\]"
    ):
        PictureNet()(torch.zeros(1, 4, 8, 8))
    for widths in ((), (12,), (0,)):
        with pytest.raises(ValueError, match="expected widths that are multiples of 8"):
            PictureNet(widths)
    with pytest.raises(ValueError, match=r"PictureEncoder: expected features of shape \[B, P, C=7\], got \[2, 6, 8\]"):
        PictureEncoder(7, 4, 0.0)(torch.rand(2, 6, 8))
