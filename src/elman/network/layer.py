"""Base of the layers that run without PyTorch: cells in NumPy, with native kernels where they are installed."""

from typing import Any, ClassVar

import numpy as np

from elman.cell import Cell
from elman.network.no_spec import NoSpec
from elman.network.spec import LayerSpec
from elman.network.stepper import Stepper
from elman.representation import call, complete
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class Layer(Cell):
    """Cell that a model file describes, in evaluation mode, float32.

    A subclass reads its tensors in the constructor and checks all sizes there. It implements `initial_state` and
    either `step` or `scan`; `add` if the native stepper has its operations. With native kernels, a scan computes the
    same bits as the PyTorch layer; without them, NumPy computes the definition.

    Args:
        spec: spec, tensors and inner layers.
    Attributes:
        kind: layer type.
        input_size, output_size: features of a step, D and O.
        step_shape: shape of the input of one row and step: (D,), () for ids, (C, H, W) for frames.
        cells: the layers inside this one.
    Raises:
        ValueError: a setting is missing or wrong, or a tensor is missing or does not fit.
    """

    kind: ClassVar[str]

    def __init__(self, spec: LayerSpec):
        self.input_size, self.output_size, self.cells = spec.input_size, spec.output_size, spec.cells
        self._tensor_sizes = spec.tensor_sizes
        self.step_shape: tuple[int, ...] = (self.input_size,)

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, f"{self.input_size} -> {self.output_size}")

    @property
    def num_parameters(self) -> int:
        """Number of weights and buffers, of the layers inside included; tied weights count once."""
        return sum(self._sizes().values())

    def _sizes(self) -> dict[str, int]:
        inside = [size for cell in self.cells for size in cell._sizes().items()]
        return dict(inside) | self._tensor_sizes

    @property
    def reads_ids(self) -> bool:
        """Whether the input is ids [N] instead of features [N, D]."""
        return self.step_shape == ()

    def initial_state(self, batch_size: int) -> State:
        return ()

    def step(self, x: np.ndarray, state: State) -> tuple[Any, State]:
        """Run one step of each row, as a scan of rows of one step."""
        y, state = self.scan(Sequences(x, np.ones(len(x), np.int64)), state)
        return y.values, state

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """Return a `Stepper`, which runs the layer one step per call.

        Raises:
            ValueError: the layer, or one inside it, reads whole sequences; an argument is unknown.
        """
        return Stepper(self, batch_size, output, weights)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        """Append the step of this layer to a native stepper; return its output array and its state.

        Args:
            stepper: native stepper, which compares no sizes.
            x: the input array, [B, *step_shape].
        Raises:
            NoSpec: the native stepper does not support the layer.
        """
        raise NoSpec(type(self).__name__, "has no operation in the native stepper")

    def check_input(self, where: str, x: np.ndarray) -> np.ndarray:
        """Return a batch of inputs, [N, *step_shape], checked: float32 and finite, or ids.

        Raises:
            ValueError: the shape is another one.
            TypeError: the type is another one.
        """
        letters = {0: "", 1: "D", 3: "C H W"}[len(self.step_shape)].split()
        sizes = " ".join(f"{letter}={size}" for letter, size in zip(letters, self.step_shape, strict=True))
        check(where, "values", x, f"N {sizes}".strip())
        kind = np.int64 if self.reads_ids else np.float32
        if x.dtype != kind:
            raise TypeError(f"{where}: expected values of {np.dtype(kind)}, got {x.dtype}.")
        return np.ascontiguousarray(x)


class Pointwise(Layer):
    """Layer with the state `()`: a scan is one call of `apply_to` on all steps of all rows."""

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        """Compute y [N, O] from x [N, *step_shape]."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_to")

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        return self.apply_to(x), state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        return sequences.map(self.apply_to), ()
