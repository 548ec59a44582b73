"""The recurrent layers of a net, as settings that every task with such a net shares."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from elman.cells import CELLS, CellModule
from elman.layers import LayerNorm, Stack, WeightDrop
from elman.layers.recurrent_stack import recurrent_stack
from elman.nearest import did_you_mean

# Settings that are the cell's own, where it has them, and their names there.
CELL_SETTINGS = {
    name: name
    for name in ("activation", "forget_gate", "forget_bias", "chrono", "peephole", "coupled", "cell_clip",
                 "recurrent_dropout", "hidden_dropout", "zoneout_h", "zoneout_c", "reset", "init", "window")
} | {"gate_norm": "layer_norm"}  # fmt: skip


@dataclass(kw_only=True)
class RecurrentSettings:
    """How the recurrent layers are built; the defaults give a good model.

    Args:
        cell: `lstm`, `gru`, `rnn`, `min_gru` or `window_net`.
        activation, forget_gate, forget_bias, reset, init, window: of the cell, where it has that setting; None for
            the cell's default.
        chrono, peephole, coupled, cell_clip: the same, of an LSTM.
        recurrent_dropout, hidden_dropout, zoneout_h, zoneout_c: the same, of an LSTM.
        gate_norm: the cell's own layer_norm, inside the recurrence.
        weight_dropout: of the weights from the state, while training; 0 for none (Merity et al. 2018).
        init_range: every weight and bias of the net, those of layer norms aside, starts uniform within plus and minus
            this; None for the start of each layer.
        hidden_size: features of the state of each layer.
        num_layers: cells on top of one another.
        dropout: of each cell's output while training, 0 for none.
        variational: one dropout mask a row instead of one a step.
        layer_norm, residual: around every layer but the first.
    """

    cell: str = "lstm"
    activation: str | None = None
    forget_gate: bool | None = None
    forget_bias: float | None = None
    chrono: int | None = None
    peephole: bool | None = None
    coupled: bool | None = None
    cell_clip: float | None = None
    recurrent_dropout: float | None = None
    hidden_dropout: float | None = None
    zoneout_h: float | None = None
    zoneout_c: float | None = None
    gate_norm: bool | None = None
    weight_dropout: float = 0.0
    reset: str | None = None
    init: str | None = None
    window: int | None = None
    init_range: float | None = None
    hidden_size: int = 512
    num_layers: int = 1
    dropout: float = 0.3
    variational: bool = False
    layer_norm: bool = False
    residual: bool = False

    def recurrent_layers(self, input_size: int, bidirectional: bool = False, hidden_size: int | None = None) -> Stack:
        """[N, input_size] -> [N, hidden_size], or [N, 2 hidden_size] from both ends.

        Args:
            hidden_size: in place of the setting.
        Raises:
            ValueError: a setting that is unknown or cannot act.
        """
        if self.cell not in CELLS:
            raise ValueError(
                f"cell: expected one of {', '.join(CELLS)}, got {self.cell!r}{did_you_mean(self.cell, CELLS)}"
            )
        for name in ("init", "forget_bias", "chrono"):
            if getattr(self, name) is not None and self.init_range is not None:
                raise ValueError(f"{name}: cannot act with init_range={self.init_range}; leave one of them out.")
        return recurrent_stack(
            self._cell(),
            input_size,
            hidden_size or self.hidden_size,
            self.num_layers,
            bidirectional=bidirectional,
            dropout=self.dropout,
            variational=self.variational and self.dropout > 0,
            layer_norm=self.layer_norm,
            residual=self.residual,
        )

    def _cell(self) -> Callable[[int, int], CellModule]:
        """What makes a cell of (input size, hidden size)."""
        kind = CELLS[self.cell]
        own: dict[str, Any] = {}
        for setting, name in CELL_SETTINGS.items():
            value = getattr(self, setting)
            if value is not None and name not in inspect.signature(kind).parameters:
                raise ValueError(f"{setting}: cell={self.cell} has no such setting; leave it out.")
            if value is not None:
                own[name] = value
        make = partial(kind, **own)
        if not self.weight_dropout:
            return make
        return lambda input_size, hidden_size: WeightDrop(make(input_size, hidden_size), self.weight_dropout)

    def initialize(self, net: nn.Module) -> None:
        """Draw the weights of a new net as `init_range` says; without it they stay as they are.

        Raises:
            ValueError: a range from which nothing can be drawn.
        """
        if self.init_range is None:
            return
        if not 0 < self.init_range < math.inf:
            raise ValueError(f"init_range: expected a number above 0, got {self.init_range}.")
        for layer in net.modules():
            if not isinstance(layer, LayerNorm):
                for weight in layer.parameters(recurse=False):
                    nn.init.uniform_(weight, -self.init_range, self.init_range)
