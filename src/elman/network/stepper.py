"""Streaming inference: a trained model bound to fixed arrays, one step per call."""

from collections.abc import Callable
from typing import Any

import numpy as np

from elman import state as states
from elman.kernels import native
from elman.network.checks import check_array, check_count, check_finite, check_leaves, check_state, parts, structured
from elman.network.functions import log_softmax, softmax
from elman.network.no_spec import NoSpec
from elman.representation import array_form, brief, call, complete
from elman.state import State

WEIGHTS = ("float32", "bfloat16")
CONVERSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of the output of a layer, by the name of the result
    "logits": lambda y: y,
    "probs": softmax,
    "log_probs": log_softmax,
}
MOST_ROWS = 1 << 20


class Stepper:
    """Model that runs one step of each row per call: `stepper()` reads `input` and writes `output` and `state`.

    `layer.stepper()` returns a `NativeStepper` if native kernels have operations for all layers, else a `NumPyStepper`.

    A call checks the input first. An id outside the vocabulary, a NaN or an infinity raises an error and leaves
    `output` and `state` unchanged.

    Args:
        layer: a `Layer` that streams.
        batch_size: rows that step together, B.
        output: `logits`, the output of the model; or its softmax in float64, as `probs` or `log_probs` (nats).
        weights: `float32`, or `bfloat16`: half the memory traffic for models that do not fit the cache, at 8 bits of
            precision per weight. Inputs and sums stay float32.
    Raises:
        ValueError: output or weights are unknown, or a layer reads whole sequences; at a call: the input is not finite
            or not in the vocabulary.
    Example:
        >>> from elman import LSTM  # PyTorch makes the weights; `elman.runtime.load(path).stepper()` needs none
        >>> stepper = LSTM(3, 4).stepper()
        >>> stepper.input[...] = [[1.0, 0.0, -1.0]]
        >>> stepper()
        >>> stepper.output.shape, stepper.state.c.shape
        ((1, 4), (1, 4))
    """

    _input: np.ndarray
    _output: np.ndarray
    _state: State
    _initial: State
    _starts: list[np.ndarray]  # leaves of the initial state

    def __call__(self) -> None:
        """Run one step of every row."""
        raise NotImplementedError

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Run one step of other rows, any number of them: x [n, ...] and a state -> y [n, O] and the next state.

        `input`, `output` and `state` may be overwritten. Threads that share a stepper call it one at a time.
        """
        raise NotImplementedError

    @complete
    def __repr__(self) -> str:
        return call("Stepper", f"input={array_form(self._input)}", f"output={array_form(self._output)}",
                    f"state={brief(self._state)}")  # fmt: skip

    @property
    def input(self) -> np.ndarray:
        """Input of the next call: float32 [B, D], or int64 [B] for a model that reads ids. Write into it."""
        return self._input

    @property
    def output(self) -> np.ndarray:
        """Output of the last call, [B, O]. The next call overwrites it."""
        return self._output

    @property
    def state(self) -> State:
        """State before the next call, in the structure of `cell.initial_state`; each call overwrites it.

        The arrays belong to the stepper. `elman.state.map(numpy.copy, stepper.state)` is a copy to keep,
        `elman.state.to_bytes(stepper.state)` one to send. Assignment copies a state into the arrays.
        """
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._assign(state)

    def reset(self) -> None:
        """Set every row to the initial state."""
        self.state = self._initial

    def _begin(self, state: State) -> None:
        """Set the arrays of the state, which hold the initial state."""
        self._state, self._initial = state, states.map(np.copy, state)
        self._starts = list(states.row_leaves(self._initial))

    def _assign(self, state: State) -> None:
        """Copy a state into the arrays, after a check."""
        self._copy(check_state("Stepper.state", state, self._initial))

    def _copy(self, state: State) -> None:
        """Copy a state into the arrays; parts that rows share are replaced."""
        rest = iter(parts(state))

        def copied(own: Any) -> Any:
            if isinstance(own, states.Shared):
                return next(rest)
            own[...] = next(rest)
            return own

        self._state = states.map_parts(copied, self._state)


class _Missing:
    """Base of a native stepper where native kernels are not installed."""


_Native: Any = native.module.Stepper if native.available() else _Missing


class NativeStepper(_Native, Stepper):  # type: ignore[misc]  # a base of type Any: the extension may be missing
    """`Stepper` in native code: with float32 weights, a step returns the same bits as a native scan.

    The constructor allocates all arrays. The steppers of a layer share its packed weights. A call takes no arguments,
    allocates nothing and runs on the calling thread. A call that takes more than about 50 microseconds releases
    Python's global interpreter lock.

    Raises:
        NoSpec: there is no native operation for a layer.
    """

    def __init__(self, layer: Any, batch_size: int = 1, output: str = "logits", weights: str = "float32"):
        self.half = weights == "bfloat16"
        super().__init__(batch_size, self.half)
        self._layer = layer  # owns the weights
        if layer.reads_ids:
            self._input = self.integers()
        else:
            features = self.floats(int(np.prod(layer.step_shape)))
            self.add_finite(features)
            self._input = features.reshape(batch_size, *layer.step_shape)
        y, state = layer.add(self, self._input)
        self._output = self._converted(y, output).reshape(batch_size, *layer.output_shape)
        self.bind(self._input, self._output, list(states.leaves(state)))
        self._output.flags.writeable = False
        self._begin(state)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x = check_array("Stepper.step", "x", x, self._input.shape[1:], "n")
        size, rows = len(self._input), len(x)
        before = self._leaves("Stepper.step", state, rows)
        y = np.empty((rows, *self._output.shape[1:]), self._output.dtype)
        after = [np.empty_like(leaf) for leaf in before]
        for start in range(0, rows, size):
            part = slice(start, start + size)
            self.advance(x[part], [leaf[part] for leaf in before], y[part], [leaf[part] for leaf in after], start)
        return y, structured(after, self._state)

    def _assign(self, state: State) -> None:
        self.assign(self._leaves("Stepper.state", state))

    def _leaves(self, where: str, state: State, rows: int | None = None) -> list[np.ndarray]:
        """Return the leaves of a state, checked in calls that do not hand over the interpreter lock."""
        leaves = check_leaves(where, state, self._starts, rows)
        if not self.finite(leaves):
            check_finite(where, leaves, self._starts)
        return leaves

    def _converted(self, y: np.ndarray, output: str) -> np.ndarray:
        """Return the output array, logits or their softmax, which is never the input array itself."""
        if output != "logits":
            converted = self.doubles(y.shape[1])
            self.add_softmax(y, output == "log_probs", converted)
        elif np.may_share_memory(y, self._input):
            converted = self.floats(y.shape[1])
            self.add_copy(y, converted)
        else:
            converted = y
        return converted


class NumPyStepper(Stepper):
    """`Stepper` that calls `layer.step`: for layers without a native operation, and without native kernels."""

    def __init__(self, layer: Any, batch_size: int = 1, output: str = "logits"):
        self._layer, self._converted = layer, CONVERSIONS[output]
        self._input = np.zeros((batch_size, *layer.step_shape), np.int64 if layer.reads_ids else np.float32)
        kind = np.float32 if output == "logits" else np.float64
        self._output = np.zeros((batch_size, *layer.output_shape), kind)
        self._output.flags.writeable = False
        self._begin(layer.initial_state(batch_size))

    def __call__(self, *arguments: Any, **keywords: Any) -> None:
        if arguments or keywords:
            raise TypeError("Stepper: a call takes no arguments; write them into stepper.input before.")
        y, state = self.step(self._input, self._state)
        self._output.flags.writeable = True
        self._output[...] = y
        self._output.flags.writeable = False
        self._copy(state)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x = check_array("Stepper.step", "x", x, self._input.shape[1:], "n")
        check_values("Stepper", x, self._layer, lambda row: f"row {row}")
        y, state = self._layer.step(x, state)
        return self._converted(y), state


def make_stepper(layer: Any, batch_size: int, output: str, weights: str) -> Stepper:
    """Return the stepper of a layer that streams: native if it can be, else in NumPy.

    Raises:
        ValueError: an argument is unknown.
    """
    check_arguments("Stepper", batch_size, output, weights)
    if not native.available():
        return _in_numpy(layer, batch_size, output, weights, "native kernels are not installed")
    try:
        return NativeStepper(layer, batch_size, output, weights)
    except NoSpec as error:
        return _in_numpy(layer, batch_size, output, weights, str(error))


def _in_numpy(layer: Any, batch_size: int, output: str, weights: str, reason: str) -> NumPyStepper:
    if weights != "float32":
        raise ValueError(f"Stepper: expected weights='float32', got {weights!r}, which needs native kernels: {reason}.")
    return NumPyStepper(layer, batch_size, output)


def check_arguments(where: str, batch_size: int, output: str, weights: str) -> None:
    """Raise a ValueError or a TypeError unless the arguments of a stepper are right."""
    check_count(where, "batch_size", batch_size, MOST_ROWS)
    if output not in CONVERSIONS:
        raise ValueError(f"{where}: expected output to be one of {', '.join(CONVERSIONS)}, got {output!r}.")
    if weights not in WEIGHTS:
        raise ValueError(f"{where}: expected weights to be one of {', '.join(WEIGHTS)}, got {weights!r}.")


def check_values(where: str, x: np.ndarray, layer: Any, place: Callable[[int], str]) -> None:
    """Raise a ValueError unless inputs are finite, or ids in the vocabulary; `place(row)` names a row."""
    if layer.reads_ids:
        wrong = (x < 0) | (x >= layer.input_size)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(f"{where}: expected ids from 0 to {layer.input_size - 1}, got {x[row]} at {place(row)}; "
                             "the state is unchanged.")  # fmt: skip
    elif not np.isfinite(x).all():
        flat = x.reshape(len(x), -1)
        row, feature = np.argwhere(~np.isfinite(flat))[0].tolist()
        raise ValueError(f"{where}: expected finite input, got {flat[row, feature]} at {place(row)}, feature "
                         f"{feature}; the state is unchanged. Skip this step or replace the value.")  # fmt: skip
