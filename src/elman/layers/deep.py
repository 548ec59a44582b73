"""A deep recurrent net from a few words: the stack that tasks are built on."""

from collections.abc import Callable

from elman.cells.module import CellModule
from elman.layers.bidirectional import Bidirectional
from elman.layers.dropout import Dropout, VariationalDropout
from elman.layers.layer_norm import LayerNorm
from elman.layers.residual import Residual
from elman.layers.stack import Stack


def deep(
    cell: Callable[[int, int], CellModule],
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    dropout: float = 0.0,
    variational: bool = False,
    layer_norm: bool = False,
    residual: bool = False,
) -> Stack:
    """`num_layers` cells, each with its layer norm before it and its dropout behind it.

    Args:
        cell: makes a cell of (input size, hidden size), for instance `LSTM`.
        bidirectional: each layer is two cells of `hidden_size` units, which read every row from both ends.
        dropout: probability of dropping a feature of a cell's output, 0 for none.
        variational: one dropout mask a sequence instead of one a step.
        layer_norm: normalise what each cell but the first reads.
        residual: a way around each cell but the first.
    Raises:
        ValueError: no layers; a setting that cannot act.
    """
    if num_layers < 1:
        raise ValueError(f"deep: expected num_layers of at least 1, got {num_layers}.")
    if variational and not dropout:
        raise ValueError("deep: variational=True cannot act without dropout; set dropout, for instance to 0.3.")
    for name, value in (("layer_norm", layer_norm), ("residual", residual)):
        if value and num_layers == 1:
            raise ValueError(f"deep: {name}=True cannot act with one layer; set num_layers to 2 or more.")
    width = 2 * hidden_size if bidirectional else hidden_size
    layers: list[CellModule] = []
    for number in range(num_layers):
        size = width if number else input_size
        block: list[CellModule] = [LayerNorm(size)] if layer_norm and number else []
        forward = cell(size, hidden_size)
        block.append(Bidirectional(forward, cell(size, hidden_size)) if bidirectional else forward)
        if dropout:
            block.append((VariationalDropout if variational else Dropout)(width, dropout))
        layers += [Residual(Stack(*block))] if residual and number else block
    return Stack(*layers)
