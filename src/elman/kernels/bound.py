"""A recurrent layer as C++ takes it: what it computes, where its weights lie, and the weights as tiles read them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from elman.kernels import native
from elman.kernels.native import ACTIVATIONS, KINDS


class Recurrence(NamedTuple):
    """One layer: what it computes, and its weights."""

    kind: str  # of KINDS
    cell: nn.Module  # whose loop defines it; its weights have the names of WEIGHTS
    weights: tuple[Tensor, ...]  # weight_ih [G H, D], weight_hh [G H, H], bias [G H]; gru_after: and bias_hn [H]
    activation: str = "tanh"  # of ACTIVATIONS, for an rnn
    reverse: bool = False  # whether rows are read from their last step to their first

    @property
    def units(self) -> int:
        """H."""
        return self.weights[1].shape[1]

    @property
    def leaves(self) -> int:
        """Arrays of the state: h, or h and c."""
        return 2 if self.kind.startswith("lstm") else 1


@lru_cache(maxsize=256)
def _stride(kind: int, units: int) -> int:
    return native.module.Layer(kind, 0, 1, units, False, -1).saved_stride


def saved_stride(layer: Recurrence) -> int:
    """Floats that each step saves for the way back."""
    return _stride(KINDS.index(layer.kind), layer.units)


def bind(layer: Recurrence, below: int = -1) -> Any:
    """A layer for C++, with its weights."""
    kind, activation = KINDS.index(layer.kind), ACTIVATIONS.index(layer.activation)
    bound = native.module.Layer(kind, activation, layer.weights[0].shape[1], layer.units, layer.reverse, below)
    bound.weight_ih, bound.weight_hh, bound.bias, bound.bias_hn = addresses(layer.weights, 4)
    return bound


def addresses(tensors: Sequence[Tensor], count: int) -> list[int]:
    """Where the tensors lie, and 0 for each that is missing."""
    return [tensor.data_ptr() for tensor in tensors] + [0] * (count - len(tensors))


_packs: Any = WeakTensorKeyDictionary()  # weight_hh -> {(kind, back): (the fingerprint of the weights, their pack)}


def packed(layer: Recurrence, bound: Any, back: bool) -> Any:
    """The weights as the kernels read them, kept until a weight changes.

    The weights themselves are asked: the counters of changes that tensors have miss fused optimisers and `weight.data`.
    """
    fingerprint, packs = bound.fingerprint(), _packs.setdefault(layer.weights[1], {})
    kept = packs.get((layer.kind, back))
    if kept is None or kept[0] != fingerprint:
        kept = packs[layer.kind, back] = fingerprint, bound.pack(back)
    return kept[1]
