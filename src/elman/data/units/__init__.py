"""Units of text: `bytes`, `characters`, `words`, `bpe`."""

import inspect
from typing import Any

from elman.data.units.base import BOUNDARY, UNKNOWN, Text, Units, Unknown, shifted
from elman.data.units.bpe import BPE
from elman.data.units.bytes import Bytes
from elman.data.units.characters import Characters
from elman.data.units.decoders import Decoder
from elman.data.units.words import Words
from elman.declared_types import field
from elman.nearest import did_you_mean

__all__ = ["BOUNDARY", "UNITS", "UNKNOWN", "Decoder", "Text", "Units", "Unknown", "make_units", "shifted",
           "units_from_json"]  # fmt: skip

UNITS: dict[str, type[Units]] = {kind.name: kind for kind in (Bytes, Characters, Words, BPE)}


def make_units(name: str, **settings: Any) -> Units:
    """Return unfitted units of the kind `name`; a setting that is None keeps its default.

    Raises:
        ValueError: there is no such kind, or it does not have a given setting.
    Example:
        >>> make_units("characters").fit(["banana"]).encode("ban").tolist()
        [4, 2, 3]
    """
    kind = _kind(name)
    given = {setting: value for setting, value in settings.items() if value is not None}
    known = inspect.signature(kind).parameters
    for setting in given:
        if setting not in known:
            raise ValueError(f"units={name} has no setting {setting}; it has {', '.join(known) or 'none'}.")
    return kind(**given)


def units_from_json(data: dict[str, Any]) -> Units:
    """Return the fitted units that `to_json` described.

    Raises:
        ValueError: a part is missing or wrong.
    """
    return _kind(field(data, "name", str)).from_json(data)


def _kind(name: str) -> type[Units]:
    if name not in UNITS:
        raise ValueError(f"units: expected one of {', '.join(UNITS)}, got {name!r}{did_you_mean(name, UNITS)}")
    return UNITS[name]
