"""How the weights of a recurrence start: the first remedy against gradients that vanish or explode."""

import torch
from torch import Tensor, nn


def orthogonal(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Each gate's recurrent matrix orthogonal, so that h W keeps its length (Saxe et al. 2014, arXiv:1312.6120);
    Glorot-uniform input weights; zero bias."""
    for gate in weight_hh.chunk(gates):
        nn.init.orthogonal_(gate)
    for gate in weight_ih.chunk(gates):
        nn.init.xavier_uniform_(gate)
    nn.init.zeros_(bias)


def identity(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """The identity as recurrent matrix, zero bias, small input weights: IRNN (Le et al. 2015, arXiv:1504.00941)."""
    nn.init.eye_(weight_hh)
    nn.init.normal_(weight_ih, std=0.001)
    nn.init.zeros_(bias)


def pytorch(gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """As `torch.nn` does: all uniform in +-1/sqrt(H)."""
    bound = (len(weight_hh) // gates) ** -0.5
    for weight in (weight_ih, weight_hh, bias):
        nn.init.uniform_(weight, -bound, bound)


INITIALIZATIONS = {"orthogonal": orthogonal, "identity": identity, "pytorch": pytorch}


@torch.no_grad()
def initialize(where: str, name: str, gates: int, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> None:
    """Fill the weights in place with the start of that name.

    Raises:
        ValueError: there is no such start, or it cannot act here: the identity start is for one gate.
    """
    if name not in INITIALIZATIONS:
        raise ValueError(f"{where}: expected init to be one of {', '.join(INITIALIZATIONS)}, got {name!r}.")
    if name == "identity" and weight_hh.shape[0] != weight_hh.shape[1]:
        raise ValueError(f"{where}: init='identity' is for RNN (IRNN); gated cells have a path of their own for the "
                         "gradient: use init='orthogonal'.")  # fmt: skip
    INITIALIZATIONS[name](gates, weight_ih, weight_hh, bias)
