"""Settings of recurrent layers, shared by all tasks that have such layers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from elman.cells import CellModule
from elman.cells.settings import CellSettings
from elman.layers import Dropout, LayerNorm, Stack, VariationalDropout, WeightDrop
from elman.layers.recurrent_stack import recurrent_stack
from elman.settings import Settings, check_range

MOST_LAYERS = 1000


@dataclass(kw_only=True)
class RecurrentSettings(Settings):
    """Settings of the recurrent layers; the defaults give a good model.

    Args:
        cell: `lstm`, `gru`, `rnn`, `min_gru` or `window_net`, or `CellSettings` with options of the cell:
            `CellSettings("lstm", zoneout_c=0.1)`.
        weight_dropout: dropout rate of the recurrent weights in training, 0 for none (Merity et al. 2018).
        init_range: all weights and biases except those of layer norms are initialised uniformly within plus and minus
            this; None for each layer's own initialisation.
        hidden_size: units of each layer.
        num_layers: cells on top of one another, below 1000.
        dropout: dropout rate of each cell's output in training, 0 for none.
        variational: draw one dropout mask per row instead of one per step.
        layer_norm: normalise the input of every cell but the first.
        residual: add the input of every cell but the first to its output.
    """

    nested_settings: ClassVar[Mapping[str, Any]] = {"cell": CellSettings}
    network_settings: ClassVar[Sequence[str]] = ("cell", "hidden_size", "num_layers", "layer_norm", "residual")

    cell: str | CellSettings = "lstm"
    weight_dropout: float = 0.0
    init_range: float | None = None
    hidden_size: int = 512
    num_layers: int = 1
    dropout: float = 0.3
    variational: bool = False
    layer_norm: bool = False
    residual: bool = False

    def check_settings(self) -> None:
        super().check_settings()
        check_range(self, 1, math.inf, "hidden_size")
        check_range(self, 1, MOST_LAYERS, "num_layers")
        check_range(self, 0, 1, "dropout")
        if self.variational and not any(self.variational_rates()):
            raise ValueError("variational: has no effect without dropout; set dropout, for instance to 0.3.")
        if self.init_range is None:
            return
        if not 0 < self.init_range < math.inf:
            raise ValueError(f"init_range: expected a number above 0, got {self.init_range}.")
        for name in ("init", "forget_bias", "chrono"):
            if name in CellSettings.of(self.cell).options:
                raise ValueError(f"cell.{name}: has no effect with init_range={self.init_range}; leave one of them "
                                 "out.")  # fmt: skip

    def variational_rates(self) -> tuple[float, ...]:
        """Return the dropout rates of the layers that `variational` applies to."""
        return (self.dropout,)

    def recurrent_layers(self, input_size: int, bidirectional: bool = False, hidden_size: int | None = None) -> Stack:
        """Return new layers, [N, input_size] -> [N, hidden_size], or [N, 2 hidden_size] if bidirectional.

        Args:
            hidden_size: in place of the setting.
        Raises:
            ValueError: a setting is unknown or has no effect.
        """
        plain = CellSettings.of(self.cell).make()
        return recurrent_stack(
            (lambda *sizes: WeightDrop(plain(*sizes), self.weight_dropout)) if self.weight_dropout else plain,
            input_size,
            hidden_size or self.hidden_size,
            self.num_layers,
            bidirectional=bidirectional,
            dropout=self.dropout,
            variational=self.variational and self.dropout > 0,
            layer_norm=self.layer_norm,
            residual=self.residual,
        )

    def input_dropouts(self, size: int, rate: float) -> list[CellModule]:
        """Return the dropout of embedded units in a list, which is empty if the rate is 0."""
        return [(VariationalDropout if self.variational else Dropout)(size, rate)] if rate else []

    def network(self) -> str:
        """Return a few words about the recurrent layers."""
        return f"{self.num_layers} x {CellSettings.of(self.cell).kind} of {self.hidden_size} units"

    def initialize(self, net: nn.Module) -> None:
        """Draw the weights of a new network uniformly, if `init_range` is set."""
        if self.init_range is None:
            return
        for layer in net.modules():
            if not isinstance(layer, LayerNorm):
                for weight in layer.parameters(recurse=False):
                    nn.init.uniform_(weight, -self.init_range, self.init_range)
