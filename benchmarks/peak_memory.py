"""The memory that a batch takes at its peak: in a process of its own, above what the process holds before."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(work: Callable[..., Any], *arguments: Any) -> int | None:
    """Bytes that `work` takes at its peak; None where the system does not tell.

    Args:
        work: a function of a module. Beside `arguments` it takes what it is to call before the part that counts.
    """
    if not os.access(PEAK, os.W_OK):
        return None
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peak, work, *arguments).result()


def _peak(work: Callable[..., Any], *arguments: Any) -> int:
    before = 0

    def begin() -> None:
        nonlocal before
        PEAK.write_text("5")  # the peak so far is forgotten
        before = _held("VmRSS")

    work(*arguments, begin)
    return _held("VmHWM") - before


def _held(what: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(what))
    return 1024 * int(line.split()[1])
