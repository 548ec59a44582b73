"""A trained model in the middle of a stream: arrays that stay where they are, and a call that takes one step."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elman import state as states
from elman.kernels import native
from elman.runtime.words import Part, Spec
from elman.shapes import check
from elman.state import State

WEIGHTS = ("float32", "bfloat16")
OUTPUTS = ("logits", "probs", "log_probs")
AXES = {1: "B", 2: "B H", 3: "B k-1 D"}  # of the leaves of a state

_Program: Any = native.module.Stepper if native.available() else object


class Stepper(_Program):  # type: ignore[misc]
    """`stepper()` reads `input`, and writes `output` and `state`: one step of each row, in C++ alone.

    Weights are packed and all arrays are made when the stepper is. A call takes no arguments, allocates nothing, and
    runs on the calling thread, which holds Python's lock meanwhile. A step gives the same bits as a native scan,
    with float32 weights.

    The input is looked at before anything is written. An id that is not in the vocabulary, a NaN or an infinity is an
    error that leaves `output` and `state` as they were.

    Args:
        spec: what `cell.spec()` says.
        tensors: the weights, float32, by the names in `spec`. They are copied.
        batch_size: rows that take their steps together, B.
        weights: `float32`, or `bfloat16`, which halves what a step reads where a model is too large for the cache, and
            its accuracy: what is read and all sums stay float32, and the weights have 8 bits.
        output: `logits`, what the model writes; or the `probs` or `log_probs` (nats) of the classes that the logits
            stand for, in float64.
    Raises:
        ValueError: a word or an output that is unknown, tensors that do not fit; at a call: input that cannot be read.
        RuntimeError: there are no native kernels here.
    Example:
        >>> from elman import LSTM  # PyTorch makes the weights; `elman.runtime.load(path).stepper()` needs none
        >>> stepper = LSTM(3, 4).stepper()
        >>> stepper.input[...] = [[1.0, 0.0, -1.0]]
        >>> stepper()
        >>> stepper.output.shape, stepper.state.c.shape
        ((1, 4), (1, 4))
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, np.ndarray], batch_size: int = 1, output: str = "logits",
                 weights: str = "float32"):  # fmt: skip
        if not native.available():
            raise RuntimeError("Stepper: needs the native kernels, and there are none (installed without a compiler, "
                               "or ELMAN_NATIVE=0); step the model in PyTorch: elman.load(path).")  # fmt: skip
        if batch_size < 1:
            raise ValueError(f"Stepper: expected a batch_size of at least 1, got {batch_size}.")
        if output not in OUTPUTS:
            raise ValueError(f"Stepper: expected output to be one of {', '.join(OUTPUTS)}, got {output!r}.")
        if weights not in WEIGHTS:
            raise ValueError(f"Stepper: expected weights to be one of {', '.join(WEIGHTS)}, got {weights!r}.")
        super().__init__(batch_size, weights == "bfloat16")
        model = Part(spec, tensors)
        self._input = self.integers() if model.reads_ids else self.floats(model.input_size)
        if not model.reads_ids:
            self.add_finite(self._input)
        y, self._state = model.add(self, self._input)
        self._output = self._shown(y, output)
        self._output.flags.writeable = False
        self._leaves = list(states.leaves(self._state))
        self._fresh = states.map(np.copy, self._state)

    @property
    def input(self) -> np.ndarray:
        """What a call reads: float32 [B, D], or int64 [B] where the model reads ids. Write into it."""
        return self._input

    @property
    def output(self) -> np.ndarray:
        """What a call writes: [B, O]. The next call writes over it."""
        return self._output

    @property
    def state(self) -> State:
        """The state that a call goes on from and writes over, in the structure that `cell.initial_state` has.

        The arrays are the stepper's own. `elman.state.map(numpy.copy, stepper.state)` is a value to keep,
        `elman.state.to_bytes(stepper.state)` one to send. Assigning a state copies it into them.
        """
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        own, given = self._leaves, [np.asarray(leaf) for leaf in states.leaves(state)]
        if len(own) != len(given):
            raise ValueError(f"Stepper.state: expected {len(own)} leaves, got {len(given)}; it is another model's.")
        for array, leaf in zip(own, given, strict=True):
            if leaf.shape != array.shape:
                axes = zip(AXES[array.ndim].split(), array.shape, strict=True)
                check("Stepper.state", "a leaf", leaf, " ".join(f"{axis}={size}" for axis, size in axes))
            if leaf.dtype != array.dtype:
                raise TypeError(f"Stepper.state: expected a leaf of {array.dtype}, got {leaf.dtype}.")
        for array, leaf in zip(own, given, strict=True):
            array[...] = leaf

    def reset(self) -> None:
        """Begin anew: the state before the first input, in every row."""
        self.state = self._fresh

    def _shown(self, y: np.ndarray, output: str) -> np.ndarray:
        """`y` in an array of its own, as it is asked for."""
        if output != "logits":
            shown = self.doubles(y.shape[1])
            self.add_softmax(y, output == "log_probs", shown)
        elif y is self._input:
            shown = self.floats(y.shape[1])
            self.add_copy(y, shown)
        else:
            shown = y
        return shown
