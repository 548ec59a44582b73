"""Small convolutional network for the frames of a video (LeCun et al. 1989), trained end to end."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.kernels import autocast
from elman.layers.linear import Linear
from elman.layers.pointwise import Pointwise
from elman.network.frame_encoder import blocks_of
from elman.network.spec import Spec
from elman.shapes import check


class FrameEncoder(Pointwise):
    """Convolutional network for each frame: blocks of convolution 3 x 3, max pooling 2 x 2 and relu, then y = W f + b.

    The network has no normalisation, which would amplify the noise of a frame in which little moves.
    A block halves height and width, down to one pixel. Once a frame is a single pixel, further blocks are left out,
    except the first.

    Args:
        channels, height, width: size of a frame, C, H and W.
        output_size: features of y, O.
        widths: channels of each block.
    Shapes:
        x: [N, C, H, W]   state: ()   ->   y: [N, O]      input_size: C H W
    Raises:
        ValueError: x is not [N, channels, height, width]; a size is below 1; widths is empty.
        TypeError: x has another dtype than the weights.
    Example:
        >>> frames = torch.zeros(7, 1, 24, 36)
        >>> FrameEncoder(1, 24, 36, 128).apply_to(frames).shape
        torch.Size([7, 128])
    """

    kind = "frame_encoder"

    def __init__(self, channels: int, height: int, width: int, output_size: int, widths: Sequence[int] = (16, 32, 64)):
        super().__init__()
        sizes = (channels, height, width, output_size, *widths)
        if not widths or min(sizes) < 1:
            raise ValueError(
                f"FrameEncoder: expected sizes of at least 1 and at least one width, got channels={channels}, "
                f"height={height}, width={width}, output_size={output_size}, widths={tuple(widths)}."
            )
        self.step_axes = 3
        self.shape = (channels, height, width)
        self.input_size, self.output_size = channels * height * width, output_size
        self.widths = tuple(widths)
        self.blocks = blocks_of(*self.shape, widths)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(block.channels, block.output_channels, 3, padding=1) for block in self.blocks
        )
        last = self.blocks[-1]
        self.readout = Linear(last.output_channels * last.output[0] * last.output[1], output_size)

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        channels, height, width = self.shape
        return self.spec_of(names, channels=channels, height=height, width=width, widths=list(self.widths))

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, C, H, W] in the weights' dtype; cast an autocast dtype back to that."""
        where, name = f"FrameEncoder.{verb}", "values" if verb == "scan" else "x"
        sizes = " ".join(f"{letter}={size}" for letter, size in zip("CHW", self.shape, strict=True))
        check(where, name, x, f"{'N' if verb == 'scan' else 'B'} {sizes}")
        dtype = self.readout.weight.dtype
        x = autocast.cast_input(x, dtype)
        if x.dtype != dtype:
            raise TypeError(f"{where}: expected {name} of {dtype}, like the weights, got {x.dtype}.")
        return x

    def apply_to(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # the fastest layout for convolutions on a CPU
        for convolution, block in zip(self.convolutions, self.blocks, strict=True):
            x = F.max_pool2d(convolution(x), block.window).relu()
        return self.readout.apply_to(x.flatten(1))
