"""Spec of a layer: plain data in a model file, with the tensors that it names."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman.declared_types import Record, field
from elman.nearest import did_you_mean

LARGEST = 1 << 24  # features of a layer

# {kind, settings: {input_size, output_size, ...}, tensors: {name in the layer: name in the file}, cells: [Spec, ...]}
Spec = dict[str, Any]


class LayerSpec:
    """Spec of a layer with its tensors and the layers inside it. Its methods check what they return.

    Args:
        spec: the return value of `CellModule.spec`.
        tensors: the tensors of the file, by the names in `spec`.
        cells: the layers inside this one.
    Attributes:
        kind: layer type.
        input_size, output_size: features of a step.
        cells: the layers inside this one.
        tensor_sizes: numbers in each weight that has been read, by its name in the file.
    Raises:
        ValueError: a setting is missing, out of range or of another type.
    """

    def __init__(self, spec: Spec, tensors: Mapping[str, np.ndarray], cells: Sequence[Any] = ()):
        self.kind, self._settings = field(spec, "kind", str), field(spec, "settings", Record)
        self._names, self._tensors = field({"tensors": {}, **spec}, "tensors", Record), tensors
        self.cells, self.tensor_sizes = list(cells), dict[str, int]()
        self.input_size, self.output_size = self.size("input_size"), self.size("output_size")

    @property
    def described(self) -> tuple[Record, dict[str, np.ndarray]]:
        """Layer type and settings; and the tensors of the layer itself, by their names in it."""
        own = {name: self._tensors[path] for name, path in self._names.items() if path in self._tensors}
        return {"kind": self.kind, **self._settings}, own

    def __contains__(self, name_in_layer: str) -> bool:
        """Return whether the layer has a tensor of this name."""
        return name_in_layer in self._names

    def tensor(self, name_in_layer: str, *shape: int) -> np.ndarray:
        """Return a weight by its name in the layer, float32, after a check of its type and shape."""
        array = self.buffer(name_in_layer, *shape)
        self.tensor_sizes[self._names[name_in_layer]] = array.size
        return array

    def buffer(self, name_in_layer: str, *shape: int) -> np.ndarray:
        """Return a tensor that training does not change, as `tensor` does; it does not count as a weight."""
        name = field(self._names, name_in_layer, str)
        array = self._tensors.get(name)
        if array is None or array.dtype != np.float32 or array.shape != shape:
            got = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            other = array is not None and array.dtype != np.float32
            way_out = "; convert the weights in PyTorch: model.float()" if other else ""
            raise ValueError(f"{self.kind}: expected {name} float32 {list(shape)}, got {got}{way_out}.")
        return np.ascontiguousarray(array)

    def setting(self, name: str, declared: Any, default: Any = None) -> Any:
        """Return a setting of the declared type; the default if there is one and the setting is missing."""
        return field(self._settings if default is None else {name: default, **self._settings}, name, declared)

    def size(self, name: str, default: int | None = None) -> int:
        """Return a setting that is a number of features."""
        size: int = self.setting(name, int, default)
        self.check(1 <= size < LARGEST, f"{name} from 1 to {LARGEST - 1}", size)
        return size

    def sizes(self, name: str) -> list[int]:
        """Return a setting that is a list of numbers of features, at least one."""
        sizes: list[int] = self.setting(name, list[int])
        self.check(bool(sizes) and all(1 <= size < LARGEST for size in sizes), f"{name} from 1 to {LARGEST - 1}", sizes)
        return sizes

    def word(self, name: str, known: Sequence[str]) -> str:
        """Return a setting that is one of the known words."""
        word: str = self.setting(name, str)
        self.check(
            word in known, f"{name} to be one of {', '.join(known)}", f"{word!r}{did_you_mean(word, known)[:-1]}"
        )
        return word

    def cell(self) -> Any:
        """Return the only layer inside this one."""
        self.check(len(self.cells) == 1, "1 cell", len(self.cells))
        return self.cells[0]

    def check_shapes(self, cell: Any, step: tuple[int, ...], output: tuple[int, ...]) -> None:
        """Raise a ValueError unless a layer inside this one maps steps of one shape to outputs of another."""
        wanted, got = [list(step), list(output)], [list(cell.step_shape), list(cell.output_shape)]
        expected = f"a {cell.kind} from steps of shape {wanted[0]} to {wanted[1]}"
        self.check(got == wanted, expected, f"{got[0]} to {got[1]}")

    def check(self, right: bool, expected: str, got: object) -> None:
        """Raise a ValueError unless the layer is right."""
        if not right:
            raise ValueError(f"{self.kind}: expected {expected}, got {got}.")
