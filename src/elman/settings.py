"""Settings of a task: its constructor's arguments, parsed from text, read from `config.toml` and written to it."""

import dataclasses
import math
import reprlib
import tomllib
import typing
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

import elman
from elman.files import replacing
from elman.nearest import did_you_mean
from elman.optional_packages import needed_by

CONFIG = "config.toml"
_PARTS = {"task": str, "settings": dict, "data": list, "validation_data": list, "reading": dict, "standard_input": str,
          "pretrained": dict}  # fmt: skip
_KINDS = {str: "a string", dict: "a table", list: "a list of strings"}


class Settings:
    """Base of classes of settings."""

    def check_settings(self) -> None:
        """Raise unless the settings are in range. Called first by `fit`; an override calls that of `super()`.

        Raises:
            ValueError: a setting is out of range, or has no effect.
        """


def setting_names(kind: Any) -> list[str]:
    """Return the names of the settings of a class of tasks."""
    return [field.name for field in dataclasses.fields(kind) if field.init]


def settings_of(task: Any) -> dict[str, Any]:
    """Return the settings of a task by name, as values that JSON and TOML can hold, apart from None.

    A setting with options is a dictionary: `{"kind": "lstm", "zoneout_c": 0.1}`.
    """
    return {name: _plain(getattr(task, name)) for name in setting_names(task)}


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python, and a value with options as a dictionary."""
    if hasattr(value, "options"):
        options = {name: _plain(option) for name, option in value.options.items()}
        return {"kind": value.kind, **options}
    return value.item() if isinstance(value, np.generic) else value


def parse(kind: type, given: Mapping[str, Any], where: str = "--set") -> dict[str, Any]:
    """Return settings, given as text or as values, in the types that the task declares.

    Args:
        kind: the class of the task.
        given: settings by name; `cell.zoneout_c` is an option of a setting. The text `none` is None.
        where: begins the errors.
    Raises:
        ValueError: `--set hiden_size: unknown; did you mean hidden_size?`, or a value of another type.
    """
    types, nested = typing.get_type_hints(kind), getattr(kind, "nested_settings", {})
    known = setting_names(kind)
    values: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    if not isinstance(given, Mapping):
        raise ValueError(f"{where}: expected a table of settings, got {given!r}.")
    for name, value in flat(given).items():
        setting, _, option = name.partition(".")
        if name not in known and not (option and setting in nested):
            hint = did_you_mean(setting, known)
            raise ValueError(f"{where} {name}: unknown{hint if hint != '.' else '; known are ' + ', '.join(known)}")
        if option:
            options.setdefault(setting, {})[option] = value
        else:
            values[setting] = _convert(f"{where} {name}", types[name], value)
    for setting, changes in options.items():
        value = nested[setting].of(values.get(setting, getattr(kind, setting))).replace(**changes)
        try:
            declared = value.option_types()
        except ValueError as error:
            raise ValueError(f"{where} {error}") from None
        converted = {name: _convert(f"{where} {setting}.{name}", hint, value.options[name])
                     for name, hint in declared.items()}  # fmt: skip
        values[setting] = value.replace(**converted)
    return values


def flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the options in dictionaries under names of their own, `cell.zoneout_c`."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{option}": part for option, part in value.items()}
        else:
            flat[name] = value
    return flat


def _convert(where: str, hint: Any, value: Any) -> Any:
    kinds = typing.get_args(hint) or (hint,)
    if hint is Any or (NoneType in kinds and (value is None or (isinstance(value, str) and value.lower() == "none"))):
        return value if hint is Any else None
    for kind in (kind for kind in (bool, int, float, str) if kind in kinds):
        if isinstance(value, kind) and not (kind in (int, float) and isinstance(value, bool)):
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            with suppress(OverflowError):
                return float(value)
        if isinstance(value, str) and kind is bool and value.lower() in ("true", "false", "yes", "no"):
            return value.lower() in ("true", "yes")
        if isinstance(value, str) and kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    names = {NoneType: "none", bool: "true or false"}
    wanted = " or ".join(names.get(kind, kind.__name__) for kind in kinds)
    raise ValueError(f"{where}: expected {wanted}, got {reprlib.repr(value)}.")


def check_range(task: Any, low: float, high: float, *names: str) -> None:
    """Raise unless each of these settings is None, or at least `low` and less than `high`.

    Raises:
        ValueError: one is out of range.
    """
    for name in names:
        value = getattr(task, name)
        if value is not None and not low <= value < high:
            limit = "" if high == math.inf else f" and less than {high}"
            raise ValueError(f"{name}: expected at least {low}{limit}, got {value}.")


def check_word(name: str, value: object, known: typing.Collection[str]) -> None:
    """Raise unless the value of a setting is one of the known words.

    Raises:
        ValueError: the value is of another type.
    """
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}{did_you_mean(value, known)}")


def write_config(run: Path, task: Any, source: Mapping[str, Any]) -> None:
    """Write `config.toml`: the task, the source of its data (files, and how they are read), and every setting."""
    with needed_by("a training with a run folder"):
        import tomli_w

    config = {"task": task.task, "version": elman.__version__, **source, "settings": _without_none(settings_of(task))}
    try:
        with replacing(run / CONFIG) as file:
            tomli_w.dump(config, file)
    except UnicodeEncodeError as error:
        got = error.object[max(0, error.start - 40) : error.end + 20].strip('"')
        raise ValueError(f"{run / CONFIG}: expected names and settings in UTF-8, got {got!a}; rename it.") from None


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with the text `none` for None, which TOML lacks."""
    return {name: "none" if value is None else _without_none(value) if isinstance(value, Mapping) else value
            for name, value in settings.items()}  # fmt: skip


def read_config(run: Path) -> dict[str, Any]:
    """Return the content of `config.toml`: task, version, data, and settings, which `parse` checks.

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the file is not TOML, lacks a part, or a part has another type.
    """
    path = run / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{run}: no run there ({CONFIG} is missing); name one that `elman train --out` made.")
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number of 4,300 digits
        raise ValueError(f"{path}: not TOML: {error}; restore it or train again.") from None
    for part, kind in _PARTS.items():
        value = config.get(part, kind())
        if not isinstance(value, kind) or (kind is list and not all(isinstance(name, str) for name in value)):
            got = reprlib.repr(value)
            raise ValueError(f"{path}: expected {part} to be {_KINDS[kind]}, got {got}; restore it or train again.")
        if part not in config and part in ("task", "settings"):
            raise ValueError(f"{path}: expected {part}, which is missing; restore it or train again.")
    return config
