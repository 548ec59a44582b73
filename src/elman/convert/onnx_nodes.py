"""One RNN, LSTM or GRU node of ONNX and the cells that do the same.

Gates are in the order i, o, f, c of an LSTM and z, r, h of a GRU; there are two biases, and an axis of directions
first: W [1 or 2, G H, D], R [.., G H, H], B [.., 2 G H], and of an LSTM's peepholes i, o, f P [.., 3 H]. With the
attribute input_forget, f = 1 - i, and what belongs to f is not read. A MinGRU is a GRU without R and with no function
around its candidate; its z says how much is written, theirs how much is kept: the one is minus the other before the
sigmoid.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN, CellModule, MinGRU
from elman.cells.torch_weights import TorchWeights, with_weights
from elman.convert.parts import cells_of, directions_of, needed
from elman.layers import Bidirectional, Reversed
from elman.shapes import check

Cell = RNN | LSTM | GRU | MinGRU

RECURRENT: dict[str, type[CellModule]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
ORDER = {"RNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}  # gates of PyTorch in the order of ONNX
SEEING = [0, 2, 1]  # those with peepholes
DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}  # activations
MIN_GRU = ["Sigmoid", "Affine"]
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}
WAYS = ("forward", "reverse", "bidirectional")


def layer_of(
    where: str,
    kind: str,
    settings: Mapping[str, Any],
    w: np.ndarray,
    r: np.ndarray,
    b: np.ndarray | None = None,
    p: np.ndarray | None = None,
) -> CellModule:
    """The layer that a node is.

    Args:
        where: to say in an error.
        kind: RNN, LSTM or GRU.
        settings: its attributes.
        w, r, b, p: its weights; b and p may be missing.
    Raises:
        ValueError: a setting that there is none of here, or weights of other shapes than they should have.
    """
    way = settings.get("direction", "forward")
    if way not in WAYS:
        raise ValueError(f"{where}: expected direction to be one of {', '.join(WAYS)}, got {way!r}.")
    unknown = {"clip": None, "layout": 0} if kind == "LSTM" else {"clip": None, "layout": 0, "input_forget": 0}
    for name, value in unknown.items():
        if settings.get(name, value) != value:
            raise ValueError(f"{where}: expected no {name}, got {settings[name]:g}, which is not known here.")
    if p is not None and kind != "LSTM":
        raise ValueError(f"{where}: expected no peepholes (P), got some, which only an LSTM has.")
    ways, gates = 2 if way == "bidirectional" else 1, len(ORDER[kind])
    check(where, "R", r, "ways GH H")
    hidden = r.shape[2]
    check(where, "R", r, f"ways={ways} GH={gates * hidden} H={hidden}")
    check(where, "W", w, f"ways={ways} GH={gates * hidden} D")
    b = np.zeros((ways, 2 * gates * hidden), r.dtype) if b is None else b
    check(where, "B", b, f"ways={ways} 2GH={2 * gates * hidden}")
    if p is not None:
        check(where, "P", p, f"ways={ways} 3H={3 * hidden}")
    cells = [
        _cell(where, kind, settings, number, [w[number], r[number], *np.split(b[number], 2)],
              None if p is None else p[number]) for number in range(ways)
    ]  # fmt: skip
    if ways == 2:
        return Bidirectional(*cells)
    return Reversed(cells[0]) if way == "reverse" else cells[0]


def _cell(
    where: str,
    kind: str,
    settings: Mapping[str, Any],
    number: int,
    weights: Sequence[np.ndarray],
    peephole: np.ndarray | None,
) -> CellModule:
    usual, hidden = DEFAULTS[kind], weights[1].shape[1]
    given = [name.title() for name in settings.get("activations", usual * (number + 1))]
    mine, options = given[number * len(usual) : (number + 1) * len(usual)], dict[str, Any]()
    slopes = (settings.get("activation_alpha", [1.0]), settings.get("activation_beta", [0.0]))
    affine_is_identity = all(value == 1 for value in slopes[0]) and not any(slopes[1])
    w, r, *biases = (torch.from_numpy(weight) for weight in weights)
    after = bool(settings.get("linear_before_reset", 0))
    looks_back = r.any() or (after and biases[1][2 * hidden :].any())  # a gate acts on that bias
    if kind == "GRU" and mine == MIN_GRU and affine_is_identity and not looks_back:
        return _min_gru(w, biases[0] + biases[1], hidden)
    if kind == "RNN":
        options["activation"] = next((ours for ours, theirs in ACTIVATIONS.items() if [theirs] == mine), None)
    else:
        options["activation"] = mine == usual or None
    if options["activation"] is None or (options["activation"] == "identity" and not affine_is_identity):
        raise ValueError(f"{where}: expected the activations {', '.join(usual)}, got {', '.join(mine) or 'none'}, "
                         "which are not known here.")  # fmt: skip
    if kind != "RNN":
        del options["activation"]
    if kind == "GRU":
        options["reset"] = "after" if after else "before"
    order, seeing = list(np.argsort(ORDER[kind])), SEEING
    if kind == "LSTM" and settings.get("input_forget", 0):
        options |= {"forget_gate": False, "coupled": True}
        order, seeing = [order[0], *order[2:]], [SEEING[0], *SEEING[2:]]
    w, r, b_w, b_r = (_ordered(weight, hidden, order) for weight in (w, r, *biases))
    seen = None if peephole is None else _ordered(torch.from_numpy(peephole), hidden, seeing)
    return TorchWeights(w, r, b_w, b_r, peephole=seen).to_cell(RECURRENT[kind], **options)


def _ordered(weight: Tensor, hidden: int, order: Sequence[int]) -> Tensor:
    """[G H, ...] with these of its gates, in this order."""
    gates = weight.reshape(-1, hidden, *weight.shape[1:])
    return gates[list(order)].reshape(-1, *weight.shape[1:])


def _min_gru(w: Tensor, bias: Tensor, hidden: int) -> CellModule:
    weights = {}
    for name, weight in (("weight_ih", w), ("bias", bias)):
        keep, _, candidate = weight.split(hidden)
        weights[name] = torch.cat([-keep, candidate])
    return with_weights(lambda: MinGRU(w.shape[1], hidden), weights)


def written_cells(where: str, layer: CellModule) -> Sequence[Cell] | None:
    """The one or two cells that a layer is made of, forward first, where a node does the same; None for another layer.

    Raises:
        ValueError: cells with an option that ONNX does not know, or that one node cannot have in two directions.
    """
    cells = directions_of(layer)
    minimal = [cell for cell in cells if isinstance(cell, MinGRU)]
    if len(minimal) == len(cells) and len({cell.output_size for cell in cells}) == 1:
        return minimal
    found = cells_of(where, layer, "peephole", "coupled")
    for name, values in (("reset", "'after' and 'before'"), ("coupled", "True and False")):
        if len({getattr(cell, name, None) for cell in found or ()}) > 1:
            raise ValueError(f"{where}: expected one {name} in both directions, got {values}.")
    return found


def node_of(
    layer: CellModule,
    cells: Sequence[Cell],
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> tuple[Any, list[Any]]:
    """The node that a layer is, and its weights.

    Args:
        layer: a cell, or a `Bidirectional` or `Reversed` of such.
        cells: what it is made of, one for each direction.
        name: of the node; those of the weights begin with it.
        inputs: the names of x, of the lengths of the rows or "", and of the arrays of the initial state if there are.
        outputs: of all steps [T, ways, B, H], and of the arrays of the final state [ways, B, H].
    """
    helper, numpy_helper = (needed(f"onnx.{part}", "onnx", "writing ONNX files") for part in ("helper", "numpy_helper"))
    settings: dict[str, Any] = {"hidden_size": cells[0].output_size}
    if isinstance(layer, Reversed | Bidirectional):
        settings["direction"] = "reverse" if isinstance(layer, Reversed) else "bidirectional"
    if isinstance(cells[0], GRU):
        settings["linear_before_reset"] = int(cells[0].reset == "after")
    if isinstance(cells[0], LSTM) and cells[0].coupled:
        settings["input_forget"] = 1
    if isinstance(cells[0], RNN | MinGRU):
        settings["activations"] = [
            word for cell in cells for word in ([ACTIVATIONS[cell.activation]] if isinstance(cell, RNN) else MIN_GRU)
        ]
        if "Affine" in settings["activations"]:
            settings |= {"activation_alpha": [1.0] * len(cells), "activation_beta": [0.0] * len(cells)}
    arrays = [_min_gru_arrays(cell) if isinstance(cell, MinGRU) else _arrays(cell) for cell in cells]
    if any("P" in own for own in arrays):  # where one direction alone has peepholes, the other's are zero
        arrays = [{"P": own["B"].new_zeros(3 * cells[0].output_size)} | own for own in arrays]
    tensors = {
        letter: numpy_helper.from_array(torch.stack([own[letter] for own in arrays]).cpu().numpy(), f"{name}.{letter}")
        for letter in arrays[0]
    }
    names = {letter: tensor.name for letter, tensor in tensors.items()}
    x, lengths, *state = inputs
    read = [x, *(names[letter] for letter in "WRB"), lengths, *state, *[""] * (2 - len(state)), names.get("P", "")]
    while not read[-1]:
        read.pop()
    return helper.make_node(_kind(cells[0]), read, list(outputs), name=name, **settings), list(tensors.values())


def _kind(cell: Cell) -> str:
    return next((kind for kind, ours in RECURRENT.items() if isinstance(cell, ours)), "GRU")


def _arrays(cell: RNN | LSTM | GRU) -> dict[str, Tensor]:
    """W, R, B, and P where there are peepholes, of one direction."""
    order, hidden, weights = ORDER[_kind(cell)], cell.output_size, TorchWeights.from_cell(cell)
    coupled = isinstance(cell, LSTM) and cell.coupled

    def written(weight: Tensor, order: Sequence[int]) -> Tensor:
        if coupled:  # sigmoid(-x) = 1 - sigmoid(x): a reader that passes over input_forget computes the same
            write, rest = weight[:hidden], weight[hidden:]
            weight = torch.cat([write, -write, rest])
        return _ordered(weight, hidden, order)

    w, r, *biases = (written(weight, order) for weight in weights.common)
    arrays = {"W": w, "R": r, "B": torch.cat(biases)}
    return arrays if weights.peephole is None else arrays | {"P": written(weights.peephole, SEEING)}


def _min_gru_arrays(cell: MinGRU) -> dict[str, Tensor]:
    hidden = cell.output_size
    w, bias = (
        torch.cat([-weight[:hidden], torch.zeros_like(weight[:hidden]), weight[hidden:]])
        for weight in (cell.weight_ih.detach(), cell.bias.detach())
    )
    return {"W": w, "R": w.new_zeros(len(w), hidden), "B": torch.cat([bias, torch.zeros_like(bias)])}
