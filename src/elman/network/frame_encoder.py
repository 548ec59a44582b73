"""Small convolutional network for the frames of a video (LeCun et al. 1989)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elman.network.convolution import Sides, channels_last, convolution, in_parts, max_pool, padded
from elman.network.functions import AffineMap
from elman.network.layer import Pointwise
from elman.network.spec import LayerSpec


class Block(NamedTuple):
    """Block of a `FrameEncoder`: convolution 3 x 3, max pooling, relu."""

    channels: int  # of its input
    output_channels: int
    window: Sides  # of the max pooling
    output: Sides  # height and width after it


def blocks_of(channels: int, height: int, width: int, widths: Sequence[int]) -> list[Block]:
    """Return the blocks of a `FrameEncoder`; those after a block that leaves a single pixel are left out.

    Args:
        channels, height, width: size of a frame.
        widths: channels of each block.
    """
    blocks: list[Block] = []
    for size in widths:
        if height == width == 1 and blocks:
            break
        window = min(2, height), min(2, width)
        height, width = height // window[0], width // window[1]
        blocks.append(Block(channels, size, window, (height, width)))
        channels = size
    return blocks


class FrameEncoder(Pointwise):
    """Blocks of convolution, max pooling and relu for each frame, then y = W f + b."""

    kind = "frame_encoder"

    def __init__(self, spec: LayerSpec):
        super().__init__(spec)
        self.step_shape = channels, height, width = spec.size("channels"), spec.size("height"), spec.size("width")
        wanted = channels * height * width
        spec.check(self.input_size == wanted, f"an input_size of {wanted}", self.input_size)
        widths = spec.sizes("widths")
        self.blocks = blocks_of(channels, height, width, widths)
        self.weights, self.biases = [], []
        for number, block in enumerate(self.blocks):
            name = f"convolutions.{number}"
            weight = spec.tensor(f"{name}.weight", block.output_channels, block.channels, 3, 3)
            self.weights.append(channels_last(weight))
            self.biases.append(spec.tensor(f"{name}.bias", block.output_channels))
        last = self.blocks[-1].output_channels, *self.blocks[-1].output
        readout = spec.tensor("readout.weight", self.output_size, int(np.prod(last)))
        by_place = channels_last(readout.reshape(self.output_size, *last))  # the maps here have the channels last
        self.weight, self.bias = by_place.reshape(self.output_size, -1), spec.tensor("readout.bias", self.output_size)
        self._readout = AffineMap(self.weight, self.bias)

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        return in_parts(self._encoded, x)

    def _encoded(self, x: np.ndarray) -> np.ndarray:
        x = x.transpose(0, 2, 3, 1)
        for block, weight, bias in zip(self.blocks, self.weights, self.biases, strict=True):
            x = max_pool(convolution(padded(x, (1, 1), (1, 1)), weight, bias), block.window)
            np.maximum(x, 0, out=x)
        return self._readout(x.reshape(len(x), self.weight.shape[1]))
