"""Layers of `torch.nn` as layers of elman, and back."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.cells.torch_weights import TorchWeights, cell_from_layer, layer_suffixes, with_weights
from elman.convert.parts import Part, cells_of, joined, layers_of
from elman.layers import Bidirectional, Dropout, Embedding, LayerNorm, Linear, Reversed

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
STEPS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
KNOWN = (*RECURRENT, *STEPS, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.Identity)
WRITTEN_BY = ("torch.nn.modules.", "elman.nn.")  # whose `forward` is known


def from_torch(module: nn.Module) -> CellModule:
    """The same layers with copies of the weights, as a cell or a `Stack`.

    `nn.RNN`, `LSTM` and `GRU` (each layer a cell, both directions a `Bidirectional`, their dropout a `Dropout`), their
    cells (`nn.LSTMCell`, ...), `nn.Linear`, `Embedding`, `LayerNorm`, `Dropout`, and an `nn.Sequential` or `ModuleList`
    of such, where a recurrence hands on what it writes. Those of `elman.nn` as well. `batch_first` says how a batch is
    padded, and here it is not.

    Args:
        module: of `torch.nn`; in training or evaluation mode, and so is what comes out.
    Raises:
        TypeError: it is no module.
        ValueError: a layer or a setting that there is none of here.
    Example:
        >>> from_torch(nn.LSTM(3, 4, num_layers=2, batch_first=True)).output_size
        4
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch: expected a module of torch.nn, got {type(module).__name__}.")
    return joined("from_torch", list(_read(module, "from_torch"))).train(module.training)


def _read(module: Any, where: str) -> Iterator[Part]:
    if type(module) in (nn.Sequential, nn.ModuleList):
        for number, child in enumerate(module):
            yield from _read(child, f"{where}: {number}")
        return
    where = f"{where}: {type(module).__name__}"
    if not isinstance(module, KNOWN):
        raise ValueError(f"{where} is no layer that elman has; convert what is before and behind it by itself.")
    if not type(module).forward.__module__.startswith(WRITTEN_BY):
        raise ValueError(f"{where} has a forward of its own; copy its weights to a layer of torch.nn, if it is one.")
    if isinstance(module, RECURRENT):
        yield from _recurrence(module)
    elif isinstance(module, STEPS):
        yield cell_from_layer(module, "")
    elif isinstance(module, nn.Linear):
        yield with_weights(lambda: Linear(module.in_features, module.out_features), _weight_and_bias(module))
    elif isinstance(module, nn.Embedding):
        _expect(where, module, max_norm=None, scale_grad_by_freq=False)
        yield with_weights(
            lambda: Embedding(module.num_embeddings, module.embedding_dim, module.sparse), {"weight": module.weight}
        )
    elif isinstance(module, nn.LayerNorm):
        if len(module.normalized_shape) != 1:
            raise ValueError(f"{where}: expected normalized_shape of one axis, got {list(module.normalized_shape)}.")
        layer = LayerNorm(module.normalized_shape[0], module.eps)
        yield with_weights(lambda: layer, _weight_and_bias(module)) if module.elementwise_affine else layer
    elif isinstance(module, nn.Dropout) and module.p:
        yield partial(Dropout, p=module.p)


def _weight_and_bias(module: Any) -> dict[str, Tensor]:
    bias = module.weight.new_zeros(len(module.weight)) if module.bias is None else module.bias
    return {"weight": module.weight, "bias": bias}


def _expect(where: str, module: Any, **settings: Any) -> None:
    """Raise unless the settings of a module are these."""
    for name, value in settings.items():
        if getattr(module, name, value) != value:
            got = f"{name}={getattr(module, name)}"
            raise ValueError(f"{where}: expected {name}={value}, got {got}, which is not known here.")


def _recurrence(module: Any) -> Iterator[Part]:
    cells = [cell_from_layer(module, suffix) for suffix in layer_suffixes(module)]
    ways = 2 if module.bidirectional else 1
    for number in range(0, len(cells), ways):
        if number and module.dropout:
            yield partial(Dropout, p=module.dropout)
        yield Bidirectional(*cells[number : number + 2]) if module.bidirectional else cells[number]


def to_torch(model: CellModule, batch_first: bool = False) -> nn.Module:
    """The same layers with copies of the weights, as modules of `torch.nn`.

    Recurrences of one kind and size on top of one another are one `nn.RNN`, `LSTM` or `GRU` of several layers, their
    second bias is zero, but for what a GRU adds inside its reset gate. A stack of more than that is an `nn.Sequential`;
    where a recurrence is not its last layer, an `nn.ModuleList`, to be called one by one: a recurrence of PyTorch
    returns a pair, which `nn.Sequential` would hand on.

    Args:
        model: a cell, a layer or a `Stack`.
        batch_first: of the recurrences.
    Raises:
        TypeError: it is none.
        ValueError: a layer or an option that torch.nn has not.
    Example:
        >>> from elman import GRU, Linear, Stack
        >>> gru, linear = to_torch(Stack(GRU(3, 4), GRU(4, 4), Linear(4, 2)))
        >>> gru.num_layers
        2
    """
    if not isinstance(model, CellModule):
        raise TypeError(f"to_torch: expected a cell, a layer or a Stack of elman, got {type(model).__name__}.")
    layers, modules = list(layers_of(model)), []
    while layers:
        where = f"to_torch: {type(layers[0]).__name__}"
        group, dropout = _together(where, layers)
        if group:
            modules.append(_torch_recurrence(where, group, dropout, batch_first))
        else:
            modules.append(_written(where, layers.pop(0)))
    weight = next(model.parameters(), None)
    if weight is not None:
        modules = [module.to(weight.device, weight.dtype) for module in modules]
    if len(modules) == 1:
        whole = modules[0]
    else:
        pairs = any(isinstance(module, RECURRENT) for module in modules[:-1])
        whole = nn.ModuleList(modules) if pairs else nn.Sequential(*modules)
    return whole.train(model.training)


def _together(where: str, layers: list[CellModule]) -> tuple[list[list[RNN | LSTM | GRU]], float]:
    """Takes off the first layers, as many as one module is made of: the cells of each, and the dropout between."""
    group: list[list[RNN | LSTM | GRU]] = []
    dropout = 0.0
    while layers:
        between = layers[0].p if group and type(layers[0]) is Dropout and len(layers) > 1 else 0.0
        above = layers[1 if between else 0]
        cells = None if isinstance(above, Reversed) else cells_of(where, above, "weight_hr")
        if cells is None or (group and (_kind(cells) != _kind(group[0]) or (len(group) > 1 and between != dropout))):
            break
        del layers[: 2 if between else 1]
        group, dropout = [*group, cells], between
    return group, dropout


def _kind(cells: Sequence[Any]) -> list[Any]:
    """What must be the same in all layers of one module."""
    return [(type(cell), cell.output_size, len(cell.weight_hh), getattr(cell, "activation", "")) for cell in cells]


def _torch_recurrence(
    where: str, group: Sequence[Sequence[RNN | LSTM | GRU]], dropout: float, batch_first: bool
) -> nn.Module:
    cells = [cell for layer in group for cell in layer]
    first = cells[0]
    if isinstance(first, RNN) and first.activation not in ("tanh", "relu"):
        raise ValueError(
            f"{where}: expected activation='tanh' or 'relu', got {first.activation!r}, which nn.RNN has not."
        )
    if any(isinstance(cell, GRU) and cell.reset == "before" for cell in cells):
        raise ValueError(f"{where}: expected reset='after', got 'before', which nn.GRU has not.")
    kind: Any = next(
        theirs for ours, theirs in zip((RNN, LSTM, GRU), RECURRENT, strict=True) if isinstance(first, ours)
    )
    settings: dict[str, Any] = {"nonlinearity": first.activation} if isinstance(first, RNN) else {}
    hidden = first.output_size
    if isinstance(first, LSTM) and first.projection_size:
        settings["proj_size"], hidden = first.projection_size, first.hidden_size
    with torch.random.fork_rng(devices=[]):  # it starts at random
        module = kind(first.input_size, hidden, len(group), batch_first=batch_first, dropout=dropout,
                      bidirectional=len(group[0]) == 2, **settings)  # fmt: skip
    module.to(first.bias.dtype).load_state_dict(
        {f"{name}_{suffix}": weight for suffix, cell in zip(layer_suffixes(module), cells, strict=True)
         for name, weight in TorchWeights.from_cell(cell)._asdict().items() if weight is not None}
    )  # fmt: skip
    return module


def _written(where: str, layer: CellModule) -> nn.Module:
    if type(layer) is Dropout:
        return nn.Dropout(layer.p)
    with torch.random.fork_rng(devices=[]):
        if isinstance(layer, Linear):
            module: nn.Module = nn.Linear(layer.input_size, layer.output_size)
        elif isinstance(layer, Embedding):
            module = nn.Embedding(layer.input_size, layer.output_size, sparse=layer.lazy)
        elif isinstance(layer, LayerNorm):
            module = nn.LayerNorm(layer.input_size, layer.epsilon)
        else:
            raise ValueError(f"{where} is no layer that torch.nn has; convert what is before and behind it by itself.")
    module.to(layer.weight.dtype).load_state_dict(layer.state_dict())
    return module
