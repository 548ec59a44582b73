"""Base class of cells whose parameters PyTorch trains."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elman.cell import Cell, unroll
from elman.kernels import autocast, cudnn, native, recurrence
from elman.kernels.marshal import Recurrence
from elman.rows import one_step_each
from elman.runtime import Stepper
from elman.runtime.layer_types import Spec
from elman.sequences import Sequences
from elman.shapes import check
from elman.state import State


class CellModule(Cell, nn.Module):
    """Cell that is also an `nn.Module`. Calling it runs `scan`: `cell(sequences, state)`.

    A subclass sets `input_size`, `hidden_size` and `output_size`. Its `project` computes the part of the step that
    depends on the input alone, so that a scan calls it once for all steps of all rows; `advance` computes the rest. A
    subclass that also has a kernel returns it from `recurrence`.

    Attributes:
        kind: name of the cell or layer in settings (`CELLS`) and in model files; None for a cell without a name there.
        gate_names: the gates and the candidate, in the row order of `weight_ih`, `weight_hh` and `bias`.
        memory_gate: name of the gate whose activation is the fraction of the state that a step keeps; None for a cell
            without one.
    """

    kind: str | None = None
    gate_names: tuple[str, ...] = ()
    memory_gate: str | None = None
    input_size: int
    hidden_size: int
    output_size: int

    def forward(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        return self.scan(sequences, state)

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

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the recurrent matrix of each gate, [H, H], as views of `weight_hh`; empty for a cell without one."""
        weight = getattr(self, "weight_hh", None)
        if weight is None or not self.gate_names:
            return {}
        return dict(zip(self.gate_names, weight.detach().chunk(len(self.gate_names)), strict=True))

    def recurrence(self) -> Recurrence | None:
        """Return the kernel that computes `project` and `advance`, with the weights; None without a kernel."""
        return None

    def spec(self, names: Mapping[int, str] | None = None) -> Spec | None:
        """Return a description of the step that `elman.runtime` can run, as plain data for a file; None if it cannot.

        Args:
            names: names of the weights in the file, by `id`; None for the names in `named_parameters` of this module.
        """
        return None

    def spec_of(self, names: Mapping[int, str] | None, *cells: str, **settings: Any) -> Spec | None:
        """Return a `spec` of this `kind` with all weights, or with the `cells` (module paths) that hold the weights.

        None if one of the cells has no spec.
        """
        names = {id(weight): name for name, weight in self.named_parameters()} if names is None else names
        parts = [self.get_submodule(cell).spec(names) for cell in cells]  # type: ignore[operator]
        if None in parts:
            return None
        sizes = {"input_size": self.input_size, "output_size": self.output_size}
        tensors = {} if cells else {name: names[id(weight)] for name, weight in self.named_parameters()}
        return {"kind": self.kind, "settings": sizes | settings, "tensors": tensors, "cells": parts}

    def streams_natively(self) -> bool:
        """Return whether `stepper` works for this model on this machine."""
        plain = all(weight.dtype == torch.float32 for weight in self.parameters())
        return native.available() and plain and self.spec() is not None

    def stepper(self, batch_size: int = 1, output: str = "logits", weights: str = "float32") -> Stepper:
        """Return a `Stepper` with the current weights: it runs in evaluation mode, one step per call, without PyTorch.

        Raises:
            ValueError: a cell has no spec, or the weights are not float32.
            RuntimeError: native kernels are not available.
        """
        spec = self.spec()
        if spec is None:
            raise ValueError(f"{type(self).__name__}.stepper: expected cells with a spec, got one without; use step.")
        tensors = {name: weight.numpy(force=True) for name, weight in self.named_parameters()}
        return Stepper(spec, tensors, batch_size, output, weights)

    def step(self, x: Tensor, state: State) -> tuple[Any, State]:
        x = self.check_input("step", x)
        kernel = self.recurrence()
        if kernel is None:
            return self.advance(self.project(x), state)
        if torch.compiler.is_compiling() or not recurrence.applies([kernel], x):
            with autocast.off():
                return self.advance(self.project(x), state)
        return recurrence.scan([kernel], x, one_step_each(len(x)), state, state, self.unrolled)

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences = self.checked("scan", sequences)
        kernel = self.recurrence()
        if kernel is None:
            return self.unrolled(sequences, state)
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
        if isinstance(sequences, Tensor):
            raise TypeError(f"{type(self).__name__}.{verb}: expected Sequences, got a tensor; make them with "
                            "Sequences.from_list(rows) or Sequences.from_padded(values, lengths).")  # fmt: skip
        x = self.check_input(verb, sequences.values)
        return sequences if x is sequences.values else sequences.with_values(x)

    def check_input(self, verb: str, x: Tensor) -> Tensor:
        """Check that x is [N, input_size] in the weights' dtype; cast an autocast dtype back to that."""
        where, name = f"{type(self).__name__}.{verb}", "values" if verb == "scan" else "x"
        check(where, name, x, f"{'N' if verb == 'scan' else 'B'} D={self.input_size}")
        weight = next(self.parameters(), None)
        if weight is None:
            return x
        if not isinstance(x, Tensor):
            raise TypeError(f"{where}: expected {name} in a tensor, got {type(x).__name__}; convert them with "
                            "torch.from_numpy.")  # fmt: skip
        x = autocast.cast_input(x, weight.dtype)
        if x.dtype != weight.dtype:
            raise TypeError(f"{where}: expected {name} of {weight.dtype}, like the weights, got {x.dtype}.")
        return x

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros of the weights' dtype and device."""
        return next(self.parameters()).new_zeros(shape)
