"""How a model that writes looks for what to write: options of the command line."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])

SEARCH = {
    "beam": click.option("--beam", metavar="N", type=click.IntRange(1),
                         help="Of models that write: follow the N best beginnings side by side. Without: 5."),
    "length_penalty": click.option("--length-penalty", metavar="P", type=click.FloatRange(0),
                                   help="Rank by log-probability / length^P: 0 prefers short texts, more longer ones."),
    "max_length": click.option("--max-length", metavar="N", type=click.IntRange(1), help="Write at most N units."),
    "min_length": click.option("--min-length", metavar="N", type=click.IntRange(0), help="Write at least N units."),
    "no_repeat_ngram": click.option("--no-repeat-ngram", metavar="N", type=click.IntRange(0),
                                    help="Write no N units in a row twice."),
    "forbid": click.option("--forbid", metavar="WORD", multiple=True, help="Never write WORD; repeat it for more."),
}  # fmt: skip
NAMES = {"forbid": "forbidden"}  # as a task calls them, where that differs


def search_options(command: Command) -> Command:
    """Options for models that write."""
    for option in reversed(list(SEARCH.values())):
        command = option(command)
    return command


def search(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given, as arguments of a task's `predict`."""
    return {NAMES.get(name, name): options[name] for name in SEARCH if name in options}
