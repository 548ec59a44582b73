"""Commands of a task: its options, its help, how its files are read, and how its results are printed."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import click

from elman.cli.readers import Options, read_lines
from elman.cli.row_stream import RowStream, row_per_line
from elman.data.readers.labelled import Labelled, Row

PICTURE = click.Option(["--picture"], metavar="PNG", type=click.Path(path_type=Path), help="Draw the confusion matrix.")


class SettingOption(click.Option):
    """Option of `elman train` that is short for `--set NAME=VALUE`, with the name of the option."""


def read_first_fields(model: Any, file: Path, options: Options, given: Set[str]) -> RowStream:
    """Return the text before the first tab of each line."""
    return row_per_line(file, lambda line: line.partition("\t")[0])


def format_labels(model: Any, rows: Sequence[Row], options: Options) -> list[str]:
    """Return a line per row: its label and its text, or both as JSON with `--jsonl`."""
    labels = model.predict([row.input for row in rows])
    if options["jsonl"]:
        return [json.dumps({"place": row.place, "text": row.input, "label": label})
                for row, label in zip(rows, labels, strict=True)]  # fmt: skip
    return [f"{label}\t{row.input}" for row, label in zip(rows, labels, strict=True)]


def evaluate_rows(model: Any, data: Labelled, options: Options) -> Any:
    """Return the model's report on labelled rows."""
    return model.evaluate(data.inputs, data.labels)


@dataclass(frozen=True, kw_only=True)
class TaskCommands:
    """Commands of a task. The verbs (`train`, `evaluate`, ...) are written once and call these functions.

    A module in `elman.cli.tasks` defines one as `COMMANDS`; it imports PyTorch in its functions only. The defaults suit
    a task whose files hold a text per line, a tab and a label.

    Args:
        task: word of the task, as in `elman.runtime.TASKS`.
        summary: what a trained model does, in an imperative sentence of at most 60 characters.
        help: paragraphs of `--help`, by verb.
        examples: command lines of `--help`, by verb.
        options: options by verb, for `train`, `evaluate`, `predict`, `surprisal` and `doctor`. Those of `train` define
            how files are read, and are kept in the run folder for the other verbs.
        read: read(files, options, labelled) returns the rows of files; `labelled` is whether they must have labels.
        read_rows: read_rows(model, file, options, given) returns the rows to predict, or the texts of
            `elman surprisal`, from a file or from standard input. `given` has the names of the options of the command;
            the other options are those of training. Standard input has lines of text, unless a column is given.
        format_rows: format_rows(model, rows, options) predicts rows and returns the lines to print.
        evaluate: evaluate(model, data, options) returns a report, which has `table()` and `to_json()`.
        generates: whether the trained model has `generate` and `surprisal` instead of `predict`.
        next_commands: next_commands(options) returns the commands to print after training, with RUN for the run folder.
    """

    task: str
    summary: str
    help: Mapping[str, str]
    examples: Mapping[str, Sequence[str]]
    options: Mapping[str, Sequence[click.Option]] = field(default_factory=dict)
    read: Callable[..., Labelled] = read_lines
    read_rows: Callable[[Any, Path, Options, Set[str]], RowStream] = read_first_fields
    format_rows: Callable[[Any, Sequence[Row], Options], list[str]] = format_labels
    evaluate: Callable[[Any, Labelled, Options], Any] = evaluate_rows
    generates: bool = False
    next_commands: Callable[[Options], Sequence[str]] = lambda options: ("evaluate RUN FILE", "predict RUN FILE")

    @property
    def setting_options(self) -> set[str]:
        """Names of the options of `elman train` that are settings."""
        return {str(option.name) for option in self.options.get("train", ()) if isinstance(option, SettingOption)}

    @property
    def verbs(self) -> tuple[str, ...]:
        """Verbs that support a trained model of the task."""
        return "evaluate", "doctor", *(("surprisal", "generate") if self.generates else ("predict",))


def task_commands() -> Mapping[str, TaskCommands]:
    """Return the entries of all tasks, by word: one per module of `elman.cli.tasks`."""
    return _modules()[0]


def broken_tasks() -> Mapping[str, Exception]:
    """Return the errors of the modules of `elman.cli.tasks` that cannot be imported, by the word of their task."""
    return _modules()[1]


@cache
def _modules() -> tuple[dict[str, TaskCommands], dict[str, Exception]]:
    from elman.cli import tasks

    entries: dict[str, TaskCommands] = {}
    broken: dict[str, Exception] = {}
    for module in iter_modules(tasks.__path__):
        name = f"{tasks.__name__}.{module.name}"
        try:
            entry: TaskCommands = import_module(name).COMMANDS
            entries[entry.task] = entry
        except Exception as error:  # one task that is being written does not stop the others
            found = ImportError(f"{name}: {type(error).__name__}: {error}")
            found.__cause__ = error
            broken[module.name.replace("_", "-")] = found
    return entries, broken


class TaskVerb(click.Command):
    """Command for a trained model of any task, with the options, help and examples of all tasks."""

    def __init__(self, name: str, *, help: str, params: Sequence[click.Parameter], examples: Sequence[str] = (),
                 callback: Callable[..., None]):  # fmt: skip
        entries = [entry for entry in task_commands().values() if name in entry.verbs]
        self.tasks: dict[click.Parameter, list[str]] = {}  # by option: words of the tasks that support it
        for entry in entries:
            for option in entry.options.get(name, ()):
                self.tasks.setdefault(option, []).append(entry.task)
        paragraphs = [*help.split("\n\n"), *(entry.help[name] for entry in entries if name in entry.help)]
        examples = [*examples, *(line for entry in entries for line in entry.examples.get(name, ()))]
        super().__init__(name, callback=callback, params=[*params, *self.tasks], help=help_text(paragraphs, examples))
        self.name: str = name

    def check(self, task: str, given: Iterable[str]) -> None:
        """Raise an error if an option was given that a task does not support.

        Raises:
            click.UsageError: if there is one.
        """
        for option, tasks in self.tasks.items():
            if option.name in given and task not in tasks:
                raise click.UsageError(f"{option.opts[0]}: not supported for a {task}; leave it out.")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            tasks = self.tasks.get(option)
            title = f"Options for {_listed([f'{task}s' for task in tasks])}" if tasks else "Options"
            if isinstance(option, click.Option) and (record := option.get_help_record(ctx)):
                groups.setdefault(title, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def help_text(paragraphs: Sequence[str], examples: Iterable[str]) -> str:
    """Return a help text for click: the first paragraph, the examples, and the other paragraphs."""
    first, *others = paragraphs
    return "\n\n".join([first, "\n  ".join(["\b\nExamples:", *examples]), *others])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
