"""Initialisation of recurrent weights: the first remedy against vanishing and exploding gradients."""

import torch
from torch import Tensor, nn

from elman.kernels.torch_threads import calling_thread_only


def orthogonal_(weight: Tensor) -> Tensor:
    """Make a matrix orthogonal in place: a random rotation, by a QR decomposition.

    It is computed by one thread: the bits depend on the number of threads, and in a forked process PyTorch's other
    threads do not exist.
    """
    with calling_thread_only():
        return nn.init.orthogonal_(weight)


def orthogonal(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Make each gate's recurrent matrix orthogonal, so that h W keeps its length (Saxe et al. 2014, arXiv:1312.6120),
    the input weights Glorot-uniform and the bias zero."""
    for gate in weight_hh.chunk(gates):
        orthogonal_(gate)
    for gate in weight_ih.chunk(gates):
        nn.init.xavier_uniform_(gate)
    nn.init.zeros_(bias)


def identity(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Make the recurrent matrix the identity, the input weights small and the bias zero: IRNN (Le et al. 2015,
    arXiv:1504.00941)."""
    nn.init.eye_(weight_hh)
    nn.init.normal_(weight_ih, std=0.001)
    nn.init.zeros_(bias)


def pytorch(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Draw all weights uniformly from +-1/sqrt(H), as `torch.nn` does."""
    bound = (len(weight_hh) // gates) ** -0.5
    for weight in (weight_ih, weight_hh, bias):
        nn.init.uniform_(weight, -bound, bound)


INITIALIZATIONS = {"orthogonal": orthogonal, "identity": identity, "pytorch": pytorch}


@torch.no_grad()
def initialize(where: str, name: str, gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Initialise the weights in place by the method of that name.

    Raises:
        ValueError: the method is unknown, or is `identity` for a cell with several gates.
    """
    if name not in INITIALIZATIONS:
        raise ValueError(f"{where}: expected init to be one of {', '.join(INITIALIZATIONS)}, got {name!r}.")
    if name == "identity" and weight_hh.shape[0] != weight_hh.shape[1]:
        raise ValueError(f"{where}: init='identity' is for RNN (IRNN); the gates of this cell provide a path for "
                         "the gradient already: use init='orthogonal'.")  # fmt: skip
    INITIALIZATIONS[name](gates, weight_ih, weight_hh, bias)
