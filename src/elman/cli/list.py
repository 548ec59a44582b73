"""`elman list`."""

import dataclasses
import inspect
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import click
from click.shell_completion import CompletionItem

from elman.cli.task_commands import task_commands
from elman.nearest import did_you_mean


def _task_words(_context: click.Context, _argument: click.Parameter, start: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in task_commands() if word.startswith(start)]


@click.command("list")
@click.argument("name", required=False, shell_complete=_task_words)
def list_(name: str | None) -> None:
    """List tasks, cells and layers, or the settings of NAME.

    \b
    Examples:
      elman list
      elman list tagger
      elman list lstm
    """
    from elman import classical, layers
    from elman.cells import CELLS
    from elman.tasks import TASKS

    packages = {"layers": _classes(layers), "classical": _classes(classical)}
    known = {**CELLS, **packages["layers"], **packages["classical"]}
    if name is None:
        click.echo("Tasks, for elman train TASK:")
        _table((task, entry.summary) for task, entry in task_commands().items())
        click.echo("\nCells, for --set cell=NAME, and classes of elman.layers and elman.classical:")
        _table((title, ", ".join(names)) for title, names in {"cells": CELLS, **packages}.items())
        click.echo("\nelman list NAME shows the settings of any of them.")
    elif name in TASKS:
        click.echo(f"{name}: {_first_line(TASKS[name])}\n\nChange a setting with --set NAME=VALUE, or in Python.")
        for title, settings in setting_groups(TASKS[name]).items():
            click.echo(f"\n{title}")
            _settings(settings)
    elif kind := known.get(name):
        click.echo(f"{name}: {_first_line(kind)}\n")
        _settings(arguments(kind))
    else:
        hint = did_you_mean(name, [*TASKS, *known])
        raise click.UsageError(f"{name}: expected the name of a task, a cell or a layer{hint}")


def setting_groups(task: type) -> dict[str, dict[str, tuple[Any, str]]]:
    """Return the settings of a task by group: each with its default and its meaning.

    A group has the settings that one class of the task introduces.
    """
    groups: dict[str, dict[str, tuple[Any, str]]] = {}
    settings = {field.name: field.default for field in dataclasses.fields(task) if field.init}
    meanings = _meanings(task)
    for kind in reversed(task.__mro__):
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__.removesuffix("Settings"))
        names = [name for name in inspect.get_annotations(kind) if name in settings]
        if names:
            groups[title] = {name: (settings.pop(name), meanings.get(name, "")) for name in names}
    return dict(reversed(groups.items()))


def arguments(kind: type) -> dict[str, tuple[Any, str]]:
    """Return the arguments of a class: each with its default and its meaning."""
    meanings = _meanings(kind)
    parameters = inspect.signature(kind).parameters
    return {name: (parameter.default, meanings.get(name, "")) for name, parameter in parameters.items()}


def _meanings(kind: type) -> dict[str, str]:
    """Return the meaning of each argument, from the docstrings of a class and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        doc = inspect.cleandoc(base.__doc__ or "")
        for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", doc, re.MULTILINE):
            meanings |= dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", text))
    return meanings


def _classes(package: ModuleType) -> dict[str, type]:
    named = {name: getattr(package, name) for name in package.__all__}
    return {name: kind for name, kind in named.items() if isinstance(kind, type)}


def _settings(settings: Mapping[str, tuple[Any, str]]) -> None:
    """Print a line per setting: its name, its default unless it is required, and its meaning."""
    rows = []
    for name, (default, meaning) in settings.items():
        value = str(default).lower() if default is None or isinstance(default, bool) else default
        rows.append((name if default is inspect.Parameter.empty else f"{name}={value}", meaning))
    _table(rows)


def _table(rows: Iterable[tuple[str, str]]) -> None:
    formatter = click.HelpFormatter(width=shutil.get_terminal_size().columns)
    formatter.indent()
    formatter.write_dl(list(rows))
    click.echo(formatter.getvalue(), nl=False)


def _first_line(kind: type) -> str:
    return (sys.modules[kind.__module__].__doc__ or "").split("\n", 1)[0]
