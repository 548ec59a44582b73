"""`elman train TASK`."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import click

from elman.cli.completion import complete_setting
from elman.cli.console import log_messages
from elman.cli.models import LoadedModel, given
from elman.cli.readers import DataFile
from elman.cli.streams import dropping, guarded
from elman.cli.task_commands import TaskCommands, broken_tasks, help_text, task_commands
from elman.data.raw_files import STDIN
from elman.data.readers.labelled import Labelled
from elman.declared_types import Record
from elman.errors import located
from elman.nearest import nearest
from elman.network import read_model
from elman.settings import CONFIG, flat, parse, read_config, setting_names
from elman.tasks import task_class
from elman.tasks.run_source import Source

PARAMS = (
    click.Argument(["files"], nargs=-1, metavar="[FILE|-]...", type=DataFile()),
    click.Option(["--out", "run"], metavar="RUN", type=click.Path(path_type=Path),
                 help="The run folder to write; optional for --dry-run."),
    click.Option(["--set", "settings"], multiple=True, metavar="NAME=VALUE", shell_complete=complete_setting,
                 help="Change a setting. Can be repeated."),
    click.Option(["--validation"], multiple=True, metavar="FILE", type=DataFile(),
                 help="Choose the best weights on this file instead of a part of FILE. Can be repeated."),
    click.Option(["--from", "pretrained"], metavar="RUN", type=click.Path(path_type=Path),
                 help="Start from the weights of a trained model, with its settings and vocabularies (fine-tuning)."),
    click.Option(["--resume"], is_flag=True,
                 help="Continue the run in RUN, with its files and settings; --set epochs=N extends it."),
    click.Option(["--dry-run"], is_flag=True,
                 help="Only print a summary of the data, the size of the network and the expected time."),
    click.Option(["--during"], is_flag=True,
                 help="Write gradients and gates to log.jsonl while training, in at most 5 % of its time."),
    click.Option(["--tensorboard"], is_flag=True, help="Write log.jsonl for TensorBoard as well: RUN/tensorboard."),
)  # fmt: skip


class TrainArgs(NamedTuple):
    """Arguments of `elman train` for every task."""

    files: tuple[Path, ...]
    run: Path
    settings: tuple[str, ...]
    validation: tuple[Path, ...]
    pretrained: Path | None
    resume: bool
    dry_run: bool
    during: bool
    tensorboard: bool


def train_task(commands: TaskCommands, **options: Any) -> None:
    """Train a model of a task, and print its figures on the held-out part.

    Raises:
        click.UsageError: if no run folder is named.
    """
    from elman.tasks.run import Run

    args = TrainArgs(*(options.pop(name) for name in TrainArgs._fields))
    if args.run is None and (args.resume or not args.dry_run):
        raise click.UsageError("Missing option '--out'.")
    model, source = new_model(commands, args, given(options))
    run = Run(args.run, args.resume, source=source.to_config())
    model.check_run(run, args.pretrained)
    data = commands.read(source.data, source.reading)
    validation = commands.read(source.validation_data, source.reading) if source.validation_data else None
    held_out = validation and (validation.inputs if data.labels is None else validation[:2])
    with located(data.places), located(validation.places, "validation row") if validation else nullcontext():
        if args.dry_run:
            click.echo(model.plan(data.inputs, data.labels, validation_data=held_out, pretrained=args.pretrained))
            return
        with guarded("stdout", dropping):
            with observers(model.task, args) as watching:
                run = replace(run, observers=watching)
                model.fit(data.inputs, data.labels, validation_data=held_out, pretrained=args.pretrained, verbose=True,
                          run=run)  # fmt: skip
            print_result(model, commands, args.run, source)


def new_model(commands: TaskCommands, args: TrainArgs, options: Mapping[str, Any]) -> tuple[Any, Source]:
    """Return the untrained model and the source of its data: new ones, or those of the run to resume.

    Raises:
        click.UsageError: if no files are named, or files are named for a run to resume.
        ValueError: a setting is unknown, or the run to resume or the pretrained model is of another task.
        FileNotFoundError: there is no run to resume.
    """
    kind, fixed = task_class(commands.task), commands.setting_options
    changes = {**split_settings(args.settings), **{name: options[name] for name in fixed & options.keys()}}
    reading = {name: value for name, value in options.items() if name not in fixed}
    if not args.resume:
        if not args.files:
            raise click.UsageError(
                "name at least one FILE to train on (- is standard input), or continue a run with --resume."
            )
        for file in args.files:
            setting, equals, _ = str(file).partition("=")
            if equals and setting.partition(".")[0] in setting_names(kind) and not file.exists():
                raise click.UsageError(f"{file}: expected a file, got a setting; write --set {file}.")
        if args.pretrained is not None:
            changes = {**_settings_of(args.pretrained, commands.task), **changes}
            reading = {**Source.of_run(args.pretrained).reading, **reading}
        return kind(**parse(kind, changes)), Source(args.files, args.validation, reading)
    if args.files or args.validation or args.pretrained or reading:
        raise click.UsageError(f"--resume reads the files that {args.run / CONFIG} names; leave FILE out (and --from).")
    config = read_config(args.run)
    if config["task"] != commands.task:
        raise ValueError(f"{args.run}: expected a run of {commands.task}, got one of {config['task']}; use elman train "
                         f"{config['task']}.")  # fmt: skip
    parse(kind, config["settings"], str(args.run / CONFIG))
    settings = parse(kind, {**flat(config["settings"]), **changes})
    source = Source.from_config(config)
    if not source.data:
        raise ValueError(f"{args.run}: was not trained on files; resume it from Python, with the same data.")
    source.check_standard_input(args.run)
    return kind(**settings), source


def _settings_of(pretrained: Path, task: str) -> dict[str, Any]:
    """Return the settings of a trained model by name.

    Raises:
        FileNotFoundError, ValueError: there is no such model, or it is of another task.
    """
    file = read_model(pretrained)
    if (found := file.metadata.get("task")) != task:
        raise ValueError(f"{pretrained}: expected a pretrained {task}, got a {found}; name a run of this task.")
    return flat(file.value("settings", Record))


def split_settings(texts: tuple[str, ...]) -> dict[str, str]:
    """Return the values of `NAME=VALUE` texts by name.

    Raises:
        ValueError: a text has no `=`.
    """
    for text in texts:
        if "=" not in text:
            raise ValueError(f"--set {text}: expected NAME=VALUE, e.g. --set hidden_size=256.")
    return {name.strip(): value.strip() for name, value in (text.split("=", 1) for text in texts)}


@contextmanager
def observers(task: str, args: TrainArgs) -> Iterator[list[Callable[[Any], object]]]:
    """Yield the observers of a training run. Ctrl-C prints the command that resumes it."""
    from elman.training import Interrupted

    try:
        with log_messages(), ExitStack() as stack:
            found: list[Callable[[Any], object]] = []
            if args.during:
                from elman.doctor.watch import Watch

                found.append(Watch())
            if args.tensorboard:
                from elman.training.tensorboard import TensorBoard

                found.append(stack.enter_context(TensorBoard(args.run / "tensorboard")))
            yield found
    except Interrupted as error:
        command = shlex.join(["elman", "train", task, "--resume", "--out", str(args.run)])
        if STDIN in (*args.files, *args.validation):
            command += " < FILE, with the same data"
        way_out = f"continue with: {command}" if error.run else "nothing was kept; train again"
        raise KeyboardInterrupt(f"stopped at update {error.update}; {way_out}") from error


def print_result(model: Any, commands: TaskCommands, run: Path, source: Source) -> None:
    """Print the length of the training, the figures on the held-out part, and the commands to use next."""
    from elman.tasks.plan import duration

    result = model.result_
    click.echo(f"\n{result.updates:,} updates in {duration(result.seconds)}.")
    inputs, labels = model.held_out_ if isinstance(model.held_out_, tuple) else (model.held_out_, None)
    if len(inputs):
        click.echo(f"Update {result.best_update:,} has the best weights on the held-out part. Their figures there:\n")
        data = Labelled(inputs, labels, [f"held-out row {number}" for number in range(len(inputs))])
        click.echo(LoadedModel(model, commands, {}).evaluate(data).table())
    lines = [
        f"  elman {line.replace('RUN', shlex.quote(str(run)), 1)}" for line in commands.next_commands(source.reading)
    ]
    click.echo("\n".join([f"\nThe run is in {run}. Next:", *lines]))


class _Train(click.Command):
    """`elman train TASK`. An unknown option that is, or resembles, a setting is an error that names `--set`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            option = error.option_name
            values = [(text.partition("=")[2] or after) for text, after in pairwise([*given, ""])
                      if text.partition("=")[0] == option]  # fmt: skip
            value = next((value for value in values if value and not value.startswith("-")), "VALUE")
            known = {name: name for parameter in self.params for name in parameter.opts if name.startswith("--")}
            for setting in setting_names(task_class(str(self.name))):
                known.setdefault(f"--{setting.replace('_', '-')}", f"--set {setting}={value}")
                if option.startswith(f"--{setting}."):  # an option of a setting: cell.zoneout_c
                    known[option.replace("_", "-")] = f"--set {option[2:]}={value}"
            found = nearest(option.replace("_", "-"), known)
            way_out = f"did you mean {known[found]}?" if found else (
                f"settings are given as --set NAME=VALUE, elman list {self.name} shows them."
            )  # fmt: skip
            raise click.UsageError(f"No such option {option!r}; {way_out}", ctx) from None


class _Tasks(click.Group):
    """Commands of the tasks; a task whose module cannot be imported fails alone."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in broken_tasks():
            raise broken_tasks()[cmd_name]
        return super().get_command(ctx, cmd_name)


train = _Tasks(
    "train",
    help=help_text(
        ["Train a model for a task, into a run folder.", "`elman list TASK` shows the settings of a task."],
        [commands.examples["train"][0] for commands in task_commands().values()],
    ),
    commands=[
        _Train(
            word,
            callback=partial(train_task, commands),
            params=[*PARAMS, *commands.options.get("train", ())],
            short_help=commands.summary,
            help=help_text(
                [*commands.help["train"].split("\n\n"),
                 f"`elman list {word}` shows its settings. RUN keeps the options that define how FILE is read."],
                commands.examples["train"],
            ),
        )
        for word, commands in task_commands().items()
    ],
)  # fmt: skip
