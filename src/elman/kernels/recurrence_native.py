"""Forward and backward passes of recurrent layers in the native time loop: several layers in one call."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elman import state as states
from elman.kernels import native
from elman.kernels.marshal import Recurrence, addresses, bind, packed, saved_stride
from elman.kernels.memory import address, new, plain
from elman.rows import Rows
from elman.shapes import check
from elman.state import State


class Call(NamedTuple):
    """Stacked layers, or the two directions of one layer, over the rows of a batch."""

    layers: tuple[Recurrence, ...]
    rows: Rows
    both_ways: bool  # whether every layer reads x, instead of the output of the layer below

    def bind(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], saved: Sequence[Tensor], back: bool
    ) -> tuple[list[Any], list[Any]]:
        """Return the layers with the addresses of their inputs, outputs and saved tensors, and their packed weights.

        The caller keeps the packed weights during the native call: the cache may replace them meanwhile.
        """
        bound, packs = [], []
        for number, (layer, x, y, gates) in enumerate(zip(self.layers, inputs, outputs, saved, strict=True)):
            one = bind(layer, -1 if self.both_ways else number - 1)
            one.x, one.x_stride, one.y, one.y_stride = address(x), x.stride(0), address(y), y.stride(0)
            pack = packed(layer, one, back)
            one.saved, one.packed = address(gates), pack.address
            bound.append(one)
            packs.append(pack)
        return bound, packs

    def split(self, y: Tensor) -> Sequence[Tensor]:
        """Return the columns of y that each direction writes."""
        return y.split([layer.outputs for layer in self.layers], -1)

    def states(self, arrays: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the arrays of each layer's state, or no arrays for a state of zeros."""
        return _parts(arrays, [layer.leaves if arrays else 0 for layer in self.layers])


def _parts(arrays: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
    return [arrays[start:end] for start, end in pairwise([0, *accumulate(sizes)])]


def fits(layers: Sequence[Recurrence], inputs: int, both_ways: bool) -> bool:
    """Return whether the weights have the sizes that the native loop needs. If not, the reference raises the error."""
    for layer in layers:
        units, outputs, gates = layer.units, layer.outputs, layer.gates
        shapes = {
            "weight_ih": (gates * units, inputs),
            "weight_hh": (gates * units, outputs),
            "bias": (gates * units,),
            "bias_hn": (units,),
            "weight_hr": (outputs, units),
            "peephole": ((gates - 1) * units,),
            "gain_ih": (gates * units,),
            "gain_hh": (gates * units,),
            "gain_c": (units,),
            "bias_c": (units,),
        }
        agree = all(weight.shape == shapes[name] for name, weight in zip(layer.names, layer.weights, strict=True))
        if not units or not agree or layer.inputs != inputs:
            return False
        inputs = inputs if both_ways else outputs
    return True


def check_state(layers: Sequence[Recurrence], rows: int, state: State) -> list[Tensor]:
    """Return the arrays of a state, checked: their number, their shapes, and the dtype of the weights."""
    given, dtype = list(states.leaves(state)), layers[0].weights[0].dtype
    sizes = [size for layer in layers for size in layer.state]
    if len(given) != len(sizes):
        raise ValueError(f"scan: expected a state of {len(sizes)} tensors, got {len(given)}.")
    for leaf, size in zip(given, sizes, strict=True):
        if not isinstance(leaf, Tensor) or leaf.dtype is not dtype:
            got = leaf.dtype if isinstance(leaf, Tensor) else type(leaf).__name__
            raise TypeError(f"scan: expected a state of {dtype}, as the weights are, got {got}.")
        if leaf.shape != (rows, size):  # `check` takes longer than a step
            check("scan", "state", leaf, f"B={rows} H={size}")
    return given


def forward(call: Call, x: Tensor, state: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Run the layers over all rows.

    Args:
        x: [N, D]; contiguous, like all tensor arguments.
        state: the arrays of the layers' states, [B, H] each; empty for zeros.
    Returns:
        the output of each layer (one for both directions together), the arrays of the final states, and the tensors
        that each layer saves for the backward pass.
    """
    steps, rows, count = call.rows.num_steps, len(call.rows), len(call.layers)
    if call.both_ways:
        ys = [new(steps, sum(layer.outputs for layer in call.layers))]
        inputs, outputs = [x] * count, call.split(ys[0])
    else:
        outputs = ys = [new(steps, layer.outputs) for layer in call.layers]
        inputs = [x, *ys[:-1]]
    saved = [new(steps, stride) for stride in map(saved_stride, call.layers)]
    final = [[new(rows, size) for size in layer.state] for layer in call.layers]
    bound, packs = call.bind(inputs, outputs, saved, back=False)
    for one, given, after in zip(bound, call.states(state), final, strict=True):
        one.h0, one.c0 = addresses(given, 2)
        one.h_last, one.c_last = addresses(after, 2)
    native.module.scan(native.plan(call.rows), bound)
    del packs
    return ys, [leaf for part in final for leaf in part], saved


def backward(
    call: Call,
    x: Tensor,
    state: Sequence[Tensor],
    ys: Sequence[Tensor],
    saved: Sequence[Tensor],
    dy: Tensor,
    dfinal: Sequence[Tensor],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Compute the gradients of x, the weights and the state, where they are needed.

    Args:
        call, x, state: as in `forward`.
        ys, saved: as `forward` returned them. `saved` is overwritten, unless autograd keeps its graph.
        dy, dfinal: gradients of the last output and of the final states.
        wanted: one flag for x, each weight and each array of the state.
    """
    count, weights = len(call.layers), [weight for layer in call.layers for weight in layer.weights]
    dx_wanted, weights_wanted = wanted[0], any(wanted[1 : 1 + len(weights)])
    dtensors = [torch.empty_like(tensor) for tensor in (*weights, *state)]
    dweights = _parts(dtensors[: len(weights)], [len(layer.weights) for layer in call.layers])
    dy, dfinal = plain(dy), [plain(leaf) for leaf in dfinal]
    dxs: list[Tensor | None] = [
        new(len(x), layer.inputs) if dx_wanted or (number and not call.both_ways) else None
        for number, layer in enumerate(call.layers)
    ]
    inputs, outputs = ([x] * count, call.split(ys[0])) if call.both_ways else ([x, *ys[:-1]], ys)
    dys = call.split(dy) if call.both_ways else [*dxs[1:], dy]
    if _keeps_graph():
        saved = [gates.clone() for gates in saved]
    bound, packs = call.bind(inputs, outputs, saved, back=True)
    before, dbefore = call.states(state), call.states(dtensors[len(weights) :])
    parts = zip(call.layers, bound, dys, dxs, dweights, before, dbefore, call.states(dfinal), strict=True)
    for layer, one, above, below, dweight, h, dh, dlast in parts:
        assert above is not None
        one.dy, one.dy_stride = address(above), above.stride(0)
        if below is not None:
            one.dx, one.dx_stride = address(below), below.stride(0)
        one.h0, one.c0 = addresses(h, 2)
        one.dh0, one.dc0 = addresses(dh, 2)
        one.dh_last, one.dc_last = addresses(dlast, 2)
        if weights_wanted:
            for name, gradient in zip(layer.names, dweight, strict=True):
                setattr(one, f"d{name}", address(gradient))
    native.module.scan_backward(native.plan(call.rows), bound)
    del packs
    dx = torch.add(*dxs) if dx_wanted and call.both_ways else dxs[0]  # type: ignore[arg-type]  # tensors if wanted
    return [dx, *(d if needed else None for d, needed in zip(dtensors, wanted[1:], strict=True))]


def _keeps_graph() -> bool:
    """Return whether the backward pass may run again, so that its saved tensors must not be overwritten."""
    return torch._C._autograd._get_current_graph_task_keep_graph()
