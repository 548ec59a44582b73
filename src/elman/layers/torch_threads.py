"""Number of PyTorch's threads while elman works: one, unless PyTorch computes a part of the net that needs more."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from elman.cells.module import CellModule
from elman.kernels import native
from elman.kernels.torch_threads import calling_thread_only, is_limited
from elman.layers.embedding import Embedding

TABLES = (Embedding, nn.Embedding, nn.EmbeddingBag)  # they look up vectors and compute no products


@contextmanager
def one_torch_thread(net: nn.Module | None = None) -> Iterator[None]:
    """Limit PyTorch to the calling thread, and restore its number of threads at the end.

    elman's kernels have threads of their own, and keep them. The number of PyTorch's threads does not change the
    results of the kernels.

    Args:
        net: the limit applies only if native kernels compute all products of this network: not if it has
            convolutions, layers of PyTorch with weight matrices, cells without a kernel, or weights other than float32
            on the CPU, and not without native kernels. None limits the threads in any case.
    Example:
        >>> with one_torch_thread():
        ...     torch.get_num_threads()
        1
    """
    applies = not is_limited() and (net is None or runs_in_kernels(net))
    with calling_thread_only() if applies else nullcontext():
        yield


def runs_in_kernels(net: nn.Module) -> bool:
    """Return whether native kernels compute all products of a net."""
    return native.available() and all(map(_runs_in_kernels, net.modules()))


def _runs_in_kernels(part: nn.Module) -> bool:
    """Return whether a module has no weights of its own that PyTorch multiplies with."""
    weights = [weight for weight in part._parameters.values() if weight is not None]
    if not all(weight.dtype is torch.float32 and weight.is_cpu for weight in weights):
        return False
    if isinstance(part, TABLES) or all(weight.dim() < 2 for weight in weights):
        return True
    calls = getattr(part, "calls_kernels", False)
    return calls or (isinstance(part, CellModule) and part.recurrence() is not None)
