"""Small convolutional network for pictures, trained end to end (LeCun et al. 1989)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells.spec import Names, spec_of
from elman.network.pictures import GROUPS, MEAN, SCALE
from elman.network.spec import Spec
from elman.shapes import check


class PictureNet(nn.Module):
    """Chain of blocks: convolution 3 x 3 with stride 2, group norm (Wu and He 2018, arXiv:1803.08494), relu.

    Args:
        widths: channels of each block, multiples of 8.
    Shapes:
        pictures [B, 3, H, W] of 0 to 255   ->   features [B, widths[-1], h, w]; a block halves the sizes, rounded up
    Raises:
        ValueError: pictures are not [B, 3, H, W]; a width is not a multiple of 8.
    Example:
        >>> PictureNet()(torch.zeros(2, 3, 96, 96)).shape
        torch.Size([2, 256, 6, 6])
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256)):
        super().__init__()
        if not widths or any(width < 1 or width % GROUPS for width in widths):
            raise ValueError(f"PictureNet: expected widths that are multiples of {GROUPS}, got {tuple(widths)}.")
        self.widths = tuple(widths)
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for channels, size in zip((3, *widths), widths, strict=False):
            self.convolutions.append(nn.Conv2d(channels, size, 3, stride=2, padding=1, bias=False))
            self.norms.append(nn.GroupNorm(GROUPS, size))

    def spec(self, names: Names | None = None) -> Spec:
        """Return the description that `elman.network` runs."""
        sizes = {"input_size": 3, "output_size": self.widths[-1]}
        return spec_of(self, "picture_net", names, **sizes, widths=list(self.widths))

    def forward(self, pictures: Tensor) -> Tensor:
        check("PictureNet", "pictures", pictures, "B C=3 H W")
        x = (pictures.to(next(self.parameters()).dtype) - MEAN) / SCALE
        x = x.contiguous(memory_format=torch.channels_last)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        return x
