"""Propagation of small changes of a state through steps of a cell, forward and backward in time."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.doctor.trace import Trace, float_leaves
from elman.layers.torch_threads import one_torch_thread
from elman.state import State

RESOLVED = 1e-13  # relative to the largest number: anything below is lost in the rounding of float64


def sizes(state: State) -> list[int]:
    """Return the number of values per row in each leaf, [n_1, n_2, ...], n together; leaves of integers are left
    out."""
    return [prod(leaf.shape[1:]) for leaf in float_leaves(state)]


def backward(trace: Trace, steps: np.ndarray, rows: Tensor) -> Tensor:
    """Compute rows J, where J [n, n] is the derivative of the state after a step by the state before it.

    It takes one step, and one backward pass for all directions.

    Shapes:
        steps: [P], numbers in [0, N)   rows: [k, P, n]   ->   [k, P, n]
    """
    before, after = _step(trace, steps)
    return _gradients(after, before, rows)


def forward(trace: Trace, steps: np.ndarray, columns: Tensor) -> Tensor:
    """Compute J columns, with J as in `backward`.

    The backward pass is linear in the vector that it propagates, so its derivative with respect to that vector is J.

    Shapes:
        steps: [P]   columns: [k, P, n]   ->   [k, P, n]
    """
    before, after = _step(trace, steps)
    sent = [torch.zeros_like(leaf).requires_grad_() for leaf in after]
    pairs = [(leaf, vector) for leaf, vector in zip(after, sent, strict=True) if leaf.requires_grad]
    if not pairs:
        return torch.zeros_like(columns)
    outputs, vectors = zip(*pairs, strict=True)
    gradients = torch.autograd.grad(outputs, before, vectors, create_graph=True, materialize_grads=True)
    return _gradients(gradients, sent, columns)


def orthonormal(count: int, trajectories: int, n: int) -> Tensor:
    """Return random orthonormal directions [k, P, n], the same for every trajectory and in every call."""
    drawn = np.random.default_rng(0).standard_normal((n, count))
    return torch.from_numpy(np.linalg.qr(drawn)[0].T.copy())[:, None].repeat(1, trajectories, 1)


def orthonormalised(directions: Tensor) -> tuple[Tensor, np.ndarray]:
    """Return an orthonormal basis [k, P, n] of the same span, and the distance of each direction from the span of the
    previous ones, [P, k]; zero if float64 cannot resolve it."""
    with one_torch_thread():  # matrices this small gain nothing from a second thread
        basis, upper = torch.linalg.qr(directions.permute(1, 2, 0))
    lengths = upper.diagonal(dim1=1, dim2=2).abs()
    lengths = torch.where(lengths > RESOLVED * lengths.amax(1, keepdim=True), lengths, 0)
    return basis.permute(2, 0, 1).contiguous(), lengths.numpy()


def scaled(directions: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
    """Return [k, P, n] with a largest number of one, and `logs` [P] plus the logarithm of the factor divided out."""
    size = directions.abs().amax((0, 2))
    size = torch.where(size > 0, size, 1)
    return directions / size[:, None], logs + size.log()


def _step(trace: Trace, steps: np.ndarray) -> tuple[list[Tensor], list[Tensor]]:
    """Return the float leaves of the states before these steps, and those of the states computed from them."""
    before = states.detach(trace.before(steps))
    inputs = [leaf.requires_grad_() for leaf in float_leaves(before)]
    with torch.enable_grad():
        _, after = trace.cell.step(states.select(trace.x.values, steps), before)
    return inputs, float_leaves(after)


def _gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Tensor) -> Tensor:
    """Return the vector-Jacobian products [k, P, n] of the outputs by the inputs, for all vectors [k, P, n]."""
    parts = vectors.split([prod(leaf.shape[1:]) for leaf in outputs], 2)
    pairs = [(leaf, part.reshape(len(part), *leaf.shape)) for leaf, part in zip(outputs, parts, strict=True)
             if leaf.requires_grad]  # fmt: skip
    gradients: Sequence[Tensor | None] = [None] * len(inputs)
    if pairs:
        leaves, sent = zip(*pairs, strict=True)
        gradients = torch.autograd.grad(leaves, inputs, sent, allow_unused=True, is_grads_batched=True)
    shapes = [(*vectors.shape[:2], prod(leaf.shape[1:])) for leaf in inputs]
    return torch.cat([vectors.new_zeros(shape) if leaf is None else leaf.reshape(shape)
                      for leaf, shape in zip(gradients, shapes, strict=True)], 2)  # fmt: skip
