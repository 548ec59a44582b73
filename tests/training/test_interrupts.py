import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import make_net, small_run

from elman.training import Evaluation, Event, Interrupted, Update
from elman.training.interrupts import Interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def press_at(update: int, kind: type = Update) -> Any:
    def observe(event: Event) -> None:
        if isinstance(event, kind) and event.update == update:
            press()

    return observe


def press_in_loss(net: Any, call: int, times: int = 1) -> None:
    """Press Ctrl-C in the middle of the `call`-th training forward."""
    loss, calls = net.loss, iter(range(1, 1000))

    def pressed(window: Any, state: Any) -> Any:
        if net.training and next(calls) == call:
            for _ in range(times):
                press()
        return loss(window, state)

    net.loss = pressed


@pytest.mark.parametrize("kind", [Update, Evaluation])
def test_a_stopped_run_resumes_with_the_same_bits(tmp_path: Path, kind: type) -> None:
    whole, _ = small_run(evaluate_every=7)
    with pytest.raises(Interrupted) as caught:
        small_run(tmp_path, evaluate_every=7, observers=[press_at(14, kind)])
    assert (caught.value.run, caught.value.update) == (tmp_path, 14)
    assert str(caught.value) == f"stopped at update 14; continue {tmp_path} with resume=True."
    net, _ = small_run(tmp_path, resume=True, evaluate_every=7)
    assert same(net, whole)


def test_the_update_under_way_is_finished(tmp_path: Path) -> None:
    net = make_net()
    press_in_loss(net, 10)
    with pytest.raises(Interrupted) as caught:
        small_run(tmp_path, net=net)
    assert caught.value.update == 10
    assert same(small_run(tmp_path, resume=True)[0], small_run()[0])


def test_a_second_interrupt_abandons_the_update_without_a_torn_file(tmp_path: Path) -> None:
    net = make_net()
    press_in_loss(net, 20, times=2)
    with pytest.raises(Interrupted) as caught:
        small_run(tmp_path, net=net)
    assert caught.value.update == 14  # of the evaluation after the first epoch
    assert same(small_run(tmp_path, resume=True)[0], small_run()[0])


def test_within_an_evaluation(tmp_path: Path) -> None:
    net = make_net()
    loss = net.loss

    def pressed(window: Any, state: Any) -> Any:
        if not net.training:
            press()
        return loss(window, state)

    net.loss = pressed
    with pytest.raises(Interrupted) as caught:
        small_run(tmp_path, net=net)
    assert caught.value.update == 14
    assert same(small_run(tmp_path, resume=True)[0], small_run()[0])


def test_without_a_run_folder() -> None:
    with pytest.raises(Interrupted, match="stopped at update 3; nothing was saved: name a run folder") as caught:
        small_run(observers=[press_at(3)])
    assert caught.value.run is None


def test_the_default_signal_handler_is_restored() -> None:
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_signal_handler_is_not_replaced() -> None:
    received: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    try:
        small_run(epochs=1, observers=[press_at(3)])
    finally:
        signal.signal(signal.SIGINT, previous)
    assert received == [signal.SIGINT]


def test_trains_in_any_thread() -> None:
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(small_run(epochs=1)[1].updates))
    thread.start()
    thread.join()
    assert done == [14]
