import io
import re
import sys

import pytest

from elman.training import Evaluation, Examined, Progress, Update


def update(number: int, loss: float = 2.0) -> Update:
    return Update(number, 1, min(1.0, number / 100), loss, 1.0, 1e-3, 50, number * 0.1, 500.0)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_are_printed_at_intervals() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        for number in range(1, 51):
            progress(update(number))
        progress(Evaluation(50, 1, 1.5, 1.25, 40, 5.0))
        progress(update(51))
    evaluation, last = stream.getvalue().splitlines()
    assert evaluation == (
        "update 50  epoch 1   50%  500 steps/s  loss 2.0000  evaluation 1.5000  best 1.2500  0:00:05 left"
    )
    assert last.startswith("update 51  ")


def test_events_of_observers_are_not_shown() -> None:
    stream = io.StringIO()
    with Progress(stream, every=0.0) as progress:
        progress(Examined(1, 1, 0.1, {}))
    assert stream.getvalue() == ""


def test_a_line_is_printed_after_the_interval() -> None:
    stream = io.StringIO()
    with Progress(stream, every=0.0) as progress:
        for number in range(1, 6):
            progress(update(number))
    assert len(stream.getvalue().splitlines()) == 5


def test_the_loss_is_an_average_of_the_last_updates() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        for number in range(1, 1001):
            progress(update(number, loss=9.0 if number < 600 else 1.0 + number % 2))
    assert re.search(r"loss 1\.[45]\d\d\d\b", stream.getvalue())


def test_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    stream = Terminal()
    with Progress(stream) as progress:
        for number in range(1, 31):
            progress(update(number))
        progress(Evaluation(30, 1, 1.5, 1.25, 20, 5.0))
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    assert "update 30  epoch 1   30%  500 steps/s  loss 2.0000  evaluation 1.5000  best 1.2500  0:00:07 left" in text
    assert text.count("\n") == 1  # redrawn in place, ended once


def test_writes_to_standard_error_by_default() -> None:
    assert Progress()._stream is sys.stderr


def test_no_events_print_nothing() -> None:
    stream = io.StringIO()
    with Progress(stream):
        pass
    assert stream.getvalue() == ""
