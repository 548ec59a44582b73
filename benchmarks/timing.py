"""How long a call takes: the median of several, with the fastest and the slowest beside it."""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

REPEATS = 15


def milliseconds(function: Callable[..., Any], *arguments: Any) -> str:
    """`median (fastest to slowest)` of the calls, after two that only warm up."""
    times = []
    for _ in range(2 + REPEATS):
        start = perf_counter()
        function(*arguments)
        times.append(1000 * (perf_counter() - start))
    times = times[2:]
    return f"{median(times):8.2f} ({min(times):.2f} to {max(times):.2f})"
