import math

import pytest
import timing
from timing import Contestant, Race, race, spread


class Clock:
    """Clock that advances only when a task works."""

    now = 0.0

    def work(self, seconds):
        self.now += seconds

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", clock)
    monkeypatch.setattr(timing, "sleep", clock.work)
    return clock


def test_spread_is_the_median_and_two_percentiles():
    assert spread(range(101)) == (50, 10, 90)


def test_ratios_are_taken_within_each_round():
    """Ratios do not change if the second round takes ten times as long."""
    result = Race({"fast": [[1, 1, 9], [10]], "slow": [[3], [30]]})
    assert result.ratio("slow", "fast") == (3, 3, 3)
    assert result.time("fast").median == 5.0  # over all calls


def test_shares_are_taken_of_the_peak_in_the_same_round():
    result = Race({"it": [[1.0], [2.0]]}, {2: [100.0, 50.0]})
    assert result.share("it", 80.0, threads=2) == (0.8, 0.8, 0.8)
    assert result.share("it", 80.0, threads=1) is None


def test_a_race_times_a_call_and_nothing_around_it(clock):
    contestants = [
        Contestant("long", lambda: clock.work(0.25)),
        Contestant("short", lambda: clock.work(2e-6), at_turn=lambda: clock.work(1)),
        Contestant("prepared", lambda: clock.work(0.004), at_call=lambda: clock.work(1)),
    ]
    result = race(contestants, rounds=5, peaks={1: lambda: 1e9})
    assert [len(result.seconds[name]) for name in ("long", "short", "prepared")] == [5, 5, 5]
    assert result.time("long") == pytest.approx((0.25,) * 3)
    assert result.time("short") == pytest.approx((2e-6,) * 3)
    assert result.time("prepared") == pytest.approx((0.004,) * 3)
    assert len(result.seconds["short"][0]) > 100
    assert len(result.seconds["prepared"][0]) in (14, 15)
    assert math.isclose(result.share("prepared", 2e6, 1).median, 0.5)


def test_every_contestant_begins_a_round(clock):
    order = []

    def entrant(name):
        def run():
            order.append(name)
            clock.work(1)

        return Contestant(name, run)

    race([entrant("a"), entrant("b"), entrant("c")], rounds=3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"  # once to warm up
