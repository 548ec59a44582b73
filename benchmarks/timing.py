"""Timing of several implementations in rounds, with ratios of their times.

A disturbance of the machine affects a whole round, so ratios and shares of the peak are computed within each round, and
the median of the rounds is reported. When the clock starts, the threads of other implementations no longer spin, and
those of the timed one are awake.
"""

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from time import perf_counter, sleep
from typing import Any, NamedTuple

import numpy as np

ROUNDS = 7
SETTLE = 0.02  # seconds between turns: OpenMP's threads spin some milliseconds after their work
WARM = 0.01  # seconds of warm-up calls, if calls are short
TURN = 0.06  # seconds of timed calls, or one call
SAMPLE = 0.0002  # least seconds of a sample, which may consist of many calls


def nothing() -> None:
    pass


class Contestant(NamedTuple):
    name: str
    run: Callable[[], Any]
    at_turn: Callable[[], Any] = nothing  # called before each turn, outside the clock
    at_call: Callable[[], Any] | None = None  # called before each call, outside the clock


class Spread(NamedTuple):
    median: float
    p10: float
    p90: float


def spread(values: Any) -> Spread:
    return Spread(*(float(value) for value in np.percentile(np.asarray(values), (50, 10, 90))))


@dataclass
class Race:
    """Result of a race: seconds per call by contestant and round, and peak flop/s by threads and round."""

    seconds: dict[str, list[list[float]]]
    peaks: dict[int, list[float]] = field(default_factory=dict)

    def time(self, name: str) -> Spread:
        """Return the spread of all calls, in seconds."""
        return spread([sample for samples in self.seconds[name] for sample in samples])

    def by_round(self, name: str) -> np.ndarray:
        """Return the median of each round, in seconds."""
        return np.array([np.median(samples) for samples in self.seconds[name]])

    def ratio(self, name: str, base: str) -> Spread:
        """Return the time of a call of `name` relative to a call of `base`."""
        return spread(self.by_round(name) / self.by_round(base))

    def share(self, name: str, flops: float, threads: int) -> Spread | None:
        """Return `flops` per call as a share of the peak in the same round."""
        peaks = self.peaks.get(threads)
        return spread(flops / self.by_round(name) / np.array(peaks)) if peaks else None


def race(
    contestants: Sequence[Contestant], rounds: int = ROUNDS, peaks: dict[int, Callable[[], float]] | None = None
) -> Race:
    """Time every contestant in every round, in an order that changes from round to round.

    Args:
        contestants: implementations; each is called before the first round, for everything that happens only once.
        rounds: number of rounds.
        peaks: by number of threads, a function that measures the flop/s of the processor, called in every round too.
    """
    estimates = {contestant.name: warm_up(contestant) for contestant in contestants}
    result = Race({contestant.name: [] for contestant in contestants}, {threads: [] for threads in peaks or {}})
    gc.disable()
    try:
        for number in range(rounds):
            gc.collect()
            for threads, measure in (peaks or {}).items():
                sleep(SETTLE)
                result.peaks[threads].append(measure())
            first = number % len(contestants)
            for contestant in [*contestants[first:], *contestants[:first]]:
                result.seconds[contestant.name].append(turn(contestant, estimates[contestant.name]))
    finally:
        gc.enable()
    return result


def turn(contestant: Contestant, estimate: float) -> list[float]:
    """Return the seconds per call of each sample."""
    contestant.at_turn()
    sleep(SETTLE)
    calls = 1 if contestant.at_call else max(1, math.ceil(SAMPLE / estimate))
    if estimate < WARM:
        timed(contestant, math.ceil(WARM / estimate))
    return [timed(contestant, calls) for _ in range(max(1, int(TURN / (calls * estimate))))]


def warm_up(contestant: Contestant) -> float:
    """Return the approximate seconds per call."""
    contestant.at_turn()
    calls = 1
    while (seconds := timed(contestant, calls)) * calls < SAMPLE:
        calls *= 4
    return seconds


def timed(contestant: Contestant, calls: int) -> float:
    """Return the seconds per call over `calls` calls, or of the last one if each call has to be prepared."""
    run, prepare = contestant.run, contestant.at_call
    if prepare is None:
        start = perf_counter()
        for _ in repeat(None, calls):
            run()
        return (perf_counter() - start) / calls
    for _ in range(calls):
        prepare()
        start = perf_counter()
        run()
        seconds = perf_counter() - start
    return seconds
