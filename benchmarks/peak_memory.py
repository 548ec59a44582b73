"""Peak memory of a batch, measured in a new process, above the memory held before."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

PEAK = Path("/proc/self/clear_refs")


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
        before = process_memory("VmRSS")

    work(*arguments, begin)
    return process_memory("VmHWM") - before


def process_memory(entry: str, process: int | str = "self") -> int:
    """Return an entry of the status of a process in bytes, such as its largest resident set, VmHWM."""
    status = Path(f"/proc/{process}/status").read_text().splitlines()
    line = next(line for line in status if line.startswith(entry))
    return 1024 * int(line.split()[1])
