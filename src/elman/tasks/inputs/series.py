"""Series of numbers: brought to mean 0 and deviation 1; what is missing is said to be."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch

from elman.cells import CellModule
from elman.layers import Differences, Dropout
from elman.sequences import Sequences
from elman.tasks.inputs.face import Inputs, without_steps


class Series(Inputs):
    """A row is an array [T, D], or [T] of one variable; NaN is a missing value.

    Each variable is brought to the mean 0 and the deviation 1 that it has in training. Where training has missing
    values, they become 0, and a feature more for each variable that misses some says so with 1.
    """

    name: ClassVar[str] = "series"
    default_differences: ClassVar[bool] = False

    def fit(self, rows: Sequence[Any]) -> Self:
        raw = self._raw(rows)
        values = raw.values
        if not len(values):
            raise ValueError(f"{self.name}: expected rows with steps, got {len(rows)} that are all empty.")
        self.size = values.shape[1]
        gone = np.isnan(values)
        with np.errstate(invalid="ignore"):
            there = np.maximum((~gone).sum(0), 1)
            self.mean = np.where(gone, 0, values).sum(0) / there
            scale = np.sqrt((np.where(gone, 0, values - self.mean) ** 2).sum(0) / there)
        self.scale = np.where(scale > 1e-12 * np.abs(self.mean), scale, 1.0)
        self.missing = np.flatnonzero(gone.any(0))
        encoded = self._scaled(raw)
        after = encoded.times > 0
        change = encoded.values[after][:, : self.size] - encoded.values[np.flatnonzero(after) - 1][:, : self.size]
        self.change = np.maximum(change.std(0), 1e-3) if len(change) else np.ones(self.size)
        return self

    def encode(self, rows: Sequence[Any]) -> Sequences:
        return self._scaled(self._raw(rows))

    def spoil(self, sequences: Sequences) -> Sequences:
        if self.settings.step_dropout:
            sequences = without_steps(sequences, self.settings.step_dropout)
        if self.settings.noise:
            sequences = sequences.map(lambda x: x + self.settings.noise * torch.randn_like(x))
        return sequences

    def layers(self) -> list[CellModule]:
        wanted, drop = self.settings.differences, self.settings.input_dropout
        size, layers = self.width, list[CellModule]()
        if self.default_differences if wanted is None else wanted:
            scale = torch.from_numpy(np.concatenate([self.change, np.ones(len(self.missing))])).float()
            layers.append(Differences(size, scale))
            size *= 2
        drops: list[CellModule] = [Dropout(size, drop)] if drop else []
        return [*layers, *drops]

    @property
    def width(self) -> int:
        return self.size + len(self.missing)

    @property
    def says(self) -> str:
        missing = f", {len(self.missing)} of them with missing values" if len(self.missing) else ""
        return f"{self.name} of {self.size:,} variable{'' if self.size == 1 else 's'}{missing}"

    def to_json(self) -> dict[str, Any]:
        arrays = {"mean": self.mean, "scale": self.scale, "missing": self.missing, "change": self.change}
        return {"name": self.name, **{name: array.tolist() for name, array in arrays.items()}}

    def restore(self, data: dict[str, Any]) -> Self:
        self.mean, self.scale, self.change = (np.array(data[name], float) for name in ("mean", "scale", "change"))
        self.missing, self.size = np.array(data["missing"], np.int64), len(self.mean)
        return self

    # Rows as they are given.

    def row(self, row: Any) -> np.ndarray:
        """One row as [T, D] of float64."""
        array = np.asarray(row)
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2):
            raise ValueError(f"expected numbers of shape [T, D] or [T], got {array.dtype} {list(array.shape)}")
        return array.reshape(len(array), -1 if array.size else 1).astype(np.float64)

    def _raw(self, rows: Sequence[Any]) -> Sequences:
        """All rows, [N, D] float64, checked."""
        given = []
        for number, row in enumerate(rows):
            try:
                given.append(self.row(row))
            except (ValueError, TypeError) as error:
                raise type(error)(f"row {number}: {str(error).rstrip('.')}.") from None
        widths = [len(row[0]) for row in given if len(row)]
        size = getattr(self, "size", widths[0] if widths else 1)
        for number, row in enumerate(given):
            if len(row) and row.shape[1] != size:
                raise ValueError(f"row {number}: expected {size} variables, as in training, got {row.shape[1]}.")
            if np.isinf(row).any():
                step, variable = np.argwhere(np.isinf(row))[0]
                raise ValueError(f"row {number}, step {step}, variable {variable}: infinite; give a number, or NaN "
                                 "where it is missing.")  # fmt: skip
        values = [row for row in given if len(row)]
        return Sequences(np.concatenate(values) if values else np.zeros((0, size)), [len(row) for row in given])

    def _scaled(self, raw: Sequences) -> Sequences:
        """[N, D + missing] float32."""
        gone = np.isnan(raw.values)
        new = np.setdiff1d(np.flatnonzero(gone.any(0)), self.missing)
        if len(new):
            step = np.flatnonzero(gone[:, new[0]])[0]
            place = f"row {raw.rows[step]}, step {raw.times[step]}, variable {new[0]}"
            raise ValueError(f"{place}: NaN, and training had no missing value of it; fill it in, or train with some "
                             "that are missing.")  # fmt: skip
        values = np.where(gone, 0, (raw.values - self.mean) / self.scale)
        return Sequences(np.concatenate([values, gone[:, self.missing]], 1).astype(np.float32), raw.lengths)
