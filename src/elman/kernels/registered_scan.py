"""What `torch.compile` and `torch.export` see of a recurrence: one operator for all layers, and one for the way back.

A cell comes as text, that is by its class and its settings, with its weights as tensors.
"""

import sys
from ast import literal_eval
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from elman import state as states
from elman.kernels import autocast, native, recurrence
from elman.kernels.marshal import Options, Recurrence, UnitMask, saved_stride
from elman.kernels.registered import chosen, filled, lengths_of
from elman.rows import Rows
from elman.sequences import Sequences
from elman.state import State

PLAIN = (str, int, float, bool, type(None))  # settings of a cell that go into its text


def scan(
    layers: Sequence[Recurrence], x: Tensor, rows: Rows, state: State | None, blank: State, both_ways: bool
) -> tuple[Tensor, State]:
    """`recurrence.scan` as one operator, of any type and on any device."""
    text = "[" + ", ".join(_text(layer) for layer in layers) + "]"
    weights = [weight for layer in layers for weight in layer.weights]
    kept = [zone.kept for layer in layers for zone in _zones(layer) if zone.kept is not None]
    given = [] if state is None else list(states.leaves(state))
    own = torch.empty(0)
    y, final, _ = _scan(x, lengths_of(rows), weights, given, kept, own, text, both_ways, native.available())
    rest = iter(final)
    return y, states.map(lambda _: next(rest), blank)


def _zones(layer: Recurrence) -> list[UnitMask]:
    return [value for value in layer.options or () if isinstance(value, UnitMask)]


def _text(layer: Recurrence) -> str:
    """A layer without its tensors, as Python writes it; a compiler follows this, and compiles anew when it changes."""
    kind, cell = type_before_parametrizations(layer.cell), layer.cell
    own = [(name, value) for name, value in cell.__dict__.items() if not name.startswith("_")]
    settings = ", ".join(f"{name!r}: {_written(value)}" for name, value in own if isinstance(value, PLAIN))
    options = "None"
    if layer.options is not None:
        parts = [
            f"({value.kept is not None}, {_written(value.rate)})" if isinstance(value, UnitMask) else _written(value)
            for value in layer.options
        ]
        options = f"({', '.join(parts)},)"
    names = ", ".join(f"{name!r}" for name in layer.names)
    return (
        f"({kind.__module__!r}, {kind.__qualname__!r}, {{{settings}}}, ({names},), "
        f"{layer.kind!r}, {layer.activation!r}, {layer.reverse!r}, {options}, {layer.bfloat16!r})"
    )


def _written(value: Any) -> str:
    """As Python writes it."""
    if isinstance(value, float):
        value = float.fromhex(value.hex())  # which a compiler takes for the number that it is now
    return f"{value!r}"


class _Layer(NamedTuple):
    """What `_text` wrote."""

    module: str  # where the class of the cell is
    name: str
    settings: dict[str, Any]  # of the cell
    names: tuple[str, ...]  # of the weights
    kind: str
    activation: str
    reverse: bool
    options: tuple[Any, ...] | None  # of each zone whether it has a mask, and its rate
    bfloat16: bool = False

    def recurrence(self, weights: Iterator[Tensor], kept: Iterator[Tensor]) -> Recurrence:
        """With its tensors, the next ones, and without a cell, which C++ does not ask for."""
        own = tuple(next(weights) for _ in self.names)
        options = None
        if self.options is not None:
            values = [UnitMask(next(kept) if v[0] else None, v[1]) if isinstance(v, tuple) else v for v in self.options]
            options = Options._make(values)
        return Recurrence(self.kind, _NO_CELL, own, self.activation, self.reverse, options, self.bfloat16)

    def cell(self, weights: Iterator[Tensor]) -> Any:
        """A cell like the one that was written, with the next weights.

        Only of modules that have been imported: a file that is loaded cannot ask for others.
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
    """What an operator is asked to compute."""

    layers: tuple[Recurrence, ...]
    text: str
    both_ways: bool
    fused: bool  # whether C++ answers

    @staticmethod
    def of(
        x: Tensor, weights: Sequence[Tensor], kept: Sequence[Tensor], text: str, both_ways: bool, available: bool
    ) -> "_Call":
        rest, masks = iter(weights), iter(kept)
        layers = tuple(layer.recurrence(rest, masks) for layer in _read(text))
        plain = all(array.dtype is torch.float32 and array.device.type == "cpu" for array in (x, *weights))
        return _Call(layers, text, both_ways, available and plain and recurrence._fit(layers, x.shape[1], both_ways))

    def native(self, x: Tensor, lengths: Tensor) -> recurrence._Call:
        """For C++. What it has beside the layers is for gradients of gradients, which go another way here."""
        return recurrence._Call(self.layers, Rows(lengths, len(x)), self.both_ways, _no_reference, ())

    def loop(self, x: Tensor, lengths: Tensor, weights: Sequence[Tensor], state: Sequence[Tensor]) -> list[Tensor]:
        """y and the leaves of the final state, by the cells themselves, one after another."""
        rest, given = iter(weights), iter(state)
        sequences = below = Sequences(x, lengths)
        written: list[Tensor] = []
        final: list[Tensor] = []
        with autocast.off():
            for layer in _read(self.text):
                cell = layer.cell(rest)
                if getattr(cell, "draws", False):
                    raise NotImplementedError(
                        "elman::scan: what is drawn inside a recurrence needs C++ here: float32 on the CPU, and no "
                        "gradient of a gradient; do not compile it."
                    )
                read = below.reverse() if layer.reverse else below
                before = states.map(lambda _: next(given), cell.initial_state(0)) if state else None
                y, after = cell.scan(read, before)
                y = y.reverse() if layer.reverse else y
                written.append(y.values)
                final += states.leaves(after)
                below = sequences if self.both_ways else y
        return [torch.cat(written, -1) if self.both_ways else written[-1], *final]


_NO_CELL = nn.Module()


def _no_reference(sequences: Sequences, state: State) -> tuple[Sequences, State]:
    raise AssertionError("an operator leaves no graph")


@torch.library.custom_op("elman::scan", mutates_args=())
def _scan(
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    kept: list[Tensor],
    own: Tensor,
    text: str,
    both_ways: bool,
    available: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """y, the leaves of the final state, and what the way back needs.

    Args:
        weights, state: those of the layers, one after another.
        kept: the masks of the layers, one after another.
        own: nothing, but another nothing in every call, so that a compiler does not make one of two equal calls: the
            way back of each writes over what its call has saved.
        text: what the layers are.
        both_ways: as of `recurrence.scan`.
        available: whether there were native kernels when this was compiled.
    """
    call = _Call.of(x, weights, kept, text, both_ways, available)
    recurrence._checked(call.layers, len(lengths), tuple(state)) if state else None
    with torch.no_grad():
        if not (call.fused and native.available()):
            y, *final = (leaf.clone() for leaf in call.loop(x, lengths, weights, state))  # which might be the state
            return y, final, []
        x, *tensors = (leaf.contiguous() for leaf in (x, *weights, *state))
        call = _Call.of(x, tensors, kept, text, both_ways, available)
        ys, final, saved = recurrence._run(call.native(x, lengths), x, *tensors)
        return ys[-1], final, [*saved, *ys[:-1]]


@_scan.register_fake
def _(
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    kept: list[Tensor],
    own: Tensor,
    text: str,
    both_ways: bool,
    available: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    call, steps, rows = _Call.of(x, weights, kept, text, both_ways, available), x.shape[0], lengths.shape[0]
    sizes = [layer.outputs for layer in call.layers]
    widths = [*map(_stride, call.layers), *([] if both_ways else sizes[:-1])] if call.fused else []
    final = [x.new_empty(rows, size) for layer in call.layers for size in layer.state]
    return x.new_empty(steps, sum(sizes) if both_ways else sizes[-1]), final, [x.new_empty(steps, w) for w in widths]


def _stride(layer: Recurrence) -> int:
    """`saved_stride`, which takes weights of known sizes alone."""
    weights = tuple(weight.new_empty([int(size) for size in weight.shape]) for weight in layer.weights)
    return saved_stride(layer._replace(weights=weights))


@torch.library.custom_op("elman::scan_backward", mutates_args=())
def _scan_backward(
    dy: Tensor,
    dfinal: list[Tensor],
    saved: list[Tensor],
    y: Tensor,
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    kept: list[Tensor],
    text: str,
    both_ways: bool,
    available: bool,
    wanted: list[bool],
) -> list[Tensor]:
    """The gradients of x, the weights and the state, those that are wanted."""
    call, read = _Call.of(x, weights, kept, text, both_ways, available), [x, *weights, *state]
    if not call.fused:
        with _recording():
            x, *tensors = (leaf.detach().requires_grad_(needed) for leaf, needed in zip(read, wanted, strict=True))
            written = call.loop(x, lengths, tensors[: len(weights)], tensors[len(weights) :])
            return [g.clone() for g in _gradients(written, [dy, *dfinal], [x, *tensors], wanted) if g is not None]
    x, *tensors = (leaf.contiguous() for leaf in read)
    way = _Call.of(x, tensors, kept, text, both_ways, available).native(x, lengths)
    gates, ys = saved[: len(call.layers)], [*saved[len(call.layers) :], y]
    context = SimpleNamespace(
        call=way,
        weights=len(weights),
        saved_tensors=(*gates, *ys, x, *tensors),
        needs_input_grad=(False, *wanted),
    )
    with torch.no_grad():
        return [g for g in recurrence._Native.backward(context, dy, *dfinal) if g is not None]


@_scan_backward.register_fake
def _(
    dy: Tensor,
    dfinal: list[Tensor],
    saved: list[Tensor],
    y: Tensor,
    x: Tensor,
    lengths: Tensor,
    weights: list[Tensor],
    state: list[Tensor],
    kept: list[Tensor],
    text: str,
    both_ways: bool,
    available: bool,
    wanted: list[bool],
) -> list[Tensor]:
    return chosen((x, *weights, *state), wanted)


def _scan_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    x, lengths, weights, state, kept, _, *ctx.words = inputs
    y, final, saved = output
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, lengths, y, *weights, *state, *kept, *final, *saved)
    ctx.counts = len(weights), len(state), len(kept), len(final)


def _scan_way_back(ctx: Any, dy: Tensor | None, dfinal: Sequence[Tensor | None], _: Any) -> tuple[Any, ...]:
    x, lengths, y, *rest = ctx.saved_tensors
    weights, state, kept, final, saved = _parts(rest, ctx.counts)
    needed = ctx.needs_input_grad
    wanted = [needed[0], *needed[2], *needed[3]]
    dy = torch.zeros_like(y) if dy is None else dy
    dlast = [torch.zeros_like(leaf) if d is None else d for leaf, d in zip(final, dfinal, strict=True)]
    if torch.is_grad_enabled():  # a graph of the gradient is wanted: the cells leave one
        with torch.enable_grad():
            read = [leaf.view_as(leaf) for leaf in (x, *weights, *state)]  # places of their own, if some are one tensor
            call = _Call.of(x, weights, kept, *ctx.words)
            written = call.loop(read[0], lengths, read[1 : 1 + len(weights)], read[1 + len(weights) :])
        dx, *others = _gradients(written, [dy, *dlast], read, wanted, create_graph=True)
    else:
        found = _scan_backward(dy, dlast, saved, y, x, lengths, weights, state, kept, *ctx.words, wanted)
        dx, *others = filled(found, wanted)
    none = [None] * len(kept)
    return dx, None, others[: len(weights)], others[len(weights) :], none, None, None, None, None


_scan.register_autograd(_scan_way_back, setup_context=_scan_setup)


def _parts(arrays: list[Tensor], sizes: Sequence[int]) -> list[list[Tensor]]:
    """So many of them, so many, ..., and the rest."""
    parts = []
    for size in sizes:
        parts.append(arrays[:size])
        arrays = arrays[size:]
    return [*parts, arrays]


def _gradients(
    written: Sequence[Tensor], given: Sequence[Tensor], read: Sequence[Tensor], wanted: Sequence[bool], **how: Any
) -> list[Tensor | None]:
    """Those of what is read and wanted, by autograd; zeros of what had no part."""
    pairs = [(array, gradient) for array, gradient in zip(written, given, strict=True) if array.requires_grad]
    asked = [leaf for leaf, needed in zip(read, wanted, strict=True) if needed]
    arrays, gradients = zip(*pairs, strict=True)
    found = torch.autograd.grad(arrays, asked, gradients, allow_unused=True, **how)
    return filled([torch.zeros_like(a) if d is None else d for a, d in zip(asked, found, strict=True)], wanted)


@contextmanager
def _recording() -> Iterator[None]:
    """Autograd inside an operator, which runs below it."""
    include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    for key in ("AutogradFunctionality", "AutogradOther", "AutogradNestedTensor"):
        exclude -= torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    with torch._C._ForceDispatchKeyGuard(include, exclude), torch.enable_grad():
        yield
