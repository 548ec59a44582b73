"""EfficientNet-lite0: a convolutional network for photographs (Tan and Le 2019, arXiv:1905.11946)."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np

from elman.network.convolution import Sides, channels_last, convolution, depthwise, padded
from elman.network.pictures import Trunk
from elman.network.spec import LayerSpec

# number of blocks, kernel size, stride of the first block, expansion ratio of its channels, output channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES = 32, 1280  # channels after the first convolution, and after the last


class Block(NamedTuple):
    """Inverted residual block: expand, depthwise convolution, project; plus the input if the shape is the same."""

    channels: int  # of its input
    expansion: int
    kernel: int
    stride: int
    output_channels: int

    @property
    def inside(self) -> int:
        """Channels of the depthwise convolution."""
        return self.channels * self.expansion

    @property
    def adds(self) -> bool:
        """Whether the input is added to the output."""
        return self.channels == self.output_channels and self.stride == 1


def blocks_of_stages() -> list[Block]:
    """Return the blocks of all stages."""
    blocks, channels = [], STEM
    for count, kernel, stride, expansion, size in STAGES:
        for number in range(count):
            blocks.append(Block(channels, expansion, kernel, 1 if number else stride, size))
            channels = size
    return blocks


def same_padding(size: int, kernel: int, stride: int) -> Sides:
    """Return TensorFlow's padding before and after one side of a map, so that a convolution leaves size / stride.

    If the number of zeros is odd, the extra one is at the end.
    """
    needed = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return needed // 2, needed - needed // 2


class EfficientNetLite0(Trunk):
    """Stem, 16 inverted residual blocks, head; normalisations are folded into the convolutions."""

    kind = "efficientnet_lite0"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        spec.check(self.output_size == FEATURES, f"an output_size of {FEATURES}", self.output_size)

        def weights(name: str, size: int, *others: int) -> tuple[np.ndarray, np.ndarray]:
            return spec.tensor(f"{name}.weight", size, *others), spec.tensor(f"{name}.bias", size)

        def dense(name: str, size: int, channels: int, kernel: int = 1) -> tuple[np.ndarray, np.ndarray]:
            weight, bias = weights(name, size, channels, kernel, kernel)
            return channels_last(weight), bias

        self.stem = dense("stem", STEM, 3, 3)
        self.blocks = []
        for number, block in enumerate(blocks_of_stages()):
            first = int(block.expansion > 1)
            names = [f"blocks.{number}.convolutions.{place}" for place in range(first + 2)]
            expand = dense(names[0], block.inside, block.channels) if first else None
            weight, bias = weights(names[first], block.inside, 1, block.kernel, block.kernel)
            inner = np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)), bias
            self.blocks.append((block, expand, inner, dense(names[-1], block.output_channels, block.inside)))
        self.head = dense("head", FEATURES, block.output_channels)

    @classmethod
    def of(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        """Return the network with weights by name.

        Raises:
            ValueError: a tensor is missing or does not fit.
        """
        sizes = {"input_size": 3, "output_size": FEATURES}
        spec = {"kind": cls.kind, "settings": sizes, "tensors": {name: name for name in tensors}}
        return cls(LayerSpec(spec, tensors))

    def maps(self, x: np.ndarray) -> np.ndarray:
        x = relu6(convolution(same(x, 3, 2), *self.stem, stride=2))
        for block, expand, inner, project in self.blocks:
            y = x if expand is None else relu6(convolution(x, *expand))
            y = relu6(depthwise(same(y, block.kernel, block.stride), *inner, stride=block.stride))
            y = convolution(y, *project)
            if block.adds:
                y += x
            x = y
        return relu6(convolution(x, *self.head))


def same(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """Return maps [B, H, W, C] with TensorFlow's padding."""
    height, width = x.shape[1:3]
    return padded(x, same_padding(height, kernel, stride), same_padding(width, kernel, stride))


def relu6(x: np.ndarray) -> np.ndarray:
    """Return x between 0 and 6, computed in place."""
    return np.clip(x, 0, 6, out=x)
