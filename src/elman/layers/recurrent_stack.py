"""Deep recurrent network from a few settings: the stack that all tasks use."""

from collections.abc import Callable

from elman.cells.module import CellModule
from elman.layers.bidirectional import Bidirectional
from elman.layers.dropout import Dropout, VariationalDropout
from elman.layers.layer_norm import LayerNorm
from elman.layers.residual import Residual
from elman.layers.stack import Stack


def recurrent_stack(
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
    """Return a stack of `num_layers` cells, each with an optional layer norm before it and dropout after it.

    Args:
        cell: constructor of a cell from input size and hidden size, for instance `LSTM`.
        bidirectional: whether each layer is a `Bidirectional` of two cells with `hidden_size` units each.
        dropout: probability of dropping a feature of each cell's output, 0 for none.
        variational: whether dropout uses one mask per row instead of one per step.
        layer_norm: whether to normalise the input of each cell but the first.
        residual: whether each cell but the first has a residual connection.
    Raises:
        ValueError: num_layers is below 1, or a setting has no effect.
    """
    if num_layers < 1:
        raise ValueError(f"recurrent_stack: expected num_layers of at least 1, got {num_layers}.")
    if variational and not dropout:
        raise ValueError("recurrent_stack: variational=True has no effect without dropout; set dropout.")
    for name, value in (("layer_norm", layer_norm), ("residual", residual)):
        if value and num_layers == 1:
            raise ValueError(f"recurrent_stack: {name}=True has no effect with one layer; set num_layers to 2 or more.")
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
