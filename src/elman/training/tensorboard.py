"""What training tells as curves and histograms of TensorBoard."""

import math
from pathlib import Path
from time import perf_counter
from typing import Any

from elman.training.events import Event, Examined

EVERY = 10  # seconds between writings
OF_THE_LOOP = ("update", "epoch", "seconds")  # what every event has: where it belongs, not what it found


class TensorBoard:
    """An observer that writes every number of every event, for `tensorboard --logdir FOLDER`.

    Numbers that are not finite are left out. In a folder that has events already, those of the updates from the first
    one that is written now are dropped: a run that goes on draws one curve.

    Args:
        folder: made when it is first written to, after 10 seconds or at the end.
    Raises:
        ModuleNotFoundError: tensorboard is not installed (the extra `elman[track]`).
    """

    def __init__(self, folder: str | Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise ModuleNotFoundError("TensorBoard needs the package tensorboard", name="tensorboard") from None
        self._kind, self._folder = SummaryWriter, Path(folder)
        self._writer: Any = None
        self._waiting: list[Event] = []
        self._written = perf_counter()

    def __call__(self, event: Event) -> None:
        self._waiting.append(event)
        if perf_counter() - self._written > EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet, to its end: no thread has anything left to do in the folder."""
        if self._waiting and self._writer is None:
            self._writer = self._kind(str(self._folder), purge_step=self._waiting[0].update)
        for event in self._waiting:
            self._tell(event)
        self._waiting = []
        if self._writer is not None:
            self._writer.flush()
        self._written = perf_counter()

    def close(self) -> None:
        """The same, and no more after that."""
        self.flush()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if (
            error is None or self._folder.parent.exists()
        ):  # a run that failed with nothing to keep is removed as a whole
            self.close()

    def _tell(self, event: Event) -> None:
        if isinstance(event, Examined):
            for layer, found in event.layers.items():
                self._write(layer, found, event)
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
    """A histogram of numbers from 0 to 1 as TensorBoard wants it."""
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
