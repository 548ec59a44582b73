"""Skeletons: joints in space, relative to the middle and the size of the body."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from elman.arrays import as_array
from elman.declared_types import field
from elman.inputs.base import OF_FRAMES, OF_TEXT, InputSettings
from elman.inputs.series import Series


class Skeletons(Series):
    """Rows that are arrays [T, J, 2] or [T, J, 3] of joints. A frame of zeros, or with NaN, has lost its skeleton.

    Every frame is translated so that the middle of its joints is the origin, and a row is divided by the size of its
    body (the median over its frames of the root mean square distance from the middle). This removes the place of the
    person, the distance to the camera and the body height. A lost skeleton is replaced by the previous one, or by the
    next one at the start.

    All coordinates are then divided by one number, and their differences by another. A swinging hand stays larger than
    a trembling hip, which a deviation of 1 for every joint would hide.
    """

    name: ClassVar[str] = "skeletons"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_TEXT, *OF_FRAMES, "embedding_size")

    def fit(self, rows: Sequence[Any], settings: InputSettings) -> Self:
        super().fit(rows, settings)
        self.dimensions = next(np.shape(row)[2] for row in rows if len(row))
        return self

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"dimensions": self.dimensions}

    def restore(self, data: dict[str, Any]) -> Self:
        super().restore(data)
        self.dimensions = field(data, "dimensions", int)
        if self.dimensions not in (2, 3) or self.size % self.dimensions:
            raise ValueError(f"skeletons: expected {self.size} coordinates in 2 or 3 dimensions, got "
                             f"{self.dimensions}.")  # fmt: skip
        return self

    def unit(self, deviations: np.ndarray) -> np.ndarray:
        return np.full_like(deviations, np.sqrt(np.mean(deviations**2)))

    def row(self, row: Any) -> np.ndarray:
        joints = as_array(row)
        if joints.dtype.kind not in "fiu" or joints.ndim != 3 or joints.shape[2] not in (2, 3):
            got = f"{joints.dtype} {list(joints.shape)}"
            raise ValueError(f"expected joints of shape [T, J, 2] or [T, J, 3], got {got}.")
        joints = joints.astype(np.float64)
        lost = ~np.isfinite(joints).all((1, 2)) | (joints == 0).all((1, 2))
        seen = np.flatnonzero(~lost)
        if not len(seen):
            return np.zeros((len(joints), joints[0].size if len(joints) else 1))
        nearest = seen[np.maximum(np.searchsorted(seen, np.arange(len(joints)), "right") - 1, 0)]
        joints = joints[nearest]
        joints = joints - joints.mean(1, keepdims=True)
        size = np.median(np.sqrt((joints**2).sum(2).mean(1)))
        return (joints / (size or 1.0)).reshape(len(joints), -1)
