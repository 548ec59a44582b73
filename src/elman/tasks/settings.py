"""The settings of a task are its constructor's arguments: read from text or from `config.toml`, and written there."""

import dataclasses
import math
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

import elman
from elman.files import replacing
from elman.nearest import did_you_mean

CONFIG = "config.toml"


def settings_of(task: Any) -> dict[str, Any]:
    """The settings of a task, by name; numbers of NumPy as those of Python, which files can hold."""
    settings = {field.name: getattr(task, field.name) for field in dataclasses.fields(task) if field.init}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in settings.items()}


def parse(kind: type, given: Mapping[str, Any], where: str = "--set") -> dict[str, Any]:
    """Settings by name, as text or as values, in the types that the task declares; `none` stands for None.

    Raises:
        ValueError: `--set hiden_size: unknown; did you mean hidden_size?`, or a value of another type.
    """
    types = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    values = {}
    for name, value in given.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(f"{where} {name}: unknown{hint if hint != '.' else '; known are ' + ', '.join(known)}")
        values[name] = _convert(f"{where} {name}", types[name], value)
    return values


def _convert(where: str, hint: Any, value: Any) -> Any:
    kinds = typing.get_args(hint) or (hint,)
    if NoneType in kinds and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    for kind in (kind for kind in (bool, int, float, str) if kind in kinds):
        if isinstance(value, kind) and not (kind in (int, float) and isinstance(value, bool)):
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
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
    raise ValueError(f"{where}: expected {wanted}, got {value!r}.")


def check_range(task: Any, low: float, high: float, *names: str) -> None:
    """Raise unless each of these settings is None, or at least `low` and less than `high`."""
    for name in names:
        value = getattr(task, name)
        if value is not None and not low <= value < high:
            limit = "" if high == math.inf else f" and less than {high}"
            raise ValueError(f"{name}: expected at least {low}{limit}, got {value}.")


def write_config(run: Path, task: Any, source: Mapping[str, Any]) -> None:
    """Write `config.toml`: the task, where its data came from (files, and how they are read), and every setting."""
    import tomli_w

    settings = {name: "none" if value is None else value for name, value in settings_of(task).items()}
    config = {"task": task.task, "version": elman.__version__, **source, "settings": settings}
    with replacing(run / CONFIG) as file:
        tomli_w.dump(config, file)


def read_config(run: Path) -> dict[str, Any]:
    """What `write_config` wrote: task, version, data, settings (unchecked: `parse` does that).

    Raises:
        FileNotFoundError: the folder holds no run.
        ValueError: the file is not TOML or lacks a part.
    """
    path = run / CONFIG
    if not path.exists():
        raise FileNotFoundError(f"{run}: no run there ({CONFIG} is missing); name one that `elman train --out` made.")
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    for part in ("task", "settings"):
        if part not in config:
            raise ValueError(f"{path}: expected {part}, which is missing; write it back or train again.")
    return config
