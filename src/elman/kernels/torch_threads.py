"""Limit of PyTorch's threads to the calling thread.

PyTorch's threads (OpenMP) wait for work by spinning, for milliseconds, and take the processors from elman's own threads
and from other processes. `OMP_WAIT_POLICY=PASSIVE` prevents it, but has no effect once PyTorch is loaded. Setting the
number of threads works at any time. It also works in the child of a fork, which lacks those threads and would wait for
them for ever; elman's own threads survive a fork.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_inside = threading.local()
_count = 0  # Python threads inside `calling_thread_only`
_before = 1  # PyTorch's threads before the first of them
_forked = False  # whether this process is the child of a fork


def _after_fork() -> None:
    """Forget the other Python threads, which the child of a fork does not have."""
    global _lock, _count, _forked
    _lock, _count, _forked = threading.Lock(), int(getattr(_inside, "value", False)), True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_limited() -> bool:
    """Return whether PyTorch is limited to one thread already, other than by another Python thread."""
    return getattr(_inside, "value", False) or (_count == 0 and torch.get_num_threads() == 1)


@contextmanager
def calling_thread_only() -> Iterator[None]:
    """Limit PyTorch to the calling thread, and restore its number of threads at the end.

    Example:
        >>> with calling_thread_only():
        ...     torch.get_num_threads()
        1
    """
    global _count, _before
    if getattr(_inside, "value", False):
        yield
        return
    with _lock:
        found = torch.get_num_threads()  # each Python thread has a number; its first call copies that of the process
        _before = _before if _count else found
        _count += 1
    _inside.value = True
    torch.set_num_threads(1)
    try:
        yield
    finally:
        _inside.value = False
        with _lock:
            _count -= 1
        if torch.get_num_threads() == 1:  # the caller's code may have set another number
            torch.set_num_threads(_before)


def survives_fork(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that uses the calling thread only in the child of a fork, and is unchanged elsewhere."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _forked:
            return function(*args, **kwargs)
        with calling_thread_only():
            return function(*args, **kwargs)

    return call
