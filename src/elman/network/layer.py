"""Base of the layers that run without PyTorch: in NumPy, with native kernels where they are installed."""

from functools import cached_property
from os import PathLike
from typing import Any, ClassVar

import numpy as np

from elman.cell import Cell
from elman.network.checks import check_input, check_state
from elman.network.no_spec import NoSpec
from elman.network.spec import LayerSpec
from elman.network.stepper import Stepper, make_stepper
from elman.network.stream_bytes import fingerprint
from elman.representation import call, complete
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.state import State


class Layer(Cell):
    """Layer that a model file describes, in evaluation mode and float32. It is a `Cell` in NumPy.

    A subclass reads its tensors in the constructor and checks all sizes there. It implements `initial_state` and
    either `step` or `scan`; `add` if the native stepper has its operations. Its `step` and `scan` begin with a call of
    `checked_step` and `checked`: the outermost layer checks its arguments, and the layers inside it rely on that.

    Args:
        spec: spec, tensors and inner layers.
    Attributes:
        kind: layer type.
        same_bits: whether native kernels compute the bits of the PyTorch layer; else both are within 1e-5.
        input_size, output_size: features of a step, D and O.
        step_shape: shape of the input of one row and step: (D,), () for ids, (C, H, W) for frames.
        output_shape: shape of the output of one row and step: (O,), or (C, H, W) for frames.
        cells: the layers inside this one.
        outermost: whether no layer contains this one.
    Raises:
        ValueError: a setting is missing or wrong, or a tensor is missing or does not fit.
    """

    kind: ClassVar[str]
    same_bits: bool = False
    outermost: bool = True

    def __init__(self, spec: LayerSpec):
        self.input_size, self.output_size, self.cells = spec.input_size, spec.output_size, spec.cells
        self._tensor_sizes, self._described = spec.tensor_sizes, spec.described
        self.step_shape: tuple[int, ...] = (self.input_size,)
        self.output_shape: tuple[int, ...] = (self.output_size,)
        self.streams = self.streams and all(cell.streams for cell in self.cells)
        self.same_bits = self.same_bits and all(cell.same_bits for cell in self.cells)
        for cell in self.cells:
            cell.outermost = False

    @complete
    def __repr__(self) -> str:
        return call(type(self).__name__, f"{self.input_size} -> {self.output_size}")

    @property
    def num_parameters(self) -> int:
        """Number of weights, of the layers inside included; tied weights count once."""
        return sum(self._sizes().values())

    def _sizes(self) -> dict[str, int]:
        inside = [size for cell in self.cells for size in cell._sizes().items()]
        return dict(inside) | self._tensor_sizes

    @cached_property
    def fingerprint(self) -> bytes:
        """Digest of layer type, settings and weights, 16 bytes. Equal layers have the same, in every process."""
        return fingerprint(*self._described, [cell.fingerprint for cell in self.cells])

    @property
    def reads_ids(self) -> bool:
        """Whether the input is ids [N] instead of features [N, D]."""
        return self.step_shape == ()

    def initial_state(self, batch_size: int) -> State:
        return ()

    def step(self, x: np.ndarray, state: State) -> tuple[Any, State]:
        """Run one step of each row, as a scan of rows of one step."""
        x, state = self.checked_step(x, state)
        y, state = self.scan(Sequences(x, one_step_each(len(x))), state)
        return y.values, state

    def checked(self, sequences: Sequences, state: State | None) -> tuple[Sequences, State | None]:
        """Return the arguments of `scan`, checked if this is the outermost layer.

        Raises:
            ValueError: a shape is wrong, or a number is not finite.
            TypeError: the input is not a ragged batch of NumPy arrays, or an array is of another type.
        """
        if not self.outermost:
            return sequences, state
        where = f"{type(self).__name__}.scan"
        if not isinstance(sequences, Sequences):
            raise TypeError(f"{where}: expected Sequences, got {type(sequences).__name__}; make them with "
                            "Sequences.from_list(rows).")  # fmt: skip
        layout = sequences.layout
        x = check_input(where, "values", sequences.values, self.step_shape,
                        lambda at: f"row {layout.rows[at]}, step {layout.times[at]}")  # fmt: skip
        sequences = sequences if x is sequences.values else sequences.with_values(x)
        return sequences, None if state is None else check_state(where, state, self.initial_state(len(sequences)))

    def checked_with_state(self, sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
        """Return the arguments of `scan` as `checked` does, with the initial state in the place of None."""
        sequences, state = self.checked(sequences, state)
        return sequences, self.initial_state(len(sequences)) if state is None else state

    def checked_step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the arguments of `step`, checked if this is the outermost layer; other layers must stream.

        Raises:
            ValueError: the layer reads whole sequences, a shape is wrong, or a number is not finite.
            TypeError: the input or a leaf of the state is of another type.
        """
        if not self.outermost:
            return x, state
        self.check_streams("step")
        where = f"{type(self).__name__}.step"
        x = check_input(where, "x", x, self.step_shape, "row {}".format, "B")
        return x, check_state(where, state, self.initial_state(len(x)))

    def check_streams(self, verb: str) -> None:
        """Raise a ValueError if this layer, or one inside it, reads whole sequences."""
        if not self.streams:
            raise ValueError(f"{type(self).__name__}.{verb}: {self.reads_whole()}; use scan, or train with "
                             "bidirectional=False.")  # fmt: skip

    def reads_whole(self) -> NoSpec:
        """Return the reason why this layer cannot step: the inner layer that reads whole sequences, with its path."""
        for number, cell in enumerate(self.cells):
            if not cell.streams:
                return cell.reads_whole().inside(f"cells.{number}")
        return NoSpec(type(self).__name__, "reads whole sequences, so it cannot stream")

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """Return a `Stepper`, which runs the layer one step per call.

        Raises:
            ValueError: the layer, or one inside it, reads whole sequences; an argument is unknown.
        """
        self.check_streams("stepper")
        return make_stepper(self, batch_size, output, weights)

    def add(self, stepper: Any, x: np.ndarray) -> tuple[np.ndarray, State]:
        """Append the step of this layer to a native stepper; return its output array and its state.

        Args:
            stepper: native stepper, which compares no sizes.
            x: the input array, [B, *step_shape].
        Raises:
            NoSpec: the native stepper does not support the layer.
        """
        raise NoSpec(type(self).__name__, "has no operation in the native stepper")


class Pointwise(Layer):
    """Layer with the state `()`: a scan is one call of `apply_to` on all steps of all rows."""

    def apply_to(self, x: np.ndarray) -> np.ndarray:
        """Compute y [N, O] from x [N, *step_shape]."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_to")

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        x, state = self.checked_step(x, state)
        return self.apply_to(x), state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, _ = self.checked(sequences, state)
        return sequences.map(self.apply_to), ()


def flat(x: np.ndarray) -> np.ndarray:
    """Return a view [B, D] of steps [B, ...], for the native stepper."""
    return x.reshape(len(x), -1)


def layer_of(where: str, model: Any) -> Layer:
    """Return the layer of a model: the layer itself, or the network of a trained model or a cell of PyTorch.

    Args:
        where: the call that an error names.
    Raises:
        ValueError: the model is not trained, or a part of it runs in PyTorch only.
        TypeError: the model is something else.
    """
    if isinstance(model, Layer):
        return model
    convert = getattr(model, "as_layer" if hasattr(model, "check_fitted") else "network", None)
    if not callable(convert) or isinstance(model, type):
        loads = "; load it: elman.runtime.load(path)" if isinstance(model, str | PathLike) else ""
        kind = f"{type(model).__module__}.{type(model).__name__}".removeprefix("builtins.")
        raise TypeError(
            f"{where}: expected a trained model, a cell or a Stack of elman, or a Layer, got {kind}{loads}."
        )
    if hasattr(model, "check_fitted"):
        model.check_fitted()
    try:
        layer: Layer = convert()
    except NoSpec as error:
        raise ValueError(f"{where}: {error}; step the model in PyTorch: y, state = model.step(x, state).") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return layer
