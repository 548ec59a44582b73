"""EfficientNet-lite0: a convolutional net that knows the classes of ImageNet (Tan and Le 2019, arXiv:1905.11946).

The lite variants have neither squeeze-and-excitation nor swish. Normalisations are folded into the convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.layers.efficientnet_weights import efficientnet_weights
from elman.shapes import check

# Blocks, kernel, stride of the first one, how many times as many channels inside, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES, CLASSES = 32, 1280, 1000
MEAN, SCALE = 127.0, 128.0  # of a pixel, as the net was trained


class EfficientNetLite0(nn.Module):
    """4.7 million weights, which `pretrained` brings; all of them learn where they are trained on.

    Shapes:
        pictures [B, 3, H, W] of 0 to 255   ->   features [B, 1280, H / 32, W / 32], sizes rounded up
    Raises:
        ValueError: pictures of another shape.
    Example:
        >>> EfficientNetLite0()(torch.zeros(2, 3, 64, 96)).shape
        torch.Size([2, 1280, 2, 3])
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Same(3, STEM, 3, 2)
        blocks, channels = list[nn.Module](), STEM
        for count, kernel, stride, wider, size in STAGES:
            for number in range(count):
                blocks.append(_Block(channels, size, kernel, 1 if number else stride, wider))
                channels = size
        self.blocks = nn.Sequential(*blocks)
        self.head = _Same(channels, FEATURES, 1)
        self.classes: nn.Module = nn.Linear(FEATURES, CLASSES)

    @classmethod
    def pretrained(cls) -> "EfficientNetLite0":
        """With the weights that were trained on ImageNet.

        Raises:
            ModuleNotFoundError: the package that brings them is not installed.
        """
        net = cls()
        net.load_state_dict(efficientnet_weights())
        return net.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        check("EfficientNetLite0", "pictures", pictures, "B C=3 H W")
        x = (pictures.to(self.stem.weight.dtype) - MEAN) / SCALE
        x = x.contiguous(memory_format=torch.channels_last)  # what convolutions on a CPU are quickest with
        return F.relu6(self.head(self.blocks(F.relu6(self.stem(x)))))

    def classify(self, features: Tensor) -> Tensor:
        """The logits [B, 1000] of the classes of ImageNet, of what `forward` gave."""
        return self.classes(features.mean((2, 3)))


class _Same(nn.Conv2d):
    """A convolution as TensorFlow pads it: of an odd number of zeros, the one more is at the end."""

    def __init__(self, channels: int, size: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(channels, size, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if kernel > 1:
            needed = [max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in (x.shape[3], x.shape[2])]
            x = F.pad(x, [part for zeros in needed for part in (zeros // 2, zeros - zeros // 2)])
        return super().forward(x)


class _Block(nn.Module):
    """More channels, each filtered alone, and fewer again; what comes in is added where it has the shape."""

    def __init__(self, channels: int, size: int, kernel: int, stride: int, wider: int):
        super().__init__()
        inside = channels * wider
        widen = [_Same(channels, inside, 1)] if wider > 1 else []
        self.convolutions = nn.ModuleList([
            *widen, _Same(inside, inside, kernel, stride, groups=inside), _Same(inside, size, 1)
        ])  # fmt: skip
        self.adds = channels == size and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        *others, last = self.convolutions
        y = x
        for convolution in others:
            y = F.relu6(convolution(y))
        y = last(y)
        return x + y if self.adds else y
