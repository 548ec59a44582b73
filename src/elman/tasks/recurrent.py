"""The recurrent layers of a net, as settings that every task with such a net shares."""

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any

from elman.cells import CELLS
from elman.layers import Stack
from elman.layers.deep import deep
from elman.nearest import did_you_mean


@dataclass(kw_only=True)
class RecurrentSettings:
    """How the recurrent layers are built; the defaults give a good model.

    Args:
        cell: `lstm`, `gru`, `rnn` or `min_gru`.
        activation, forget_gate, reset, start: of the cell, where it has that setting; None for the cell's default.
        hidden_size: features of the state of each layer.
        num_layers: cells on top of one another.
        dropout: of each cell's output while training, 0 for none.
        variational: one dropout mask a row instead of one a step.
        layer_norm, residual: around every layer but the first.
    """

    cell: str = "lstm"
    activation: str | None = None
    forget_gate: bool | None = None
    reset: str | None = None
    start: str | None = None
    hidden_size: int = 512
    num_layers: int = 1
    dropout: float = 0.3
    variational: bool = False
    layer_norm: bool = False
    residual: bool = False

    def recurrent_layers(self, input_size: int) -> Stack:
        """[N, input_size] -> [N, hidden_size].

        Raises:
            ValueError: a setting that is unknown or cannot act.
        """
        if self.cell not in CELLS:
            raise ValueError(
                f"cell: expected one of {', '.join(CELLS)}, got {self.cell!r}{did_you_mean(self.cell, CELLS)}"
            )
        kind = CELLS[self.cell]
        own: dict[str, Any] = {}
        for name in ("activation", "forget_gate", "reset", "start"):
            value = getattr(self, name)
            if value is not None and name not in inspect.signature(kind).parameters:
                raise ValueError(f"{name}: cell={self.cell} has no such setting; leave it out.")
            if value is not None:
                own[name] = value
        return deep(
            partial(kind, **own),
            input_size,
            self.hidden_size,
            self.num_layers,
            dropout=self.dropout,
            variational=self.variational and self.dropout > 0,
            layer_norm=self.layer_norm,
            residual=self.residual,
        )
