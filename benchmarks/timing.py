"""Contestants in turn, round after round: how long a call of each takes, and how many times as long as another's.

What disturbs the machine, disturbs a whole round: ratios and shares of the peak are taken within each round, and the
median of the rounds is told. Nobody's threads are still spinning, and everybody's are awake, when the clock starts.
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
WARM = 0.01  # seconds of calls before the first that counts, where calls are short
TURN = 0.06  # seconds of calls that count, or one call
SAMPLE = 0.0002  # seconds that a sample lasts at least: calls, if need be, many to a sample


def nothing() -> None:
    pass


class Contestant(NamedTuple):
    name: str
    run: Callable[[], Any]
    at_turn: Callable[[], Any] = nothing  # before its turn, off the clock
    at_call: Callable[[], Any] | None = None  # before each call, off the clock


class Spread(NamedTuple):
    median: float
    p10: float
    p90: float


def spread(values: Any) -> Spread:
    return Spread(*(float(value) for value in np.percentile(np.asarray(values), (50, 10, 90))))


@dataclass
class Race:
    """What a race measured: seconds a call by contestant and round, and the flop/s of the peak by threads and round."""

    seconds: dict[str, list[list[float]]]
    peaks: dict[int, list[float]] = field(default_factory=dict)

    def time(self, name: str) -> Spread:
        """Of all calls, in seconds."""
        return spread([sample for samples in self.seconds[name] for sample in samples])

    def by_round(self, name: str) -> np.ndarray:
        """The median of each round, in seconds."""
        return np.array([np.median(samples) for samples in self.seconds[name]])

    def ratio(self, name: str, base: str) -> Spread:
        """How many times as long as a call of `base` one of `name` takes."""
        return spread(self.by_round(name) / self.by_round(base))

    def share(self, name: str, flops: float, threads: int) -> Spread | None:
        """`flops` a call as a share of what the machine could have done in that time, in the same round."""
        peaks = self.peaks.get(threads)
        return spread(flops / self.by_round(name) / np.array(peaks)) if peaks else None


def race(
    contestants: Sequence[Contestant], rounds: int = ROUNDS, peaks: dict[int, Callable[[], float]] | None = None
) -> Race:
    """Every contestant has a turn in every round; who begins changes from round to round.

    Args:
        contestants: called once before, so that what happens once is over.
        peaks: by number of threads, what measures the flop/s of the processor; each has a turn in every round too.
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
    """Seconds a call, of each sample."""
    contestant.at_turn()
    sleep(SETTLE)
    calls = 1 if contestant.at_call else max(1, math.ceil(SAMPLE / estimate))
    if estimate < WARM:
        timed(contestant, math.ceil(WARM / estimate))
    return [timed(contestant, calls) for _ in range(max(1, int(TURN / (calls * estimate))))]


def warm_up(contestant: Contestant) -> float:
    """Seconds a call, roughly: as many calls as it takes to tell."""
    contestant.at_turn()
    calls = 1
    while (seconds := timed(contestant, calls)) * calls < SAMPLE:
        calls *= 4
    return seconds


def timed(contestant: Contestant, calls: int) -> float:
    """Seconds a call: of `calls` calls on end, or, where each must be prepared, of the last of them."""
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
