"""Frames of video, standardised."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from elman.arrays import as_array
from elman.declared_types import field, shown
from elman.inputs.base import OF_SKELETONS, OF_TEXT, InputSettings, NumberInputs
from elman.rows import Rows


class Frames(NumberInputs):
    """Rows that are arrays [T, H, W] or [T, H, W, C] of grey or coloured frames, all of one size."""

    name: ClassVar[str] = "frames"
    axes: ClassVar[str] = "C, H, W"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_TEXT, *OF_SKELETONS)

    def fit(self, rows: Sequence[Any], settings: InputSettings) -> Self:
        raw = self.raw(rows)
        if not raw.num_steps:
            raise ValueError(f"frames: expected rows with frames, got {len(rows)} that are all empty.")
        self.shape = raw.values.shape[1:]
        self.mean, self.scale = float(raw.values.mean()), float(raw.values.std()) or 1.0
        return self

    def scaled(self, values: np.ndarray, layout: Rows) -> np.ndarray:
        return (values - np.float32(self.mean)) / np.float32(self.scale)

    @property
    def step_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def description(self) -> str:
        channels, height, width = self.shape
        return f"frames of {height} x {width} x {channels}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "mean": self.mean, "scale": self.scale}

    def restore(self, data: dict[str, Any]) -> Self:
        self.shape = tuple(field(data, "shape", list[int]))
        self.mean, self.scale = field(data, "mean", float), field(data, "scale", float)
        if len(self.shape) != 3 or min(self.shape) < 1 or self.scale <= 0:
            raise ValueError(f"frames: expected channels, height and width, and a scale above 0, got "
                             f"{shown(self.shape)} and {self.scale}.")  # fmt: skip
        return self

    def row(self, row: Any) -> np.ndarray:
        """Return the frames of one row as float32 [T, C, H, W]."""
        frames = as_array(row)
        if frames.dtype.kind not in "fiu" or frames.ndim not in (3, 4):
            raise ValueError("expected frames of shape [T, H, W] or [T, H, W, C], got "
                             f"{frames.dtype} {list(frames.shape)}.")  # fmt: skip
        with np.errstate(over="ignore"):
            frames = (frames[:, None] if frames.ndim == 3 else np.moveaxis(frames, 3, 1)).astype(np.float32)
        if not np.isfinite(frames).all():
            raise ValueError("a frame holds NaN or infinity; fill it in, or leave the frame out.")
        return frames
