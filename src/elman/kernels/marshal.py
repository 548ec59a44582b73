"""A recurrent layer as C++ takes it: what it computes, where its weights lie, and the weights as tiles read them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from elman.kernels import native
from elman.kernels.native import ACTIVATIONS, GATES, KINDS


class UnitMask(NamedTuple):
    """What an option does to each unit at each step: a mask, or else one number for all."""

    kept: Tensor | None = None  # [N, H] bool, or [B, H] where it is the same at all steps of a row
    rate: float = 0.0


class Options(NamedTuple):
    """Of an LSTM, unit by unit: see `elman.LSTM`, and `native/recurrences/lstm_options.hpp`."""

    normed: bool = False
    projection: bool = False  # whether there is a weight_hr, with less features of h than units
    peephole: bool = False
    coupled: bool = False  # without a forget gate: as much is kept as is not written
    clip: float = 0.0  # the memory stays within plus and minus this; 0: anywhere
    candidate: UnitMask = UnitMask()  # where it is kept, times `rate`; without a mask it always is
    zone_h: UnitMask = UnitMask()  # the part of the state before that stays
    zone_c: UnitMask = UnitMask()
    hidden: UnitMask = UnitMask()  # of each row: where h is kept as the gates read it, times `rate`


class Recurrence(NamedTuple):
    """One layer: what it computes, and its weights."""

    kind: str  # of KINDS
    cell: nn.Module  # whose loop defines it; its weights have these names
    weights: tuple[Tensor, ...]  # as `names` has them
    activation: str = "tanh"  # of ACTIVATIONS, for an rnn
    reverse: bool = False  # whether rows are read from their last step to their first
    options: Options | None = None
    bfloat16: bool = False  # whether it multiplies in bfloat16; sums, states and gates stay float32

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the weights: weight_ih [G H, D], weight_hh [G H, P] and bias [G H]; `bias_hn` [H] of a GRU with the
        reset after the product; of an LSTM, with norms gain_ih and gain_hh [G H], gain_c and bias_c [H], and
        `weight_hr` [P, H] and `peephole` [3 H]."""
        if self.options is None:
            return ("weight_ih", "weight_hh", "bias", "bias_hn")[: len(self.weights)]
        norms = ("gain_ih", "gain_hh", "gain_c", "bias_c") * self.options.normed
        others = ("weight_hr",) * self.options.projection + ("peephole",) * self.options.peephole
        return ("weight_ih", "weight_hh", "bias", *norms, *others)

    @property
    def weight_hh(self) -> Tensor:
        """[G H, P]."""
        return self.weights[1]

    @property
    def inputs(self) -> int:
        """D."""
        return self.weights[0].shape[1]

    @property
    def units(self) -> int:
        """H."""
        return len(self.weight_hh) // self.gates

    @property
    def outputs(self) -> int:
        """P of y and h: H, or less where there is a projection."""
        return self.weight_hh.shape[1]

    @property
    def gates(self) -> int:
        """G."""
        return GATES[KINDS.index(self.kind)]

    @property
    def state(self) -> tuple[int, ...]:
        """Features of the arrays of the state: of h, or of h and c."""
        return (self.outputs, self.units)[: self.leaves]

    @property
    def leaves(self) -> int:
        """Arrays of the state: h, or h and c."""
        return 2 if self.kind.startswith("lstm") else 1


@lru_cache(maxsize=256)
def _stride(kind: int, units: int, outputs: int, normed: bool, hidden: bool) -> int:
    layer = native.module.Layer(kind, 0, 1, units, outputs, False, -1)
    layer.gain_hh = int(normed)  # addresses that are not followed
    layer.set_hidden(int(hidden), 1.0)
    return layer.saved_stride


def saved_stride(layer: Recurrence) -> int:
    """Floats that each step saves for the way back."""
    options = layer.options or Options()
    return _stride(KINDS.index(layer.kind), layer.units, layer.outputs, options.normed, options.hidden.kept is not None)


def bind(layer: Recurrence, below: int = -1) -> Any:
    """A layer for C++, with its weights."""
    kind, activation = KINDS.index(layer.kind), ACTIVATIONS.index(layer.activation)
    sizes = layer.inputs, layer.units, layer.outputs
    bound = native.module.Layer(kind, activation, *sizes, layer.reverse, below)
    for name, weight in zip(layer.names, layer.weights, strict=True):
        setattr(bound, name, weight.data_ptr())
    if (options := layer.options) is not None:
        bound.any_option, bound.coupled, bound.clip = True, options.coupled, options.clip
        for name in ("candidate", "zone_h", "zone_c", "hidden"):
            zone = getattr(options, name)
            getattr(bound, f"set_{name}")(0 if zone.kept is None else zone.kept.data_ptr(), zone.rate)
    if layer.bfloat16:
        bound.bfloat16 = True
    return bound


def addresses(tensors: Sequence[Tensor], count: int) -> list[int]:
    """Where the tensors lie, and 0 for each that is missing."""
    return [tensor.data_ptr() for tensor in tensors] + [0] * (count - len(tensors))


# weight_hh -> {(kind, back, bfloat16): (the fingerprint of the weights, their pack)}
_packs: Any = WeakTensorKeyDictionary()


def packed(layer: Recurrence, bound: Any, back: bool) -> Any:
    """The weights as the kernels read them, kept until a weight changes.

    The weights themselves are asked: the counters of changes that tensors have miss fused optimisers and `weight.data`.
    """
    fingerprint, packs = bound.fingerprint(), _packs.setdefault(layer.weight_hh, {})
    what = layer.kind, back, layer.bfloat16
    kept = packs.get(what)
    if kept is None or kept[0] != fingerprint:
        kept = packs[what] = fingerprint, bound.pack(back)
    return kept[1]
