"""Log of a training run: the events in its `log.jsonl`."""

import json
from pathlib import Path
from typing import Any

LOG = "log.jsonl"  # in a run folder


def log_of(run: str | Path) -> Path:
    """Return the path of the log in a run folder; the path of a log is returned unchanged.

    Raises:
        FileNotFoundError: there is no such folder or log.
        TypeError: `run` is not a path.
    """
    if not isinstance(run, str | Path):
        raise TypeError(
            f"expected a run folder or its {LOG}, got {type(run).__name__}; give the folder of fit(run=...)."
        )
    path = Path(run)
    log = path / LOG if path.is_dir() else path
    if not log.exists():
        raise FileNotFoundError(f"{log}: is missing; expected a run folder, as fit(run=...) and elman train write it.")
    return log


def read_log(log: Path) -> list[dict[str, Any]]:
    """Read the events of a log. An incomplete last line, which a killed run may leave, is ignored.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: a line is not a JSON object.
    """
    lines = log.read_text(encoding="utf-8").split("\n")
    events = []
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line) if line else {}
        except json.JSONDecodeError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif number < len(lines):
            raise ValueError(f"{log}, line {number}: expected a JSON object, got {line[:40]!r}; repair or delete it.")
    return events
