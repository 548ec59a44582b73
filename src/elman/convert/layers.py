"""Models as a sequence of layers, for all conversions."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, cast

from torch import nn

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.kernels.marshal import Options
from elman.layers import Bidirectional, LastPooling, Reversed, Stack
from elman.optional_packages import needed_by

PLAIN = {RNN: {"weight_ih", "weight_hh", "bias"}, LSTM: {"weight_ih", "weight_hh", "bias"},
         GRU: {"weight_ih", "weight_hh", "bias", "bias_hn"}}  # fmt: skip
OPTIONS = {"weight_hr": "projection"}  # weight of a cell -> its option, where PyTorch supports it too

LayerLike = CellModule | Callable[[int], CellModule]  # a layer, or a function that makes one from its input size


def layers_of(model: CellModule) -> Iterator[CellModule]:
    """Yield the layers of a stack and of the stacks in it, or the single layer."""
    if isinstance(model, Stack):
        for cell in model:
            yield from layers_of(cell)
    else:
        yield model


def check_model(where: str, model: Any, advice: str = "convert its layers with elman.convert.from_torch first") -> None:
    """Raise unless a model is a cell, a layer or a stack of elman.

    Args:
        advice: what to do with a module of PyTorch.
    Raises:
        TypeError: the model is something else.
    """
    if isinstance(model, CellModule):
        return
    way_out = f"; {advice}" if isinstance(model, nn.Module) else ""
    raise TypeError(f"{where}: expected a cell, a layer or a Stack of elman, got {type(model).__name__}{way_out}.")


def stacked(where: str, parts: Sequence[LayerLike]) -> CellModule:
    """Return the layers as a stack, or the single layer.

    Raises:
        ValueError: there is no layer with weights, sizes do not match, or weights have several dtypes.
    """
    sizes = [part.output_size if isinstance(part, CellModule) else 0 for part in parts]
    for number, part in enumerate(parts):  # a layer of unknown size gets the size of its neighbour
        below, above = (sizes[number - 1] if number else 0), (part for part in parts if isinstance(part, CellModule))
        sizes[number] = sizes[number] or below or next((layer.input_size for layer in above), 0)
    if not any(sizes):
        raise ValueError(f"{where}: expected a layer with weights, got none.")
    layers = [part if isinstance(part, CellModule) else part(size) for part, size in zip(parts, sizes, strict=True)]
    kinds = {weight.dtype for layer in layers for weight in layer.parameters()}
    if len(kinds) > 1:
        raise ValueError(f"{where}: expected weights of one dtype, got {' and '.join(sorted(map(str, kinds)))}.")
    try:
        model = layers[0] if len(layers) == 1 else Stack(*layers)
    except ValueError as error:  # sizes do not match
        raise ValueError(f"{where}: {error}") from None
    weight = next(model.parameters())
    return model.to(weight.device, weight.dtype)


def directions_of(layer: CellModule) -> list[CellModule]:
    """Return the forward and backward cell of a layer, or its single cell."""
    if isinstance(layer, Bidirectional):
        return [layer.forward_cell, layer.backward_cell]
    return [layer.cell if isinstance(layer, Reversed) else layer]


def plain_cells(where: str, layer: CellModule, *known: str) -> list[RNN | LSTM | GRU] | None:
    """Return the one or two plain RNNs, LSTMs or GRUs of a layer, forward first; None for any other layer.

    Args:
        known: `OPTIONS` that the target supports.
    Raises:
        ValueError: a cell has an option that the target does not support.
    """
    cells = directions_of(layer)
    if not all(isinstance(cell, RNN | LSTM | GRU) for cell in cells):
        return None
    if len({type(cell) for cell in cells}) > 1 or len({cell.output_size for cell in cells}) > 1:
        got = " and ".join(f"{type(cell).__name__} of {cell.output_size}" for cell in cells)
        raise ValueError(f"{where}: expected two cells of one kind and size in a Bidirectional, got {got}.")
    for cell in cells:
        _check_plain(where, cell, known)
    return cast("list[RNN | LSTM | GRU]", cells)


def _check_plain(where: str, cell: CellModule, known: Sequence[str]) -> None:
    kernel, kind = cell.recurrence(), next(kind for kind in PLAIN if isinstance(cell, kind))
    names = {name for name, _ in cell.named_parameters()}
    odd = sorted(names - PLAIN[kind] - {*known})
    options = (None if kernel is None else kernel.options) or Options()
    without_forget = kernel is not None and kernel.kind == "lstm_without_forget" and not options.coupled
    known_options: dict[str, Any] = {OPTIONS[name]: False for name in known}
    if odd or kernel is None or without_forget or options._replace(**known_options) != Options():
        what = f"weights {', '.join(odd)}" if odd else "further options"
        raise ValueError(f"{where}: expected a plain {kind.__name__}, got one with {what}; they are not supported.")


def pools_final_state(pooling: CellModule, below: CellModule) -> bool:
    """Return whether a pooling returns the final states of the layer below it, in both directions."""
    backward = below.backward_cell.output_size if isinstance(below, Bidirectional) else 0
    whole = below.output_size if isinstance(below, Reversed) else backward
    return isinstance(pooling, LastPooling) and pooling.backward_size == whole


def optional_module(name: str, feature: str) -> Any:
    """Import and return a module of an optional package.

    Raises:
        MissingPackage: the package is not installed.
    """
    with needed_by(feature):
        return import_module(name)
