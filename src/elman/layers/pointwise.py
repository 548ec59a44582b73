"""Base class of layers without a state."""

from torch import Tensor

from elman.cells.module import CellModule
from elman.sequences import Sequences
from elman.state import State


class Pointwise(CellModule):
    """Layer with the state `()`: a scan is one call of `apply_to` on all steps of all rows."""

    def apply_to(self, x: Tensor) -> Tensor:
        """Compute y [N, O] from x [N, D]."""
        raise NotImplementedError(f"{type(self).__name__} has no apply_to")

    def initial_state(self, batch_size: int) -> State:
        return ()

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        x = self.check_input("step", x)
        return self.apply_to(x), self.check_state("step", state, len(x))

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        sequences, _ = self.checked_with_state("scan", sequences, state)
        return sequences.map(self.apply_to), ()
