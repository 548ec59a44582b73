"""`elman list`."""

import inspect
import re
import sys
from collections.abc import Iterable, Mapping
from types import ModuleType

import click


@click.command("list")
def list_() -> None:
    """Show every task with its settings, every cell and layer."""
    from elman import classical, layers
    from elman.cells import CELLS
    from elman.tasks import TASKS
    from elman.tasks.settings import settings_of

    for number, (word, task) in enumerate(TASKS.items()):
        click.echo("\n" * (number > 0) + f"task {word}\n  {_first_line(task)}\n")
        meaning = _meanings(task)
        _table((f"{name}={_said(value)}", meaning[name]) for name, value in settings_of(task()).items())
    for title, kinds in (("cells", CELLS), ("layers", _classes(layers)), ("classical models", _classes(classical))):
        click.echo(f"\n{title}")
        _kinds(kinds)


def _classes(package: ModuleType) -> dict[str, type]:
    named = {name: getattr(package, name) for name in package.__all__}
    return {name: kind for name, kind in named.items() if isinstance(kind, type)}


def _kinds(kinds: Mapping[str, type]) -> None:
    streams = {True: "Streams.", False: "Does not stream."}
    _table(
        (word, f"{_first_line(kind)} {streams[bool(getattr(kind, 'streams', True))]}") for word, kind in kinds.items()
    )


def _table(rows: Iterable[tuple[str, str]]) -> None:
    formatter = click.HelpFormatter(width=120)
    formatter.indent()
    formatter.write_dl(list(rows))
    click.echo(formatter.getvalue(), nl=False)


def _said(value: object) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _meanings(task: type) -> dict[str, str]:
    """What each setting means, from the `Args:` of the docstrings that say it."""
    meanings: dict[str, str] = {}
    for kind in reversed(task.__mro__):
        doc = inspect.cleandoc(kind.__doc__ or "")
        for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", doc, re.MULTILINE):
            meanings |= dict.fromkeys(names.split(", "), re.sub(r"\s+", " ", text))
    return meanings


def _first_line(kind: type) -> str:
    return (sys.modules[kind.__module__].__doc__ or "").split("\n", 1)[0]
