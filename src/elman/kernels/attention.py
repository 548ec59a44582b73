"""Attention of ragged queries to a ragged memory (Bahdanau et al. 2015, arXiv:1409.0473; Luong et al. 2015)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.arrays import like, row_numbers
from elman.kernels import native, transforms
from elman.kernels.memory import address, new, plain
from elman.memory import Reads
from elman.rows import Rows
from elman.shapes import check


def reference(
    queries: Tensor, keys: Tensor, values: Tensor, reads: Reads, additive: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute, for every query, the mean of the values that its row reads, weighted by the softmax of the scores.

    Args:
        queries: [N, A].
        keys, values: [M, A] and [M, D].
        additive: [A]; a score is `additive . tanh(query + key)` with it, `query . key` without.
    Returns:
        context [N, D], zeros for an empty memory, and the attention weight of every pair, [P].
    """
    query, step = (like(part, queries) for part in reads.pairs())
    if additive is None:
        scores = (queries[query] * keys[step]).sum(-1)
    else:
        scores = (queries[query] + keys[step]).tanh() @ additive
    largest = scores.new_zeros(len(queries)).scatter_reduce(0, query, scores.detach(), "amax", include_self=False)
    unscaled = (scores - largest[query]).exp()
    sums = scores.new_zeros(len(queries)).index_add(0, query, unscaled)
    weights = unscaled / sums[query]
    context = values.new_zeros(len(queries), values.shape[1])
    return context.index_add(0, query, weights[:, None] * values[step]), weights


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, additive: Tensor | None, reads: Reads
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        context, weights = new(len(queries), values.shape[1]), new(int(reads.steps @ reads.sizes), 1).view(-1)
        native.module.attend(*_addresses(queries, keys, values, additive, reads, weights), address(context))
        ctx.save_for_backward(queries, keys, values, additive, weights)
        ctx.reads = reads
        return context, weights

    @staticmethod
    def backward(ctx: Any, dcontext: Tensor | None, dweights: Tensor | None) -> tuple[Tensor | None, ...]:
        *inputs, weights = ctx.saved_tensors
        queries, keys, values, additive = inputs
        if dcontext is None:
            dcontext = values.new_zeros(len(queries), values.shape[1])
        given = [dcontext] if dweights is None else [dcontext, dweights]
        if torch.is_grad_enabled() or transforms.batched(*given):  # native kernels build no graph and take one gradient
            return *_differentiable_backward(inputs, ctx.needs_input_grad, ctx.reads, given), None
        given = [plain(gradient) for gradient in given]  # a name keeps the copies alive during the call
        found = [
            None if not needed else torch.empty_like(x) if x.ndim == 1 else new(*x.shape)
            for x, needed in zip(inputs, ctx.needs_input_grad, strict=False)
        ]
        addresses = map(address, (*given, *[None] * (2 - len(given)), *found))
        native.module.attend_backward(*_addresses(queries, keys, values, additive, ctx.reads, weights), *addresses)
        return *found, None


def _addresses(
    queries: Tensor, keys: Tensor, values: Tensor, additive: Tensor | None, reads: Reads, weights: Tensor
) -> tuple[Any, ...]:
    sizes = len(keys), keys.shape[1], values.shape[1]
    return *reads, *sizes, *map(address, (queries, keys, values, additive, weights))


def _differentiable_backward(
    inputs: list[Tensor | None], needed: tuple[bool, ...], reads: Reads, given: list[Tensor]
) -> list[Tensor | None]:
    """Compute the gradients by autograd through the reference."""
    with torch.enable_grad():
        # Views: keys and values may be one tensor, and each needs its own gradient.
        places: list[Any] = [None if x is None else x.view_as(x) for x in inputs]
        queries, keys, values, additive = places
        outputs = reference(queries, keys, values, reads, additive)
    wanted = [x for x, wants in zip(places, needed, strict=False) if wants and x is not None]
    graph = torch.is_grad_enabled()
    found = iter(torch.autograd.grad(outputs[: len(given)], wanted, given, create_graph=graph, allow_unused=True))
    return [next(found) if wants else None for wants in needed[: len(inputs)]]


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, reads: Reads, additive: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute attention as `reference` defines it: native where it applies, else the reference.

    The native kernel (float32, CPU) computes each query bitwise the same in any batch.

    Raises:
        ValueError: the shapes do not agree, or a row reads outside the memory.
    Example:
        >>> memory = torch.tensor([[1.0], [3.0], [5.0]])
        >>> reads = Reads(steps=np.array([1, 1]), starts=np.array([0, 2]), sizes=np.array([2, 1]))
        >>> context, weights = attend(torch.zeros(2, 1), memory, memory, reads)
        >>> context.flatten().tolist(), weights.tolist()
        ([2.0, 5.0], [0.5, 0.5, 1.0])
    """
    check("attend", "queries", queries, "N A")
    check("attend", "keys", keys, f"M A={queries.shape[1]}")
    check("attend", "values", values, f"M={keys.shape[0]} D")
    if additive is not None:
        check("attend", "additive", additive, f"A={queries.shape[1]}")
    reads = _checked(reads, len(queries), len(keys))
    arrays = [queries, keys, values, *([] if additive is None else [additive])]
    fits = hasattr(native.module, "attend") and not transforms.active() and keys.shape[1] > 0 and values.shape[1] > 0
    if fits and all(a.dtype == torch.float32 and a.device.type == "cpu" for a in arrays):
        queries, keys, values = map(plain, (queries, keys, values))
        return _Native.apply(queries, keys, values, None if additive is None else plain(additive), reads)
    return reference(queries, keys, values, reads, additive)


def _checked(reads: Reads, queries: int, memory: int) -> Reads:
    """Return the ranges as copies, checked: the native kernel relies on them in both passes."""
    steps = Rows.of(reads.steps, queries, "attend").lengths
    starts, sizes = (np.array(row_numbers(part)) for part in reads[1:])
    if not steps.shape == starts.shape == sizes.shape:
        shapes = ", ".join(str(list(part.shape)) for part in (steps, starts, sizes))
        raise ValueError(f"attend: expected steps, starts and sizes of shape [B], got {shapes}.")
    inside = (starts >= 0) & (starts <= memory)  # checked first, so that the next difference cannot overflow
    if not (inside & (sizes >= 0) & (sizes <= memory - np.where(inside, starts, 0))).all():
        raise ValueError(f"attend: expected ranges within the {memory} steps of the memory, got others.")
    return Reads(steps, starts, sizes)
