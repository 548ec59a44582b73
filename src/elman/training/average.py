"""Moving average of the weights, which is often a better model than the weights themselves."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elman.training.lazy_rows import rows_read
from elman.training.optimizer import lazy_tables
from elman.training.tensors import model_tensors

Rows = tuple[Tensor, Tensor]  # ids of rows, and their averages


class Average:
    """Exponential moving average of the parameters of a model (Polyak and Juditsky 1992).

    After update n: average = d average + (1 - d) w, with d = min(decay, (1 + n) / (10 + n)), so that the first updates
    soon lose their influence. Floating-point buffers are averaged as well.

    Most rows w of a lazy table do not change in an update, so the distance of their average from w is just multiplied
    by d. For such a row, the factors of all updates since it was last read are applied when it is read again.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self._logs = 0.0  # sum of log d over all updates
        lazy = lazy_tables(model)
        averaged = {name: w for name, w in model_tensors(model).items() if w.is_floating_point()}
        self._weights = {name: w.detach() for name, w in averaged.items() if id(w) not in lazy}
        self._tables = {name: w for name, w in averaged.items() if id(w) in lazy}
        self._averages = {name: w.detach().clone() for name, w in averaged.items()}
        self._seen = {
            name: w.new_zeros(len(w), dtype=torch.float64) for name, w in self._tables.items()
        }  # `_logs` when read
        self._read: dict[str, Rows] = {}

    @torch.no_grad()
    def before_update(self) -> None:
        """Bring the averages of the rows that the next update changes up to date."""
        for name, table in self._tables.items():
            if (ids := rows_read(table.grad)) is not None:
                self._read[name] = ids, self._now(name, ids)

    @torch.no_grad()
    def after_update(self, update: int) -> None:
        """Add the weights after update number `update`, counted from 1, to the averages."""
        decay = min(self.decay, (1 + update) / (10 + update))
        self._logs += math.log(decay)
        averages = [self._averages[name] for name in self._weights]
        if averages:
            torch._foreach_lerp_(averages, list(self._weights.values()), 1 - decay)
        for name, (ids, rows) in self._read.items():
            rows = rows.lerp_(self._tables[name].index_select(0, ids), 1 - decay)
            self._averages[name].index_copy_(0, ids, rows)
            self._seen[name].index_fill_(0, ids, self._logs)
        self._read.clear()

    @torch.no_grad()
    def weights(self) -> dict[str, Tensor]:
        """Return the averages under the names of the model's parameters."""
        return {name: self._now(name) if name in self._tables else w.clone() for name, w in self._averages.items()}

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint needs to continue the averages."""
        seen = {f"{name}/seen": logs for name, logs in self._seen.items()}
        return {**self._averages, **seen, "logs": torch.tensor(self._logs, dtype=torch.float64)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_tensors` returned."""
        self._logs = tensors["logs"].item()
        self._read.clear()
        for name, tensor in self.state_tensors().items():
            tensor.copy_(tensors[name])

    def _now(self, name: str, ids: Tensor | None = None) -> Tensor:
        """Return the averages of some rows of a lazy table, or of all rows, up to date."""
        parts = self._tables[name].detach(), self._averages[name], self._seen[name]
        table, averages, seen = parts if ids is None else (part.index_select(0, ids) for part in parts)
        left = (self._logs - seen).exp().to(table.dtype).view(-1, *[1] * (table.ndim - 1))
        return torch.lerp(table, averages, left)
