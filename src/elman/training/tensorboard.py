"""Observer that writes training events as curves and histograms of TensorBoard."""

import math
from pathlib import Path
from time import perf_counter
from typing import Any

from elman.optional_packages import needed_by
from elman.training.events import Evaluation, Event, Examined

EVERY = 10  # seconds between writings
OF_THE_LOOP = ("update", "epoch", "seconds")  # position of an event in the run, which every event has


class TensorBoard:
    """Observer that writes every number of every event, for `tensorboard --logdir FOLDER`.

    Numbers that are not finite are left out. In a folder with events of an earlier part of the run, events from the
    first new update on are replaced, so that a resumed run draws one curve.

    Args:
        folder: output folder; created at the first write, after 10 seconds or at the end.
    Raises:
        ModuleNotFoundError: tensorboard is not installed.
    """

    def __init__(self, folder: str | Path):
        with needed_by("TensorBoard"):
            from torch.utils.tensorboard import SummaryWriter
        self._kind, self._folder = SummaryWriter, Path(folder)
        self._writer: Any = None
        self._waiting: list[Event] = []
        self._written = perf_counter()

    def __call__(self, event: Event) -> None:
        self._waiting.append(event)
        if perf_counter() - self._written > EVERY:
            self.flush()

    def flush(self) -> None:
        """Write all pending events, and wait until they are on the disk."""
        if self._waiting and self._writer is None:
            self._writer = self._kind(str(self._folder), purge_step=self._waiting[0].update)
        for event in self._waiting:
            self._add(event)
        self._waiting = []
        if self._writer is not None:
            self._writer.flush()
        self._written = perf_counter()

    def close(self) -> None:
        """Flush and close the files."""
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None or self._folder.parent.exists():  # a run that failed before a checkpoint has been removed
            self.close()

    def _add(self, event: Event) -> None:
        if isinstance(event, Examined):
            for layer, statistics in event.layers.items():
                self._write(layer, statistics, event)
        elif isinstance(event, Evaluation):
            self._write(
                "evaluation", {event.score.name.replace(" ", "_"): event.score.value, "best": event.best}, event
            )
        else:
            numbers = {name: value for name, value in event._asdict().items() if name not in OF_THE_LOOP}
            self._write(type(event).__name__.lower(), numbers, event)

    def _write(self, group: str, numbers: dict[str, Any], event: Event) -> None:
        for name, value in numbers.items():
            tag = f"{group}/{name}"
            if isinstance(value, list):
                self._writer.add_histogram_raw(tag, **_bars(value), global_step=event.update)
            elif math.isfinite(value):
                self._writer.add_scalar(tag, value, event.update)


def _bars(shares: list[float]) -> dict[str, Any]:
    """Return a histogram over 0 to 1 as arguments of `add_histogram_raw`."""
    width = 1 / len(shares)
    middles = [(number + 0.5) * width for number in range(len(shares))]
    return {
        "min": 0.0,
        "max": 1.0,
        "num": sum(shares),
        "sum": sum(share * x for share, x in zip(shares, middles, strict=True)),
        "sum_squares": sum(share * x * x for share, x in zip(shares, middles, strict=True)),
        "bucket_limits": [(number + 1) * width for number in range(len(shares))],
        "bucket_counts": shares,
    }
