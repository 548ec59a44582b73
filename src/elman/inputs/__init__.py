"""Kinds of rows: text, series, skeletons, frames, pixels. Each kind turns rows into numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.arrays import as_array
from elman.declared_types import field
from elman.errors import RowTypeError
from elman.inputs.base import Inputs, InputSettings
from elman.inputs.frames import Frames
from elman.inputs.pixels import Pixels
from elman.inputs.series import Series
from elman.inputs.skeletons import Skeletons
from elman.inputs.text import TextInputs
from elman.nearest import did_you_mean
from elman.settings import check_word

INPUTS: dict[str, type[Inputs]] = {kind.name: kind for kind in (TextInputs, Series, Skeletons, Frames, Pixels)}

COLORS = 3, 4  # channels of a coloured image; other sizes of the last axis are grey frames

__all__ = ["INPUTS", "Frames", "InputSettings", "Inputs", "Pixels", "Series", "Skeletons", "TextInputs", "make_inputs",
           "restore_inputs"]  # fmt: skip


def make_inputs(settings: InputSettings, rows: Sequence[Any] = ()) -> Inputs:
    """Return new inputs of the kind that `settings.inputs` names; with `auto`, the kind of the first row.

    Raises:
        ValueError: there is no such kind, or a setting has no effect on it.
        RowTypeError: the first row is of no known kind.
    """
    name = settings.inputs
    if name == "auto":
        name = _kind_of(rows[0]) if len(rows) else Series.name
    if name not in INPUTS:
        known = ["auto", *INPUTS]
        raise ValueError(f"inputs: expected one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    for setting in INPUTS[name].without_effect:
        value = getattr(settings, setting)
        if value and value != getattr(InputSettings, setting):
            raise ValueError(f"{setting}: has no effect on inputs={name}; leave it out.")
    return INPUTS[name]()


def restore_inputs(data: dict[str, Any]) -> Inputs:
    """Return the fitted inputs whose `to_json` wrote `data`.

    Raises:
        ValueError: a part of the data is missing or wrong.
    """
    name = field(data, "name", str)
    check_word("inputs", name, INPUTS)
    inputs = INPUTS[name]().restore(data)
    inputs.restored = True
    return inputs


def _kind_of(row: Any) -> str:
    if isinstance(row, str | bytes):
        return TextInputs.name
    try:
        row = as_array(row)
    except ValueError:  # not an array: Series reports which row it is
        return Series.name
    image = row.ndim == 2 or (row.ndim == 3 and row.shape[-1] in COLORS)
    if image and row.dtype == np.uint8:
        return Pixels.name
    if row.ndim == 4 or (row.ndim == 3 and row.dtype == np.uint8):
        return Frames.name
    if row.ndim == 3 and row.shape[-1] in (2, 3):
        return Skeletons.name
    if row.ndim in (1, 2) and row.dtype.kind in "fiubO":
        return Series.name
    got = f"{row.dtype} {list(row.shape)}" if row.ndim else repr(row.item())
    raise RowTypeError(0, "expected text, or an array [T] or [T, D] (a series), [T, J, 3] (skeletons), uint8 [T, H, W] "
                       f"(frames), [H, W] or [H, W, 3] (an image), got {got}.")  # fmt: skip
