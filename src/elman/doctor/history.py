"""What the log of a run tells of its training: the losses, the lengths of the gradients, how often they were cut."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class History(NamedTuple):
    """One entry an update.

    Attributes:
        updates: [U] their numbers.
        losses: [U] nats, or whatever the loss is.
        norms: [U] of the gradient before it was clipped.
        clipped: share of the updates in which the gradient was longer than `clip_norm`; 0 without one.
        cut: how many times too long the clipped ones were, the median; 1 where none was.
        non_finite: updates whose loss or norm is no finite number.
        examined: what the doctor found while the run trained, the events `Examined` in their order.
    """

    updates: np.ndarray
    losses: np.ndarray
    norms: np.ndarray
    clipped: float
    cut: float
    non_finite: int
    examined: list[dict[str, Any]]


def history(log: Path, clip_norm: float | None) -> History:
    """Read a `log.jsonl`; half a line at its end, of a run that was killed, is left out.

    Args:
        clip_norm: that of the run's settings. Where `clip_value` cuts too it acts first, and what is told here of
            clipping is the most that `clip_norm` can have done.
    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is no JSON object.
    """
    events = list(_events(log))
    learnt = [event for event in events if "gradient_norm" in event]
    updates = np.array([event["update"] for event in learnt], np.int64)
    losses, norms = (np.array([event[name] for event in learnt], np.float64) for name in ("loss", "gradient_norm"))
    longest = np.inf if clip_norm is None else clip_norm
    times = norms[norms > longest] / longest
    return History(
        updates,
        losses,
        norms,
        clipped=len(times) / max(len(norms), 1),
        cut=float(np.median(times)) if len(times) else 1.0,
        non_finite=int((~np.isfinite(losses) | ~np.isfinite(norms)).sum()),
        examined=[event for event in events if "layers" in event],
    )


def _events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text().split("\n")
    events = []
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line) if line else {}
        except json.JSONDecodeError:
            event = None
        if isinstance(event, dict):
            events.append(event)
        elif number < len(lines):
            raise ValueError(f"{log}, line {number}: expected a JSON object, got {line[:40]!r}; mend it or cut it out.")
    return events
