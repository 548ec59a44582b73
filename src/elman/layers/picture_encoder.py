"""Encoder of pictures: one step per position of a feature map, for a decoder (Xu et al. 2015, arXiv:1502.03044)."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells.spec import Names, spec_of
from elman.layers.dropout import Dropout
from elman.layers.linear import Linear
from elman.layers.stack import Stack
from elman.network.spec import Spec
from elman.sequences import Sequences
from elman.shapes import check


class PictureEncoder(nn.Module):
    """Encoder of pictures as sequences of positions: y = relu(W features + b) at each position of the feature map.

    The state of a picture is the mean of its outputs y.

    Args:
        channels: features of a position, C.
        output_size: features of a step, D.
        dropout: probability of dropping a feature of the input; for y it is half as large. 0 for none.
        trunk: network from pixels to a feature map, [B, 3, H, W] -> [B, C, h, w]; None if the inputs are feature maps.
    Shapes:
        pictures [B, 3, H, W] with a trunk, features [B, h w, C] without   ->   Sequences of y [B h w, D], state [B, D]
    Raises:
        ValueError: the features are not [B, P, channels].
    Example:
        >>> import torch
        >>> map, state = PictureEncoder(1280, 64, 0.5)(torch.rand(2, 49, 1280))
        >>> map, state.shape
        (Sequences(2 rows, 98 steps, float32 [98, 64]), torch.Size([2, 64]))
    """

    def __init__(self, channels: int, output_size: int, dropout: float, trunk: nn.Module | None = None):
        super().__init__()
        self.channels, self.output_size, self.trunk = channels, output_size, trunk
        project = Linear(channels, output_size)
        drops = [Dropout(channels, dropout), project, Dropout(output_size, dropout / 2)] if dropout else [project]
        self.read = Stack(*drops)

    def spec(self, names: Names | None = None) -> Spec:
        """Return the description that `elman.network` runs.

        Raises:
            NoSpec: the trunk has none.
        """
        trunk = [] if self.trunk is None else ["trunk"]
        sizes = {"input_size": self.channels, "output_size": self.output_size}
        return spec_of(self, "picture_encoder", names, *trunk, "read", **sizes)

    def forward(self, pictures: Tensor) -> tuple[Sequences, Tensor]:
        features = pictures if self.trunk is None else self.trunk(pictures).flatten(2).mT
        check("PictureEncoder", "features", features, f"B P C={self.channels}")
        count, places, _ = features.shape
        features = features.flatten(0, 1).to(next(self.read.parameters()).dtype)
        maps, _ = self.read(Sequences(features, np.full(count, places)))
        maps = maps.map(F.relu)
        return maps, maps.values.view(count, places, self.output_size).mean(1)
