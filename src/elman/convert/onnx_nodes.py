"""One RNN, LSTM or GRU node of ONNX and the cells that do the same.

Gates are in the order i, o, f, c of an LSTM and z, r, h of a GRU; there are two biases, and an axis of directions
first: W [1 or 2, G H, D], R [.., G H, H], B [.., 2 G H].
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from elman.cells import GRU, LSTM, RNN, CellModule
from elman.cells.torch_weights import TwoBiases
from elman.convert.parts import needed
from elman.layers import Bidirectional, Reversed
from elman.shapes import check

RECURRENT: dict[str, type[CellModule]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
ORDER = {"RNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [1, 0, 2]}  # gates of PyTorch in the order of ONNX
DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}  # activations
ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid", "identity": "Affine"}
WAYS = ("forward", "reverse", "bidirectional")


def layer_of(
    where: str, kind: str, settings: Mapping[str, Any], w: np.ndarray, r: np.ndarray, b: np.ndarray | None
) -> CellModule:
    """The layer that a node is.

    Args:
        where: to say in an error.
        kind: RNN, LSTM or GRU.
        settings: its attributes.
        w, r, b: its weights; b may be missing.
    Raises:
        ValueError: a setting that there is none of here, or weights of other shapes than they should have.
    """
    way = settings.get("direction", "forward")
    if way not in WAYS:
        raise ValueError(f"{where}: expected direction to be one of {', '.join(WAYS)}, got {way!r}.")
    for name, value in (("clip", None), ("input_forget", 0), ("layout", 0)):
        if settings.get(name, value) != value:
            raise ValueError(f"{where}: expected no {name}, got {settings[name]:g}, which is not known here.")
    ways, gates = 2 if way == "bidirectional" else 1, len(ORDER[kind])
    check(where, "R", r, "ways GH H")
    hidden = r.shape[2]
    check(where, "R", r, f"ways={ways} GH={gates * hidden} H={hidden}")
    check(where, "W", w, f"ways={ways} GH={gates * hidden} D")
    b = np.zeros((ways, 2 * gates * hidden), r.dtype) if b is None else b
    check(where, "B", b, f"ways={ways} 2GH={2 * gates * hidden}")
    cells = [
        _cell(where, kind, settings, number, [w[number], r[number], *np.split(b[number], 2)]) for number in range(ways)
    ]
    if ways == 2:
        return Bidirectional(*cells)
    return Reversed(cells[0]) if way == "reverse" else cells[0]


def _cell(where: str, kind: str, settings: Mapping[str, Any], number: int, weights: Sequence[np.ndarray]) -> CellModule:
    usual = DEFAULTS[kind]
    given = [name.title() for name in settings.get("activations", usual * (number + 1))]
    mine, options = given[number * len(usual) : (number + 1) * len(usual)], dict[str, Any]()
    if kind == "RNN":
        options["activation"] = next((ours for ours, theirs in ACTIVATIONS.items() if [theirs] == mine), None)
    else:
        options["activation"] = mine == usual or None
    slopes = (settings.get("activation_alpha", [1.0]), settings.get("activation_beta", [0.0]))
    affine_is_identity = all(value == 1 for value in slopes[0]) and not any(slopes[1])
    if options["activation"] is None or (options["activation"] == "identity" and not affine_is_identity):
        raise ValueError(f"{where}: expected the activations {', '.join(usual)}, got {', '.join(mine) or 'none'}, "
                         "which are not known here.")  # fmt: skip
    if kind != "RNN":
        del options["activation"]
    if kind == "GRU":
        options["reset"] = "after" if settings.get("linear_before_reset", 0) else "before"
    order = list(np.argsort(ORDER[kind]))
    return TwoBiases(*(_ordered(torch.from_numpy(weight), order) for weight in weights)).cell(
        RECURRENT[kind], **options
    )


def _ordered(weight: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
    """[G H, ...] with its gates in another order."""
    gates = weight.reshape(len(order), -1, *weight.shape[1:])
    return gates[list(order)].reshape(weight.shape)


def node_of(
    layer: CellModule,
    cells: Sequence[RNN | LSTM | GRU],
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
    kind = next(theirs for theirs, ours in RECURRENT.items() if isinstance(cells[0], ours))
    arrays: dict[str, list[np.ndarray]] = {"W": [], "R": [], "B": []}
    for cell in cells:
        w, r, *biases = (_ordered(weight, ORDER[kind]).cpu().numpy() for weight in TwoBiases.of(cell).usual)
        for letter, array in zip("WRB", (w, r, np.concatenate(biases)), strict=True):
            arrays[letter].append(array)
    settings: dict[str, Any] = {"hidden_size": cells[0].output_size}
    if isinstance(layer, Reversed | Bidirectional):
        settings["direction"] = "reverse" if isinstance(layer, Reversed) else "bidirectional"
    if isinstance(cells[0], GRU):
        settings["linear_before_reset"] = int(cells[0].reset == "after")
    if isinstance(cells[0], RNN):
        settings["activations"] = [ACTIVATIONS[cell.activation] for cell in cells if isinstance(cell, RNN)]
        if "Affine" in settings["activations"]:
            settings |= {"activation_alpha": [1.0] * len(cells), "activation_beta": [0.0] * len(cells)}
    tensors = [numpy_helper.from_array(np.stack(array), f"{name}.{letter}") for letter, array in arrays.items()]
    x, lengths, *state = inputs
    read = [x, *(tensor.name for tensor in tensors), lengths, *state]
    while not read[-1]:
        read.pop()
    return helper.make_node(kind, read, list(outputs), name=name, **settings), tensors
