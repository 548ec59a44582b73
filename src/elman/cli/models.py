"""Trained models for the commands that use them."""

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import click

from elman import runtime, tasks
from elman.cli.console import progress_share
from elman.cli.readers import ColumnOption, Options, is_table
from elman.cli.row_stream import RowStream
from elman.cli.task_commands import TaskCommands, TaskVerb, broken_tasks, task_commands
from elman.data.raw_files import STDIN
from elman.data.readers.labelled import Labelled, Row
from elman.errors import located
from elman.tasks.run_source import Source


class LoadedModel(NamedTuple):
    """Trained model with the commands of its task."""

    model: Any
    commands: TaskCommands
    options: Options  # those that training kept, and those of this command
    given: Set[str] = frozenset()  # names of those of this command

    def read(self, files: Sequence[Path]) -> Labelled:
        """Read labelled rows.

        Raises:
            OSError, ValueError: as the reader of the task.
        """
        return self.commands.read(files, self.options)

    def rows(self, file: Path) -> RowStream:
        """Return the rows to predict in a file or in standard input.

        Raises:
            OSError, ValueError: as the reader of the task.
        """
        return self.commands.read_rows(self.model, file, self.options, self.given)

    def format(self, rows: Sequence[Row]) -> list[str]:
        """Predict rows, and return the lines to print.

        Raises:
            RowError: the model cannot read a row.
        """
        return self.commands.format_rows(self.model, rows, self.options)

    def evaluate(self, data: Labelled) -> Any:
        """Return the report on labelled rows, and show the progress.

        Raises:
            ValueError: the model cannot read a row; the message names its place.
        """
        with located(data.places), progress_share("evaluating") as progress, self.model.reporting(progress):
            return self.commands.evaluate(self.model, data, self.options)


def load_trained(run: Path) -> Any:
    """Return the trained model of a task: without PyTorch, unless a part such as a cell of the user needs PyTorch.

    Raises:
        FileNotFoundError, ValueError: as `elman.load`.
    """
    file = runtime.read_trained(run)
    if file.runs and file.metadata.get("task") in runtime.TASKS:
        return runtime.trained_model(file)
    return tasks.load(run)


def load_model(
    run: Path, files: Sequence[Path], options: Mapping[str, Any], load: Callable[[Path], Any] = load_trained
) -> LoadedModel:
    """Load the trained model in a run folder or a model file, for the current command.

    Args:
        files: data files; kept columns are ignored if none of them is a table.
        options: options of the command by name; None if not given.
        load: load(run) returns the model.
    Raises:
        FileNotFoundError, ValueError: as `elman.load`.
        ValueError: the command does not support the model's task.
        click.UsageError: if the task does not support an option.
    """
    verb, model = click.get_current_context().command, load(run)
    assert isinstance(verb, TaskVerb)
    commands = check_verb(run, model.task, verb.name)
    options = given(options)
    verb.check(model.task, options)
    kept = Source.of_run(run).reading
    if not any(is_table(file) or file == STDIN for file in files):
        columns = {option.name for option in verb.tasks if isinstance(option, ColumnOption)}
        kept = {name: value for name, value in kept.items() if name not in columns}
    return LoadedModel(model, commands, {**kept, **options}, options.keys())


def check_verb(run: Path, task: Any, verb: str) -> TaskCommands:
    """Return the commands of the task of a model, which must support a verb.

    Raises:
        ValueError: the verb does not support the task; the message names a verb that does.
        ImportError: the module of the task cannot be imported.
    """
    entry = task_commands().get(task)
    if entry is None and task in broken_tasks():
        raise broken_tasks()[task]
    if entry is None or verb not in entry.verbs:
        way_out = f"; use elman {entry.verbs[-1]}" if entry else ""
        raise ValueError(f"{run}: holds a model of the task {task}, which elman {verb} does not support{way_out}.")
    return entry


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, [], ())}
