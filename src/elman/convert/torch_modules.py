"""Conversion between layers of `torch.nn` and layers of elman."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.cells.torch_weights import TorchWeights, cell_from_layer, layer_suffixes, with_weights
from elman.convert.layers import LayerLike, check_model, layers_of, plain_cells, stacked
from elman.layers import Bidirectional, Dropout, Embedding, LayerNorm, Linear, Reversed

RECURRENT = (nn.RNN, nn.LSTM, nn.GRU)
STEPS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
KNOWN = (*RECURRENT, *STEPS, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout, nn.Identity)
SOURCES = ("torch.nn.modules.", "elman.nn.")  # modules whose `forward` is known


def from_torch(module: nn.Module) -> CellModule:
    """Return the same layers with copies of the weights, as a cell or a `Stack`.

    Supported are `nn.RNN`, `LSTM` and `GRU` (each layer becomes a cell, two directions a `Bidirectional`, their dropout
    a `Dropout`), their cells (`nn.LSTMCell`, ...), `nn.Linear`, `Embedding`, `LayerNorm`, `Dropout`, and an
    `nn.Sequential` or `ModuleList` of these, in which the next layer reads the outputs of a recurrent layer. The same
    holds for `elman.nn`. `batch_first` has no effect, because a ragged batch has no padding.

    Args:
        module: module of `torch.nn`; the result is in the same mode, training or evaluation.
    Raises:
        TypeError: the argument is not a module.
        ValueError: a layer or a setting is not supported.
    Example:
        >>> from_torch(nn.LSTM(3, 4, num_layers=2, batch_first=True)).output_size
        4
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch: expected a module of torch.nn, got {type(module).__name__}.")
    return stacked("from_torch", list(_read(module, "from_torch"))).train(module.training)


def _read(module: Any, where: str) -> Iterator[LayerLike]:
    if type(module) in (nn.Sequential, nn.ModuleList):
        for number, child in enumerate(module):
            yield from _read(child, f"{where}: {number}")
        return
    where = f"{where}: {type(module).__name__}"
    if not isinstance(module, KNOWN):
        raise ValueError(f"{where} is not supported; {_advice(module)}.")
    if not type(module).forward.__module__.startswith(SOURCES):
        raise ValueError(
            f"{where} overrides forward; if it computes the same as its base class, copy its weights to that class."
        )
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


def _advice(module: Any) -> str:
    """Return what to do with a module that cannot be converted, such as a network of the user's own class."""
    parts = [name for name, part in module.named_children() if isinstance(part, KNOWN)]
    if not parts:
        return "convert the layers before and after it separately"
    lines = ", ".join(f"from_torch(net.{name})" for name in parts)
    return f"its forward may do anything; convert it part by part: elman.Stack({lines})"


def _weight_and_bias(module: Any) -> dict[str, Tensor]:
    bias = module.weight.new_zeros(len(module.weight)) if module.bias is None else module.bias
    return {"weight": module.weight, "bias": bias}


def _expect(where: str, module: Any, **settings: Any) -> None:
    """Raise unless the settings of a module have these values."""
    for name, value in settings.items():
        if getattr(module, name, value) != value:
            got = f"{name}={getattr(module, name)}"
            raise ValueError(f"{where}: expected {name}={value}, got {got}, which elman does not support.")


def _recurrence(module: Any) -> Iterator[LayerLike]:
    cells = [cell_from_layer(module, suffix) for suffix in layer_suffixes(module)]
    directions = 2 if module.bidirectional else 1
    for number in range(0, len(cells), directions):
        if number and module.dropout:
            yield partial(Dropout, p=module.dropout)
        yield Bidirectional(*cells[number : number + 2]) if module.bidirectional else cells[number]


def to_torch(model: CellModule, batch_first: bool = False) -> nn.Module:
    """Return the same layers with copies of the weights, as modules of `torch.nn`.

    Consecutive cells of one kind and size become one `nn.RNN`, `LSTM` or `GRU` of several layers. Its second bias is
    zero, except for a GRU's bias inside the reset gate. Several modules become an `nn.Sequential`; if a recurrent
    module, which returns a pair, is not the last one, an `nn.ModuleList`, to be called one by one.

    Args:
        model: a cell, a layer or a `Stack`.
        batch_first: setting of the recurrent modules.
    Raises:
        TypeError: the model is not a cell, layer or stack of elman.
        ValueError: torch.nn does not support a layer or an option.
    Example:
        >>> from elman import GRU, Linear, Stack
        >>> gru, linear = to_torch(Stack(GRU(3, 4), GRU(4, 4), Linear(4, 2)))
        >>> gru.num_layers
        2
    """
    check_model("to_torch", model, "it is a PyTorch module already")
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
    """Remove the leading layers that fit into one module; return the cells of each, and the dropout between them."""
    group: list[list[RNN | LSTM | GRU]] = []
    dropout = 0.0
    while layers:
        between = layers[0].p if group and type(layers[0]) is Dropout and len(layers) > 1 else 0.0
        above = layers[1 if between else 0]
        cells = None if isinstance(above, Reversed) else plain_cells(where, above, "weight_hr")
        if cells is None or (group and (_kind(cells) != _kind(group[0]) or (len(group) > 1 and between != dropout))):
            break
        del layers[: 2 if between else 1]
        group, dropout = [*group, cells], between
    return group, dropout


def _kind(cells: Sequence[Any]) -> list[Any]:
    """Return the properties that all layers of one module share."""
    return [(type(cell), cell.output_size, len(cell.weight_hh), getattr(cell, "activation", "")) for cell in cells]


def _torch_recurrence(
    where: str, group: Sequence[Sequence[RNN | LSTM | GRU]], dropout: float, batch_first: bool
) -> nn.Module:
    cells = [cell for layer in group for cell in layer]
    first = cells[0]
    if isinstance(first, RNN) and first.activation not in ("tanh", "relu"):
        raise ValueError(
            f"{where}: expected activation='tanh' or 'relu', got {first.activation!r}, which nn.RNN does not support."
        )
    if any(isinstance(cell, GRU) and cell.reset == "before" for cell in cells):
        raise ValueError(f"{where}: expected reset='after', got 'before', which nn.GRU does not support.")
    kind: Any = next(
        theirs for ours, theirs in zip((RNN, LSTM, GRU), RECURRENT, strict=True) if isinstance(first, ours)
    )
    settings: dict[str, Any] = {"nonlinearity": first.activation} if isinstance(first, RNN) else {}
    hidden = first.output_size
    if isinstance(first, LSTM) and first.projection_size:
        settings["proj_size"], hidden = first.projection_size, first.hidden_size
    with torch.random.fork_rng(devices=[]):  # the random initialisation must not advance the caller's generator
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
            raise ValueError(
                f"{where} is not supported by torch.nn; convert the layers before and after it separately."
            )
    module.to(layer.weight.dtype).load_state_dict(layer.state_dict())
    return module
