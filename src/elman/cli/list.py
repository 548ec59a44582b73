"""`elman list`."""

import dataclasses
import inspect
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import ModuleType

import click
from click.shell_completion import CompletionItem

from elman.cli.task_commands import broken_tasks, task_commands
from elman.nearest import did_you_mean
from elman.optional_packages import needed_by
from elman.runtime import TASKS, trained_class
from elman.tasks import task_class

MORE = "The settings of training, cells and layers are listed where PyTorch is installed: pip install torch"


def _names(_context: click.Context, _argument: click.Parameter, start: str) -> list[CompletionItem]:
    """Complete the names of tasks; if none begins so, those of cells, layers and classical models."""
    words = [word for word in task_commands() if word.startswith(start)]
    if not words:  # PyTorch is loaded, if it is installed
        words = [word for names in _packages().values() for word in names if word.startswith(start)]
    return [CompletionItem(word) for word in words]


@click.command("list")
@click.argument("name", required=False, shell_complete=_names)
def list_(name: str | None) -> None:
    """List tasks, cells and layers, or the settings of NAME.

    Cells, layers and the settings of training are listed where PyTorch is installed.

    \b
    Examples:
      elman list
      elman list tagger
      elman list lstm
    """
    packages = _packages()
    if name is None:
        click.echo("Tasks, for elman train TASK:")
        _table((task, entry.summary) for task, entry in task_commands().items())
        if broken := broken_tasks():
            _table((task, f"cannot be imported: {error}") for task, error in broken.items())
        cells = "Cells, for --set cell=NAME, and classes of elman.layers and elman.classical"
        click.echo(f"\n{cells if _trains() else 'Classes of elman.classical'}:")
        _table((title, ", ".join(names)) for title, names in packages.items())
        click.echo("\nelman list NAME shows the settings of any of them.")
        if not _trains():
            click.echo(MORE)
        return
    kinds = {known: kind for names in packages.values() for known, kind in names.items()}
    if name not in {*TASKS, *kinds}:
        with needed_by("a list of cells and layers"):
            import torch  # noqa: F401  # without it, the name may be one of them
        hint = did_you_mean(name, [*TASKS, *kinds])
        raise click.UsageError(f"{name}: expected the name of a task, a cell or a layer{hint}")
    kind = (task_class if _trains() else trained_class)(name) if name in TASKS else kinds[name]
    summary = (sys.modules[kind.__module__].__doc__ or "").split("\n", 1)[0]
    click.echo(f"{name}: {summary}")
    for title, settings in settings_by_group(kind).items():
        click.echo(f"\n{title}")
        _table(settings.items())
    if name in TASKS:
        cells = "elman list CELL shows the options of a cell, for --set cell.NAME=VALUE."
        click.echo(f"\n{cells if _trains() else MORE}")


def _packages() -> dict[str, Mapping[str, type]]:
    """Return cells, layers and classical models by name; without PyTorch, classical models alone."""
    from elman import classical

    if not _trains():
        return {"classical": _classes(classical)}
    from elman import layers
    from elman.cells import CELLS

    return {"cells": CELLS, "layers": _classes(layers), "classical": _classes(classical)}


def _trains() -> bool:
    """Return whether PyTorch is installed, which training needs."""
    return find_spec("torch") is not None


def settings_by_group(kind: type) -> dict[str, dict[str, str]]:
    """Return the meaning of each setting, by `name=default`; a group has those that one class of a task introduces."""
    meanings = _meanings(kind)
    settings = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        value = parameter.default
        text = str(value).lower() if value is None or isinstance(value, bool) else value
        settings[name] = name if value is parameter.empty else f"{name}={text}", meanings.get(name, "")
    groups: dict[str, dict[str, str]] = {}
    for base in reversed(kind.__mro__) if dataclasses.is_dataclass(kind) else ():
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", base.__name__.removesuffix("Settings"))
        group = [settings.pop(name) for name in inspect.get_annotations(base) if name in settings]
        groups |= {title: dict(group)} if group else {}
    groups |= {"Arguments": dict(settings.values())} if settings else {}
    return dict(reversed(groups.items()))


def _meanings(kind: type) -> dict[str, str]:
    """Return the meaning of each argument, from the docstrings of a class and its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        doc = inspect.cleandoc(base.__doc__ or "")
        for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", doc, re.MULTILINE):
            meanings |= dict.fromkeys(names.split(", "), " ".join(text.split()))
    return meanings


def _classes(package: ModuleType) -> dict[str, type]:
    named = {name: getattr(package, name) for name in package.__all__}
    return {name: kind for name, kind in named.items() if isinstance(kind, type)}


def _table(rows: Iterable[tuple[str, str]]) -> None:
    formatter = click.HelpFormatter(width=shutil.get_terminal_size().columns)
    formatter.indent()
    formatter.write_dl(list(rows))
    click.echo(formatter.getvalue(), nl=False)
