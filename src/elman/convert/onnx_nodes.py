"""Conversion between single RNN, LSTM or GRU nodes of ONNX and cells.

Gates are in the order `GATES`. There are two biases, and a first axis of directions: W [1 or 2, G H, D],
R [.., G H, H], B [.., 2 G H], and for peepholes P [.., 3 H] in the order input, output, forget. With the attribute
input_forget, f = 1 - i, and the weights of f are ignored. A MinGRU is a GRU with R = 0 and an identity as activation
of the candidate; its update gate is one minus that of the GRU, so that the weights have the opposite sign.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN, CellModule, MinGRU
from elman.cells.torch_weights import TorchWeights, with_weights
from elman.convert.layers import directions_of, optional_module, plain_cells
from elman.layers import Bidirectional, Reversed
from elman.shapes import check

Cell = RNN | LSTM | GRU | MinGRU

RECURRENT: dict[str, type[CellModule]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
GATES = {"RNN": ["candidate"], "LSTM": ["input", "output", "forget", "candidate"],
         "GRU": ["update", "reset", "candidate"]}  # fmt: skip
ORDER = {kind: [cell.gate_names.index(gate) for gate in GATES[kind]] for kind, cell in RECURRENT.items()}
PEEPHOLE_ORDER = [0, 2, 1]  # order of the gates with peepholes
DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}  # activations
MIN_GRU = ["Sigmoid", "Affine"]
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}
DIRECTIONS = ("forward", "reverse", "bidirectional")


def layer_of(
    where: str,
    kind: str,
    settings: Mapping[str, Any],
    w: np.ndarray,
    r: np.ndarray,
    b: np.ndarray | None = None,
    p: np.ndarray | None = None,
) -> CellModule:
    """Return the layer for a node.

    Args:
        where: prefix of error messages.
        kind: RNN, LSTM or GRU.
        settings: its attributes.
        w, r, b, p: its weights; b and p are optional.
    Raises:
        ValueError: a setting is not supported, or weights have wrong shapes.
    """
    direction = settings.get("direction", "forward")
    if direction not in DIRECTIONS:
        raise ValueError(f"{where}: expected direction to be one of {', '.join(DIRECTIONS)}, got {direction!r}.")
    unknown = {"clip": None, "layout": 0} if kind == "LSTM" else {"clip": None, "layout": 0, "input_forget": 0}
    for name, value in unknown.items():
        if settings.get(name, value) != value:
            raise ValueError(f"{where}: expected no {name}, got {settings[name]:g}, which elman does not support.")
    if p is not None and kind != "LSTM":
        raise ValueError(f"{where}: expected no peepholes (P), which only an LSTM has, got some.")
    directions, gates = 2 if direction == "bidirectional" else 1, len(ORDER[kind])
    check(where, "R", r, "directions GH H")
    hidden = r.shape[2]
    check(where, "R", r, f"directions={directions} GH={gates * hidden} H={hidden}")
    check(where, "W", w, f"directions={directions} GH={gates * hidden} D")
    b = np.zeros((directions, 2 * gates * hidden), r.dtype) if b is None else b
    check(where, "B", b, f"directions={directions} 2GH={2 * gates * hidden}")
    if p is not None:
        check(where, "P", p, f"directions={directions} 3H={3 * hidden}")
    cells = [
        _cell(where, kind, settings, number, [w[number], r[number], *np.split(b[number], 2)],
              None if p is None else p[number]) for number in range(directions)
    ]  # fmt: skip
    if directions == 2:
        return Bidirectional(*cells)
    return Reversed(cells[0]) if direction == "reverse" else cells[0]


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
    reads_state = r.any() or (after and biases[1][2 * hidden :].any())  # a gate acts on that bias
    if kind == "GRU" and mine == MIN_GRU and affine_is_identity and not reads_state:
        return _min_gru(w, biases[0] + biases[1], hidden)
    if kind == "RNN":
        options["activation"] = next((ours for ours, theirs in ACTIVATIONS.items() if [theirs] == mine), None)
    else:
        options["activation"] = mine == usual or None
    if options["activation"] is None or (options["activation"] == "identity" and not affine_is_identity):
        raise ValueError(f"{where}: expected the activations {', '.join(usual)}, got {', '.join(mine) or 'none'}, "
                         "which elman does not support.")  # fmt: skip
    if kind != "RNN":
        del options["activation"]
    if kind == "GRU":
        options["reset"] = "after" if after else "before"
    order, peephole_order = list(np.argsort(ORDER[kind])), PEEPHOLE_ORDER
    if kind == "LSTM" and settings.get("input_forget", 0):
        options |= {"forget_gate": False, "coupled": True}
        order, peephole_order = [order[0], *order[2:]], [PEEPHOLE_ORDER[0], *PEEPHOLE_ORDER[2:]]
    w, r, b_w, b_r = (_ordered(weight, hidden, order) for weight in (w, r, *biases))
    ordered = None if peephole is None else _ordered(torch.from_numpy(peephole), hidden, peephole_order)
    return TorchWeights(w, r, b_w, b_r, peephole=ordered).to_cell(RECURRENT[kind], **options)


def _ordered(weight: Tensor, hidden: int, order: Sequence[int]) -> Tensor:
    """Select gates of [G H, ...] in the given order."""
    gates = weight.reshape(-1, hidden, *weight.shape[1:])
    return gates[list(order)].reshape(-1, *weight.shape[1:])


def _min_gru(w: Tensor, bias: Tensor, hidden: int) -> CellModule:
    weights = {}
    for name, weight in (("weight_ih", w), ("bias", bias)):
        update, _, candidate = weight.split(hidden)
        weights[name] = torch.cat([-update, candidate])
    return with_weights(lambda: MinGRU(w.shape[1], hidden), weights)


def written_cells(where: str, layer: CellModule) -> Sequence[Cell] | None:
    """Return the one or two cells of a layer that a node can compute, forward first; None for another layer.

    Raises:
        ValueError: ONNX does not support an option, or not with different values in the two directions.
    """
    cells = directions_of(layer)
    minimal = [cell for cell in cells if isinstance(cell, MinGRU)]
    if len(minimal) == len(cells) and len({cell.output_size for cell in cells}) == 1:
        return minimal
    found = plain_cells(where, layer, "peephole", "coupled")
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
    """Return the node for a layer, and its weights.

    Args:
        layer: a cell, or a `Bidirectional` or `Reversed` of one.
        cells: the cells of the layer, one per direction.
        name: name of the node, and prefix of the names of its weights.
        inputs: names of x, of the lengths of the rows or "", and of the arrays of the initial state, if any.
        outputs: names of the outputs [T, directions, B, H], and of the arrays of the final state [directions, B, H].
    """
    helper, numpy_helper = (
        optional_module(f"onnx.{part}", "writing ONNX files") for part in ("helper", "numpy_helper")
    )
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
    if any("P" in part for part in arrays):  # if only one direction has peepholes, those of the other are zero
        arrays = [{"P": part["B"].new_zeros(3 * cells[0].output_size)} | part for part in arrays]
    tensors = {
        letter: numpy_helper.from_array(
            torch.stack([part[letter] for part in arrays]).numpy(force=True), f"{name}.{letter}"
        )
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
    """Return W, R, B, and with peepholes P, of one direction."""
    order, hidden, weights = ORDER[_kind(cell)], cell.output_size, TorchWeights.from_cell(cell)
    coupled = isinstance(cell, LSTM) and cell.coupled

    def written(weight: Tensor, order: Sequence[int]) -> Tensor:
        if coupled:  # sigmoid(-x) = 1 - sigmoid(x): correct for readers without input_forget as well
            input_gate, rest = weight[:hidden], weight[hidden:]
            weight = torch.cat([input_gate, -input_gate, rest])
        return _ordered(weight, hidden, order)

    w, r, *biases = (written(weight, order) for weight in weights.common)
    arrays = {"W": w, "R": r, "B": torch.cat(biases)}
    return arrays if weights.peephole is None else arrays | {"P": written(weights.peephole, PEEPHOLE_ORDER)}


def _min_gru_arrays(cell: MinGRU) -> dict[str, Tensor]:
    hidden = cell.output_size
    w, bias = (
        torch.cat([-weight[:hidden], torch.zeros_like(weight[:hidden]), weight[hidden:]])
        for weight in (cell.weight_ih.detach(), cell.bias.detach())
    )
    return {"W": w, "R": w.new_zeros(len(w), hidden), "B": torch.cat([bias, torch.zeros_like(bias)])}
