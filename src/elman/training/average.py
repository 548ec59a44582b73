"""An average of the weights along the way, which is often a better model than the weights themselves."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elman.training.lazy_rows import rows_read
from elman.training.optimizer import lazy_tables
from elman.training.tensors import model_tensors

Rows = tuple[Tensor, Tensor]  # ids, and the average of those rows


class Average:
    """The exponential moving average of what a model learns (Polyak and Juditsky 1992): average = d average + (1 - d) w

    after update n, with d = min(decay, (1 + n) / (10 + n)), so that the first updates are soon forgotten. Buffers of
    floats are averaged as well.

    An update leaves most rows w of a lazy table as they are, and all that happens to their averages is that their
    distance from w is multiplied with d. It is done when a row is read again, for all the updates in between.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self._logs = 0.0  # the sum of all log d
        lazy = lazy_tables(model)
        averaged = {name: w for name, w in model_tensors(model).items() if w.is_floating_point()}
        self._weights = {name: w.detach() for name, w in averaged.items() if id(w) not in lazy}
        self._tables = {name: w for name, w in averaged.items() if id(w) in lazy}
        self._averages = {name: w.detach().clone() for name, w in averaged.items()}
        self._seen = {name: w.new_zeros(len(w), dtype=torch.float64) for name, w in self._tables.items()}  # _logs then
        self._read: dict[str, Rows] = {}

    @torch.no_grad()
    def before_update(self) -> None:
        """Bring the rows up to now that the coming update is going to change."""
        for name, table in self._tables.items():
            if (ids := rows_read(table.grad)) is not None:
                self._read[name] = ids, self._now(name, ids)

    @torch.no_grad()
    def after_update(self, update: int) -> None:
        """Take in the weights that update number `update`, counted from 1, has made."""
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
        """The averages, in the model's own names."""
        return {name: self._now(name) if name in self._tables else w.clone() for name, w in self._averages.items()}

    def memory(self) -> dict[str, Tensor]:
        """All that the coming averages depend on, for a checkpoint."""
        seen = {f"{name}/seen": logs for name, logs in self._seen.items()}
        return {**self._averages, **seen, "logs": torch.tensor(self._logs, dtype=torch.float64)}

    def restore(self, memory: Mapping[str, Tensor]) -> None:
        """Become what `memory` gave."""
        self._logs = memory["logs"].item()
        self._read.clear()
        for name, tensor in self.memory().items():
            tensor.copy_(memory[name])

    def _now(self, name: str, ids: Tensor | None = None) -> Tensor:
        """The averages of some rows of a lazy table, or of all."""
        parts = self._tables[name].detach(), self._averages[name], self._seen[name]
        table, averages, seen = parts if ids is None else (part.index_select(0, ids) for part in parts)
        left = (self._logs - seen).exp().to(table.dtype).view(-1, *[1] * (table.ndim - 1))
        return torch.lerp(table, averages, left)
