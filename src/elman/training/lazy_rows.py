"""Optimiser for large embedding tables: it updates only the rows that a batch has read."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LazyRows(torch.optim.Optimizer):
    """Optimiser that applies an optimiser of PyTorch to the rows of a sparse gradient and their moments.

    All other rows keep their bits. With Adam, the steps are counted for a table as a whole, so the updates equal those
    of `torch.optim.SparseAdam`.

    Args:
        tables: parameters [V, ...] with sparse, coalesced gradients.
        kind: class of PyTorch's optimiser; its state of a parameter must start at zero.
        options: arguments of that optimiser.
    Attributes:
        inner: the optimiser of the rows.
    Raises:
        ValueError: in `step`: a gradient is not sparse.
    """

    def __init__(self, tables: Iterable[nn.Parameter], kind: type[torch.optim.Optimizer], **options: Any):
        super().__init__(tables, options)
        (group,) = self.param_groups
        self._rows = {table: nn.Parameter(table.new_empty(0, *table.shape[1:])) for table in group["params"]}
        self.inner = kind(self._rows.values(), **options)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        self.inner.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        read = {table: ids for table in self._rows if (ids := rows_read(table.grad)) is not None}
        for table, ids in read.items():
            rows = self._rows[table]
            rows.data, rows.grad = table.index_select(0, ids), table.grad.values()
            self.inner.state[rows] = {
                name: part.index_select(0, ids) if _has_rows(part, table) else part
                for name, part in self.state[table].items()
            }
        self.inner.step()
        for table, ids in read.items():
            rows, moments = self._rows[table], self.state[table]
            for name, part in self.inner.state.pop(rows).items():
                if _has_rows(part, rows):
                    whole = moments[name] if name in moments else torch.zeros_like(table)
                    part = whole.index_copy_(0, ids, part)
                moments[name] = part
            table.index_copy_(0, ids, rows)
            rows.grad = None


def rows_read(gradient: Tensor | None) -> Tensor | None:
    """Return the ids of the rows of a sparse gradient, or None if there is no gradient."""
    if gradient is None:
        return None
    if not gradient.is_sparse:
        raise ValueError(
            "train: expected the weights of a lazy Embedding to have a sparse gradient, got a dense one; "
            "leave them out of the loss, or set lazy=False."
        )
    return gradient.indices()[0]


def _has_rows(part: Any, like: Tensor) -> bool:
    return isinstance(part, Tensor) and part.shape == like.shape
