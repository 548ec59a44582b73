"""RNN, LSTM and GRU over ragged batches: native kernels for forward and backward passes, several layers in one call.

Each recurrence is defined by its cell (`project` and `advance`). The cell's own loop is the reference, which runs
wherever the native kernels do not apply.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized

from elman import state as states
from elman.kernels import autocast, native, recurrence_operator, transforms
from elman.kernels.marshal import Recurrence
from elman.kernels.memory import plain
from elman.kernels.recurrence_native import Call, backward, check_state, fits, forward
from elman.rows import Rows
from elman.sequences import Sequences
from elman.state import State

Reference = Callable[[Sequences, State], tuple[Sequences, State]]


def applies(layers: Sequence[Recurrence], *arrays: Tensor) -> bool:
    """Return whether the native kernels compute these: float32 on the CPU, with plain weights."""
    if not native.available() or transforms.active():
        return False
    weights = [weight for layer in layers for weight in layer.weights]
    fits = all(array.dtype is torch.float32 and array.is_cpu for array in (*arrays, *weights))
    return fits and not any(weight.is_neg() or not weight.is_contiguous() for weight in weights)


def scan(
    layers: Sequence[Recurrence],
    x: Tensor,
    rows: Rows,
    state: State | None,
    blank: State,
    reference: Reference,
    both_ways: bool = False,
) -> tuple[Tensor, State]:
    """Scan stacked layers, or the two directions of one layer, with the native kernels where they apply.

    Under autocast to bfloat16, native products are in bfloat16 if `native.bfloat16()`; the reference is unchanged.

    Args:
        layers: one or more.
        x: [N, D].
        rows: the layout of x.
        state: the states of the layers in order, leaves [B, H]; None for zeros.
        blank: a state of the same structure, for any number of rows.
        reference: the same computation by the cells' own loop.
        both_ways: whether every layer reads x, instead of the output of the layer below.
    Returns:
        the output of the last layer, [N, H], or of both directions, [N, H + H]; the final states.
    """
    if autocast.active_dtype() is not None:
        layers = [layer._replace(bfloat16=autocast.bfloat16()) for layer in layers]
        dtype = layers[0].weights[0].dtype
        x = autocast.cast_input(x, dtype)
        state = None if state is None else states.map(lambda leaf: autocast.cast_input(leaf, dtype), state)
    if torch.compiler.is_compiling():
        return recurrence_operator.scan(layers, x, rows, state, blank, both_ways)
    given = [] if state is None else check_state(layers, len(rows), state)
    if not (applies(layers, x, *given) and fits(layers, x.shape[1], both_ways)):
        before = None if state is None else _structured(given, blank)
        with autocast.off():
            sequences, after = reference(Sequences(x, rows), before)
        return sequences.values, after
    call = Call(tuple(layers), Rows.of(rows, len(x), "scan"), both_ways)
    weights = [weight for layer in layers for weight in layer.weights]
    x, *given = map(plain, (x, *given))
    if torch.is_grad_enabled():
        y, *final = _Native.apply(_Definition(call, reference, blank), x, *weights, *given)
    else:
        ys, final, _ = forward(call, x, given)
        y = ys[-1]
    return y, _structured(final, blank)


def _structured(arrays: Sequence[Tensor], blank: State) -> State:
    """Return arrays in the structure of a state."""
    rest = iter(arrays)
    return states.map(lambda _: next(rest), blank)


class _Definition(NamedTuple):
    """Native call and the loop that defines it."""

    call: Call
    reference: Reference
    blank: State  # structure of the state


class _Native(torch.autograd.Function):
    """Autograd function (x, weights of each layer, state of each layer) -> (y, final state of each layer)."""

    @staticmethod
    def forward(ctx: Any, definition: _Definition, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        call = definition.call
        ctx.definition, ctx.weights = definition, sum(len(layer.weights) for layer in call.layers)
        ys, final, saved = forward(call, x, tensors[ctx.weights :])
        ctx.save_for_backward(*saved, *ys, x, *tensors)
        return (ys[-1], *final)

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *dfinal: Tensor) -> tuple[Tensor | None, ...]:
        call, wanted = ctx.definition.call, ctx.needs_input_grad[1:]
        layers, outputs = len(call.layers), 1 if call.both_ways else len(call.layers)
        kept = ctx.saved_tensors  # read once: a checkpoint recomputes them at the first access, and at no other
        saved, ys, (x, *tensors) = kept[:layers], kept[layers : layers + outputs], kept[layers + outputs :]
        weights, state = tensors[: ctx.weights], tensors[ctx.weights :]
        if torch.is_grad_enabled() or transforms.batched(dy, *dfinal):  # native kernels have neither
            return None, *_reference_backward(ctx.definition, x, weights, state, (dy, *dfinal), wanted)
        return None, *backward(call, x, state, ys, saved, dy, dfinal, wanted)


def _reference_backward(
    definition: _Definition,
    x: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    gradients: Sequence[Tensor],
    wanted: Sequence[bool],
) -> list[Tensor | None]:
    """Compute the needed gradients of x, the weights and the state by autograd through the reference."""
    inputs = (x, *weights, *state)
    with torch.enable_grad():
        # Views: x and the state may depend on the weights, and gradients must not flow through them a second time.
        views = {id(a): a.view_as(a) for a in inputs}
        x, *rest = (views[id(a)] for a in inputs)
        weights, state = rest[: len(weights)], rest[len(weights) :]
        before = _structured(state, definition.blank) if state else None
        y, final = _loop(definition, weights, Sequences(x, definition.call.rows), before)
    outputs = (y.values, *states.leaves(final))
    # A tensor that is read at two places, as the weights of tied layers are, gets its whole gradient at the first.
    distinct = {id(a): views[id(a)] for a, needed in zip(inputs, wanted, strict=True) if needed}
    found = torch.autograd.grad(
        outputs, [*distinct.values()], gradients, create_graph=torch.is_grad_enabled(), allow_unused=True
    )
    by_tensor = dict(zip(distinct, found, strict=True))
    return [by_tensor.pop(id(a), None) for a in inputs]


class _Loop(nn.Module):
    """Loop of the cells as a module that has their weights."""

    def __init__(self, definition: _Definition):
        super().__init__()
        self.cells = nn.ModuleList(layer.cell for layer in definition.call.layers)
        self.reference = definition.reference

    def forward(self, sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
        return self.reference(sequences, state)


def _loop(
    definition: _Definition, weights: list[Tensor], sequences: Sequences, state: State | None
) -> tuple[Sequences, State]:
    """Run the cells' own loop with the weights of the native call: `functional_call` may have replaced them since."""
    layers = definition.call.layers
    if any(is_parametrized(layer.cell) for layer in layers):
        raise RuntimeError("scan: a gradient of a gradient of parametrized weights needs the reference; "
                           "scan inside `with elman.kernels.native.disabled():`.")  # fmt: skip
    names = [f"cells.{i}.{name}" for i, layer in enumerate(layers) for name in layer.names]
    with autocast.off():
        return functional_call(_Loop(definition), dict(zip(names, weights, strict=True)), (sequences, state))
