"""Frames of video: each goes through a small convolutional net that is trained with the rest."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch

from elman.cells import CellModule
from elman.layers import Differences, Dropout
from elman.layers.frame_encoder import FrameEncoder
from elman.sequences import Sequences
from elman.tasks.inputs.face import Inputs, without_steps


class Frames(Inputs):
    """A row is an array [T, H, W] or [T, H, W, C] of grey or coloured frames, all of one size."""

    name: ClassVar[str] = "frames"

    def fit(self, rows: Sequence[Any]) -> Self:
        raw = self._raw(rows)
        if not raw.num_steps:
            raise ValueError(f"frames: expected rows with frames, got {len(rows)} that are all empty.")
        self.shape = raw.values.shape[1:]
        self.mean, self.scale = float(raw.values.mean()), float(raw.values.std()) or 1.0
        return self

    def encode(self, rows: Sequence[Any]) -> Sequences:
        return self._raw(rows).map(lambda x: ((x - np.float32(self.mean)) / np.float32(self.scale)).astype(np.float32))

    def spoil(self, sequences: Sequences) -> Sequences:
        if self.settings.step_dropout:
            sequences = without_steps(sequences, self.settings.step_dropout)
        if self.settings.noise:
            sequences = sequences.map(lambda x: x + self.settings.noise * torch.randn_like(x))
        return sequences

    @property
    def width(self) -> int:
        return int(np.prod(self.shape))

    def layers(self) -> list[CellModule]:
        settings, layers = self.settings, list[CellModule]()
        channels, height, width = self.shape
        if settings.differences is not False:
            layers.append(Differences(self.shape))
            channels *= 2
        layers.append(FrameEncoder(channels, height, width, settings.embedding_size))
        if settings.input_dropout:
            layers.append(Dropout(settings.embedding_size, settings.input_dropout))
        return layers

    @property
    def says(self) -> str:
        channels, height, width = self.shape
        return f"frames of {height} x {width} x {channels}"

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "shape": list(self.shape), "mean": self.mean, "scale": self.scale}

    def restore(self, data: dict[str, Any]) -> Self:
        self.shape, self.mean, self.scale = tuple(data["shape"]), data["mean"], data["scale"]
        return self

    def _raw(self, rows: Sequence[Any]) -> Sequences:
        """All frames, [N, C, H, W] float32, checked."""
        given = []
        for number, row in enumerate(rows):
            frames = np.asarray(row)
            if frames.dtype.kind not in "fiu" or frames.ndim not in (3, 4):
                raise ValueError(f"row {number}: expected frames of shape [T, H, W] or [T, H, W, C], got "
                                 f"{frames.dtype} {list(frames.shape)}.")  # fmt: skip
            frames = frames[:, None] if frames.ndim == 3 else np.moveaxis(frames, 3, 1)
            shape = getattr(self, "shape", given[0].shape[1:] if given else frames.shape[1:])
            if len(frames) and frames.shape[1:] != tuple(shape):
                raise ValueError(f"row {number}: expected frames of C, H, W = {list(shape)}, got "
                                 f"{list(frames.shape[1:])}; resize them to one size.")  # fmt: skip
            if frames.dtype.kind == "f" and not np.isfinite(frames).all():
                raise ValueError(f"row {number}: a frame holds NaN or infinity; fill it in, or leave the frame out.")
            given.append(frames.astype(np.float32) if len(frames) else np.zeros((0, *shape), np.float32))
        return Sequences(np.concatenate(given) if given else np.zeros((0, 1, 1, 1), np.float32), [*map(len, given)])
