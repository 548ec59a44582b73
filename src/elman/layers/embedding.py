"""Embedding: a vector for each unit of a vocabulary (Bengio et al. 2003)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.layers.pointwise import Pointwise
from elman.network.spec import Spec
from elman.shapes import check


class Embedding(Pointwise):
    """Table of vectors, one per unit of a vocabulary: y = weight[x]

    Args:
        vocabulary_size: number of units, V; ids are 0 to V - 1.
        output_size: features of y, O.
        lazy: whether an update changes only the vectors of units in the batch, so that its cost does not depend on the
            vocabulary size. Momentum does not move the other vectors and weight decay does not apply to the table. The
            gradient is sparse, as with `sparse=True` in PyTorch.
    Shapes:
        x: [N] integers   state: ()   ->   y: [N, O]      weight: [V, O]
    Raises:
        ValueError: x is not [N], or contains an id outside the vocabulary.
        TypeError: x does not consist of integers.
    """

    kind = "embedding"
    step_axes = 0

    def __init__(self, vocabulary_size: int, output_size: int, lazy: bool = False):
        super().__init__()
        self.input_size, self.output_size = vocabulary_size, output_size
        self.lazy = lazy
        self.weight = nn.Parameter(torch.randn(vocabulary_size, output_size))

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        return self.spec_of(names)

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N], with ids in the vocabulary."""
        where = f"Embedding.{verb}"
        check(where, "ids", x, "N")
        if x.is_floating_point():
            raise TypeError(f"{where}: expected integer ids, got {x.dtype}.")
        if torch.compiler.is_compiling():
            return x  # values are unknown while compiling; PyTorch checks them at run time
        if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < self.input_size:
            got = f"{int(x.min())} to {int(x.max())}"
            raise ValueError(f"{where}: expected ids from 0 to {self.input_size - 1}, got {got}.")
        return x

    def apply_to(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight, sparse=self.lazy)
