"""Cell settings: a cell and its options as one value."""

import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

from elman.cells import CELLS, CellModule
from elman.declared_types import expected_type
from elman.nearest import did_you_mean
from elman.representation import brief, call, complete

SIZES = "input_size", "hidden_size", "projection_size"  # chosen by the network, not by its settings


class CellSettings:
    """Cell and its options: an immutable value that is compared, hashed, pickled and printed by its content.

    A wrong option is reported when the cell is made, by `fit`.

    Args:
        kind: a name in `elman.cells.CELLS`: `lstm`, `gru`, `rnn`, `min_gru` or `window_net`.
        options: arguments of that cell other than its sizes, such as `zoneout_c`.
    Example:
        >>> cell = CellSettings("lstm", zoneout_c=0.1)
        >>> cell.replace(zoneout_h=0.05)
        CellSettings('lstm', zoneout_c=0.1, zoneout_h=0.05)
        >>> cell == CellSettings("lstm", zoneout_c=0.1)
        True
    """

    __slots__ = ("_options", "kind")
    kind: str
    _options: tuple[tuple[str, Any], ...]

    def __init__(self, kind: str = "lstm", /, **options: Any):
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "_options", tuple(sorted(options.items())))

    @classmethod
    def of(cls, cell: object) -> Self:
        """Return the settings that a name stands for, or the settings themselves.

        Raises:
            TypeError: `cell` is neither.
        """
        if isinstance(cell, cls):
            return cell
        if isinstance(cell, str):
            return cls(cell)
        raise TypeError(f"cell: expected the name of a cell or CellSettings, got {type(cell).__name__}; "
                        "add a cell of your own to elman.cells.CELLS, and give its name.")  # fmt: skip

    @property
    def options(self) -> dict[str, Any]:
        """Options by name, as a new dictionary."""
        return dict(self._options)

    def replace(self, /, **changes: Any) -> Self:
        """Return a copy with other options; `kind` replaces the cell."""
        kind = changes.pop("kind", self.kind)
        return type(self)(kind, **{**self.options, **changes})

    def option_types(self) -> dict[str, Any]:
        """Return the declared type of each option.

        Raises:
            ValueError: the cell is unknown, or has no such option.
        """
        known = option_types(self.kind)
        for name in self.options:
            if name not in known:
                raise ValueError(f"cell.{name}: {_unknown(self.kind, name, known)}")
        return {name: known[name] for name in self.options}

    def make(self) -> Callable[[int, int], CellModule]:
        """Return a function that makes a cell of (input size, hidden size).

        Raises:
            ValueError: the cell is unknown, or has no such option.
            TypeError: an option has a value of the wrong type.
        """
        for name, declared in self.option_types().items():
            if wanted := expected_type(self.options[name], declared):
                raise TypeError(f"cell.{name}: expected {wanted}, got {self.options[name]!r}.")
        return partial(CELLS[self.kind], **self.options)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"CellSettings: cannot set {name}, the value is immutable; use replace({name}=...).")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"CellSettings: cannot delete {name}, the value is immutable.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CellSettings):
            return NotImplemented
        return (self.kind, self._options) == (other.kind, other._options)

    def __hash__(self) -> int:
        return hash((self.kind, self._options))

    @complete
    def __repr__(self) -> str:
        options = [f"{name}={brief(value)}" for name, value in self._options]
        return call(type(self).__name__, brief(self.kind), *options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.kind, self.options)


def option_types(kind: str) -> Mapping[str, Any]:
    """Return the type of each option of a cell.

    Raises:
        ValueError: the cell is unknown.
    """
    if not isinstance(kind, str) or kind not in CELLS:
        own = (f" A cell of your own is added first: elman.cells.CELLS[{kind!r}] = YourCell, on the command line in a "
               "module that elman --import MODULE imports before the verb.")  # fmt: skip
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {kind!r}{did_you_mean(kind, CELLS)}{own}")
    types = typing.get_type_hints(CELLS[kind].__init__)
    return {name: types.get(name, Any) for name in inspect.signature(CELLS[kind]).parameters if name not in SIZES}


def _unknown(kind: str, name: str, known: Mapping[str, Any]) -> str:
    """Return the end of an error about an option that a cell does not have."""
    having = [other for other in CELLS if name in option_types(other)]
    if having:
        return f"cell={kind} has no such option (available for {', '.join(having)}); leave it out."
    hint = did_you_mean(name, known)
    others = f"; known are {', '.join(known)}." if known else "; it has no options."
    return f"unknown option of cell={kind}{hint if hint != '.' else others}"


def _restored(settings: type[CellSettings], kind: str, options: Mapping[str, Any]) -> CellSettings:
    return settings(kind, **options)
