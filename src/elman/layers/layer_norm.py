"""Layer normalisation of every step (Ba, Kiros and Hinton 2016, arXiv:1607.06450)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.layers.pointwise import Pointwise
from elman.network.spec import Spec


class LayerNorm(Pointwise):
    """Layer normalisation: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, over the features of each step.

    Args:
        size: features of x and of y, D.
        epsilon: number added to the variance.
    Shapes:
        x: [N, D]   state: ()   ->   y: [N, D]      weight: [D]   bias: [D]
    Raises:
        ValueError: x is not [N, size].
    """

    kind = "layer_norm"

    def __init__(self, size: int, epsilon: float = 1e-5):
        super().__init__()
        self.input_size = self.output_size = size
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names, epsilon=self.epsilon)

    def apply_to(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)
