import parts
import pytest
import torch
from parts import RECURRENT, REST, Parts, shares, table

from elman import LSTM, Sequences
from elman.kernels import native, recurrence


def test_a_part_does_not_include_the_parts_that_it_calls(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(parts, "perf_counter", lambda: now[0])

    def work(seconds, *others):
        now[0] += seconds
        for other in others:
            other()

    clock = Parts()
    inner = clock.timed("inner", lambda: work(1))
    outer = clock.timed("outer", lambda: work(2, inner, inner))
    outer()
    clock.timed("inner", lambda: work(4, outer))()
    assert clock.seconds == {"inner": 8, "outer": 4}


def test_the_time_until_an_error_counts():
    def fail():
        raise KeyError

    clock = Parts()
    with pytest.raises(KeyError):
        clock.timed("it", fail)()
    assert clock.seconds["it"] > 0
    assert clock._called[0] == clock.seconds["it"]


@pytest.mark.needs_native
def test_shares_of_a_recurrence_add_up():
    cell, x = LSTM(16, 16), Sequences(torch.randn(2000, 16), [2000])
    before = native.module, recurrence.scan, torch.Tensor.backward
    found = shares(lambda: cell(x)[0].values.sum().backward())
    assert (native.module, recurrence.scan, torch.Tensor.backward) == before
    assert sum(found.values()) == pytest.approx(1)
    assert found[RECURRENT] > 0
    assert list(found)[-1] == REST
    assert "recurrence, kernels" in table(found, 10)
