"""A model as a row of layers: what the conversions read it from and make it of."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, cast

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.kernels.marshal import Options
from elman.layers import Bidirectional, LastPooling, Reversed, Stack

PLAIN = {RNN: {"weight_ih", "weight_hh", "bias"}, LSTM: {"weight_ih", "weight_hh", "bias"},
         GRU: {"weight_ih", "weight_hh", "bias", "bias_hn"}}  # fmt: skip
OPTIONS = {"weight_hr": "projection", "peephole": "peephole", "coupled": "coupled"}  # that some other houses know

Part = CellModule | Callable[[int], CellModule]  # a layer, or what makes one for so many features


def layers_of(model: CellModule) -> Iterator[CellModule]:
    """The layers of a stack, and of the stacks in it; a layer alone is one."""
    if isinstance(model, Stack):
        for cell in model:
            yield from layers_of(cell)
    else:
        yield model


def joined(where: str, parts: Sequence[Part]) -> CellModule:
    """The layers on top of one another, in one type; one alone as it is.

    Raises:
        ValueError: no layer; sizes that do not meet; weights of several types.
    """
    sizes = [part.output_size if isinstance(part, CellModule) else 0 for part in parts]
    for number, part in enumerate(parts):  # what does not say its size has that of what is below it, or above
        below, above = (sizes[number - 1] if number else 0), (part for part in parts if isinstance(part, CellModule))
        sizes[number] = sizes[number] or below or next((layer.input_size for layer in above), 0)
    if not any(sizes):
        raise ValueError(f"{where}: expected a layer with weights, got none.")
    layers = [part if isinstance(part, CellModule) else part(size) for part, size in zip(parts, sizes, strict=True)]
    kinds = {weight.dtype for layer in layers for weight in layer.parameters()}
    if len(kinds) > 1:
        raise ValueError(f"{where}: expected weights of one type, got {' and '.join(sorted(map(str, kinds)))}.")
    try:
        model = layers[0] if len(layers) == 1 else Stack(*layers)
    except ValueError as error:  # sizes that do not meet
        raise ValueError(f"{where}: {error}") from None
    weight = next(model.parameters())
    return model.to(weight.device, weight.dtype)


def directions_of(layer: CellModule) -> list[CellModule]:
    """The cells that read forward and backward, or the one that does either."""
    if isinstance(layer, Bidirectional):
        return [layer.forward_cell, layer.backward_cell]
    return [layer.cell if isinstance(layer, Reversed) else layer]


def cells_of(where: str, layer: CellModule, *known: str) -> list[RNN | LSTM | GRU] | None:
    """The one or two plain recurrences that a layer is made of, forward first; None where it is something else.

    Args:
        known: what the other house has as well, of `OPTIONS`.
    Raises:
        ValueError: one with an option that other houses do not know.
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
        what = f"weights {', '.join(odd)}" if odd else "an option of its own"
        raise ValueError(f"{where}: expected a plain {kind.__name__}, got one with {what}, which is not known there.")


def is_last_of(pooling: CellModule, below: CellModule) -> bool:
    """Whether a pooling hands on what the recurrences of the layer below it have when they have read the whole row."""
    backward = below.backward_cell.output_size if isinstance(below, Bidirectional) else 0
    whole = below.output_size if isinstance(below, Reversed) else backward
    return isinstance(pooling, LastPooling) and pooling.backward_size == whole


def needed(package: str, extra: str, what: str) -> Any:
    """An optional package, imported late.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"{what} needs the package {package}: pip install 'elman[{extra}]'", name=package
        ) from None
