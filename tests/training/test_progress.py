import io
import re

import pytest

from elman.training import Evaluation, Examined, Progress, Score, Update


def update(number: int, loss: float = 2.0) -> Update:
    return Update(number, 1, min(1.0, number / 100), loss, 1.0, 1e-3, 50, number * 0.1, 500.0)


def test_plain_lines_are_printed_at_intervals() -> None:
    stream = io.StringIO()
    with Progress(stream=stream) as progress:
        for number in range(1, 51):
            progress(update(number))
        progress(Evaluation(50, 1, Score("perplexity", 1.5), 1.25, 40, 5.0))
        progress(update(51))
    evaluation, last = stream.getvalue().splitlines()
    assert evaluation == (
        "update 50  epoch 1   50%  0:00:05 left  loss 2.0000  perplexity 1.5000, best 1.2500  500 steps/s"
    )
    assert last.startswith("update 51  ")


def test_events_of_observers_are_not_shown() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, every=0.0) as progress:
        progress(Examined(1, 1, 0.1, {}))
    assert stream.getvalue() == ""


def test_a_line_is_printed_after_the_interval() -> None:
    stream = io.StringIO()
    with Progress(stream=stream, every=0.0) as progress:
        for number in range(1, 6):
            progress(update(number))
    assert len(stream.getvalue().splitlines()) == 5


def test_the_loss_is_an_average_of_the_last_updates() -> None:
    stream = io.StringIO()
    with Progress(stream=stream) as progress:
        for number in range(1, 1001):
            progress(update(number, loss=9.0 if number < 600 else 1.0 + number % 2))
    assert re.search(r"loss 1\.[45]\d\d\d\b", stream.getvalue())


@pytest.mark.parametrize(
    ("score", "best", "expected"),
    [
        (Score("F1", 0.6271, higher_is_better=True), 0.64, "F1 0.6271, best 0.6400"),
        (Score("accuracy", 0.8131, higher_is_better=True, unit="%"), 0.9, "accuracy 81.3 %, best 90.0 %"),
        (Score("perplexity", 41.23), 40.9, "perplexity 41.2, best 40.9"),
        (Score("perplexity", 12345.6), 9.87654, "perplexity 12,345.6, best 9.8765"),
        (
            Score("calibrated cross-entropy", 0.5, unit="nats"),
            0.4,
            "calibrated cross-entropy 0.5000 nats, best 0.4000 nats",
        ),
        (Score("BLEU", -1.0), -1.0, "BLEU -1.0000, best -1.0000"),
    ],
)
def test_an_evaluation_has_a_name_and_a_unit(score: Score, best: float, expected: str) -> None:
    stream = io.StringIO()
    with Progress(2, stream) as progress:
        progress(update(50))
        progress(Evaluation(50, 1, score, best, 50, 5.0))
        progress(update(51))
    assert stream.getvalue() == f"update 50  epoch 1   50%  loss 2.0000  {expected}  500 steps/s\n"


def test_no_events_print_nothing() -> None:
    stream = io.StringIO()
    with Progress(stream=stream):
        pass
    assert stream.getvalue() == ""
