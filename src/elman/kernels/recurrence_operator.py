"""Operators that compilers trace for recurrences: one for the forward pass of all layers, one for the backward pass.

A cell is passed as text (its class and settings), its weights as tensors: operators take tensors, numbers and strings.
"""

import sys
from ast import literal_eval
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from elman import state as states
from elman.kernels import autocast, native, recurrence_native
from elman.kernels.marshal import Options, Recurrence, UnitMask, saved_stride
from elman.kernels.memory import plain
from elman.kernels.operators import at_wanted, empty_gradients, lengths_of
from elman.rows import Rows
from elman.sequences import Sequences
from elman.state import State

PLAIN = (str, int, float, bool, type(None))  # settings of a cell that its text includes


def scan(
    layers: Sequence[Recurrence], x: Tensor, rows: Rows, state: State | None, blank: State, both_ways: bool
) -> tuple[Tensor, State]:
    """Compute `recurrence.scan` as one operator, for any dtype and device."""
    text = "[" + ", ".join(_text(layer) for layer in layers) + "]"
    weights = [weight for layer in layers for weight in layer.weights]
    masks = [mask.kept for layer in layers for mask in _masks(layer) if mask.kept is not None]
    given = [] if state is None else list(states.leaves(state))
    unique = torch.empty(0)
    y, final, _ = _operator(x, lengths_of(rows), weights, given, masks, unique, text, both_ways, native.available())
    rest = iter(final)
    return y, states.map(lambda _: next(rest), blank)


def _masks(layer: Recurrence) -> list[UnitMask]:
    return [value for value in layer.options or () if isinstance(value, UnitMask)]


def _text(layer: Recurrence) -> str:
    """Return a layer without its tensors as a Python literal. A compiler traces this and recompiles if it changes."""
    cell = layer.cell if isinstance(layer.cell, str) else cell_text(layer.cell)
    options = "None"
    if layer.options is not None:
        parts = [
            f"({value.kept is not None}, {_literal(value.rate)})" if isinstance(value, UnitMask) else _literal(value)
            for value in layer.options
        ]
        options = f"({', '.join(parts)},)"
    names = ", ".join(f"{name!r}" for name in layer.names)
    return (
        f"({cell}, ({names},), {layer.kind!r}, {layer.activation!r}, {layer.reverse!r}, {options}, {layer.bfloat16!r})"
    )


def cell_text(cell: nn.Module) -> str:
    """Return the class and the settings of a cell as the first items of a Python literal."""
    kind = type_before_parametrizations(cell)
    own = [(name, value) for name, value in cell.__dict__.items() if not name.startswith("_")]
    settings = ", ".join(f"{name!r}: {_literal(value)}" for name, value in own if isinstance(value, PLAIN))
    return f"{kind.__module__!r}, {kind.__qualname__!r}, {{{settings}}}"


def _literal(value: Any) -> str:
    """Return a value as a Python literal."""
    if isinstance(value, float):
        value = float.fromhex(value.hex())  # a compiler treats the result as a constant
    return f"{value!r}"


class _Layer(NamedTuple):
    """Layer without its tensors, parsed from the text that `_text` writes."""

    module: str  # module of the cell's class
    name: str
    settings: dict[str, Any]  # settings of the cell
    names: tuple[str, ...]  # names of the weights
    kind: str
    activation: str
    reverse: bool
    options: tuple[Any, ...] | None  # (has a mask, rate) in place of each UnitMask
    bfloat16: bool = False

    def recurrence(self, weights: Iterator[Tensor], masks: Iterator[Tensor]) -> Recurrence:
        """Return the layer with the next tensors, and without a cell, which the native kernels do not use."""
        own = tuple(next(weights) for _ in self.names)
        options = None
        if self.options is not None:
            values = [
                UnitMask(next(masks) if value[0] else None, value[1]) if isinstance(value, tuple) else value
                for value in self.options
            ]
            options = Options._make(values)
        return Recurrence(self.kind, _NO_CELL, own, self.activation, self.reverse, options, self.bfloat16)

    def cell(self, weights: Iterator[Tensor]) -> Any:
        """Return a cell with the same settings and the next weights.

        Only classes of modules that are imported already are used: a file that is loaded cannot import others.
        """
        kind: Any = getattr(sys.modules.get(self.module), self.name, None)
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise ValueError(f"elman::scan: expected a cell {self.name} at the top level of {self.module}, an imported "
                             "module, got none; import it, or move the class there.")  # fmt: skip
        cell = object.__new__(kind)
        nn.Module.__init__(cell)
        cell.__dict__.update(self.settings)
        parameters: dict[str, Any] = cell._parameters
        parameters.update({name: next(weights) for name in self.names})
        return cell


@lru_cache(maxsize=256)
def _read(text: str) -> tuple[_Layer, ...]:
    return tuple(_Layer(*layer) for layer in literal_eval(text))


class _Call(NamedTuple):
    """Computation of an operator, made of its arguments."""

    layers: tuple[Recurrence, ...]
    text: str
    both_ways: bool
    is_native: bool  # whether the native kernels compute it

    @staticmethod
    def of(
        x: Tensor, weights: Sequence[Tensor], masks: Sequence[Tensor], text: str, both_ways: bool, available: bool
    ) -> "_Call":
        rest, given = iter(weights), iter(masks)
        layers = tuple(layer.recurrence(rest, given) for layer in _read(text))
        plain = all(array.dtype is torch.float32 and array.device.type == "cpu" for array in (x, *weights))
        fits = available and plain and recurrence_native.fits(layers, x.shape[1], both_ways)
        return _Call(layers, text, both_ways, fits)

    def native(self, x: Tensor, lengths: Tensor) -> recurrence_native.Call:
        return recurrence_native.Call(self.layers, Rows(lengths, len(x), "scan"), self.both_ways)

    def loop(self, x: Tensor, lengths: Tensor, weights: Sequence[Tensor], state: Sequence[Tensor]) -> list[Tensor]:
        """Return y and the leaves of the final state, computed by the cells themselves, one after another."""
        rest, given = iter(weights), iter(state)
        sequences = below = Sequences(x, lengths)
        outputs: list[Tensor] = []
        final: list[Tensor] = []
        with autocast.off():
            for layer in _read(self.text):
                cell = layer.cell(rest)
                if getattr(cell, "draws", False):
                    raise NotImplementedError(
                        "elman::scan: random masks inside a compiled recurrence need the native kernels; use float32 "
                        "on the CPU and no gradient of a gradient, or do not compile."
                    )
                read = below.reverse() if layer.reverse else below
                before = states.map(lambda _: next(given), cell.initial_state(0)) if state else None
                y, after = cell.scan(read, before)
                y = y.reverse() if layer.reverse else y
                outputs.append(y.values)
                final += states.leaves(after)
                below = sequences if self.both_ways else y
        return [torch.cat(outputs, -1) if self.both_ways else outputs[-1], *final]


_NO_CELL = nn.Module()


@torch.library.custom_op("elman::scan", mutates_args=())
def _operator(
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    masks: list[Tensor],
    unique: Tensor,
    text: str,
    both_ways: bool,
    available: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return y, the leaves of the final state, and the tensors saved for the backward pass.

    Args:
        weights, state: weights and states of the layers in order.
        masks: masks of the layers in order.
        unique: a new empty tensor per call. It keeps the compiler from merging equal calls, whose backward passes
            overwrite their saved tensors.
        text: the layers, as `_text` writes them.
        both_ways: as in `recurrence.scan`.
        available: whether native kernels were available at compile time.
    """
    call = _Call.of(x, weights, masks, text, both_ways, available)
    if state:
        recurrence_native.check_state(call.layers, len(lengths), tuple(state))
    with torch.no_grad():
        if not (call.is_native and native.available()):
            y, *final = (leaf.clone() for leaf in call.loop(x, lengths, weights, state))  # outputs must not be inputs
            return y, final, []
        x, weights, state = plain(x), _contiguous(weights), _contiguous(state)
        call = _Call.of(x, weights, masks, text, both_ways, available)
        ys, final, saved = recurrence_native.forward(call.native(x, lengths), x, state)
        return ys[-1], final, [*saved, *ys[:-1]]


def _contiguous(arrays: Sequence[Tensor]) -> list[Tensor]:
    return [plain(array) for array in arrays]


@_operator.register_fake
def _(
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    masks: list[Tensor],
    unique: Tensor,
    text: str,
    both_ways: bool,
    available: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    call, steps, rows = _Call.of(x, weights, masks, text, both_ways, available), x.shape[0], lengths.shape[0]
    sizes = [layer.outputs for layer in call.layers]
    widths = [*map(_stride, call.layers), *([] if both_ways else sizes[:-1])] if call.is_native else []
    final = [x.new_empty(rows, size) for layer in call.layers for size in layer.state]
    return x.new_empty(steps, sum(sizes) if both_ways else sizes[-1]), final, [x.new_empty(steps, w) for w in widths]


def _stride(layer: Recurrence) -> int:
    """Return `saved_stride`, which needs weights of known sizes."""
    weights = tuple(weight.new_empty([int(size) for size in weight.shape]) for weight in layer.weights)
    return saved_stride(layer._replace(weights=weights))


@torch.library.custom_op("elman::scan_backward", mutates_args=())
def _backward_operator(
    dy: Tensor,
    dfinal: list[Tensor],
    saved: list[Tensor],
    y: Tensor,
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    masks: list[Tensor],
    text: str,
    both_ways: bool,
    available: bool,
    wanted: list[bool],
) -> list[Tensor]:
    """Return the gradients that are needed of x, the weights and the state."""
    call = _Call.of(x, weights, masks, text, both_ways, available)
    if not saved:
        inputs = [x, *weights, *state]
        with _recording():
            x, *tensors = (leaf.detach().requires_grad_(needed) for leaf, needed in zip(inputs, wanted, strict=True))
            outputs = call.loop(x, lengths, tensors[: len(weights)], tensors[len(weights) :])
            return [g.clone() for g in _gradients(outputs, [dy, *dfinal], [x, *tensors], wanted) if g is not None]
    x, weights, state = plain(x), _contiguous(weights), _contiguous(state)
    kernel = _Call.of(x, weights, masks, text, both_ways, available).native(x, lengths)
    gates, ys = saved[: len(call.layers)], [*saved[len(call.layers) :], y]
    with torch.no_grad():
        found = recurrence_native.backward(kernel, x, state, ys, gates, dy, dfinal, wanted)
    return [gradient for gradient in found if gradient is not None]


@_backward_operator.register_fake
def _(
    dy: Tensor,
    dfinal: list[Tensor],
    saved: list[Tensor],
    y: Tensor,
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    masks: list[Tensor],
    text: str,
    both_ways: bool,
    available: bool,
    wanted: list[bool],
) -> list[Tensor]:
    return empty_gradients((x, *weights, *state), wanted)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    x, lengths, weights, state, masks, _, *ctx.settings = inputs
    y, final, saved = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, lengths, y, *weights, *state, *masks, *final, *saved)
    ctx.counts = len(weights), len(state), len(masks), len(final)


def _differentiate(ctx: Any, dy: Tensor | None, dfinal: Sequence[Tensor | None], _: Any) -> tuple[Any, ...]:
    x, lengths, y, *rest = ctx.saved_tensors
    weights, state, masks, final, saved = _parts(rest, ctx.counts)
    needed = ctx.needs_input_grad
    wanted = [needed[0], *needed[2], *needed[3]]
    dy = torch.zeros_like(y) if dy is None else dy
    dlast = [torch.zeros_like(leaf) if d is None else d for leaf, d in zip(final, dfinal, strict=True)]
    if torch.is_grad_enabled():  # create_graph=True: the cells build the graph of the gradient
        with torch.enable_grad():
            read = [leaf.view_as(leaf) for leaf in (x, *weights, *state)]  # distinct, even if some are one tensor
            call = _Call.of(x, weights, masks, *ctx.settings)
            outputs = call.loop(read[0], lengths, read[1 : 1 + len(weights)], read[1 + len(weights) :])
        dx, *others = _gradients(outputs, [dy, *dlast], read, wanted, create_graph=True)
    else:
        found = _backward_operator(dy, dlast, saved, y, x, lengths, weights, state, masks, *ctx.settings, wanted)
        dx, *others = at_wanted(found, wanted)
    none = [None] * len(masks)
    return dx, None, others[: len(weights)], others[len(weights) :], none, None, None, None, None


_operator.register_autograd(_differentiate, setup_context=_setup_context)


def _parts(arrays: list[Tensor], sizes: Sequence[int]) -> list[list[Tensor]]:
    """Return the first `sizes[0]` arrays, the next `sizes[1]`, ..., and the rest."""
    parts = []
    for size in sizes:
        parts.append(arrays[:size])
        arrays = arrays[size:]
    return [*parts, arrays]


def _gradients(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor], inputs: Sequence[Tensor], wanted: Sequence[bool], **how: Any
) -> list[Tensor | None]:
    """Compute the gradients of the inputs that require one by autograd; zeros for inputs without influence."""
    pairs = [(array, gradient) for array, gradient in zip(outputs, gradients, strict=True) if array.requires_grad]
    leaves = [leaf for leaf, needed in zip(inputs, wanted, strict=True) if needed]
    arrays, gradients = zip(*pairs, strict=True)
    found = torch.autograd.grad(arrays, leaves, gradients, allow_unused=True, **how)
    return at_wanted([torch.zeros_like(a) if d is None else d for a, d in zip(leaves, found, strict=True)], wanted)


@contextmanager
def _recording() -> Iterator[None]:
    """Enable autograd inside an operator, which runs below it."""
    include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    for key in ("AutogradFunctionality", "AutogradOther", "AutogradNestedTensor"):
        exclude -= torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    with torch._C._ForceDispatchKeyGuard(include, exclude), torch.enable_grad():
        yield
