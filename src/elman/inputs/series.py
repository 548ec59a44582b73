"""Series of numbers, standardised; missing values are flagged."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from elman.arrays import as_array
from elman.data.frames import READ_FRAME
from elman.data.named_rows import NamedRows, variables_of
from elman.data.readers.labelled import names_of
from elman.declared_types import field, shown
from elman.errors import RowError
from elman.inputs.base import OF_FRAMES, OF_SKELETONS, OF_TEXT, InputSettings, NumberInputs
from elman.rows import Rows
from elman.sequences import Sequences

SHOWN = 20  # most names that an error or a warning lists

logger = logging.getLogger("elman")


class Series(NumberInputs):
    """Rows that are arrays [T, D], or [T] for one variable. NaN is a missing value.

    The names of the variables, if the rows have them, are those of later rows: these may have them in another order.

    Each variable is scaled to mean 0 and standard deviation 1 in the training part. Missing values become 0, and each
    variable with missing values gets an additional feature that is 1 where it is missing.
    """

    name: ClassVar[str] = "series"
    axes: ClassVar[str] = "D"
    without_effect: ClassVar[tuple[str, ...]] = (*OF_TEXT, *OF_SKELETONS, *OF_FRAMES, "embedding_size")

    variables: tuple[str, ...] | None = None  # their names, in training

    def fit(self, rows: Sequence[Any], settings: InputSettings) -> Self:
        self.variables = next(filter(None, map(variables_of, rows)), None)
        raw = self.raw(rows)
        values = raw.values
        if not len(values):
            raise ValueError(f"{self.name}: expected rows with steps, got {len(rows)} that are all empty: 0 feature(s) "
                             f"(shape=({len(rows)}, 0)) while a minimum of 1 is required.")  # fmt: skip
        _warn_of_lines(rows, raw)
        self.shape = values.shape[1:]
        gone = np.isnan(values)
        there = np.maximum((~gone).sum(0), 1)
        with np.errstate(over="ignore"):
            self.mean = np.where(gone, 0, values).sum(0) / there
            scale = np.sqrt((np.where(gone, 0, values - self.mean) ** 2).sum(0) / there)
        if not np.isfinite(scale).all():
            large = self.variable(int(np.argmin(np.isfinite(scale))))
            raise ValueError(f"{self.name}: the standard deviation of variable {large} is not finite; use smaller "
                             "numbers.")  # fmt: skip
        scale = self.unit(scale)
        self.scale = np.where(scale > 1e-12 * np.abs(self.mean), scale, 1.0)
        self.missing = np.flatnonzero(gone.any(0))
        encoded, after = self.scaled(values, raw.layout)[:, : self.size], raw.times > 0
        change = encoded[after] - encoded[np.flatnonzero(after) - 1]
        self.change = np.maximum(self.unit(change.std(0)), 1e-3) if len(change) else np.ones(self.size)
        return self

    def note_missing(self, rows: Sequence[Any]) -> None:
        if not self.restored:
            gone = np.isnan(self.raw(rows).values).any(0)
            self.missing = np.union1d(self.missing, np.flatnonzero(gone))

    @property
    def size(self) -> int:
        """Number of variables."""
        return self.shape[0]

    @property
    def step_shape(self) -> tuple[int, ...]:
        return (self.size + len(self.missing),)

    @property
    def description(self) -> str:
        missing = f", {len(self.missing)} of them with missing values" if len(self.missing) else ""
        return f"{self.name} of {self.size:,} variable{'' if self.size == 1 else 's'}{missing}"

    def to_json(self) -> dict[str, Any]:
        variables = None if self.variables is None else list(self.variables)
        arrays = {"mean": self.mean, "scale": self.scale, "missing": self.missing, "change": self.change}
        return {"name": self.name, "variables": variables, **{name: array.tolist() for name, array in arrays.items()}}

    def restore(self, data: dict[str, Any]) -> Self:
        numbers = [np.array(field(data, name, list[float]), float) for name in ("mean", "scale", "change")]
        self.mean, self.scale, self.change = numbers
        self.missing, self.shape = np.array(field(data, "missing", list[int]), np.int64), self.mean.shape
        if not self.size or {array.shape for array in numbers} != {self.shape}:
            raise ValueError(f"{self.name}: expected a mean, a scale and a change of each variable, got "
                             f"{', '.join(str(len(array)) for array in numbers)} of them.")  # fmt: skip
        variables = field(data, "variables", list[str] | None)
        self.variables = None if variables is None else tuple(variables)
        if variables is not None and not len(variables) == len(set(variables)) == self.size:
            raise ValueError(f"{self.name}: expected {self.size} different names of variables, got {shown(variables)}.")
        if not (self.scale > 0).all() or not (self.change > 0).all():
            raise ValueError(f"{self.name}: expected scales and changes above 0.")
        if not np.isin(self.missing, np.arange(self.size)).all() or (np.diff(self.missing) <= 0).any():
            raise ValueError(f"{self.name}: expected ascending numbers of variables with missing values, got "
                             f"{shown(self.missing.tolist())}.")  # fmt: skip
        return self

    def unit(self, deviations: np.ndarray) -> np.ndarray:
        """Return the divisor of each variable, or of its differences, from their standard deviations [D]."""
        return deviations

    def variable(self, number: int) -> str:
        """Return the name of a variable, or its number if it has none."""
        return str(number) if self.variables is None else self.variables[number]

    def raw(self, rows: Sequence[Any]) -> Sequences:
        return super().raw([self._in_order(number, row) for number, row in enumerate(rows)])

    def encode_row(self, row: Any) -> np.ndarray:
        return super().encode_row(self._in_order(0, row))

    def row(self, row: Any) -> np.ndarray:
        """Return one row as float64 [T, D]."""
        array = as_array(row)
        if array.dtype == object:  # numbers in strings
            array = array.astype(np.float64)
        if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or (len(array) and not array.size):
            raise ValueError(f"expected numbers of shape [T, D] or [T], got {array.dtype} {list(array.shape)}.")
        if np.isinf(array).any():
            step, variable = np.argwhere(np.isinf(array.reshape(len(array), -1)))[0].tolist()
            raise ValueError(f"step {step}, variable {self.variable(variable)} is infinite; give a finite number, or "
                             "NaN if it is missing.")  # fmt: skip
        return array.reshape(len(array), -1 if array.size else 1).astype(np.float64)

    def _in_order(self, number: int, row: Any) -> Any:
        """Return a row with its variables in the order of training, if their names are known."""
        given, wanted = variables_of(row), self.variables
        if given is None or wanted is None or given == wanted:
            return row
        if sorted(given) != sorted(wanted):
            raise RowError(number, f"expected the variables {_listed(wanted)}, as in training, got {_listed(given)}; "
                                   "select these columns, or rename them.")  # fmt: skip
        return row[:, [given.index(name) for name in wanted]]

    def scaled(self, values: np.ndarray, layout: Rows) -> np.ndarray:
        """Return standardised steps with their flags of missing values, float32 [N, D + missing]."""
        gone = np.isnan(values)
        if gone.any():
            self._check_missing(gone, layout)
        with np.errstate(over="ignore"):  # a row whose logits are not finite is reported in prediction
            scaled: np.ndarray = ((values - self.mean) / self.scale).astype(np.float32)
        scaled[gone] = 0
        return np.concatenate([scaled, gone[:, self.missing]], 1, dtype=np.float32) if len(self.missing) else scaled

    def _check_missing(self, gone: np.ndarray, layout: Rows) -> None:
        """Raise a RowError if a value is missing, [N, D], of a variable that had all values in training."""
        new = np.setdiff1d(np.flatnonzero(gone.any(0)), self.missing)
        if len(new):
            variable = int(new[0])
            step = int(gone[:, variable].argmax())
            place = f"step {layout.times[step]}, variable {self.variable(variable)}"
            raise RowError(layout.rows[step], f"{place} is NaN, but had no missing values in training; fill it in, or "
                                              "train on rows with missing values.")  # fmt: skip


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _warn_of_lines(rows: Sequence[Any], raw: Sequences) -> None:
    """Log a warning if the rows for the training look like the steps of series."""
    columns, names = rows.columns if isinstance(rows, NamedRows) else None, names_of(rows)
    if columns is not None:
        logger.warning("each line of the data frame is read as a series of one variable, whose steps are the columns "
                       "%s; if a line is a step, and a column a variable, make series of the frame with %s",
                       _listed(columns), READ_FRAME)  # fmt: skip
    elif len(rows) > 1 and raw.lengths.max() == 1:
        way_out = "one array [T, D] per series" if names is None else "the column that names the series of each line"
        group = "" if names is None else f", for each value of the column {names[0].column!r}"
        logger.warning("each of the %s series has a single step%s; give %s", f"{len(rows):,}", group, way_out)
