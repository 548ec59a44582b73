"""Writers of recurrent layers: operators of ONNX where they compute the same, else the definition of the step."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.convert.onnx_operators import ACTIVATIONS, MIN_GRU, ORDER, PEEPHOLE_ORDER
from elman.convert.onnx_writing.layers import LayerWriter
from elman.convert.onnx_writing.rows import PaddedRows
from elman.convert.onnx_writing.values import ACTIVATIONS as FUNCTIONS
from elman.convert.onnx_writing.values import Value, clip, concat, sigmoid, split, tanh, where
from elman.network.recurrent import GRU, LSTM, NORM_EPSILON, RNN
from elman.network.states import CountedLSTMState, LSTMState
from elman.network.windows import MinGRU
from elman.state import State

OPERATORS: dict[type, str] = {RNN: "RNN", LSTM: "LSTM", GRU: "GRU", MinGRU: "GRU"}


def write_operator(
    cells: Sequence[Any], direction: str, x: Value, rows: PaddedRows | None, state: Sequence[State] | None
) -> tuple[Value, tuple[State, ...]] | None:
    """Write a recurrent operator for one cell or the two directions of a bidirectional layer.

    Args:
        cells: one cell, or forward and backward.
        direction: `forward`, `reverse` or `bidirectional`.
        x: [B, T, D].
        rows: layout of x; None if all rows have T steps.
        state: state of each cell; None for the initial ones.
    Returns:
        y [B, T, directions H] and the final state of each cell; None if no operator computes the same.
    """
    settings = [_settings(cell) for cell in cells]
    if settings[0] is None or any(other != settings[0] for other in settings[1:]):
        return None
    if len({cell.output_size for cell in cells}) > 1:
        return None
    graph, operator, attributes = x.graph, OPERATORS[type(cells[0])], dict(settings[0])
    attributes |= {} if direction == "forward" else {"direction": direction}
    if activations := [word for cell in cells for word in _activations(cell)]:
        attributes["activations"] = activations
        if "Affine" in activations:
            attributes |= {"activation_alpha": [1.0] * len(cells), "activation_beta": [0.0] * len(cells)}
    arrays = [_arrays(cell, operator) for cell in cells]
    if any("P" in part for part in arrays):  # if only one direction has peepholes, those of the other are zero
        arrays = [{"P": np.zeros(3 * cells[0].output_size, np.float32), **part} for part in arrays]
    w, r, b, p = (np.stack([part[letter] for part in arrays]) if letter in arrays[0] else None for letter in "WRBP")
    leaves = 2 if operator == "LSTM" else 1
    first: list[Value | None] = [None, None]
    if state is not None:  # [B, H] of each cell -> [directions, B, H]
        parts = [part if isinstance(part, tuple) else (part,) for part in state]
        first[:leaves] = [concat([part[leaf].expand_dims(0) for part in parts], 0) for leaf in range(leaves)]
    lengths = None if rows is None else rows.lengths32
    y, *last = graph.node_outputs(
        operator, [x.transpose(1, 0, 2), w, r, b, lengths, *first, p], 1 + leaves, hidden_size=cells[0].output_size,
        **attributes,
    )  # fmt: skip
    if rows is not None:  # operators return zeros for an empty row
        last = [where(rows.empty.expand_dims(0, 2), 0 if before is None else before, leaf)
                for before, leaf in zip(first, last, strict=False)]  # fmt: skip
    if len(cells) == 1:
        y = y.squeeze(1).transpose(1, 0, 2)
        finals = [[leaf.squeeze(0) for leaf in last]]
    else:  # [T, directions, B, H]
        y = y.transpose(2, 0, 1, 3).reshape(0, 0, -1)
        finals = [[leaf[number : number + 1].squeeze(0) for leaf in last] for number in range(len(cells))]
    befores = [None] * len(cells) if state is None else state
    steps = 1 if rows is None else rows.lengths
    return y, tuple(_structured(*part, steps) for part in zip(cells, befores, finals, strict=True))


def _structured(cell: Any, before: State | None, arrays: Sequence[Value], steps: Any) -> State:
    """Return the state of a cell after some steps from its arrays."""
    if not isinstance(cell, LSTM):
        return arrays[0]
    if not cell.counted:
        return LSTMState(*arrays)
    row, step = [arrays[0].graph.constant(np.zeros(1, np.int64))] * 2 if before is None else before[2:]
    h, c = arrays
    return CountedLSTMState(h, c, row, step + steps)


def _settings(cell: Any) -> dict[str, Any] | None:
    """Return the attributes of the operator that computes a cell, which both directions share; None without one."""
    if isinstance(cell, LSTM):
        other = cell.clip or cell.zone_h or cell.zone_c or cell.normed or "weight_hr" in cell.weights
        if other or not (cell.coupled or cell.native_kind == "lstm"):
            return None
        return {"input_forget": 1} if cell.coupled else {}
    if isinstance(cell, GRU):
        return {"linear_before_reset": int(cell.reset == "after")}
    return {} if type(cell) in OPERATORS else None


def _activations(cell: Any) -> list[str]:
    """Return the activations of the operator, in one direction; empty for the usual ones."""
    if isinstance(cell, MinGRU):
        return MIN_GRU
    return [ACTIVATIONS[cell.activation]] if isinstance(cell, RNN) else []


def _arrays(cell: Any, operator: str) -> dict[str, np.ndarray]:
    """Return W, R, B, and with peepholes P, of one direction."""
    hidden = cell.output_size
    if isinstance(cell, MinGRU):
        w, bias = (np.concatenate([-array[:hidden], np.zeros_like(array[:hidden]), array[hidden:]])
                   for array in (cell.weight, cell.bias))  # fmt: skip
        return {"W": w, "R": np.zeros((len(w), hidden), np.float32), "B": np.concatenate([bias, np.zeros_like(bias)])}
    weights = cell.weights
    second = np.zeros_like(weights["bias"])  # the bias of the recurrent product
    if "bias_hn" in weights:
        second[-hidden:] = weights["bias_hn"]

    def ordered(weight: np.ndarray, order: Sequence[int]) -> np.ndarray:
        if operator == "LSTM" and cell.coupled:
            # sigmoid(-x) = 1 - sigmoid(x): correct for readers without input_forget as well
            weight = np.concatenate([weight[:hidden], -weight[:hidden], weight[hidden:]])
        gates = weight.reshape(-1, hidden, *weight.shape[1:])
        return gates[list(order)].reshape(-1, *weight.shape[1:])

    order = ORDER[operator]
    arrays = {"W": ordered(weights["weight_ih"], order), "R": ordered(weights["weight_hh"], order),
              "B": np.concatenate([ordered(weights["bias"], order), ordered(second, order)])}  # fmt: skip
    return arrays | ({"P": ordered(weights["peephole"], PEEPHOLE_ORDER)} if "peephole" in weights else {})


class RecurrentWriter(LayerWriter):
    """Nodes of a cell: the operator of ONNX where there is one."""

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        written = write_operator([layer], "forward", x.expand_dims(1), None, [state])
        if written is None:
            return self.defined_step(layer, x, state)
        y, (state,) = written
        return y.squeeze(1), state

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        written = write_operator([layer], "forward", x, rows, None if state is None else [state])
        if written is None:
            return super().scan(layer, x, rows, state)
        y, (state,) = written
        return y, state

    def defined_step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        """Compute a step by the definition of the cell; arguments as in `step`."""
        raise AssertionError(f"{layer.kind} has an operator")


class RNNWriter(RecurrentWriter, kind="rnn"):
    """Nodes of an RNN."""


class GRUWriter(RecurrentWriter, kind="gru"):
    """Nodes of a GRU."""


class MinGRUWriter(RecurrentWriter, kind="min_gru"):
    """Nodes of a MinGRU: a GRU without recurrent products."""


class LSTMWriter(RecurrentWriter, kind="lstm"):
    """Nodes of an LSTM. The operator has no projection, layer norm, clipping or zoneout, and always a forget gate."""

    def defined_step(self, layer: LSTM, x: Value, state: State) -> tuple[Value, State]:
        weights, (h, c), node = layer.weights, state[:2], x.graph.node

        def normalized(x: Value, gain: str, bias: str = "") -> Value:
            if not layer.normed:
                return x
            return node("LayerNormalization", x, weights[gain], weights.get(bias), epsilon=NORM_EPSILON)

        from_x = normalized(x @ weights["weight_ih"].T, "gain_ih") + weights["bias"]
        gates = from_x + normalized(h @ weights["weight_hh"].T, "gain_hh")
        parts = len(weights["bias"]) // layer.state_sizes[1]
        *opened, candidate, output = split(gates, parts, 1)  # input and forget gate; candidate; output
        peepholes = np.split(weights.get("peephole", np.zeros(parts - 1, np.float32)), parts - 1)
        i, *forget = (sigmoid(gate + peephole * c) for gate, peephole in zip(opened, peepholes, strict=False))
        new = i * tanh(candidate) + (forget[0] * c if forget else (1 - i) * c if layer.coupled else c)
        if layer.clip:
            new = clip(new, -layer.clip, layer.clip)
        c = layer.zone_c * c + (1 - layer.zone_c) * new
        y = sigmoid(output + c * peepholes[-1]) * tanh(normalized(new, "gain_c", "bias_c"))
        if "weight_hr" in weights:
            y = y @ weights["weight_hr"].T
        h = layer.zone_h * h + (1 - layer.zone_h) * y
        return h, _structured(layer, state, (h, c), 1)


class WindowNetWriter(LayerWriter, kind="window_net"):
    """Nodes of a WindowNet: a convolution over time, after the inputs before the first step."""

    def step(self, layer: Any, x: Value, state: State) -> tuple[Value, State]:
        seen = concat([state, x.expand_dims(1)], 1)
        y = seen.reshape(0, -1) @ layer.weight.T + layer.bias
        return FUNCTIONS[layer.activation](y), seen[:, 1:]

    def scan(self, layer: Any, x: Value, rows: PaddedRows, state: State | None) -> tuple[Value, State]:
        before = rows.initial(layer.initial_state(1)) if state is None else state
        seen = concat([before, x], 1)  # [B, k - 1 + T, D]
        kernel = layer.weight.reshape(layer.output_size, layer.window, layer.input_size).transpose(0, 2, 1)
        y = x.graph.node("Conv", seen.transpose(0, 2, 1), kernel, layer.bias).transpose(0, 2, 1)
        places = rows.lengths.expand_dims(1) + np.arange(layer.window - 1)  # of the last k - 1 inputs, [B, k - 1]
        last = x.graph.node("GatherND", seen, places.expand_dims(2), batch_dims=1)
        return FUNCTIONS[layer.activation](y), last
