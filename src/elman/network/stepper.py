"""Streaming inference: a trained model bound to fixed arrays, one step per call."""

from typing import Any

import numpy as np

from elman import state as states
from elman.kernels import native
from elman.representation import array_form, brief, call, complete
from elman.shapes import check
from elman.state import State

WEIGHTS = ("float32", "bfloat16")
OUTPUTS = ("logits", "probs", "log_probs")
AXES = {1: "B", 2: "B H", 3: "B k-1 D"}  # number of axes of a leaf of the state -> their letters

_NativeStepper: Any = native.module.Stepper if native.available() else object


class Stepper(_NativeStepper):  # type: ignore[misc]  # a base of type Any: the extension may be missing
    """Native model that runs one step of each row per call: `stepper()` reads `input` and writes `output` and `state`.

    The constructor packs the weights and allocates all arrays. A call takes no arguments, allocates nothing, runs on
    the calling thread and holds Python's global interpreter lock. With float32 weights, a step returns the same bits
    as a native scan.

    A call checks the input first. An id outside the vocabulary, a NaN or an infinity raises an error and leaves
    `output` and `state` unchanged.

    Args:
        layer: a `Layer` that streams. Its weights are copied.
        batch_size: rows that step together, B.
        output: `logits`, the output of the model; or its softmax in float64, as `probs` or `log_probs` (nats).
        weights: `float32`, or `bfloat16`: half the memory traffic for models that do not fit the cache, at 8 bits of
            precision per weight. Inputs and sums stay float32.
    Raises:
        ValueError: output or weights are unknown; at a call: the input is not finite or not in the vocabulary.
        RuntimeError: native kernels are not available.
    Example:
        >>> from elman import LSTM  # PyTorch makes the weights; `elman.runtime.load(path).stepper()` needs none
        >>> stepper = LSTM(3, 4).stepper()
        >>> stepper.input[...] = [[1.0, 0.0, -1.0]]
        >>> stepper()
        >>> stepper.output.shape, stepper.state.c.shape
        ((1, 4), (1, 4))
    """

    def __init__(self, layer: Any, batch_size: int = 1, output: str = "logits", weights: str = "float32"):
        if not native.available():
            raise RuntimeError("Stepper: native kernels are not available (installed without a compiler, or "
                               "ELMAN_NATIVE=0); step the model in PyTorch: elman.load(path).")  # fmt: skip
        if batch_size < 1:
            raise ValueError(f"Stepper: expected a batch_size of at least 1, got {batch_size}.")
        if output not in OUTPUTS:
            raise ValueError(f"Stepper: expected output to be one of {', '.join(OUTPUTS)}, got {output!r}.")
        if weights not in WEIGHTS:
            raise ValueError(f"Stepper: expected weights to be one of {', '.join(WEIGHTS)}, got {weights!r}.")
        super().__init__(batch_size, weights == "bfloat16")
        self._input = self.integers() if layer.reads_ids else self.floats(layer.input_size)
        if not layer.reads_ids:
            self.add_finite(self._input)
        y, self._state = layer.add(self, self._input)
        self._output = self._converted(y, output)
        self._output.flags.writeable = False
        self._leaves = list(states.leaves(self._state))
        self._initial = states.map(np.copy, self._state)

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
        own, given = self._leaves, [np.asarray(leaf) for leaf in states.leaves(state)]
        if len(own) != len(given):
            raise ValueError(
                f"Stepper.state: expected {len(own)} leaves, got {len(given)}; the state is of another model."
            )
        for array, leaf in zip(own, given, strict=True):
            if leaf.shape != array.shape:
                axes = zip(AXES[array.ndim].split(), array.shape, strict=True)
                check("Stepper.state", "a leaf", leaf, " ".join(f"{axis}={size}" for axis, size in axes))
            if leaf.dtype != array.dtype:
                raise TypeError(f"Stepper.state: expected a leaf of {array.dtype}, got {leaf.dtype}.")
        for leaf, start in zip(given, states.leaves(self._initial), strict=True):
            wrong = ~(np.isfinite(leaf) | (leaf == start))  # an initial state may be infinite, such as a maximum's
            if wrong.any():
                raise ValueError(f"Stepper.state: expected finite numbers, got {leaf[wrong][0]} at row "
                                 f"{int(np.argwhere(wrong)[0, 0])}; the state is unchanged. Start a new stream with "
                                 "reset().")  # fmt: skip
        for array, leaf in zip(own, given, strict=True):
            array[...] = leaf

    def reset(self) -> None:
        """Set every row to the initial state."""
        self.state = self._initial

    def _converted(self, y: np.ndarray, output: str) -> np.ndarray:
        """Return the output array, logits or their softmax, which is never the input array itself."""
        if output != "logits":
            converted = self.doubles(y.shape[1])
            self.add_softmax(y, output == "log_probs", converted)
        elif y is self._input:
            converted = self.floats(y.shape[1])
            self.add_copy(y, converted)
        else:
            converted = y
        return converted
