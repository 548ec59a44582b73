"""Frames of video: each goes through a small convolutional network that is trained with the rest."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch

from elman.arrays import as_array, tensor
from elman.cells import CellModule
from elman.declared_types import field, shown
from elman.layers import Deviations, Differences, Dropout
from elman.layers.frame_encoder import FrameEncoder
from elman.sequences import Sequences
from elman.tasks.inputs.base import OF_SKELETONS, OF_TEXT, NumberInputs


class Frames(NumberInputs):
    """Rows that are arrays [T, H, W] or [T, H, W, C] of grey or coloured frames, all of one size."""

    name: ClassVar[str] = "frames"
    axes: ClassVar[str] = "C, H, W"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_TEXT, *OF_SKELETONS)

    def fit(self, rows: Sequence[Any]) -> Self:
        raw = self.raw(rows)
        if not raw.num_steps:
            raise ValueError(f"frames: expected rows with frames, got {len(rows)} that are all empty.")
        self.shape = raw.values.shape[1:]
        self.mean, self.scale = float(raw.values.mean()), float(raw.values.std()) or 1.0
        return self

    def encode(self, rows: Sequence[Any]) -> Sequences:
        return self.raw(rows).map(lambda x: (x - np.float32(self.mean)) / np.float32(self.scale))

    def augment(self, sequences: Sequences) -> Sequences:
        if self.settings.shift:
            sequences = _shifted(sequences, self.settings.shift)
        return super().augment(sequences)

    @property
    def width(self) -> int:
        return int(np.prod(self.shape))

    def layers(self) -> list[CellModule]:
        settings, layers = self.settings, list[CellModule]()
        channels, height, width = self.shape
        if settings.deviations:
            layers.append(Deviations(self.shape))
        if settings.differences is not False:
            layers.append(Differences(self.shape))
            channels *= 2
        size = settings.embedding_size or 128
        layers.append(FrameEncoder(channels, height, width, size))
        if self.input_dropout:
            layers.append(Dropout(size, self.input_dropout))
        return layers

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


def _shifted(sequences: Sequences, most: int) -> Sequences:
    """Return the frames of each row translated by up to `most` pixels, all alike; the edge is repeated."""
    x = sequences.values
    moves = torch.randint(-most, most + 1, (2, len(sequences)))[:, tensor(sequences.rows), None]
    y, x_ = ((torch.arange(size) + move).clamp(0, size - 1) for size, move in zip(x.shape[2:], moves, strict=True))
    moved = x[torch.arange(len(x))[:, None, None], :, y[:, :, None], x_[:, None, :]]  # [N, H, W, C]
    return sequences.with_values(moved.movedim(3, 1))
