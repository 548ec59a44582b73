"""Handling of Ctrl-C: a training run stops between two updates, never within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any


class Interrupted(KeyboardInterrupt):
    """Training was interrupted by the user; `resume=True` continues `run` from `update`.

    Attributes:
        run: the run folder, or None if nothing was saved.
        update: the update of its checkpoint.
    """

    def __init__(self, run: Path | None, update: int):
        way = "nothing was saved: name a run folder" if run is None else f"continue {run} with resume=True"
        super().__init__(f"stopped at update {update}; {way}.")
        self.run, self.update = run, update


class Interrupts:
    """Signal handler that delays Ctrl-C inside a `held` block; a second Ctrl-C takes effect at once.

    It replaces Python's default handler only, and only in the main thread, which alone receives signals.
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
        """Finish the block before a KeyboardInterrupt is raised."""
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
