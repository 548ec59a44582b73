"""The line that shows the progress of long computations: where it appears and where it is silent."""

import io
import multiprocessing.process
import os
import pty
import sys
import threading
import types
from typing import Any

import pytest

from elman import progress
from elman.progress import ProgressLine, erase, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closing(io.StringIO):
    """Stream whose reader goes away after the first line."""

    def write(self, text: str) -> int:
        if self.tell():
            raise BrokenPipeError
        return super().write(text)

    def flush(self) -> None:
        """Nothing to flush."""


@pytest.fixture
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(progress, "REDRAW", 0.0)


def written(stream: Any, verbose: bool | int | None = True, every: float = 0.0) -> Any:
    with ProgressLine(verbose, stream, every) as line:
        for number in range(1, 4):
            line(lambda number=number: f"iteration {number}", event=number == 2)
    return stream


@pytest.mark.parametrize(
    ("verbose", "every", "expected"),
    [
        (True, 0.0, ["iteration 1", "iteration 2", "iteration 3"]),
        (1, 60.0, ["iteration 2", "iteration 3"]),  # an event, and the end
        (2, 0.0, ["iteration 2"]),
        (False, 0.0, []),
        (0, 0.0, []),
        (None, 0.0, []),  # not a terminal
    ],
)
def test_the_lines_of_a_file(verbose: Any, every: float, expected: list[str]) -> None:
    assert written(io.StringIO(), verbose, every).getvalue().splitlines() == expected


@pytest.mark.usefixtures("no_delay")
@pytest.mark.parametrize("verbose", [None, True, 1])
def test_a_terminal_has_one_line_that_is_overwritten(verbose: Any) -> None:
    assert written(Terminal(), verbose).getvalue() == "\riteration 1\riteration 2\riteration 3\n"


def test_one_line_per_event_is_never_overwritten() -> None:
    assert written(Terminal(), 2).getvalue() == "iteration 2\n"


def test_a_short_computation_prints_nothing_unless_progress_is_requested() -> None:
    assert written(Terminal(), None).getvalue() == ""
    assert written(Terminal(), True).getvalue().startswith("\riteration 1")


@pytest.mark.usefixtures("no_delay")
def test_a_line_is_cut_at_the_edge_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    with ProgressLine(True, stream) as line:
        line(lambda: "x" * 50)
        line(lambda: "short")
    assert stream.getvalue() == "\r" + "x" * 19 + "\r" + "short".ljust(19) + "\n"


@pytest.mark.usefixtures("no_delay")
def test_a_real_terminal() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        written(stream, None)
    shown = b""
    while not shown.endswith(b"\n"):  # a terminal may deliver it in parts
        shown += os.read(leader, 1000)
    os.close(leader)
    assert shown == b"\riteration 1\riteration 2\riteration 3\r\n"


@pytest.mark.parametrize("verbose", [3, -1, "yes", 0.5])
def test_another_verbosity_is_an_error(verbose: Any) -> None:
    with pytest.raises(ValueError, match=r"verbose: expected None, False, True or 2 \(one line per event\), got"):
        ProgressLine(verbose)


def test_progress_goes_silent_when_its_reader_has_gone() -> None:
    assert written(Closing()).getvalue() == "iteration 1"


def test_progress_is_silent_on_a_closed_stream() -> None:
    stream = io.StringIO()
    with ProgressLine(True, stream, every=0.0) as line:
        stream.close()
        line(lambda: "iteration 1", event=True)
    stream = Terminal()
    stream.close()
    assert written(stream, None) is stream


def test_progress_is_silent_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    for verbose in (None, True, 2):
        written(None, verbose)


def test_a_full_disk_does_not_stop_the_computation() -> None:
    stream = open("/dev/full", "w")  # noqa: SIM115  closing it fails again
    written(stream)
    with pytest.raises(OSError, match="No space left"):
        stream.close()


@pytest.mark.usefixtures("no_delay")
def test_threads_and_joblib_are_silent_unless_progress_is_requested() -> None:
    joblib = pytest.importorskip("joblib")
    streams = {(where, verbose): Terminal() for where in ("thread", "joblib") for verbose in (None, True)}
    for verbose in (None, True):
        thread = threading.Thread(target=written, args=(streams["thread", verbose], verbose))
        thread.start()
        thread.join()
        joblib.Parallel(n_jobs=1)([joblib.delayed(written)(streams["joblib", verbose], verbose)])
    found = {key: bool(stream.getvalue()) for key, stream in streams.items()}
    assert found == {key: key[1] is True for key in streams}


def test_other_processes_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0.0)
    monkeypatch.setattr(multiprocessing.process, "parent_process", lambda: object())
    assert written(Terminal(), None).getvalue() == ""


class Handle:
    """Output of a notebook cell."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def display(self, data: dict[str, str], raw: bool, display_id: bool = False) -> "Handle":
        self.texts.append(data["text/plain"])
        return self

    update = display


@pytest.mark.usefixtures("no_delay")
@pytest.mark.parametrize("verbose", [None, True])
def test_a_notebook_has_one_output_that_is_replaced(monkeypatch: pytest.MonkeyPatch, verbose: Any) -> None:
    handle, kernel = Handle(), types.SimpleNamespace(kernel=object())
    notebook = types.SimpleNamespace(get_ipython=lambda: kernel, display=types.SimpleNamespace(display=handle.display))
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    with ProgressLine(verbose) as line:
        line(lambda: "iteration 1")
        line(lambda: "iteration 2")
    assert handle.texts == ["iteration 1", "iteration 2"]


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace()))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with ProgressLine(True) as line:
        line(lambda: "iteration 1", event=True)
    assert sys.stderr.getvalue() == "iteration 1\n"


def test_the_text_is_made_only_if_it_is_shown() -> None:
    with ProgressLine(2, io.StringIO()) as line:
        line(lambda: pytest.fail("made"))


def test_an_iteration_shows_its_number_the_limit_and_the_longest_time_left() -> None:
    stream = io.StringIO()
    with ProgressLine(2, stream) as line:
        line._start -= 10.0
        line.iteration("HMM.fit", 100, 300, -123.4567891)
        line.iteration("HMM.fit", 300, 300, -120.0)
    first, last = stream.getvalue().splitlines()
    assert first == "HMM.fit: iteration 100 of at most 300  log-probability -123.456789  at most 0:00:20 left"
    assert last == "HMM.fit: iteration 300 of at most 300  log-probability -120.000000"


@pytest.mark.parametrize("seconds", [1e15, 1e30, float("inf")])
def test_a_very_long_time_left_is_printed(seconds: float) -> None:
    assert time_left(seconds).startswith("999999999 days, ")


def test_a_line_of_several_phases_ends_once_per_phase() -> None:
    stream = Terminal()
    line = ProgressLine(True, stream, delay=0.0)
    with line:
        line.share("reading", 1.0)
    with line:
        pass
    with line:
        line(lambda: "training")
    assert stream.getvalue() == "\rreading  100%  0:00:00 left\n\rtraining\n"


def test_other_text_replaces_the_line() -> None:
    stream = Terminal()
    with ProgressLine(True, stream) as line:
        line(lambda: "halfway")
        erase()
        print("a message", file=stream)
        erase()
        line._due = 0.0
        line(lambda: "done")
    erase()
    assert stream.getvalue() == "\rhalfway\r       \ra message\n\rdone\n"


def test_the_first_line_waits_for_the_delay() -> None:
    stream = io.StringIO()
    with ProgressLine(True, stream, every=0.0, delay=60.0) as line:
        line(lambda: "early", event=True)
    assert stream.getvalue() == ""


class Writer:
    """Stream with the least that `print` needs."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing to flush."""


def test_a_stream_that_only_writes_gets_plain_lines() -> None:
    assert written(Writer()).text == "iteration 1\niteration 2\niteration 3\n"
    assert written(Writer(), None).text == ""


class Odd:
    """Object in the place of a stream, whose methods fail."""

    def __init__(self, error: Exception):
        self.error = error

    def fail(self, *_: Any) -> Any:
        raise self.error

    write = flush = isatty = fail


def test_objects_in_the_place_of_a_stream_do_not_stop_the_computation() -> None:
    detached = io.TextIOWrapper(io.BytesIO())
    detached.detach()
    odd = [Odd(error) for error in (RuntimeError("lost"), AttributeError("x"), OSError("y"), io.UnsupportedOperation())]
    for stream in (*odd, detached, io.BytesIO(), 5, object()):
        for verbose in (None, True, 2):
            written(stream, verbose)
