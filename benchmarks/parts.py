"""Time of an update by part, measured around the functions that do the work."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from time import perf_counter
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from elman.data.examples import Encoded
from elman.kernels import native, recurrence
from elman.layers import Attention, Dropout, Embedding, Linear
from elman.layers.pooling import MaxPooling
from elman.losses import CRFLoss
from elman.sequences import Sequences
from elman.tasks import classifier, encoder_decoder
from elman.training import loop
from elman.training.lazy_rows import LazyRows

RECURRENT = "recurrence, kernels"
TIMED = [  # owner, function, part; calls of other functions in this list are not counted
    (recurrence, "scan", "recurrence, around the kernels"),
    (Embedding, "apply_to", "embeddings"),
    (Dropout, "scan", "dropout"),
    (MaxPooling, "pool", "pooling"),
    (Linear, "apply_to", "linear layers"),
    (CRFLoss, "forward", "CRF"),
    (classifier, "cross_entropy", "softmax"),
    (encoder_decoder, "readout_loss", "read-out and softmax, with gradients"),
    (Attention, "_keys_and_values", "attention"),
    (Attention, "_read", "attention"),
    (Encoded, "select", "batches"),
    (Sequences, "select", "batches"),
    (loop, "gradients_of", "clipping"),
    (loop, "gradient_norm", "clipping"),
    (loop, "clip", "clipping"),
    (torch.optim.AdamW, "step", "optimiser"),
    (LazyRows, "step", "optimiser"),
    (torch.Tensor, "backward", "backward pass, all else"),
]
REST = "all else"


class Parts:
    """Seconds by part. A part does not include the other parts that it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._called = [0.0]  # seconds of parts called by the active parts

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            self._called.append(0.0)
            start = perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                spent = perf_counter() - start
                self.seconds[part] += spent - self._called.pop()
                self._called[-1] += spent

        return run

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the functions of `TIMED`, and the recurrent kernels, inside the block."""
        kernels = {name: getattr(native.module, name) for name in dir(native.module)}
        for name in ("scan", "scan_backward"):
            kernels[name] = self.timed(RECURRENT, kernels[name])
        back = staticmethod(self.timed("recurrence, around the kernels", recurrence._Native.backward))
        with ExitStack() as stack:
            stack.enter_context(patch.object(native, "module", SimpleNamespace(**kernels)))
            stack.enter_context(patch.object(recurrence._Native, "backward", back))
            for owner, name, part in TIMED:
                stack.enter_context(patch.object(owner, name, self.timed(part, getattr(owner, name))))
            yield


def shares(run: Callable[[], Any], times: int = 3) -> dict[str, float]:
    """Return the share of each part in a run, the largest first, and all else at the end."""
    parts = Parts()
    with parts.watching():
        parts.timed(REST, lambda: [run() for _ in range(times)])()
    whole = sum(parts.seconds.values())
    found = sorted(parts.seconds.items(), key=lambda item: (item[0] == REST, -item[1]))
    return {part: seconds / whole for part, seconds in found}


def table(parts: dict[str, float], milliseconds: float) -> str:
    """Format one line per part, with its share of an update and its milliseconds."""
    lines = [f"  {part:<36} {share:5.1%} {share * milliseconds:7.2f} ms" for part, share in parts.items()]
    return "\n".join(["", f"an update of elman, {milliseconds:.1f} ms", *lines])
