"""Cells for the recurrent nodes of ONNX files; `onnx_operators` describes the layout of their weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, RNN, CellModule, MinGRU
from elman.cells.torch_weights import TorchWeights, with_weights
from elman.convert.onnx_operators import ACTIVATIONS, DEFAULTS, MIN_GRU, ORDER, PEEPHOLE_ORDER
from elman.layers import Bidirectional, Reversed
from elman.shapes import check

RECURRENT: dict[str, type[CellModule]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
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
