"""RNN, LSTM and GRU over ragged batches in C++: whole sequences, forward and back, several layers in one call.

The definition of each recurrence is its cell (`project` and `advance`), whose plain loop answers wherever C++ does not.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized

from elman import state as states
from elman.kernels import autocast, native, transforms
from elman.kernels.marshal import Recurrence, addresses, bind, packed, saved_stride
from elman.kernels.memory import new
from elman.rows import Rows
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State

Reference = Callable[[Sequences, State], tuple[Sequences, State]]


def applies(layers: Sequence[Recurrence], *arrays: Tensor) -> bool:
    """Whether C++ answers: float32 on the CPU, and weights without gaps."""
    if not native.available() or transforms.active():
        return False
    weights = [weight for layer in layers for weight in layer.weights]
    plain = all(array.dtype is torch.float32 and array.is_cpu for array in (*arrays, *weights))
    return plain and all(weight.is_contiguous() for weight in weights)


def scan(
    layers: Sequence[Recurrence],
    x: Tensor,
    rows: Rows,
    state: State | None,
    blank: State,
    reference: Reference,
    both_ways: bool = False,
) -> tuple[Tensor, State]:
    """Layers one above the other, or two that read the same steps from both ends: native where it applies.

    Autocast to bfloat16 multiplies in it where `native.bfloat16()` says so; it leaves the reference as it is.

    Args:
        layers: what to compute, one or more.
        x: [N, D].
        rows: the layout of x.
        state: the states of the layers, one after another, leaves [B, H]; None for zeros.
        blank: a state of the same structure, for any number of rows.
        reference: the same by the cells' own loop.
        both_ways: whether every layer reads x, instead of what the one below it writes.
    Returns:
        what the last layer writes, [N, H], or what both do, [N, H + H]; the final states.
    """
    if autocast.chosen() is not None:
        layers = [layer._replace(bfloat16=autocast.bfloat16()) for layer in layers]
        dtype = layers[0].weights[0].dtype
        x = autocast.taken(x, dtype)
        state = None if state is None else states.map(lambda leaf: autocast.taken(leaf, dtype), state)
    if torch.compiler.is_compiling():
        from elman.kernels import registered_scan  # which is made of what stands here

        return registered_scan.scan(layers, x, rows, state, blank, both_ways)
    given = [] if state is None else _checked(layers, len(rows), state)
    if not (applies(layers, x, *given) and _fit(layers, x.shape[1], both_ways)):
        rest = iter(given)
        before = None if state is None else states.map(lambda _: next(rest), blank)
        with autocast.off():
            sequences, after = reference(Sequences(x, rows), before)
        return sequences.values, after
    call = _Call(tuple(layers), Rows.of(rows, len(x), "scan"), both_ways, reference, blank)
    weights = [weight for layer in layers for weight in layer.weights]
    arrays = [leaf.contiguous() for leaf in (x, *weights, *given)]
    if torch.is_grad_enabled():
        y, *final = _Native.apply(call, *arrays)
    else:
        ys, leaves, _ = _run(call, *arrays)
        y, final = ys[-1], leaves
    rest = iter(final)
    return y, states.map(lambda _: next(rest), blank)


def _fit(layers: Sequence[Recurrence], inputs: int, both_ways: bool) -> bool:
    """Whether the weights are of the sizes that C++ takes for granted; where they are not, the reference says so."""
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
        fits = all(weight.shape == shapes[name] for name, weight in zip(layer.names, layer.weights, strict=True))
        if not units or not fits or layer.inputs != inputs:
            return False
        inputs = inputs if both_ways else outputs
    return True


def _checked(layers: Sequence[Recurrence], rows: int, state: State) -> list[Tensor]:
    """The arrays of a state, as many and as large as the layers carry, of the type of the weights."""
    given, dtype = list(states.leaves(state)), layers[0].weights[0].dtype
    units = [size for layer in layers for size in layer.state]
    if len(given) != len(units):
        raise ValueError(f"scan: expected a state of {len(units)} tensors, got {len(given)}.")
    for leaf, size in zip(given, units, strict=True):
        if not isinstance(leaf, Tensor) or leaf.dtype is not dtype:
            got = leaf.dtype if isinstance(leaf, Tensor) else type(leaf).__name__
            raise TypeError(f"scan: expected a state of {dtype}, as the weights are, got {got}.")
        if leaf.shape != (rows, size):  # `check` takes longer than a step
            check("scan", "state", leaf, f"B={rows} H={size}")
    return given


class _Call(NamedTuple):
    layers: tuple[Recurrence, ...]
    rows: Rows
    both_ways: bool
    reference: Reference
    blank: State

    def bind(
        self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], saved: Sequence[Tensor], back: bool
    ) -> tuple[list[Any], list[Any]]:
        """The layers for C++, which takes addresses: what each reads, writes and saves; and their packs.

        The caller keeps the packs for as long as C++ works: others may follow them in the cache meanwhile.
        """
        bound, packs = [], []
        for number, (layer, x, y, gates) in enumerate(zip(self.layers, inputs, outputs, saved, strict=True)):
            one = bind(layer, -1 if self.both_ways else number - 1)
            one.x, one.x_stride, one.y, one.y_stride = x.data_ptr(), x.stride(0), y.data_ptr(), y.stride(0)
            pack = packed(layer, one, back)
            one.saved, one.packed = gates.data_ptr(), pack.address
            bound.append(one)
            packs.append(pack)
        return bound, packs

    def split(self, y: Tensor) -> Sequence[Tensor]:
        """What each direction writes of y."""
        return y.split([layer.outputs for layer in self.layers], -1)

    def by_layer(self, arrays: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
        """The `sizes` arrays of each layer."""
        return [arrays[start:end] for start, end in pairwise([0, *accumulate(sizes)])]

    def states(self, arrays: Sequence[Any]) -> list[Sequence[Any]]:
        """The arrays of each layer's state, or none."""
        return self.by_layer(arrays, [layer.leaves if arrays else 0 for layer in self.layers])


def _run(call: _Call, x: Tensor, *tensors: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return the outputs of each layer, the arrays of the final states, and the gates saved for the backward pass."""
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
    before = call.states(tensors[sum(len(layer.weights) for layer in call.layers) :])
    for one, given, after in zip(bound, before, final, strict=True):
        one.h0, one.c0 = addresses(given, 2)
        one.h_last, one.c_last = addresses(after, 2)
    native.module.scan(native.plan(call.rows), bound)
    del packs
    return ys, [leaf for part in final for leaf in part], saved


class _Native(torch.autograd.Function):
    """(x, the weights of each layer, the state of each layer) -> (y, the final state of each layer)."""

    @staticmethod
    def forward(ctx: Any, call: _Call, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ys, final, saved = _run(call, x, *tensors)
        ctx.call = call
        ctx.weights = sum(len(layer.weights) for layer in call.layers)
        ctx.save_for_backward(*saved, *ys, x, *tensors)
        return (ys[-1], *final)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dfinal: Tensor) -> tuple[Tensor | None, ...]:
        call, count = ctx.call, len(ctx.call.layers)
        kept = ctx.saved_tensors  # once: a checkpoint computes them anew at the first call, and at no other
        saved, ys = kept[:count], kept[count : count + (1 if call.both_ways else count)]
        x, *tensors = kept[count + len(ys) :]
        if torch.is_grad_enabled() or transforms.batched(dy, *dfinal):  # C++ leaves no graph, and sees one gradient
            rest = iter(tensors[ctx.weights :])
            state = states.map(lambda _: next(rest), call.blank) if len(tensors) > ctx.weights else None
            with torch.enable_grad():
                y, final = _loop(call, tensors[: ctx.weights], Sequences(x, call.rows), state)
            written, read = (y.values, *states.leaves(final)), (x, *tensors)
            # What is read at two places, as the weights of tied layers are, gets all of its gradient at the first.
            asked = {id(a): a for a, needed in zip(read, ctx.needs_input_grad[1:], strict=True) if needed}
            found = torch.autograd.grad(
                written, [*asked.values()], (dy, *dfinal), create_graph=torch.is_grad_enabled(), allow_unused=True
            )
            gradients = dict(zip(asked, found, strict=True))
            return None, *(gradients.pop(id(a), None) for a in read)
        dx_wanted, *wanted = ctx.needs_input_grad[1:]
        dtensors = [torch.empty_like(tensor) for tensor in tensors]
        dweights = call.by_layer(dtensors[: ctx.weights], [len(layer.weights) for layer in call.layers])
        dy = dy.contiguous()
        dfinal = tuple(leaf.contiguous() for leaf in dfinal)
        dxs: list[Tensor | None] = [
            new(len(x), layer.inputs) if dx_wanted or (number and not call.both_ways) else None
            for number, layer in enumerate(call.layers)
        ]
        inputs, outputs = ([x] * count, call.split(ys[0])) if call.both_ways else ([x, *ys[:-1]], ys)
        dys = call.split(dy) if call.both_ways else [*dxs[1:], dy]
        if _keeps_graph():
            saved = [gates.clone() for gates in saved]
        bound, packs = call.bind(inputs, outputs, saved, back=True)
        before, dbefore = call.states(tensors[ctx.weights :]), call.states(dtensors[ctx.weights :])
        parts = zip(call.layers, bound, dys, dxs, dweights, before, dbefore, call.states(dfinal), strict=True)
        for layer, one, above, below, dweight, state, dstate, dlast in parts:
            one.dy, one.dy_stride = above.data_ptr(), above.stride(0)
            if below is not None:
                one.dx, one.dx_stride = below.data_ptr(), below.stride(0)
            one.h0, one.c0 = addresses(state, 2)
            one.dh0, one.dc0 = addresses(dstate, 2)
            one.dh_last, one.dc_last = addresses(dlast, 2)
            if any(wanted[: ctx.weights]):
                for name, gradient in zip(layer.names, dweight, strict=True):
                    setattr(one, f"d{name}", gradient.data_ptr())
        native.module.scan_backward(native.plan(call.rows), bound)
        del packs
        dx = torch.add(*dxs) if dx_wanted and call.both_ways else dxs[0]  # type: ignore[arg-type]
        return None, dx, *(d if needed else None for d, needed in zip(dtensors, wanted, strict=True))


class _Loop(nn.Module):
    """The cells' own loop, as a module whose weights are theirs."""

    def __init__(self, call: _Call):
        super().__init__()
        self.cells, self.reference = nn.ModuleList(layer.cell for layer in call.layers), call.reference

    def forward(self, sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
        return self.reference(sequences, state)


def _loop(call: _Call, weights: list[Tensor], sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
    """The cells' own loop with the weights of that call: `functional_call` may have lent them for its time only."""
    if any(is_parametrized(layer.cell) for layer in call.layers):
        raise RuntimeError("scan: a gradient of a gradient of parametrized weights needs the reference; "
                           "scan inside `with elman.kernels.native.disabled():`.")  # fmt: skip
    names = [f"cells.{i}.{name}" for i, layer in enumerate(call.layers) for name in layer.names]
    with autocast.off():
        return functional_call(_Loop(call), dict(zip(names, weights, strict=True)), (sequences, state))


def _keeps_graph() -> bool:
    """Whether backward may be called again, so that what it needs must not be written over."""
    return torch._C._autograd._get_current_graph_task_keep_graph()
