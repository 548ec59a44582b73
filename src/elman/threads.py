"""How many threads a call of a native kernel may use.

The environment variable `ELMAN_NUM_THREADS` says it from outside, `set_num_threads` from inside; with neither it is the
number of processors that the process may run on. Results do not depend on it.
"""

import operator
import os

from elman.kernels import native

_MOST = 1024  # as in native/engine/threads.hpp


def get_num_threads() -> int:
    """How many threads a call of a native kernel may use, the caller's among them; 1 where there are no native kernels.

    Raises:
        ValueError: the environment variable ELMAN_NUM_THREADS is no number of threads.
    Example:
        >>> get_num_threads() >= 1
        True
    """
    _check_environment()
    return 1 if native.module is None else native.module.num_threads()


def set_num_threads(threads: int) -> None:
    """Let calls of native kernels use so many threads from the next one on, whatever ELMAN_NUM_THREADS says.

    It holds for the whole process and the children that it forks. References run in the threads of PyTorch or NumPy,
    which have settings of their own; without native kernels there is nothing to set.

    Args:
        threads: the caller's and its helpers, from 1 to 1024.
    Raises:
        TypeError: threads is no integer.
        ValueError: threads is out of range, or ELMAN_NUM_THREADS is no number of threads.
    Example:
        >>> before = get_num_threads()
        >>> set_num_threads(1)
        >>> get_num_threads()
        1
        >>> set_num_threads(before)
    """
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise TypeError(f"set_num_threads: expected threads to be an integer, got {threads!r}.")
    threads = operator.index(threads)
    if not 1 <= threads <= _MOST:
        raise ValueError(f"set_num_threads: expected from 1 to {_MOST} threads, got {threads}.")
    _check_environment()
    if native.module is not None:
        native.module.set_num_threads(threads)


def _check_environment() -> None:
    text = os.environ.get("ELMAN_NUM_THREADS")
    if text is None or (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= _MOST):
        return
    raise ValueError(f"ELMAN_NUM_THREADS: expected from 1 to {_MOST}, got {text!r}; mend it or leave it unset.")
