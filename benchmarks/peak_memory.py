"""Peak memory of a batch, measured in a new process, above the memory held before."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak(work: Callable[..., Any], *arguments: Any) -> int | None:
    """Return the peak memory of `work` in bytes; None if the system does not report it.

    Args:
        work: function of a module. Its last argument is a function that it calls before the measured part.
        arguments: its other arguments.
    """
    if not os.access(PEAK, os.W_OK):
        return None
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_peak, work, *arguments).result()


def _peak(work: Callable[..., Any], *arguments: Any) -> int:
    before = 0

    def begin() -> None:
        nonlocal before
        PEAK.write_text("5")  # resets the peak
        before = _held("VmRSS")

    work(*arguments, begin)
    return _held("VmHWM") - before


def _held(what: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(what))
    return 1024 * int(line.split()[1])
