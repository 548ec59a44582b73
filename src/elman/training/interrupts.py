"""Ctrl-C stops a training run between two updates, never within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Training stopped because someone asked; `run` goes on with `resume=True` from `update`.

    Attributes:
        run: the run folder, or None where nothing was kept.
        update: the update that its checkpoint holds.
    """

    def __init__(self, run: Path | None, update: int):
        way = "nothing was kept: name a run folder" if run is None else f"{run} goes on from there with resume=True"
        super().__init__(f"stopped at update {update}; {way}.")
        self.run, self.update = run, update


class Interrupts:
    """Holds Ctrl-C back while `held`; a second one comes through at once.

    Only Python's own answer to Ctrl-C is replaced, and only in the main thread, which alone receives it.
    """

    def __init__(self) -> None:
        self._held = self._waiting = False
        self._previous: Any = None

    def __enter__(self) -> "Interrupts":
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is inside is finished before a KeyboardInterrupt is raised."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting:
            self._waiting = False
            raise KeyboardInterrupt

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if self._held and not self._waiting:
            self._waiting = True
        else:
            raise KeyboardInterrupt
