"""An update of the rows that a batch has read, in tables that are too large to be gone through each time."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LazyRows(torch.optim.Optimizer):
    """Lends the rows that a sparse gradient speaks of, and what is remembered of them, to an optimiser of PyTorch.

    All other rows keep their bits. Adam counts its steps for a table as a whole, as `torch.optim.SparseAdam` does, so
    lending to Adam is the same as SparseAdam.

    Args:
        tables: parameters [V, ...] with sparse, coalesced gradients.
        kind: PyTorch's optimiser, one whose memory of a parameter begins with zeros.
        options: of it.
    Raises:
        ValueError: at a step: a gradient that is not sparse.
    """

    def __init__(self, tables: Iterable[nn.Parameter], kind: type[torch.optim.Optimizer], **options: Any):
        super().__init__(tables, options)
        (group,) = self.param_groups
        self._lent = {table: nn.Parameter(table.new_empty(0, *table.shape[1:])) for table in group["params"]}
        self._optimizer = kind(self._lent.values(), **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self._optimizer.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        read = {table: ids for table in self._lent if (ids := rows_read(table.grad)) is not None}
        for table, ids in read.items():
            lent = self._lent[table]
            lent.data, lent.grad = table.index_select(0, ids), table.grad.values()
            self._optimizer.state[lent] = {
                name: part.index_select(0, ids) if _has_rows(part, table) else part
                for name, part in self.state[table].items()
            }
        self._optimizer.step()
        for table, ids in read.items():
            lent, memory = self._lent[table], self.state[table]
            for name, part in self._optimizer.state.pop(lent).items():
                if _has_rows(part, lent):
                    whole = memory[name] if name in memory else torch.zeros_like(table)
                    part = whole.index_copy_(0, ids, part)
                memory[name] = part
            table.index_copy_(0, ids, lent)
            lent.grad = None


def rows_read(gradient: Tensor | None) -> Tensor | None:
    """The ids that a gradient speaks of, or None where there is no gradient."""
    if gradient is None:
        return None
    if not gradient.is_sparse:
        raise ValueError(
            "train: expected the weights of a lazy Embedding to be read row by row, got a gradient of all of them; "
            "keep them out of the loss, or make it lazy=False."
        )
    return gradient.indices()[0]


def _has_rows(part: Any, like: Tensor) -> bool:
    return isinstance(part, Tensor) and part.shape == like.shape
