"""Log of a run: every event, in `log.jsonl`."""

import json
import math
import os
from io import FileIO
from pathlib import Path
from typing import Any

from elman.training.events import Event, numbers


class LogFile:
    """Writer of one JSON object per line. Each line is written at once, so that a killed run has logged everything.

    JSON has no infinity or NaN: such numbers (the horizon of a gradient that does not vanish) are written as `null`.

    Args:
        path: the file, `log.jsonl` in a run folder.
        keep: bytes to keep of an existing file; the rest is cut off.
    """

    def __init__(self, path: Path, keep: int = 0):
        self.path = path
        self._file = FileIO(path, "a")
        self._file.truncate(min(keep, self._file.tell()))
        self._file.seek(0, os.SEEK_END)

    def __call__(self, event: Event) -> None:
        line = memoryview(json.dumps(_plain(numbers(event)), allow_nan=False).encode() + b"\n")
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            way = "free some disk space, then resume the run"
            raise type(error)(error.errno, f"{self.path}: not written: {error.strerror}; {way}") from error

    def sync(self) -> int:
        """Flush the file to the disk and return its length in bytes."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
