"""What a decoder reads of a picture: a step for each place of a map of features (Xu et al. 2015, arXiv:1502.03044)."""

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from elman.sequences import Sequences
from elman.shapes import check


class PictureEncoder(nn.Module):
    """y = relu(W features + b) at each place of the map;  the state of a picture is the mean of its y

    Args:
        channels: features of a place of the map, C.
        output_size: features of a step, D.
        dropout: of the features, and of half as much of y, while training; 0 for none.
        trunk: what makes a map of pixels, [B, 3, H, W] -> [B, C, h, w]; without, the maps are made already.
    Shapes:
        pictures [B, 3, H, W] with a trunk, features [B, h w, C] without   ->   Sequences of y [B h w, D], state [B, D]
    Raises:
        ValueError: the shape is another.
    Example:
        >>> import torch
        >>> map, state = PictureEncoder(1280, 64, 0.5)(torch.rand(2, 49, 1280))
        >>> map, state.shape
        (Sequences(2 rows, 98 steps, torch.float32 [98, 64]), torch.Size([2, 64]))
    """

    def __init__(self, channels: int, output_size: int, dropout: float, trunk: nn.Module | None = None):
        super().__init__()
        self.channels, self.output_size, self.dropout, self.trunk = channels, output_size, dropout, trunk
        self.project = nn.Linear(channels, output_size)

    def forward(self, pictures: Tensor) -> tuple[Sequences, Tensor]:
        features = pictures if self.trunk is None else self.trunk(pictures).flatten(2).mT
        check("PictureEncoder", "features", features, f"B P C={self.channels}")
        features = features.to(self.project.weight.dtype)
        y = F.relu(self.project(F.dropout(features, self.dropout, self.training)))
        y = F.dropout(y, self.dropout / 2, self.training)  # [B, P, D]
        return Sequences(y.flatten(0, 1), np.full(len(y), y.shape[1])), y.mean(1)
