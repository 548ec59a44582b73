"""The words of a `spec()`, and what each does in a step: a closed list, and no code in a file."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from elman.kernels.native import ACTIVATIONS, KINDS
from elman.nearest import did_you_mean
from elman.state import State

NORM_EPSILON = 1e-5  # of the norms inside an LSTM, as in native/lstm_normed.hpp

# {word, settings: {input_size, output_size, ...}, tensors: {name in the cell: name in the file}, cells: [Spec, ...]}
Spec = dict[str, Any]


class LSTMState(NamedTuple):
    h: np.ndarray  # [B, H]
    c: np.ndarray  # [B, H]


class CountedLSTMState(NamedTuple):
    h: np.ndarray  # [B, H]
    c: np.ndarray  # [B, H]
    row: np.ndarray  # [B] int64
    step: np.ndarray  # [B] int64


class DropoutState(NamedTuple):
    row: np.ndarray  # [B] int64
    step: np.ndarray  # [B] int64


class Part:
    """A cell or a layer as its `spec()` says it, with the tensors that it names.

    Raises:
        ValueError: an unknown word, or a tensor that is missing or does not fit.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, np.ndarray]):
        self.word, self.settings = spec["word"], spec["settings"]
        if self.word not in WORDS:
            raise ValueError(f"Stepper: {self.word!r} is none of the words that this version of elman can step "
                             f"({', '.join(WORDS)}){did_you_mean(self.word, WORDS)}")  # fmt: skip
        self.input_size: int = self.settings["input_size"]
        self.output_size: int = self.settings["output_size"]
        self.cells = [Part(cell, tensors) for cell in spec.get("cells", ())]
        self._names, self._tensors = spec.get("tensors", {}), tensors

    @property
    def reads_ids(self) -> bool:
        """Whether its input is ids [B], and not features [B, D]."""
        return self.word == "embedding" or (self.word == "stack" and self.cells[0].reads_ids)

    def tensor(self, own_name: str, *shape: int) -> np.ndarray:
        """A tensor of that shape, by the name that it has in the cell."""
        name = self._names[own_name]
        array = self._tensors.get(name)
        if array is None or array.dtype != np.float32 or array.shape != shape:
            got = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            raise ValueError(f"Stepper: {self.word}: expected {name} float32 {list(shape)}, got {got}.")
        return np.ascontiguousarray(array)

    def add(self, program: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        """Write the step down in a native program: what it reads -> what it writes, and its state."""
        return WORDS[self.word](program, self, x)


def _rnn(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    return _recurrence(program, part, x, "rnn", 1, activation=part.settings["activation"])


def _lstm(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    settings, outputs = part.settings, part.output_size
    units = settings.get("hidden_size", outputs)
    c = program.floats(units)
    kind, gates = ("lstm", 4) if settings["forget_gate"] else ("lstm_without_forget", 3)
    options = {
        "weight_hr": part.tensor("weight_hr", outputs, units) if units > outputs else None,
        **(_normed(part, gates * units, units) if settings.get("layer_norm") else {}),
        "peephole": part.tensor("peephole", (gates - 1) * units) if settings.get("peephole") else None,
        "coupled": settings.get("coupled", False),
        "clip": settings.get("cell_clip", 0.0),
        "zone_h": settings.get("zoneout_h", 0.0),
        "zone_c": settings.get("zoneout_c", 0.0),
    }
    y, h = _recurrence(program, part, x, kind, gates, c=c, **options)
    if not settings.get("counted"):
        return y, LSTMState(h, c)
    return y, CountedLSTMState(h, c, *_counters(program))


def _normed(part: Part, gates: int, units: int) -> dict[str, np.ndarray]:
    return {"gain_ih": part.tensor("gain_ih", gates), "gain_hh": part.tensor("gain_hh", gates),
            "gain_c": part.tensor("gain_c", units), "bias_c": part.tensor("bias_c", units)}  # fmt: skip


def _gru(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    reset = part.settings["reset"]
    bias_hn = part.tensor("bias_hn", part.output_size) if reset == "after" else None
    return _recurrence(program, part, x, f"gru_{reset}", 3, bias_hn=bias_hn)


def _recurrence(
    program: Any,
    part: Part,
    x: np.ndarray,
    kind: str,
    gates: int,
    *,
    activation: str = "tanh",
    c: np.ndarray | None = None,
    bias_hn: np.ndarray | None = None,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    inputs, outputs = part.input_size, part.output_size
    units = outputs if c is None else c.shape[1]
    weights = (
        part.tensor("weight_ih", gates * units, inputs),
        part.tensor("weight_hh", gates * units, outputs),
        part.tensor("bias", gates * units),
    )
    h, y = program.floats(outputs), program.floats(outputs)
    numbers = KINDS.index(kind), ACTIVATIONS.index(activation)
    program.add_recurrence(*numbers, x, y, h, c, *weights, bias_hn, **options)
    return y, h


def _min_gru(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    inputs, units = part.input_size, part.output_size
    h, y = program.floats(units), program.floats(units)
    weight, bias = part.tensor("weight_ih", 2 * units, inputs), part.tensor("bias", 2 * units)
    program.add_min_gru(x, weight, bias, h, y)
    return y, h


def _window_net(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    inputs, units, window = part.input_size, part.output_size, part.settings["window"]
    past, y = program.floats((window - 1) * inputs), program.floats(units)
    if window > 1:
        seen = program.floats(window * inputs)
        program.add_window(x, past, seen)
        x = seen
    program.add_linear(x, part.tensor("weight", units, window * inputs), part.tensor("bias", units), y)
    program.add_activation(ACTIVATIONS.index(part.settings["activation"]), y)
    return y, past.reshape(len(past), window - 1, inputs)


def _embedding(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    if x.ndim != 1:
        raise ValueError("Stepper: an embedding reads ids, and stands first; here it reads what another layer writes.")
    y = program.floats(part.output_size)
    program.add_embedding(x, part.tensor("weight", part.input_size, part.output_size), y)
    return y, ()


def _linear(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    y = program.floats(part.output_size)
    weight, bias = part.tensor("weight", part.output_size, part.input_size), part.tensor("bias", part.output_size)
    program.add_linear(x, weight, bias, y)
    return y, ()


def _layer_norm(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    y = program.floats(part.output_size)
    weights = part.tensor("weight", part.output_size), part.tensor("bias", part.output_size)
    program.add_layer_norm(x, *weights, part.settings["epsilon"], y)
    return y, ()


def _dropout(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    """Nothing is dropped."""
    return x, DropoutState(*_counters(program))


def _counters(program: Any) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the rows and of their steps: a training model can go on from the state."""
    row, step = program.integers(), program.integers()
    row[:] = range(len(row))
    program.add_count(step)
    return row, step


def _stack(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    after = []
    for cell in part.cells:
        x, state = cell.add(program, x)
        after.append(state)
    return x, tuple(after)


def _residual(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    around, state = part.cells[0].add(program, x)
    y = program.floats(part.output_size)
    program.add_sum(x, around, y)
    return y, state


def _output_feedback(program: Any, part: Part, x: np.ndarray) -> tuple[np.ndarray, State]:
    before, joined = program.floats(part.output_size), program.floats(part.input_size + part.output_size)
    program.add_join(x, before, joined)
    y, state = part.cells[0].add(program, joined)
    program.add_copy(y, before)
    return y, (state, before)


WORDS: dict[str, Callable[[Any, Part, np.ndarray], tuple[np.ndarray, State]]] = {
    "rnn": _rnn,
    "lstm": _lstm,
    "gru": _gru,
    "min_gru": _min_gru,
    "window_net": _window_net,
    "embedding": _embedding,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "dropout": _dropout,
    "stack": _stack,
    "residual": _residual,
    "output_feedback": _output_feedback,
}
