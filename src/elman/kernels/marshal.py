"""Recurrent layers as values, and their conversion for the native kernels: addresses and packed weights."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from elman.kernels import native
from elman.kernels.memory import address
from elman.kernels.native import ACTIVATIONS, GATES, KINDS


class UnitMask(NamedTuple):
    """Mask of an option per unit and step, or one rate for all units."""

    kept: Tensor | None = None  # [N, H] bool, or [B, H] if all steps of a row share it
    rate: float = 0.0


class Options(NamedTuple):
    """Options of an LSTM: see `elman.LSTM`."""

    normed: bool = False
    projection: bool = False  # whether there is a weight_hr, so that h has fewer features than units
    peephole: bool = False
    coupled: bool = False  # forget gate = 1 - input gate
    clip: float = 0.0  # limit of the absolute cell state; 0: none
    candidate: UnitMask = UnitMask()  # dropout of the candidate: where it is kept, times `rate`; without a mask always
    zone_h: UnitMask = UnitMask()  # zoneout of h: the fraction of the previous state that is kept
    zone_c: UnitMask = UnitMask()  # zoneout of c
    hidden: UnitMask = UnitMask()  # dropout of h before the gates: per row where it is kept, times `rate`


class Recurrence(NamedTuple):
    """One recurrent layer."""

    kind: str  # one of KINDS
    cell: Any  # module with the reference loop and the parameters `names`; inside torch.compile, a text that makes it
    weights: tuple[Tensor, ...]  # in the order of `names`
    activation: str = "tanh"  # one of ACTIVATIONS, for an rnn
    reverse: bool = False  # whether it reads rows from their last step to their first
    options: Options | None = None
    bfloat16: bool = False  # whether it multiplies bfloat16; sums, states and gates stay float32

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the weights: weight_ih [G H, D], weight_hh [G H, P] and bias [G H]. A GRU with the reset after the
        product also has `bias_hn` [H]. An LSTM may have `gain_ih` and `gain_hh` [G H], `gain_c` and `bias_c` [H]
        (norms), `weight_hr` [P, H] (projection) and `peephole` [3 H]."""
        if self.options is None:
            return ("weight_ih", "weight_hh", "bias", "bias_hn")[: len(self.weights)]
        norms = ("gain_ih", "gain_hh", "gain_c", "bias_c") * self.options.normed
        others = ("weight_hr",) * self.options.projection + ("peephole",) * self.options.peephole
        return ("weight_ih", "weight_hh", "bias", *norms, *others)

    @property
    def weight_hh(self) -> Tensor:
        """Recurrent weights, [G H, P]."""
        return self.weights[1]

    @property
    def inputs(self) -> int:
        """Input size D."""
        return self.weights[0].shape[1]

    @property
    def units(self) -> int:
        """Hidden size H."""
        return len(self.weight_hh) // self.gates

    @property
    def outputs(self) -> int:
        """Output size P of y and h: H, or less with a projection."""
        return self.weight_hh.shape[1]

    @property
    def gates(self) -> int:
        """Number of gates G."""
        return GATES[KINDS.index(self.kind)]

    @property
    def state(self) -> tuple[int, ...]:
        """Features of each array of the state: h, or h and c."""
        return (self.outputs, self.units)[: self.leaves]

    @property
    def leaves(self) -> int:
        """Number of arrays of the state: h, or h and c."""
        return 2 if self.kind.startswith("lstm") else 1


@lru_cache(maxsize=256)
def _stride(kind: int, units: int, outputs: int, normed: bool, hidden: bool) -> int:
    layer = native.module.Layer(kind, 0, 1, units, outputs, False, -1)
    layer.gain_hh = int(normed)  # only whether the address is zero matters
    layer.set_hidden(int(hidden), 1.0)
    return layer.saved_stride


def saved_stride(layer: Recurrence) -> int:
    """Return how many floats each step saves for the backward pass."""
    options = layer.options or Options()
    return _stride(KINDS.index(layer.kind), layer.units, layer.outputs, options.normed, options.hidden.kept is not None)


def bind(layer: Recurrence, below: int = -1) -> Any:
    """Return a native layer with the addresses of the weights."""
    kind, activation = KINDS.index(layer.kind), ACTIVATIONS.index(layer.activation)
    sizes = layer.inputs, layer.units, layer.outputs
    bound = native.module.Layer(kind, activation, *sizes, layer.reverse, below)
    for name, weight in zip(layer.names, layer.weights, strict=True):
        setattr(bound, name, address(weight))
    if (options := layer.options) is not None:
        bound.any_option, bound.coupled, bound.clip = True, options.coupled, options.clip
        for name in ("candidate", "zone_h", "zone_c", "hidden"):
            zone = getattr(options, name)
            getattr(bound, f"set_{name}")(address(zone.kept), zone.rate)
    if layer.bfloat16:
        bound.bfloat16 = True
    return bound


def addresses(tensors: Sequence[Tensor], count: int) -> list[int]:
    """Return the addresses of tensors, and 0 for each that is missing."""
    return [*map(address, tensors)] + [0] * (count - len(tensors))


# weight_hh -> {(kind, back, bfloat16): (fingerprint of the weights, packed weights)}
_packs: Any = WeakTensorKeyDictionary()


def packed(layer: Recurrence, bound: Any, back: bool) -> Any:
    """Return the weights in the layout of the kernels, cached until a weight changes.

    Changes are found by a fingerprint of the numbers: version counters of tensors miss fused optimisers and
    `weight.data`.
    """
    fingerprint, packs = bound.fingerprint(), _packs.setdefault(layer.weight_hh, {})
    key = layer.kind, back, layer.bfloat16
    kept = packs.get(key)
    if kept is None or kept[0] != fingerprint:
        kept = packs[key] = fingerprint, bound.pack(back)
    return kept[1]
