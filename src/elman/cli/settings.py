"""`--set name=value`, and the settings of a run that goes on."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from elman.cli.source import Source

if TYPE_CHECKING:
    from elman.tasks import Task

AnyTask = TypeVar("AnyTask", bound="Task")


def split(given: Iterable[str]) -> dict[str, str]:
    """`name=value` texts to values by name.

    Raises:
        ValueError: there is no `=`.
    """
    for text in given:
        if "=" not in text:
            raise ValueError(f"--set {text}: expected NAME=VALUE, e.g. --set hidden_size=256.")
    return {name.strip(): value.strip() for name, value in (text.split("=", 1) for text in given)}


def continued(kind: type[AnyTask], run: Path, given: Mapping[str, str]) -> tuple[AnyTask, Source]:
    """The task of a run as `config.toml` has it, and where its data are.

    Raises:
        FileNotFoundError: there is no run.
        ValueError: `config.toml` is damaged or of another task, or `given` has another value for a setting.
    """
    from elman.tasks.settings import CONFIG, parse, read_config

    config = read_config(run)
    if config["task"] != kind.task:
        raise ValueError(f"{run}: expected a run of {kind.task}, got one of {config['task']}; train {config['task']}.")
    task = kind(**parse(kind, config["settings"], str(run / CONFIG)))
    for name, value in parse(kind, given).items():
        if value != (own := getattr(task, name)):
            raise ValueError(f"--set {name}={value}: the run in {run} has {own}; leave it out to resume, or train in a "
                             "new folder.")  # fmt: skip
    source = Source.from_config(config)
    if not source.data:
        raise ValueError(f"{run}: was not trained on files; resume it from Python, with the same data.")
    return task, source
