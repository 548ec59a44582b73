"""Base class of cells whose parameters PyTorch trains."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

import elman
from elman import state as states
from elman.cell import Cell, unroll
from elman.cells.activations import Activations, activations
from elman.cells.input_conversion import is_plain, to_sequences
from elman.cells.spec import Names, network_of, spec_of
from elman.cells.state_form import described, fits, form, same_kinds
from elman.cells.torch_options import check_options
from elman.files import SCHEMA, read_tensors, write_tensors
from elman.kernels import autocast, cudnn, native, recurrence
from elman.kernels.marshal import Recurrence
from elman.network import Layer, Stepper
from elman.network.layer_types import steps_natively
from elman.network.no_spec import NoSpec, spec_metadata
from elman.network.spec import Spec
from elman.representation import brief
from elman.rows import one_step_each
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State

_OF_TORCH = re.compile(
    r"\b(weight|bias)_[ih]h_l\d+(_reverse)?$|\bbias_[ih]h$"
)  # weights of recurrent layers of torch.nn
SIZES = "size", "vocabulary_size"  # arguments of layers that keep them as `input_size`


class CellModule(Cell, nn.Module):
    """Cell that is also an `nn.Module`. Calling it runs `scan`: `cell(sequences, state)`.

    A call also accepts other kinds of batches, and returns the kind that it is given: a tensor [B, T, D] (batch first,
    all rows of T steps), a `PackedSequence`, a list of rows [T, D], and NumPy arrays in place of tensors. Outputs in
    NumPy have no gradients.

    A subclass sets `input_size`, `hidden_size` and `output_size`. Its `project` computes the part of the step that
    depends on the input alone, so that a scan calls it once for all steps of all rows; `advance` computes the rest. A
    subclass that also has a kernel returns it from `recurrence`.

    Attributes:
        kind: name of the cell or layer in settings (`CELLS`) and in model files; None for a cell without a name there.
        gate_names: the gates and the candidate, in the row order of `weight_ih`, `weight_hh` and `bias`.
        memory_gate: name of the gate whose activation is the fraction of the state that a step keeps; None for a cell
            without one.
        step_axes: number of axes of an input of one row: 1 for [D], 0 for ids.
        calls_kernels: whether its products run in native kernels other than that of `recurrence`.
    """

    kind: str | None = None
    gate_names: tuple[str, ...] = ()
    memory_gate: str | None = None
    step_axes: int = 1
    calls_kernels: bool = False
    input_size: int
    hidden_size: int
    output_size: int

    def extra_repr(self) -> str:
        """Return the constructor's arguments: the sizes, and the options that differ from their defaults.

        PyTorch prints them in the representation: `LSTM(16, 32, zoneout_c=0.1)`.
        """
        return ", ".join(arguments(self))

    def __new__(cls, *sizes: Any, **options: Any) -> Self:
        check_options(cls, sizes, options)
        return super().__new__(cls)

    def forward(self, sequences: Any, state: State | None = None) -> tuple[Any, State]:
        if is_plain(sequences):
            return self.scan(sequences, state)
        check_sizes(type(self).__name__, self)
        check_sizes(type(self).__name__, self)
        weight = next(self.parameters(), None)
        batch, back = to_sequences(sequences, self.step_axes, self.input_size, weight, type(self).__name__)
        y, state = self.scan(batch, state)
        return back(y), state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Copy tensors into the parameters and buffers, as in `nn.Module`.

        Raises:
            RuntimeError: names or shapes differ; for the weights of `torch.nn.LSTM` and the like, the message names the
                conversion.
        """
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            if not any(_OF_TORCH.search(name) for name in state_dict):
                raise
            raise RuntimeError(f"{type(self).__name__}.load_state_dict: expected weights of elman, got those of a "
                               "recurrent layer of torch.nn; convert the layer: "
                               "elman.convert.from_torch(layer).") from error  # fmt: skip

    def project(self, x: Tensor) -> Any:
        """Compute the part of a step that does not depend on the state: x [N, D] -> the first argument of `advance`."""
        return x

    def advance(self, x: Any, state: State) -> tuple[Any, State]:
        """Compute the rest of a step, from the result of `project` and the state."""
        raise NotImplementedError(f"{type(self).__name__} has no advance")

    def gate_activations(self, x: Any, state: State) -> dict[str, Tensor]:
        """Return the activation of each gate at a step, [N, H] from 0 (shut) to 1 (open), without the candidate.

        The arguments are those of `advance`.
        """
        return {}

    def activations(self, sequences: Sequences) -> list[Activations]:
        """Return the gates and the state of this cell at every step of a row, for `elman.pictures.gates`.

        Args:
            sequences: a single row.
        Returns:
            a list with one entry.
        Raises:
            ValueError: there are several rows or none, the values do not fit the cell, or this is a layer that contains
                cells.
        """
        where = f"{type(self).__name__}.activations"
        if any(isinstance(part, CellModule) for part in self.modules() if part is not self):
            raise ValueError(f"{where}: expected a cell, got a layer that contains cells; use one of its cells.")
        sequences = self.checked("activations", sequences)
        if len(sequences) != 1:
            raise ValueError(f"{where}: expected a single row, got {len(sequences)}; use sequences.select([0]).")
        return [activations(self, sequences)]

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the recurrent matrix of each gate, [H, H], as views of `weight_hh`; empty for a cell without one."""
        weight = getattr(self, "weight_hh", None)
        if weight is None or not self.gate_names:
            return {}
        return dict(zip(self.gate_names, weight.detach().chunk(len(self.gate_names)), strict=True))

    def recurrence(self) -> Recurrence | None:
        """Return the kernel that computes `project` and `advance`, with the weights; None without a kernel."""
        return None

    def spec(self, names: Mapping[int, str] | None = None) -> Spec:
        """Return a description that `elman.network` can run, as plain data for a file.

        Args:
            names: names of the weights in the file, by `id`; None for the names in `named_parameters` of this module.
        Raises:
            NoSpec: the runtime cannot run this cell, or a cell in it; the message names it and the reason.
        """
        raise NoSpec.of(self)

    def spec_of(self, names: Names | None, *cells: str, **settings: Any) -> Spec:
        """Return a `spec` of this `kind` with its own weights, and the `cells` (module paths) that it contains.

        Raises:
            NoSpec: one of the cells has no spec.
        """
        assert self.kind is not None
        sizes = {"input_size": self.input_size, "output_size": self.output_size}
        return spec_of(self, self.kind, names, *cells, **sizes, **settings)

    def runs_without_torch(self) -> bool:
        """Return whether `elman.network` runs this model: every layer has a spec, and the weights are float32."""
        tensors = *self.parameters(), *self.buffers()
        plain = all(tensor.dtype == torch.float32 for tensor in tensors if tensor.is_floating_point())
        return plain and "spec" in spec_metadata(self)

    def streams_natively(self) -> bool:
        """Return whether `stepper` works for this model on this machine."""
        if not (self.streams and native.available() and self.runs_without_torch()):
            return False
        return steps_natively(self.spec())

    def save(self, path: str | Path) -> None:
        """Write weights and spec to a model file, which `elman.runtime.load` reads. A file at `path` is replaced.

        The file contains no code. In PyTorch, construct the same model and call `load`.
        """
        metadata = {"schema": SCHEMA, "version": elman.__version__, **spec_metadata(self)}
        write_tensors(Path(path), self.state_dict(), metadata)

    def load(self, path: str | Path) -> Self:
        """Replace the weights by those of a file that `save` wrote for a model of the same layers; return the model.

        Raises:
            FileNotFoundError: the file does not exist.
            ValueError: the file is damaged, or holds the weights of other layers.
        """
        tensors, _ = read_tensors(Path(path), torch=True)
        known = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        odd = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
        if odd:
            expected, got = (sizes.get(odd[0], "nothing") for sizes in (known, found))
            raise ValueError(f"{path}: expected {odd[0]} {expected}, got {got}; construct the layers and sizes that "
                             "were saved.")  # fmt: skip
        self.load_state_dict(tensors)
        return self

    def network(self) -> Layer:
        """Return the same layers with a copy of the current weights, as `elman.network` runs them without PyTorch.

        Raises:
            NoSpec: the runtime cannot run a cell.
            ValueError: the weights are not float32.
        """
        return network_of(self)

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """Return a `Stepper` with the current weights: it runs in evaluation mode, one step per call, without PyTorch.

        Raises:
            ValueError: the runtime cannot run a cell, a cell reads whole sequences, or the weights are not float32.
        """
        try:
            layer = self.network()
        except NoSpec as error:
            way_out = "use step" if self.streams else "use scan, or layers that read forward only"
            raise ValueError(f"{type(self).__name__}.stepper: {error}; {way_out}.") from None
        return layer.stepper(batch_size, output, weights)

    def step(self, x: Tensor, state: State) -> tuple[Any, State]:
        x = self.check_input("step", x)
        kernel = self.recurrence()
        if kernel is None:
            return self.advance(self.project(x), self.check_state("step", state, len(x)))
        if torch.compiler.is_compiling() or not recurrence.applies([kernel], x):
            with autocast.off():
                return self.advance(self.project(x), self.check_state("step", state, len(x)))
        if state is None:  # which the kernel reads as the initial state
            self.check_state("step", state, len(x))
        try:
            return recurrence.scan([kernel], x, one_step_each(len(x)), state, state, self.unrolled)
        except (TypeError, ValueError):
            self.check_state("step", state, len(x))  # names the cell and the way out
            raise

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        kernel = self.recurrence()
        if kernel is None:
            return self.unrolled(*self.checked_with_state("scan", sequences, state))
        sequences = self.checked("scan", sequences)
        if not torch.compiler.is_compiling() and cudnn.applies(kernel, sequences.values):
            return cudnn.scan(kernel, sequences, self.initial_state(len(sequences)) if state is None else state)
        x, blank = sequences.values, self.initial_state(0)
        y, state = recurrence.scan([kernel], x, sequences.layout, state, blank, self.unrolled)
        return sequences.with_values(y), state

    def unrolled(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Repeat the step along every row, which is the definition of a scan."""
        state = self.initial_state(len(sequences)) if state is None else state
        if type(self).step is not CellModule.step:  # a subclass that overrides step
            return unroll(self.step, sequences, state)
        return unroll(self.advance, sequences.map(self.project), state)

    def checked(self, verb: str, sequences: Sequences) -> Sequences:
        """Return the sequences with values that passed `check_input`."""
        self.check_sequences(verb, sequences)
        check_sizes(f"{type(self).__name__}.{verb}", self)
        x = self.check_input(verb, sequences.values)
        return sequences if x is sequences.values else sequences.with_values(x)

    def check_sequences(self, verb: str, sequences: Sequences) -> None:
        """Raise a TypeError unless a batch is ragged and its values are a tensor."""
        where = f"{type(self).__name__}.{verb}"
        if not isinstance(sequences, Sequences):
            raise TypeError(f"{where}: expected Sequences, got {type(sequences).__name__}; make them with "
                            "Sequences.from_list(rows) or Sequences.from_padded(values, lengths), or call the cell "
                            "itself.")  # fmt: skip
        check_tensor(where, "values", sequences.values)

    def checked_with_state(self, verb: str, sequences: Sequences, state: State | None) -> tuple[Sequences, State]:
        """Return the sequences as `checked` does, and the state that passed `check_state`; None for the initial one."""
        sequences = self.checked(verb, sequences)
        if state is None:
            return sequences, self.initial_state(sequences.lengths.shape[0])
        return sequences, self.check_state(verb, state, len(sequences))

    def check_state(self, verb: str, state: State, rows: int) -> State:
        """Return a state that has the structure, the shapes and the dtypes of `initial_state(rows)`.

        Native recurrences check their states themselves.

        Raises:
            TypeError: a leaf is not a tensor of the dtype of the initial state.
            ValueError: the structure or a shape differs.
        """
        if torch.compiler.is_compiling():
            return state
        known = _forms.get(self)
        if known is None or not fits(state, known[1], rows):
            blank = self.initial_state(0)  # the settings or the dtype of the weights may have changed
            known = _forms[self] = type(blank), form(blank)
            if not fits(state, known[1], rows):
                where = f"{type(self).__name__}.{verb}"
                raise (ValueError if same_kinds(state, blank) else TypeError)(
                    f"{where}: expected a state of {described(blank, f'B={rows}')}, got {described(state)}; "
                    f"give the state that the last call returned, or initial_state({rows})."
                )
        if known[0] is Tensor or isinstance(state, known[0]):
            return state
        return states.map(lambda _, leaf: leaf, self.initial_state(0), state)  # a plain tuple for a named one

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        _forms.pop(self, None)  # the dtype changes
        return super()._apply(*args, **kwargs)

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, input_size] in the weights' dtype; cast an autocast dtype back to that."""
        where, name = f"{type(self).__name__}.{verb}", "values" if verb == "scan" else "x"
        check(where, name, x, f"{'N' if verb == 'scan' else 'B'} D={self.input_size}")
        check_tensor(where, name, x)
        weight = next(self.parameters(), None)
        if weight is None:
            return x
        x = autocast.cast_input(x, weight.dtype)
        if x.dtype != weight.dtype:
            raise TypeError(f"{where}: expected {name} of {weight.dtype}, like the weights, got {x.dtype}.")
        return x

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros of the weights' dtype and device."""
        return next(self.parameters()).new_zeros(shape)


def check_sizes(where: str, cell: CellModule) -> None:
    """Raise unless a cell has its sizes.

    Raises:
        TypeError: the constructor of the cell does not set them.
    """
    missing = [name for name in ("input_size", "output_size") if not hasattr(cell, name)]
    if missing:
        raise TypeError(f"{where}: {type(cell).__name__} has no {' and no '.join(missing)}; set self.input_size and "
                        "self.output_size in __init__.")  # fmt: skip


def check_tensor(where: str, name: str, x: Any) -> None:
    """Raise a TypeError unless x is a PyTorch tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{where}: expected {name} in a tensor, got {type(x).__name__}; convert them with "
                        "torch.from_numpy.")  # fmt: skip


def arguments(module: nn.Module, **defaults: Any) -> list[str]:
    """Return the arguments of a module's constructor that it stores in attributes of the same names.

    A required argument is written as its value, and another one as `name=value` if it differs from its default.
    Arguments that are modules or weights are left out. A weight in place of a flag counts as True.

    Args:
        defaults: values to compare with in place of the declared defaults.
    """
    kept, named = [], False  # named: an earlier argument was left out, so later ones need their names
    for name, argument in inspect.signature(type(module)).parameters.items():
        required = argument.default is argument.empty
        # A layer of one size keeps it as its input size.
        value: Any = getattr(module, name, getattr(module, "input_size", None) if name in SIZES else argument.default)
        default = defaults.get(name, argument.default)
        if isinstance(default, bool):
            value = isinstance(value, Tensor) or bool(value)
        if isinstance(value, nn.Module | Tensor) or argument.kind is argument.VAR_POSITIONAL or value is argument.empty:
            named = True
        elif required or not np.array_equal(value, default):
            kept.append(f"{'' if required and not named else name + '='}{brief(value)}")
    return kept


_forms: Any = WeakKeyDictionary()  # cell -> the type and the form of its initial state
