"""Small changes of a state, carried through steps of a cell: to the states after them, and back to those before."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from elman import state as states
from elman.doctor.trace import Trace, numbers
from elman.state import State

RESOLVED = 1e-13  # of the largest number: what lies below it is lost in the rounding of float64


def sizes(state: State) -> list[int]:
    """The numbers of each leaf in a row: [n_1, n_2, ...], n together; leaves of integers are not among them."""
    return [prod(leaf.shape[1:]) for leaf in numbers(state)]


def back(trace: Trace, steps: np.ndarray, rows: Tensor) -> Tensor:
    """rows J, J [n, n] being the derivative of the state after a step by the state before it.

    One step, and one backward pass of it for all directions.

    Shapes:
        steps: [P], numbers in [0, N)   rows: [k, P, n]   ->   [k, P, n]
    """
    before, after = _step(trace, steps)
    return _gradients(after, before, rows)


def forward(trace: Trace, steps: np.ndarray, columns: Tensor) -> Tensor:
    """J columns: as `back`, the other way.

    The gradient is linear in what is sent back, and its own gradient with respect to that is what is asked for.

    Shapes:
        steps: [P]   columns: [k, P, n]   ->   [k, P, n]
    """
    before, after = _step(trace, steps)
    sent = [torch.zeros_like(leaf).requires_grad_() for leaf in after]
    pairs = [(leaf, given) for leaf, given in zip(after, sent, strict=True) if leaf.requires_grad]
    if not pairs:
        return torch.zeros_like(columns)
    outputs, given = zip(*pairs, strict=True)
    found = torch.autograd.grad(outputs, before, given, create_graph=True, materialize_grads=True)
    return _gradients(found, sent, columns)


def orthonormal(count: int, trajectories: int, n: int) -> Tensor:
    """Random directions [k, P, n], for every trajectory the same, and the same in every call."""
    drawn = np.random.default_rng(0).standard_normal((n, count))
    return torch.from_numpy(np.linalg.qr(drawn)[0].T.copy())[:, None].repeat(1, trajectories, 1)


def turned(directions: Tensor) -> tuple[Tensor, np.ndarray]:
    """Orthonormal ones of the same span, [k, P, n], and how far each had reached out of the span of those before it,
    [P, k]: zero where float64 cannot tell that it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small, a second thread does not help, and is long waited for on a busy machine
    try:
        basis, upper = torch.linalg.qr(directions.permute(1, 2, 0))
    finally:
        torch.set_num_threads(threads)
    lengths = upper.diagonal(dim1=1, dim2=2).abs()
    lengths = torch.where(lengths > RESOLVED * lengths.amax(1, keepdim=True), lengths, 0)
    return basis.permute(2, 0, 1).contiguous(), lengths.numpy()


def scaled(directions: Tensor, logs: Tensor) -> tuple[Tensor, Tensor]:
    """[k, P, n] with a largest number of one, and the logarithms [P] of what they are to be multiplied with."""
    size = directions.abs().amax((0, 2))
    size = torch.where(size > 0, size, 1)
    return directions / size[:, None], logs + size.log()


def _step(trace: Trace, steps: np.ndarray) -> tuple[list[Tensor], list[Tensor]]:
    """The numbers of the states before these steps, and those after them, found from them."""
    before = states.detach(trace.before(steps))
    inputs = [leaf.requires_grad_() for leaf in numbers(before)]
    with torch.enable_grad():
        _, after = trace.cell.step(states.select(trace.x.values, steps), before)
    return inputs, numbers(after)


def _gradients(outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Tensor) -> Tensor:
    """Of the outputs with respect to the inputs, for all directions [k, P, n] given to the outputs: [k, P, n]."""
    parts = given.split([prod(leaf.shape[1:]) for leaf in outputs], 2)
    pairs = [(leaf, part.reshape(len(part), *leaf.shape)) for leaf, part in zip(outputs, parts, strict=True)
             if leaf.requires_grad]  # fmt: skip
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if pairs:
        leaves, gradients = zip(*pairs, strict=True)
        found = torch.autograd.grad(leaves, inputs, gradients, allow_unused=True, is_grads_batched=True)
    shapes = [(*given.shape[:2], prod(leaf.shape[1:])) for leaf in inputs]
    return torch.cat([given.new_zeros(shape) if leaf is None else leaf.reshape(shape)
                      for leaf, shape in zip(found, shapes, strict=True)], 2)  # fmt: skip
