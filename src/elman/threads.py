"""Number of threads of the native kernels.

`set_num_threads` sets it, or the environment variable `ELMAN_NUM_THREADS`. The default is the number of processors
that the process may run on. Results do not depend on it.
"""

import operator
import os

from elman.kernels import native

_MOST = 1024  # as in native/engine/threads.hpp


def get_num_threads() -> int:
    """Return how many threads a native kernel may use, including the calling thread; 1 without native kernels.

    Raises:
        ValueError: the environment variable ELMAN_NUM_THREADS is not a number of threads.
    Example:
        >>> get_num_threads() >= 1
        True
    """
    _check_environment()
    return 1 if native.module is None else native.module.num_threads()


def set_num_threads(threads: int) -> None:
    """Set how many threads a native kernel may use; takes precedence over ELMAN_NUM_THREADS.

    It applies to the whole process and its forked children. Computations in PyTorch or NumPy use the thread settings of
    those libraries; without native kernels the call has no effect.

    Args:
        threads: from 1 to 1024, including the calling thread.
    Raises:
        TypeError: threads is not an integer.
        ValueError: threads is out of range, or ELMAN_NUM_THREADS is not a number of threads.
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
    raise ValueError(f"ELMAN_NUM_THREADS: expected from 1 to {_MOST}, got {text!r}; correct it or unset it.")
